//! What is seen of a store from outside its database: the heads file, kept up to date, and a thread that looks after both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use linli_core::id::{Head, LogId};

use crate::append::Shared;
use crate::backend::{Batch, LostFile};
use crate::catalogue::{Family, META_HEADS};
use crate::error::StoreError;
use crate::fill::index_lacking;
use crate::heads::{self, Noted};
use crate::limits::{FILES_EVERY, HEADS_EVERY, HEADS_REST, LOOK_EVERY, REOPEN_PAUSE, ROWS_AT_A_LOOK};
use crate::open::{Loaded, load_heads};
use crate::read_through::ReadThrough;

/// The directory of a store that is open for writing.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    /// Which state of the heads stands in the file, if this process wrote it.
    noted: Mutex<Option<u64>>,
}

impl Place {
    /// Of the store in `directory`.
    pub fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), noted: Mutex::default() }
    }
}

impl Shared {
    /// Writes the heads file if it is behind: all durable heads, and those of what is missing.
    ///
    /// # Errors
    /// When the disk refuses; then the old file stays.
    pub fn note_heads(&self) -> Result<(), StoreError> {
        let Some(place) = &self.place else { return Ok(()) };
        let mut noted = place.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.published.load(Ordering::SeqCst);
        if *noted == Some(state) {
            return Ok(());
        }
        let here = self.frontier.read().unwrap_or_else(PoisonError::into_inner).clone();
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner).noted(&here);
        let whole = here.iter().filter(|(log, _)| !missing.contains_key(log));
        let heads = whole.chain(&missing).map(|(log, head)| (log, *head));
        heads::write(&place.directory, heads).map_err(|error| {
            StoreError::Backend(format!("{}: {error}", place.directory.join(heads::FILE).display()))
        })?;
        *noted = Some(state);
        Ok(())
    }

    /// Writes the first heads file of a store, or the first after a damaged one; notes in the store that there is one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_noting(&self, directory: &Path) -> Result<(), StoreError> {
        if self.backend.get(Family::Meta, META_HEADS)?.is_some()
            && matches!(heads::read(directory), Ok(Noted::Heads(..)))
        {
            return Ok(());
        }
        self.note_heads()?;
        let mut batch = Batch::default();
        batch.put(Family::Meta, META_HEADS, &[]);
        self.backend.write(batch, true)
    }

    /// Opens the database anew after a failed write, and goes on from what is in it: all that was acknowledged, and perhaps
    /// more, which then is durable and shown, though whoever wrote it was told that it may not be.
    ///
    /// # Errors
    /// When the disk still refuses; then nothing has changed.
    pub fn recover(&self) -> Result<(), StoreError> {
        let nobody_commits = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        let was_damage = matches!(self.poison(), Some(StoreError::Damaged(_)));
        if self.backend.reopen()? {
            self.derived_is_damaged("their files could not be opened".into());
            self.derived_is_gone.store(true, Ordering::SeqCst);
            index_lacking(&*self.backend)?;
        }
        // Merging what is damaged stops all writes, and would again.
        for family in Family::ALL.into_iter().filter(|family| was_damage && family.is_derived()) {
            if let Err(StoreError::Damaged(why)) = self.reads(family) {
                self.renew(family, why)?;
            }
        }
        let Loaded { numbers, frontier: found, next_log } = load_heads(&*self.backend)?;
        let before = self.frontier.read().unwrap_or_else(PoisonError::into_inner).clone();
        let ahead = |(log, head): (&LogId, &Head)| (before.head(log) != Some(*head)).then(|| (log.clone(), *head));
        let advanced: Vec<(LogId, Head)> = found.iter().filter_map(ahead).collect();
        let acknowledged = before.iter().map(|(log, head)| (log.clone(), *head)).collect();
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).compare_again(acknowledged, &found);
        self.next_log.store(next_log, Ordering::SeqCst);
        *self.numbers.write().unwrap_or_else(PoisonError::into_inner) = numbers;
        *self.frontier.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
        self.published.fetch_add(1, Ordering::SeqCst);
        *self.poisoned.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop(nobody_commits);
        tracing::info!(logs = advanced.len(), "the store was opened anew after a failed write");
        self.tell_heads(&advanced);
        Ok(())
    }

    /// Makes a derived family again of which something cannot be read: read models are thrown away, for somebody else to
    /// fold, and the index of lacking payloads is made from the events. Nobody may be committing.
    ///
    /// # Errors
    /// When the disk refuses, or events cannot be read.
    pub fn renew(&self, family: Family, why: String) -> Result<(), StoreError> {
        if family == Family::Projection {
            self.derived_is_damaged(why);
            self.derived_is_gone.store(true, Ordering::SeqCst);
            return self.backend.clear(family);
        }
        tracing::error!(family = family.name(), why, "an index cannot be read: it is made again from the events");
        self.backend.clear(family)?;
        index_lacking(&*self.backend)
    }

    /// Looks whether files were deleted under the open database. What they hold is read as long as it is open, and is gone
    /// after that.
    ///
    /// # Errors
    /// When the log of writes is gone, and what stands in it alone could not be brought into tables.
    pub fn look_for_files(&self) -> Result<(), StoreError> {
        // A directory that cannot be listed just now is looked at again; what matters is told when it is written to.
        let has_log = || self.backend.has_write_ahead_log().unwrap_or(true);
        if !has_log() {
            tracing::error!(
                "the log of writes was deleted under the open store: what stood in it is written once more"
            );
            // A row that is new, so that the database has a reason to begin another log.
            let mut batch = Batch::default();
            batch.put(Family::Meta, META_HEADS, &[]);
            self.backend.write(batch, true)?;
            self.backend.settle()?;
            if !has_log() {
                return Err(StoreError::Backend("the log of writes was deleted while the node was running".into()));
            }
        }
        let found = match self.backend.lost_files() {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "it cannot be told whether files of the store are gone");
                return Ok(());
            }
        };
        let (mut lost, mut derived) = (vec![], BTreeMap::new());
        for LostFile { name, family } in found {
            match family.filter(|family| family.is_derived()) {
                Some(family) => drop(derived.insert(family, format!("{name} was deleted"))),
                None => lost.push(name),
            }
        }
        for (family, why) in derived {
            if family == Family::Projection {
                self.derived_is_damaged(why);
                continue;
            }
            let _nobody_commits = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
            self.renew(family, why)?;
        }
        let files = lost.join(" ");
        if self.missing.lock().unwrap_or_else(PoisonError::into_inner).deleted(lost) {
            tracing::error!(files, "files that were deleted under the open store, all of them");
        }
        Ok(())
    }

    /// Brings everything into the files themselves, so that nothing depends on the write-ahead log, and notes the heads.
    ///
    /// # Errors
    /// When the disk refuses, or a write failed before.
    pub fn settle(&self) -> Result<(), StoreError> {
        if self.place.is_none() {
            return Ok(());
        }
        self.is_sound()?;
        self.backend.settle()?;
        self.note_heads()
    }
}

