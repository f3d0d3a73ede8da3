//! What was durable here and is missing: kept by log until it is back, and told to whoever asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use linli_core::frontier::Frontier;
use linli_core::id::{Head, LogId};

use crate::kept::WHY;
use crate::limits::TOLD_LOGS_MAX;

/// How a loss became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// The heads file says that the events were durable here.
    HeadsFile,
    /// The events are below their log's head and cannot be read.
    Reading,
    /// A peer says that it has them. Nobody has proven it: a peer may make it up.
    Peer,
}

/// Events of one log that were here and are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The log.
    pub log: LogId,
    /// The first position that is missing.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// How this is known.
    pub known_by: KnownBy,
}

impl Loss {
    /// How many events are missing.
    pub const fn events(&self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }
}

/// All that is known to be missing. Empty is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// By log; none of them twice.
    pub events: Vec<Loss>,
    /// A damage whose extent is not known, in RocksDB's or our own words.
    pub damage: Option<String>,
    /// Where the files are kept as they were found, if they were.
    pub kept_in: Option<PathBuf>,
}

impl Losses {
    /// Whether nothing is known to be missing.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.damage.is_none()
    }

    /// Events that are missing, over all logs.
    pub fn events_total(&self) -> u64 {
        self.events.iter().fold(0, |sum, loss| sum.saturating_add(loss.events()))
    }
}

/// What a store remembers of its losses.
#[derive(Debug, Default)]
pub struct Missing {
    /// Heads that the heads file has and the store had not at the start.
    noted: BTreeMap<LogId, Head>,
    /// Heads of own logs that peers say they have.
    told: BTreeMap<LogId, Head>,
    /// Positions that could not be read: from and to.
    unreadable: BTreeMap<LogId, (u64, u64)>,
    /// Parts of the database that cannot be read and belong to no log, and why.
    spoiled: BTreeMap<&'static str, String>,
    /// Why nobody can say at this start whether anything is missing.
    unknown: Option<String>,
    /// Where files are kept as they were found.
    kept_in: Option<PathBuf>,
}

impl Missing {
    /// Compares what was noted with what is here.
    pub fn compare(noted: BTreeMap<LogId, Head>, here: &Frontier) -> Self {
        let noted = noted.into_iter().filter(|(log, head)| lacks(here, log, head)).collect();
        Self { noted, ..Self::default() }
    }

    /// Compares what was acknowledged with what is here after the database was opened anew.
    pub fn compare_again(&mut self, acknowledged: BTreeMap<LogId, Head>, here: &Frontier) {
        for (log, head) in acknowledged.into_iter().filter(|(log, head)| lacks(here, log, head)) {
            tracing::error!(%log, to = head.seq, "acknowledged events are missing after the store was opened anew");
            self.noted.insert(log, head);
        }
    }

    /// Nobody can say whether something is missing.
    pub fn unknown(why: String) -> Self {
        Self { unknown: Some(why), ..Self::default() }
    }

    /// Heads that were noted before the start and are missing: they stay in the heads file.
    pub fn noted(&self, here: &Frontier) -> BTreeMap<LogId, Head> {
        let missing = self.noted.iter().filter(|(log, head)| lacks(here, log, head));
        missing.map(|(log, head)| (log.clone(), *head)).collect()
    }

    /// Files are kept there as they were found.
    pub fn keeps(&mut self, folder: PathBuf) {
        self.kept_in = Some(folder);
    }

    /// A peer says that it has this head of an own log.
    pub fn told(&mut self, log: &LogId, head: Head) {
        let room = self.told.len() < TOLD_LOGS_MAX;
        match self.told.get_mut(log) {
            Some(known) if known.seq < head.seq => *known = head,
            None if room => drop(self.told.insert(log.clone(), head)),
            _ => {}
        }
    }

    /// These positions cannot be read.
    pub fn unreadable(&mut self, log: &LogId, from: u64, to: u64) {
        let extent = self.unreadable.entry(log.clone()).or_insert((from, to));
        *extent = (extent.0.min(from), extent.1.max(to));
    }

    /// A part of the database that belongs to no log cannot be read.
    pub fn spoiled(&mut self, family: &'static str, why: String) {
        self.spoiled.insert(family, why);
    }

    /// What is missing as of `here`.
    pub fn losses(&self, here: &Frontier) -> Losses {
        let mut events = vec![];
        for (log, (from, to)) in &self.unreadable {
            events.push(Loss { log: log.clone(), from: *from, to: *to, known_by: KnownBy::Reading });
        }
        for (heads, known_by) in [(&self.noted, KnownBy::HeadsFile), (&self.told, KnownBy::Peer)] {
            for (log, head) in heads.iter().filter(|(log, head)| lacks(here, log, head)) {
                let from = (here.height(log) + 1).min(head.seq);
                let known =
                    |loss: &Loss| loss.log == *log && loss.known_by == KnownBy::HeadsFile && loss.to >= head.seq;
                if !events.iter().any(known) {
                    events.push(Loss { log: log.clone(), from, to: head.seq, known_by });
                }
            }
        }
        let damage = self.kept_in.as_deref().and_then(why_kept);
        let damage = damage.or_else(|| self.unknown.clone()).or_else(|| self.spoiled.values().next().cloned());
        Losses { events, damage, kept_in: self.kept_in.clone().filter(|folder| folder.is_dir()) }
    }
}

/// A person who has read why files were kept removes their folder; then the damage is no longer told.
fn why_kept(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join(WHY)).ok().map(|text| text.trim().to_owned())
}

fn lacks(here: &Frontier, log: &LogId, head: &Head) -> bool {
    here.head(log).is_none_or(|ours| ours.seq < head.seq || (ours.seq == head.seq && ours.id != head.id))
}
