//! What happens before a store is open: its format, its heads, and whether anything that was here is missing.

use std::collections::BTreeMap;
use std::path::Path;

use linli_core::event::event_id;
use linli_core::frontier::Frontier;
use linli_core::id::{Head, LogId};

use crate::backend::{Backend, Batch};
use crate::catalogue::{DISK_FORMAT, Family, META_FORMAT, META_HEADS, META_NEXT_LOG};
use crate::codec::{Entry, LogNumber, entry_key, log_of, read_log_key, seq_of};
use crate::error::StoreError;
use crate::fill::index_lacking;
use crate::heads::{self, Noted};
use crate::kept::{self, AsFound};
use crate::losses::Missing;

/// Brings a store from one on-disk format to the next.
type Migration = fn(&dyn Backend) -> Result<(), StoreError>;

/// Steps from an older on-disk format to the next: (from, step). Format 2 has an index of lacking payloads; rows of format 1
/// are read as they are.
const MIGRATIONS: &[(u32, Migration)] = &[(1, index_lacking)];

pub fn check_format(backend: &dyn Backend, read_only: bool) -> Result<(), StoreError> {
    let found = match backend.get(Family::Meta, META_FORMAT)? {
        Some(bytes) => {
            let bytes = bytes.try_into().map_err(|_| StoreError::Damaged("on-disk version".into()))?;
            u32::from_be_bytes(bytes)
        }
        None if read_only => return Err(StoreError::Damaged("no on-disk version: nothing was stored here".into())),
        None => DISK_FORMAT,
    };
    if found > DISK_FORMAT {
        return Err(StoreError::NewerFormat { found, known: DISK_FORMAT });
    }
    if read_only {
        return Ok(());
    }
    for (_, step) in MIGRATIONS.iter().filter(|(from, _)| *from >= found) {
        step(backend)?;
    }
    let mut batch = Batch::default();
    batch.put(Family::Meta, META_FORMAT, &[&DISK_FORMAT.to_be_bytes()]);
    backend.write(batch, true)
}

/// A directory as it is before its database is opened: RocksDB replaces and deletes files at once.
pub struct Before {
    noted: Noted,
    /// What is wrong with the list of files.
    damage: Option<String>,
    as_found: Option<AsFound>,
}

impl Before {
    /// Looks at a directory.
    ///
    /// # Errors
    /// When it cannot be read, or what makes a database of its files is gone: then a new one must not take its place.
    pub fn opening(directory: &Path) -> Result<Self, StoreError> {
        let refused = |error: std::io::Error| StoreError::Backend(format!("{}: {error}", directory.display()));
        let noted = heads::read(directory).map_err(refused)?;
        let mut damage = None;
        if let Noted::Heads(_, files) = &noted {
            if !directory.join("CURRENT").exists() {
                return Err(StoreError::Damaged(format!("{} is gone", directory.join("CURRENT").display())));
            }
            if !files.still_holds(directory).map_err(refused)? {
                damage = Some(format!("{} is not what it was", files.name()));
            }
        }
        Ok(Self { noted, damage, as_found: AsFound::of(directory) })
    }

    /// It was not opened.
    pub fn forget(self) {
        self.as_found.into_iter().for_each(AsFound::forget);
    }

    /// Compares what is here with what was noted, and keeps the files as they were found if anything is missing. `damage` is
    /// what RocksDB found.
    pub fn opened(self, directory: &Path, backend: &dyn Backend, here: &Frontier, damage: Option<String>) -> Missing {
        let damage = damage.or(self.damage);
        let had_noted = || backend.get(Family::Meta, META_HEADS).is_ok_and(|value| value.is_some());
        let unknown = |what: &str| Missing::unknown(format!("the heads file is {what}"));
        let mut missing = match self.noted {
            Noted::Heads(noted, _) => Missing::compare(noted, here),
            Noted::Nothing if had_noted() => unknown("gone"),
            Noted::Nothing => Missing::default(),
            Noted::Damaged => unknown("damaged"),
        };
        let losses = missing.losses(here);
        for loss in &losses.events {
            let (log, from, to) = (&loss.log, loss.from, loss.to);
            tracing::error!(%log, from, to, "events that were durable here are missing: connect a node that has them, or bring them by a stick");
        }
        if let Some(why) = damage.as_deref().or(losses.damage.as_deref()) {
            tracing::error!(why, "the store is damaged: events may be missing");
        }
        match self.as_found {
            Some(as_found) if !losses.events.is_empty() || damage.is_some() => match as_found.keep(damage.as_deref()) {
                Ok(folder) => missing.keeps(folder),
                Err(error) => {
                    tracing::error!(%error, "the damaged files could not be kept");
                    damage.into_iter().for_each(|why| missing.spoiled("files", why));
                }
            },
            Some(as_found) => as_found.forget(),
            None => damage.into_iter().for_each(|why| missing.spoiled("files", why)),
        }
        if let Some(folder) = kept::unresolved(directory) {
            missing.keeps(folder);
        }
        missing
    }
}

/// What an open store knows of its logs.
pub struct Loaded {
    /// Their numbers.
    pub numbers: BTreeMap<LogId, LogNumber>,
    /// Their heads.
    pub frontier: Frontier,
    /// The number of the next one.
    pub next_log: LogNumber,
}

/// Numbers and heads of all logs, by seeking each log's end: no scan of entries.
pub fn load_heads(backend: &dyn Backend) -> Result<Loaded, StoreError> {
    let (mut numbers, mut frontier) = (BTreeMap::new(), Frontier::new());
    backend.walks(&[Family::Logs], &[], &[0xff; 64], &mut |walks| {
        for logs in walks {
            while let Some((key, value)) = logs.pair() {
                let number = value.try_into().map_err(|_| StoreError::Damaged("log number".into()))?;
                numbers.insert(read_log_key(key)?, LogNumber::from_be_bytes(number));
                logs.step()?;
            }
        }
        Ok(())
    })?;
    for (log, number) in &numbers {
        let last = backend.last(Family::Entries, &entry_key(*number, 0), &entry_key(*number, u64::MAX))?;
        if let Some(key) = last {
            let value = backend.get(Family::Entries, &key)?.ok_or_else(|| StoreError::Damaged("head".into()))?;
            frontier.advance(log, Head { seq: seq_of(&key)?, id: event_id(Entry::read(&value)?.header) });
        }
    }
    let next_log = next_log(backend, numbers.values().copied().max())?;
    Ok(Loaded { numbers, frontier, next_log })
}

/// The number of the next log: past the one that was noted, and past all that are in use, though the rows that name their
/// logs were damaged. A number that was used twice would mix two logs.
fn next_log(backend: &dyn Backend, named: Option<LogNumber>) -> Result<LogNumber, StoreError> {
    let mut used = named;
    for family in [Family::Entries, Family::Op, Family::Pii, Family::Forks] {
        used = used.max(backend.last(family, &[], &[0xff; 64])?.and_then(|key| log_of(&key)));
    }
    let noted = match backend.get(Family::Meta, META_NEXT_LOG)? {
        Some(bytes) => {
            bytes.try_into().map(LogNumber::from_be_bytes).map_err(|_| StoreError::Damaged("next log".into()))?
        }
        None => 0,
    };
    Ok(used.map_or(0, |number| number.saturating_add(1)).max(noted))
}
