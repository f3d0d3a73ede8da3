//! The store itself: opening, the one door, reading whole logs, erasing payloads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;

use linli_core::event::{Slot, StoredEvent, VerifiedEvent, event_id};
use linli_core::frontier::Frontier;
use linli_core::id::{AuthorKey, EventId, Head, LogId};
use linli_core::limits::FRAME_EVENTS_MAX;
use linli_core::sign::KeyCache;

use crate::append::{Answer, Appended, GROUP_MAX, Listener, PayloadListener, Request, Shared, commit_loop};
use crate::backend::{Backend, Batch, Walk};
use crate::catalogue::Family;
use crate::codec::{ERASED, Entry, entry_key, log_of, seq_of};
use crate::disk::{Disk, Found};
use crate::error::{AppendError, StoreError};
use crate::fill::index_lacking;
use crate::limits::LOGS_MAX;
use crate::losses::{Losses, Missing};
use crate::memory::Memory;
use crate::open::{Before, Loaded, check_format, load_heads};
use crate::rocks::Rocks;
use crate::run::Run;
use crate::side::{Local, Projection};
use crate::tended::{Place, Tender};

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Refuse every write; works while another process writes.
    pub read_only: bool,
}

/// One position at which an author signed two events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkEvidence {
    /// The log.
    pub log: LogId,
    /// The position.
    pub seq: u64,
    /// The event of the branch that is not in the log here.
    pub other: EventId,
}

/// The event store. Cheap to clone; all calls block.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) read_only: bool,
    requests: RwLock<Option<SyncSender<Request>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    tender: Mutex<Option<Tender>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    /// Lets the commit thread finish what waits, and waits for it.
    fn stop(&self) {
        drop(self.requests.write().unwrap_or_else(PoisonError::into_inner).take());
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(committer) = committer {
            // A listener may hold the last clone, so that this runs on the commit thread itself.
            if committer.thread().id() != std::thread::current().id() {
                let _ = committer.join();
            }
        }
        let Some(tender) = self.tender.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        tender.stop();
        if let Err(error) = self.shared.settle() {
            tracing::warn!(%error, "the store was not settled: the next start replays the log of writes");
        }
    }
}

