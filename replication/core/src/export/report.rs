//! What a verified export file says: which logs to which ends, what counts, and what does not fit known heads.

use std::fmt;

use serde::Serialize;

#[cfg(doc)]
use crate::charter::Refusal;
use crate::charter::{Charter, Verdict};
use crate::event::Header;
use crate::id::{EventId, Head, LogId};

/// One log of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogSummary {
    /// The log.
    pub log: LogId,
    /// Its last event in the file.
    pub head: Head,
    /// The head of an earlier incarnation that this log says it continues.
    pub continues: Option<EventId>,
    /// How many of its events carry their own signature; the others are covered by a later one.
    pub signed: u64,
}

/// How the events of a file stand to the charter in the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// They count.
    pub authorised: u64,
    /// Of those, how many were written after their grant's end.
    pub expired: u64,
    /// The grant that they name is not in the file.
    pub grant_unknown: u64,
    /// They do not count.
    pub refused: u64,
    /// The first event that does not count or whose grant is unknown.
    pub first_unauthorised: Option<Unauthorised>,
}

/// An event that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unauthorised {
    /// Its log.
    pub log: LogId,
    /// Its position there.
    pub seq: u64,
    /// The reason's name, as in [`Refusal::code`], or `grant-unknown`.
    pub reason: &'static str,
}

/// The constitution as the file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CharterSummary {
    /// The district's name, if a valid genesis is in the file.
    pub name: Option<String>,
    /// How many root keys must agree; 0 without a genesis.
    pub threshold: u64,
    /// How many root keys there are.
    pub roots: u64,
    /// Valid grants.
    pub grants: u64,
    /// Charter events that give nothing.
    pub invalid: u64,
}

/// A file, or a log of it, that is not what somebody saw before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Discrepancy {
    /// It is of another federation than the one that was asked for: all its rights come from another genesis.
    Federation {
        /// The file's.
        found: EventId,
        /// The one asked for.
        known: EventId,
    },
    /// The file ends before the known head. `found` is 0 if the log is not in the file at all.
    Shorter {
        /// The log.
        log: LogId,
        /// Its height in the file.
        found: u64,
        /// The head known from elsewhere.
        known: Head,
    },
    /// Another event stands where the known head was: the author signed two histories.
    Forked {
        /// The log.
        log: LogId,
        /// The event in the file.
        found: Head,
        /// The head known from elsewhere.
        known: Head,
    },
}

impl Discrepancy {
    /// The log; none where it is about the whole file.
    pub const fn log(&self) -> Option<&LogId> {
        match self {
            Self::Federation { .. } => None,
            Self::Shorter { log, .. } | Self::Forked { log, .. } => Some(log),
        }
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Federation { found, known } => {
                write!(f, "this is federation {found}, and {known} was asked for")
            }
            Self::Shorter { log, found, known } => {
                write!(f, "log {log} is shorter: has seq {found}, known head is seq {}", known.seq)
            }
            Self::Forked { log, found, known } => {
                write!(
                    f,
                    "log {log} is forked: seq {} is {} here and {} in the known head",
                    found.seq, found.id, known.id
                )
            }
        }
    }
}

/// The result of verifying a whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// The federation that the manifest names.
    pub federation: EventId,
    /// When the file was made, in Unix milliseconds, as its maker says.
    pub created_ms: u64,
    /// Number of events.
    pub events: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Every log, in order.
    pub logs: Vec<LogSummary>,
    /// Payloads that a header commits to and the file does not hold: erased or withheld.
    pub payloads_absent: u64,
    /// Payloads that are present and not deterministic CBOR maps: authentic, and unreadable.
    pub payloads_unreadable: u64,
    /// The constitution.
    pub charter: CharterSummary,
    /// How the events stand to it.
    pub verdicts: Verdicts,
    /// Where the file and the known heads differ. Empty is what one wants to see.
    pub discrepancies: Vec<Discrepancy>,
}

impl ExportReport {
    /// Why not every event counts under a valid genesis; empty if each does.
    pub fn unauthorised(&self) -> Vec<String> {
        let no_genesis = || format!("the file holds no valid genesis of federation {}", self.federation);
        let verdicts = &self.verdicts;
        let first = verdicts.first_unauthorised.as_ref().map(|first| {
            let count = verdicts.grant_unknown + verdicts.refused;
            let Unauthorised { log, seq, reason } = first;
            format!("{count} events do not count, the first in log {log} at seq {seq}: {reason}")
        });
        self.charter.name.is_none().then(no_genesis).into_iter().chain(first).collect()
    }
}

impl fmt::Display for ExportReport {
    /// The lines that `ops/verify/linli_verify.py` prints too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (charter, verdicts) = (&self.charter, &self.verdicts);
        writeln!(f, "federation {}", self.federation)?;
        match &charter.name {
            None => writeln!(f, "charter: no valid genesis in this file")?,
            Some(name) => writeln!(
                f,
                "charter: {name}, {} of {} root keys, {} grants, {} charter events that give nothing",
                charter.threshold, charter.roots, charter.grants, charter.invalid
            )?,
        }
        for LogSummary { log, head, .. } in &self.logs {
            writeln!(f, "log {log}: {} events, head {}", head.seq, head.id)?;
        }
        writeln!(
            f,
            "{} events authentic and complete up to these heads; {} count ({} under an expired grant), {} do not, {} name \
             a grant that is not here; {} payloads erased or withheld, {} unreadable",
            self.events,
            verdicts.authorised,
            verdicts.expired,
            verdicts.refused,
            verdicts.grant_unknown,
            self.payloads_absent,
            self.payloads_unreadable
        )?;
        writeln!(f, "not proved: events after these heads, and logs that the file does not name; compare with --known")
    }
}

impl CharterSummary {
    pub(super) fn of(charter: &Charter) -> Self {
        Self {
            name: charter.genesis().map(|g| g.name.clone()),
            threshold: charter.genesis().map_or(0, |g| g.threshold),
            roots: charter.genesis().map_or(0, |g| g.roots.len() as u64),
            grants: charter.grants().count() as u64,
            invalid: charter.invalid().count() as u64,
        }
    }
}

impl Verdicts {
    pub(super) fn count(&mut self, header: &Header, verdict: &Verdict) {
        let reason = match verdict {
            Verdict::Authorised { expired } => {
                self.authorised += 1;
                self.expired += u64::from(*expired);
                return;
            }
            Verdict::GrantUnknown => {
                self.grant_unknown += 1;
                "grant-unknown"
            }
            Verdict::Refused(refusal) => {
                self.refused += 1;
                refusal.code()
            }
        };
        if self.first_unauthorised.is_none() {
            self.first_unauthorised = Some(Unauthorised { log: header.log_id(), seq: header.seq, reason });
        }
    }
}
