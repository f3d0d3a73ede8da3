//! What was durable here and is missing: kept by log until it is back, and told to whoever asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use linli_core::frontier::Frontier;
use linli_core::id::{AuthorKey, Head, LogId};

use crate::kept::WHY;
use crate::limits::{CLAIM_PATIENCE, TOLD_LOGS_MAX, TOLD_PEERS_MAX};

/// How a loss became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownBy {
    /// The heads file says that the events were durable here.
    HeadsFile,
    /// The events are below their log's head and cannot be read.
    Reading,
    /// This peer says that it has them. It may make that up, and is believed for a minute only while it brings none.
    Peer(AuthorKey),
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

/// A peer said that it has events of this node which are not here, and has brought none of them in time: not believed, and
/// nobody's loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Who says so.
    pub peer: AuthorKey,
    /// How many events it would have.
    pub events: u64,
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
    /// Files of the database that were deleted while it is open: what they hold is missing after the next start.
    pub deleted_files: Vec<String>,
    /// What peers said and did not show. Nothing is missing for it.
    pub doubts: Vec<Doubt>,
}

impl Losses {
    /// Whether nothing is known to be missing.
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.damage.is_none() && self.deleted_files.is_empty()
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
    told: BTreeMap<AuthorKey, Claims>,
    /// Positions that could not be read: from and to.
    unreadable: BTreeMap<LogId, (u64, u64)>,
    /// Parts of the database that cannot be read and belong to no log, and why.
    spoiled: BTreeMap<&'static str, String>,
    /// Why nobody can say at this start whether anything is missing.
    unknown: Option<String>,
    /// Where files are kept as they were found.
    kept_in: Option<PathBuf>,
    /// Files that were deleted under the open database.
    deleted_files: Vec<String>,
}

/// What a peer says that it has of own logs. Its word is no proof; the events are, and whoever has them sends them.
#[derive(Debug)]
struct Claims {
    heads: BTreeMap<LogId, Head>,
    /// When it said so first, or when one of these logs grew here last.
    since: Instant,
    /// How high these logs were then, together.
    height: u64,
    /// It brought nothing for too long. Whatever else it says is not believed either, until all that it said is here.
    is_doubted: bool,
}

impl Claims {
    const fn new(since: Instant) -> Self {
        Self { heads: BTreeMap::new(), since, height: 0, is_doubted: false }
    }

    /// Forgets what is here by now, and doubts the rest if nothing of it came for too long.
    fn weigh(&mut self, here: &Frontier, now: Instant) {
        if self.height_here(here) > self.height {
            self.since = self.since.max(now);
        }
        self.heads.retain(|log, head| lacks(here, log, head));
        self.height = self.height_here(here);
        self.is_doubted |= now.saturating_duration_since(self.since) >= CLAIM_PATIENCE;
    }

    fn height_here(&self, here: &Frontier) -> u64 {
        self.heads.keys().fold(0, |sum, log| sum.saturating_add(here.height(log)))
    }

    fn events(&self, here: &Frontier) -> u64 {
        let lacking = |(log, head): (&LogId, &Head)| head.seq.saturating_sub(here.height(log)).max(1);
        self.heads.iter().map(lacking).fold(0, u64::saturating_add)
    }
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
    pub fn told(&mut self, peer: AuthorKey, log: &LogId, head: Head, here: &Frontier, now: Instant) {
        if self.told.len() >= TOLD_PEERS_MAX && !self.told.contains_key(&peer) {
            return;
        }
        let claims = self.told.entry(peer).or_insert_with(|| Claims::new(now));
        let room = claims.heads.len() < TOLD_LOGS_MAX;
        match claims.heads.get_mut(log) {
            Some(known) if known.seq < head.seq => *known = head,
            None if room => {
                claims.heads.insert(log.clone(), head);
                // What this log has already is nothing that the peer has brought.
                claims.height = claims.height.saturating_add(here.height(log));
            }
            _ => {}
        }
    }

    /// Looks whether peers have brought what they said they have.
    pub fn weigh(&mut self, here: &Frontier, now: Instant) {
        self.told.values_mut().for_each(|claims| claims.weigh(here, now));
        self.told.retain(|_, claims| !claims.heads.is_empty());
    }

    /// These files are gone from under the open database now. Says whether that is news.
    pub fn deleted(&mut self, files: Vec<String>) -> bool {
        let is_news = self.deleted_files != files;
        self.deleted_files = files;
        is_news
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
        let noted = self.noted.iter().map(|(log, head)| (log, head, KnownBy::HeadsFile));
        for (log, head, known_by) in noted.chain(self.believed()).filter(|(log, head, _)| lacks(here, log, head)) {
            let from = (here.height(log) + 1).min(head.seq);
            let is_covered = |loss: &Loss| loss.log == *log && loss.known_by != KnownBy::Reading && loss.to >= head.seq;
            if !events.iter().any(is_covered) {
                events.push(Loss { log: log.clone(), from, to: head.seq, known_by });
            }
        }
        let doubted = self.told.iter().filter(|(_, claims)| claims.is_doubted);
        let doubts = doubted.map(|(peer, claims)| Doubt { peer: *peer, events: claims.events(here) }).collect();
        let damage = self.kept_in.as_deref().and_then(why_kept);
        let damage = damage.or_else(|| self.unknown.clone()).or_else(|| self.spoiled.values().next().cloned());
        let kept_in = self.kept_in.clone().filter(|folder| folder.is_dir());
        Losses { events, damage, kept_in, deleted_files: self.deleted_files.clone(), doubts }
    }

    /// What peers say that are not doubted; of what several say about one log, the most first.
    fn believed(&self) -> impl Iterator<Item = (&LogId, &Head, KnownBy)> {
        let believed = self.told.iter().filter(|(_, claims)| !claims.is_doubted);
        let mut told: Vec<_> = believed
            .flat_map(|(peer, claims)| claims.heads.iter().map(|(log, head)| (log, head, KnownBy::Peer(*peer))))
            .collect();
        told.sort_by_key(|(log, head, _)| (*log, std::cmp::Reverse(head.seq)));
        told.into_iter()
    }
}

/// A person who has read why files were kept removes their folder; then the damage is no longer told.
fn why_kept(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join(WHY)).ok().map(|text| text.trim().to_owned())
}

fn lacks(here: &Frontier, log: &LogId, head: &Head) -> bool {
    here.head(log).is_none_or(|ours| ours.seq < head.seq || (ours.seq == head.seq && ours.id != head.id))
}