/// The thread that looks after an open store.
pub struct Tender {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Tender {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let name = "linli-tend".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || tend(&shared, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Ends it and waits for that.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.thread().id() != std::thread::current().id() && self.thread.join().is_err() {
            tracing::error!("the thread that looks after the store has panicked");
        }
    }
}

fn tend(shared: &Shared, stopped: &Receiver<()>) {
    let (mut noted_at, mut rest, mut looked_at) = (Instant::now(), HEADS_EVERY, Instant::now());
    let (mut failed_at, mut pause) = (Instant::now(), REOPEN_PAUSE.0);
    let mut reading = Some(ReadThrough::default());
    while matches!(stopped.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
        if shared.is_sound().is_ok() {
            let in_place = shared.backend.is_in_place().and_then(|()| match looked_at.elapsed() >= FILES_EVERY {
                true => {
                    looked_at = Instant::now();
                    shared.look_for_files()
                }
                false => Ok(()),
            });
            in_place.err().iter().for_each(|error| shared.failed(error));
        }
        if shared.is_sound().is_err() {
            if failed_at.elapsed() >= pause {
                pause = match shared.recover() {
                    Ok(()) => REOPEN_PAUSE.0,
                    Err(error) => {
                        tracing::warn!(%error, "the store cannot be opened anew yet");
                        (pause * 2).min(REOPEN_PAUSE.1)
                    }
                };
                failed_at = Instant::now();
            }
            continue;
        }
        // A look that reads on costs a few hundredths of a core, until all has been read once.
        reading = reading.and_then(|mut at| shared.read_on(&mut at, ROWS_AT_A_LOOK).then_some(at));
        if noted_at.elapsed() >= rest {
            let began = Instant::now();
            if let Err(error) = shared.note_heads() {
                tracing::warn!(%error, "the heads file is behind: after a crash, fewer losses would be noticed");
            }
            (noted_at, rest) = (Instant::now(), rest_after(began.elapsed()));
        }
    }
}

fn rest_after(cost: Duration) -> Duration {
    HEADS_EVERY.max(cost.saturating_mul(HEADS_REST))
}
