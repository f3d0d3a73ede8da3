//! The first item of an export file: whose it is and what it must hold. It is not signed; it only announces.

use serde::{Deserialize, Serialize};

use crate::cbor::{CborError, Problem, Reader, Writer};
use crate::export::error::ItemError;
use crate::export::{ExportProblem, MAGIC};
use crate::frame::{read_log_id, write_log_id};
use crate::frontier::Frontier;
use crate::id::{EventId, Head, LogId};
use crate::limits;

/// A log and how far it reaches. In JSON: `{"log": {...}, "head": {"seq": ..., "id": "..."}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHead {
    /// The log.
    pub log: LogId,
    /// Its last event.
    pub head: Head,
}

/// What somebody saw before, to hold a file against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Of which federation it has to be; none where that was not asked.
    pub federation: Option<EventId>,
    /// How far its logs have to reach at least.
    pub heads: Frontier,
}

impl From<Frontier> for Known {
    fn from(heads: Frontier) -> Self {
        Self { federation: None, heads }
    }
}

/// What an export file announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Id of the genesis.
    pub federation: EventId,
    /// When the file was made, in Unix milliseconds, as its maker says.
    pub created_ms: u64,
    /// Every log of the file in ascending order of [`LogId`], so charter logs stand first.
    pub logs: Vec<KnownHead>,
}

impl Manifest {
    /// Announces all logs of a frontier, from their first event to these heads.
    pub fn of(federation: EventId, created_ms: u64, frontier: &Frontier) -> Self {
        let logs = frontier.iter().map(|(log, head)| KnownHead { log: log.clone(), head: *head }).collect();
        Self { federation, created_ms, logs }
    }

    /// Number of events in the file: the sum of the heights; `None` if it does not fit 64 bits.
    pub fn events(&self) -> Option<u64> {
        self.logs.iter().try_fold(0u64, |sum, known| sum.checked_add(known.head.seq))
    }

    /// What is wrong with this announcement, if anything is.
    pub(super) fn check(&self) -> Result<u64, ExportProblem> {
        if self.logs.len() > limits::EXPORT_LOGS_MAX {
            return Err(ExportProblem::Cbor(Problem::OutOfRange("number of logs")));
        }
        if self.logs.windows(2).any(|pair| pair[0].log >= pair[1].log) {
            return Err(ExportProblem::LogOrder);
        }
        self.events().ok_or(ExportProblem::Cbor(Problem::OutOfRange("number of events")))
    }

    pub(super) fn encode(&self, events: u64) -> Vec<u8> {
        let mut w = Writer::with_capacity(64 + self.logs.len() * 110);
        w.array(5).text(MAGIC).bytes(self.federation.as_bytes()).uint(self.created_ms).array(self.logs.len());
        for known in &self.logs {
            w.array(3);
            write_log_id(&mut w, &known.log);
            w.uint(known.head.seq).bytes(known.head.id.as_bytes());
        }
        w.uint(events);
        w.into_bytes()
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, ItemError> {
        let start = r.offset();
        let (manifest, announced) = Self::read_fields(r)?;
        let found = manifest.check().map_err(|problem| ItemError::at(start, problem))?;
        if found != announced {
            return Err(ItemError::at(start, ExportProblem::WrongCount { announced, found }));
        }
        Ok(manifest)
    }

    fn read_fields(r: &mut Reader<'_>) -> Result<(Self, u64), CborError> {
        r.array_of(5, "a manifest of five fields")?;
        let start = r.offset();
        if r.text_of_at_most(MAGIC.len(), "format of the file")? != MAGIC {
            return Err(Reader::error(start, Problem::OutOfRange("format of the file (expected linli/export/1)")));
        }
        let federation = EventId::from_bytes(r.byte_array()?);
        let created_ms = r.uint()?;
        let len = r.array_of_at_most(limits::EXPORT_LOGS_MAX, "number of logs")?;
        let mut logs = Vec::new();
        for _ in 0..len {
            r.array_of(3, "a log, its height and its head")?;
            let log = read_log_id(r)?;
            let start = r.offset();
            let seq = r.uint()?;
            if seq == 0 || seq == u64::MAX {
                return Err(Reader::error(start, Problem::OutOfRange("seq")));
            }
            logs.push(KnownHead { log, head: Head { seq, id: EventId::from_bytes(r.byte_array()?) } });
        }
        Ok((Self { federation, created_ms, logs }, r.uint()?))
    }
}