impl Store {
    /// Opens or creates a store on disk.
    ///
    /// # Errors
    /// When another process has it, it is of a newer format, or the disk fails.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self, StoreError> {
        if options.read_only {
            return Self::over(Arc::new(Rocks::open(path, true)?), true);
        }
        let refused = |e: std::io::Error| StoreError::Backend(format!("{}: {e}", path.display()));
        std::fs::create_dir_all(path).map_err(refused)?;
        let before = Before::opening(path)?;
        let (disk, Found { damage, has_renewed }) = match Disk::open(path) {
            Ok(opened) => opened,
            Err(error) => {
                before.forget();
                return Err(error);
            }
        };
        let backend = Arc::new(disk);
        check_format(&*backend, false)?;
        if has_renewed {
            index_lacking(&*backend)?;
        }
        let loaded = load_heads(&*backend)?;
        let missing = before.opened(path, &*backend, &loaded.frontier, damage);
        let store = Self::start(backend, loaded, false, LOGS_MAX, Some(Place::of(path)), missing)?;
        store.inner.shared.begin_noting(path)?;
        Ok(store)
    }

    /// Opens a store for reading, also beside a process that writes it.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::open(path, OpenOptions { read_only: true })
    }

    /// A store in memory.
    pub fn in_memory() -> Self {
        // An empty map has no format to refuse and no disk to fail.
        #[allow(clippy::expect_used)]
        Self::over(Arc::new(Memory::default()), false).expect("an empty memory backend opens")
    }

    /// Over any backend.
    pub(crate) fn over(backend: Arc<dyn Backend>, read_only: bool) -> Result<Self, StoreError> {
        check_format(&*backend, read_only)?;
        let loaded = load_heads(&*backend)?;
        Self::start(backend, loaded, read_only, LOGS_MAX, None, Missing::default())
    }

    /// Over any backend, for fewer logs.
    #[cfg(test)]
    pub(crate) fn over_at_most(backend: Arc<dyn Backend>, logs_max: usize) -> Result<Self, StoreError> {
        let loaded = load_heads(&*backend)?;
        Self::start(backend, loaded, false, logs_max, None, Missing::default())
    }

    fn start(
        backend: Arc<dyn Backend>,
        loaded: Loaded,
        read_only: bool,
        logs_max: usize,
        place: Option<Place>,
        missing: Missing,
    ) -> Result<Self, StoreError> {
        let is_tended = place.is_some();
        let shared = Arc::new(Shared {
            backend,
            frontier: RwLock::new(Arc::new(loaded.frontier)),
            numbers: RwLock::new(loaded.numbers),
            next_log: AtomicU32::new(loaded.next_log),
            logs_max,
            listeners: RwLock::default(),
            payload_listeners: RwLock::default(),
            published: AtomicU64::default(),
            missing: Mutex::new(missing),
            place,
            derived_damage: Mutex::default(),
            derived_is_gone: AtomicBool::default(),
            poisoned: Mutex::default(),
            failures: AtomicU64::default(),
            payloads: Mutex::default(),
        });
        let (requests, waiting) = sync_channel(GROUP_MAX);
        let committing = shared.clone();
        let committer = std::thread::Builder::new()
            .name("linli-commit".into())
            .spawn(move || commit_loop(&committing, &waiting))
            .map_err(no_thread)?;
        let tender = if is_tended { Some(Tender::start(shared.clone()).map_err(no_thread)?) } else { None };
        let (requests, committer) = (RwLock::new(Some(requests)), Mutex::new(Some(committer)));
        let inner = Inner { shared, read_only, requests, committer, tender: Mutex::new(tender) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What was durable here and is missing. Empty is well; what is back is no longer in it.
    pub fn losses(&self) -> Losses {
        self.losses_as_of(Instant::now())
    }

    /// As [`Store::losses`], at another moment: what peers say is believed for a while only.
    pub fn losses_as_of(&self, now: Instant) -> Losses {
        let here = self.frontier();
        let mut missing = self.inner.shared.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.weigh(&here, now);
        missing.losses(&here)
    }

    /// Why read models cannot be read; none is well. Nothing is lost by that: whoever folds clears [`Store::projection`]
    /// and folds the logs again, and it is over.
    pub fn derived_damage(&self) -> Option<String> {
        self.inner.shared.derived_damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether all read models are gone: the store had to throw them away to go on. They cannot be read until somebody clears
    /// [`Store::projection`].
    pub fn derived_is_gone(&self) -> bool {
        self.inner.shared.derived_is_gone.load(Ordering::SeqCst)
    }

    /// Why nothing can be written now; none is well. The store opens itself anew when the disk takes writes again.
    pub fn write_trouble(&self) -> Option<StoreError> {
        self.inner.shared.poison()
    }

    /// How many durable writes have failed since the store was opened.
    pub fn write_failures(&self) -> u64 {
        self.inner.shared.failures.load(Ordering::SeqCst)
    }

    /// A peer says that it has this head of an own log, which is ahead of ours.
    pub(crate) fn told_by_peer(&self, peer: AuthorKey, log: &LogId, head: Head) {
        let here = self.frontier();
        let mut missing = self.inner.shared.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.told(peer, log, head, &here, Instant::now());
    }

    /// What stands beside the database and must be durable before an event is signed could not be written: the disk is as
    /// little to be trusted as if the database had said so.
    pub(crate) fn could_not_write(&self, error: &std::io::Error) {
        self.inner.shared.failed(&StoreError::Backend(format!("the generation file could not be written: {error}")));
    }

    /// Brings everything into the files themselves and notes the heads: after an orderly stop nothing depends on replay.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        if self.inner.read_only { Ok(()) } else { self.inner.shared.settle() }
    }

    /// Finishes what waits and lets go of the disk as soon as the last clone is gone.
    pub fn close(self) {
        self.inner.stop();
    }

    /// The one door: appends runs, each of consecutive events of one log; all of them or none.
    ///
    /// Durable when it returns. What is here already is skipped, and payloads that were missing are filled in.
    ///
    /// # Errors
    /// [`AppendError`]; a fork leaves the history as it was and keeps the other branch as evidence.
    pub fn append(&self, runs: Vec<Vec<VerifiedEvent>>) -> Result<Appended, AppendError> {
        let answer = self.append_later(runs, true)?;
        answer.recv().map_or_else(|_| Err(stopped().into()), |(outcome, _)| outcome)
    }

    /// As [`Store::append`], and answers on a channel. Requests are committed in the order of these calls.
    pub(crate) fn append_later(
        &self,
        runs: Vec<Vec<VerifiedEvent>>,
        keep_evidence: bool,
    ) -> Result<Receiver<Answer>, StoreError> {
        if self.inner.read_only {
            return Err(StoreError::ReadOnly);
        }
        let (answer, answered) = sync_channel(1);
        let requests = self.inner.requests.read().unwrap_or_else(PoisonError::into_inner);
        let requests = requests.as_ref().ok_or_else(stopped)?;
        requests.send(Request { runs, keep_evidence, answer }).map_err(|_| stopped())?;
        Ok(answered)
    }

    /// Calls `listener` with the new heads after each durable append, on the commit thread: it must be quick.
    pub fn on_append(&self, listener: Listener) {
        self.inner.shared.listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Calls `listener` with what each durable write means for personal payloads, on the thread that wrote it: it must be
    /// quick.
    pub fn on_payloads(&self, listener: PayloadListener) {
        self.inner.shared.payload_listeners.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Heads of everything durable.
    pub fn frontier(&self) -> Arc<Frontier> {
        self.inner.shared.frontier.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The head of one log.
    pub fn head(&self, log: &LogId) -> Option<Head> {
        self.inner.shared.head(log)
    }

    /// Up to `events_max` events of a log from a position on, stopping before they exceed `bytes_max`; at least one if
    /// there is one.
    ///
    /// # Errors
    /// When the database fails or holds damaged entries.
    pub fn read(
        &self,
        log: &LogId,
        from_seq: u64,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.rows(log, from_seq, events_max, bytes_max)?.events().collect()
    }

    fn rows(&self, log: &LogId, from_seq: u64, events_max: usize, bytes_max: usize) -> Result<Run, StoreError> {
        let (mut run, mut bytes) = (Run::default(), 0usize);
        let Some((number, height)) = self.inner.shared.durable(log) else { return Ok(run) };
        let (from, end) = (entry_key(number, from_seq), entry_key(number, height + 1));
        let families = [Family::Entries, Family::Op, Family::Pii];
        self.inner.shared.backend.walks(&families, &from, &end, &mut |walks| {
            let [entries, op, pii] = walks else { return Ok(()) };
            while let Some((key, value)) = entries.pair().filter(|_| run.len() < events_max) {
                let entry = Entry::read(value)?;
                let op = if entry.op.is_some() { None } else { value_at(&mut **op, key)? };
                let pii = value_at(&mut **pii, key)?;
                let rows = [op, pii].into_iter().flatten().map(<[u8]>::len);
                bytes = bytes.saturating_add(entry.size_bytes() + rows.sum::<usize>());
                if bytes > bytes_max && !run.is_empty() {
                    break;
                }
                run.push(value, op, pii);
                entries.step()?;
            }
            Ok(())
        })?;
        Ok(run)
    }

    /// As [`Store::read`], and ends on a signed event, so that the run can be proven: what a frame is made of.
    ///
    /// If no event within the bounds is signed, the run is longer than asked for, up to the next signature, which is
    /// never further than [`FRAME_EVENTS_MAX`].
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_run(&self, log: &LogId, from_seq: u64, events_max: usize, bytes_max: usize) -> Result<Run, StoreError> {
        let mut run = self.rows(log, from_seq, events_max, bytes_max)?;
        let read = run.len();
        if run.end_on_signature()? || read == 0 {
            return Ok(run);
        }
        let mut keys = KeyCache::default();
        for events in read + 1..=FRAME_EVENTS_MAX {
            let Some(mut event) = self.event(log, from_seq + events as u64 - 1)? else { break };
            if event.confirm(&mut keys) {
                return self.rows(log, from_seq, events, usize::MAX);
            }
        }
        Ok(run)
    }

    /// One event.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn event(&self, log: &LogId, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        let Some((number, _)) = self.inner.shared.durable(log).filter(|(_, height)| seq <= *height) else {
            return Ok(None);
        };
        let (backend, key) = (&self.inner.shared.backend, entry_key(number, seq));
        let Some(value) = backend.get(Family::Entries, &key)? else { return Ok(None) };
        let op = if Entry::read(&value)?.op.is_some() { None } else { backend.get(Family::Op, &key)? };
        let pii = backend.get(Family::Pii, &key)?;
        let mut run = Run::default();
        run.push(&value, op.as_deref(), pii.as_deref());
        run.events().next().transpose()
    }

    /// Erases the payload of an event that is here: its bytes are gone from the files when this returns, and no peer
    /// or import brings them back. The commitment stays. Does nothing for an event that is not here yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn erase(&self, log: &LogId, seq: u64, slot: Slot) -> Result<(), StoreError> {
        let (shared, family) = (&self.inner.shared, family_of(slot));
        let Some((number, _)) = shared.durable(log).filter(|(_, height)| seq <= *height) else { return Ok(()) };
        let key = entry_key(number, seq);
        let mut families = vec![family];
        {
            let _filling_in_waits = shared.payloads.lock().unwrap_or_else(PoisonError::into_inner);
            let event = self.event(log, seq)?.filter(|_| slot == Slot::Op);
            let mut batch = Batch::default();
            batch.put(family, &key, &[ERASED]);
            if slot == Slot::Pii {
                batch.delete(Family::Lacking, &key);
            }
            if let Some(event) = &event {
                batch.put_entry(Family::Entries, &key, event.event(), false);
                families.push(Family::Entries);
            }
            shared.write_durably(batch)?;
        }
        families.into_iter().try_for_each(|family| shared.backend.purge(family, &key, &[&key[..], &[0]].concat()))
    }

    /// Whether a payload was erased here, as opposed to never having come.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_erased(&self, log: &LogId, seq: u64, slot: Slot) -> Result<bool, StoreError> {
        let Some(number) = self.inner.shared.number(log) else { return Ok(false) };
        let value = self.inner.shared.backend.get(family_of(slot), &entry_key(number, seq))?;
        Ok(value.is_some_and(|value| value == ERASED))
    }

    /// Positions at which an author signed two events; at most `1,000`, which is more than anybody reads.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forks(&self) -> Result<Vec<ForkEvidence>, StoreError> {
        let logs = self.inner.shared.logs_by_number();
        let mut forks = vec![];
        for (key, value) in self.inner.shared.backend.range(Family::Forks, &[], &[0xff; 64], 1_000)? {
            let Some(log) = log_of(&key).and_then(|number| logs.get(&number)) else { continue };
            let other = event_id(Entry::read(&value)?.header);
            forks.push(ForkEvidence { log: log.clone(), seq: seq_of(&key)?, other });
        }
        Ok(forks)
    }

    /// Read models.
    pub fn projection(&self) -> Projection {
        Projection { shared: self.inner.shared.clone() }
    }

    /// Node-local settings.
    pub fn local(&self) -> Local {
        Local { shared: self.inner.shared.clone() }
    }
}

fn no_thread(error: std::io::Error) -> StoreError {
    StoreError::Backend(format!("the system gives no thread: {error}"))
}

fn stopped() -> StoreError {
    StoreError::Backend("the store is closed".into())
}

const fn family_of(slot: Slot) -> Family {
    match slot {
        Slot::Op => Family::Op,
        Slot::Pii => Family::Pii,
    }
}

/// The value at a key, on a walk that goes forward with the entries.
fn value_at<'w>(walk: &'w mut dyn Walk, key: &[u8]) -> Result<Option<&'w [u8]>, StoreError> {
    while walk.pair().is_some_and(|(at, _)| at < key) {
        walk.step()?;
    }
    Ok(walk.pair().filter(|(at, _)| *at == key).map(|(_, value)| value))
}

#[cfg(test)]
mod tests;
