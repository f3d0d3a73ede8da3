//! A database on disk that can be closed and opened again under a store that goes on.
//!
//! After a failed write RocksDB refuses to write, and rightly so. Whoever restarts the process opens it anew; this does the
//! same without losing the pages, the sessions and the connections of a node.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use crate::backend::{Backend, Batch, LostFile, Visit};
use crate::catalogue::Family;
use crate::durable_file;
use crate::error::StoreError;
use crate::limits::{PROBE_BYTES, READERS_WAIT, READERS_WAIT_STEP, ROOM_BYTES_MIN};
use crate::rocks::Rocks;

/// The file on which RocksDB holds its lock: it is there as long as the store is.
const LOCK: &str = "LOCK";
/// Names the list of tables in force.
const CURRENT: &str = "CURRENT";
/// A file that is written to see whether the disk takes one.
const PROBE: &str = "probe";

/// What was found when a database was opened.
pub struct Found {
    /// What was damaged in its write-ahead logs.
    pub damage: Option<String>,
    /// Whether derived families were thrown away, because their files could not be opened.
    pub has_renewed: bool,
}

/// A database, or for a moment none, and where it lies.
pub struct Disk {
    directory: PathBuf,
    /// Of the directory and of its lock file.
    identity: [(u64, u64); 2],
    current: RwLock<Option<Arc<Rocks>>>,
}

impl Disk {
    /// Opens or creates, for writing.
    ///
    /// # Errors
    /// As [`Rocks::open`], and where the disk has no room for what an open database needs.
    pub fn open(directory: &Path) -> Result<(Self, Found), StoreError> {
        has_room(directory)?;
        let rocks = Rocks::open(directory, false)?;
        let found = Found { damage: rocks.damage.clone(), has_renewed: rocks.has_renewed };
        let identity = identity(directory).map_err(|error| failed(directory, &error))?;
        let current = RwLock::new(Some(Arc::new(rocks)));
        Ok((Self { directory: directory.to_owned(), identity, current }, found))
    }

    /// The database, which stays open as long as somebody holds it.
    fn current(&self) -> Result<Arc<Rocks>, StoreError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ok_or_else(|| StoreError::Backend("the database is closed after a failed write".into()))
    }

    /// Does something with the database, or with none, once nobody else uses it.
    fn alone<T>(&self, act: impl FnOnce(&mut Option<Arc<Rocks>>) -> T) -> Result<T, StoreError> {
        let waiting = Instant::now();
        loop {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.as_mut().is_none_or(|rocks| Arc::get_mut(rocks).is_some()) {
                return Ok(act(&mut current));
            }
            drop(current);
            if waiting.elapsed() > READERS_WAIT {
                return Err(StoreError::Backend("the database is being read all the time".into()));
            }
            std::thread::sleep(READERS_WAIT_STEP);
        }
    }

    /// Closes the database once nobody reads, and opens it anew: for writing, or else for reading, so that what is there
    /// is still shown. Says whether derived families were thrown away.
    fn close_and_open(&self) -> Result<bool, StoreError> {
        self.alone(|current| {
            drop(current.take());
            let (rocks, outcome) = match Rocks::open(&self.directory, false) {
                Ok(rocks) => {
                    let has_renewed = rocks.has_renewed;
                    (Some(rocks), Ok(has_renewed))
                }
                Err(error) => (Rocks::open(&self.directory, true).ok(), Err(error)),
            };
            *current = rocks.map(Arc::new);
            outcome
        })?
    }

    /// Files beside the tables without which the database is not opened again, if they are gone.
    fn lost_lists(&self) -> Vec<String> {
        let list = std::fs::read_to_string(self.directory.join(CURRENT));
        let names = [Some(CURRENT.to_owned()), list.ok().map(|name| name.trim_end().to_owned())];
        names.into_iter().flatten().filter(|name| self.is_gone(name)).collect()
    }

    /// A file that cannot be looked at for another reason is not called gone.
    fn is_gone(&self, name: &str) -> bool {
        matches!(self.directory.join(name).try_exists(), Ok(false))
    }
}

impl Backend for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.current()?.get(family, key)
    }

    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.current()?.walks(families, from, to, visit)
    }

    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.current()?.last(family, from, to)
    }

    fn write(&self, batch: Batch<'_>, durable: bool) -> Result<(), StoreError> {
        self.current()?.write(batch, durable)?;
        // A file that was deleted while it is open takes writes and syncs as before.
        if durable { self.is_in_place() } else { Ok(()) }
    }

    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        self.current()?.purge(family, from, to)
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.current()?.settle()
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        let renewed = self.alone(|current| current.as_mut().and_then(Arc::get_mut).map(|rocks| rocks.renew(family)));
        match renewed {
            Ok(Some(renewed)) => renewed,
            // Somebody reads all the time, or it is closed: then its rows are deleted, and its files go when they are merged.
            Ok(None) | Err(_) => self.current()?.clear(family),
        }
    }

    fn lost_files(&self) -> Result<Vec<LostFile>, StoreError> {
        let lists = self.lost_lists().into_iter().map(|name| LostFile { name, family: None });
        let gone = |tables: Vec<(String, Option<Family>)>| -> BTreeSet<LostFile> {
            let files = tables.into_iter().map(|(name, family)| LostFile { name, family });
            files.filter(|file| self.is_gone(&file.name)).collect()
        };
        let mut lost = gone(self.current()?.tables()?);
        if !lost.is_empty() {
            // A merge may have deleted them meanwhile, and then they are not in force any more.
            lost = &lost & &gone(self.current()?.tables()?);
        }
        Ok(lists.chain(lost).collect())
    }

    fn has_write_ahead_log(&self) -> Result<bool, StoreError> {
        let mut files = std::fs::read_dir(&self.directory).map_err(|error| failed(&self.directory, &error))?;
        Ok(files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|ext| ext == "log"))))
    }

    fn is_in_place(&self) -> Result<(), StoreError> {
        match identity(&self.directory) {
            Ok(found) if found == self.identity => Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&self.directory, &error)),
            _ => Err(StoreError::DirectoryGone(self.directory.clone())),
        }
    }

    fn reopen(&self) -> Result<bool, StoreError> {
        self.is_in_place()?;
        // What would fail is not begun: an open database that refuses writes is still read.
        has_room(&self.directory)?;
        durable_file::write(&self.directory, PROBE, &vec![0; PROBE_BYTES])
            .and_then(|()| std::fs::remove_file(self.directory.join(PROBE)))
            .map_err(|error| failed(&self.directory, &error))?;
        self.close_and_open()
    }
}

fn identity(directory: &Path) -> std::io::Result<[(u64, u64); 2]> {
    let of = |meta: Metadata| (meta.dev(), meta.ino());
    Ok([of(std::fs::metadata(directory)?), of(std::fs::metadata(directory.join(LOCK))?)])
}

fn has_room(directory: &Path) -> Result<(), StoreError> {
    // A file system that does not say how much is free is believed to have some.
    let Ok(stat) = rustix::fs::statvfs(directory) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < ROOM_BYTES_MIN {
        return Err(StoreError::LittleRoom { directory: directory.to_owned(), free, needed: ROOM_BYTES_MIN });
    }
    Ok(())
}

fn failed(directory: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Backend(format!("{}: {error}", directory.display()))
}
