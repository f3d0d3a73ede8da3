//! A node's standing: what it holds durably and who it is. Before a bundle it is a request, after one a receipt; it is
//! the same statement.

use crate::carry::{CarryError, CarryProblem, STANDING_MAGIC, check_member, read_credentials, write_credentials};
use crate::cbor::{Problem, Reader, Writer};
use crate::event::ReceivedEvent;
use crate::frame::{read_log_id, write_log_id};
use crate::frontier::{Frontier, Relation};
use crate::id::{AuthorKey, EventId, Head, LogId};
use crate::limits;
use crate::sign::{Purpose, SecretKey, Signature, verify};

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The federation.
    pub federation: EventId,
    /// Whose standing it is.
    pub node: AuthorKey,
    /// When it was written, in Unix milliseconds by the node's clock.
    pub created_ms: u64,
    /// Genesis and grants down to the node's own. They prove that it is a node, and say of which areas it may have
    /// personal payloads: a claim of its own would prove nothing.
    pub credentials: Vec<ReceivedEvent>,
    /// Heads of everything durable there.
    pub frontier: Frontier,
}

impl Standing {
    /// The signed bytes to seal.
    pub fn encode(&self, key: &SecretKey) -> Vec<u8> {
        let mut w = Writer::with_capacity(4096 + self.frontier.len() * 110);
        w.array(5).bytes(self.federation.as_bytes()).bytes(self.node.as_bytes()).uint(self.created_ms);
        write_credentials(&mut w, &self.credentials);
        w.array(self.frontier.len());
        for (log, head) in self.frontier.iter() {
            w.array(3);
            write_log_id(&mut w, log);
            w.uint(head.seq).bytes(head.id.as_bytes());
        }
        let fields = w.into_bytes();
        let signature = key.sign(Purpose::CarryStanding, &fields);
        let mut w = Writer::with_capacity(fields.len() + 128);
        w.array(3).text(STANDING_MAGIC).bytes(&fields).bytes(signature.as_bytes());
        w.into_bytes()
    }

    /// Reads a standing of a node of `federation` and checks all that it claims of its node.
    ///
    /// # Errors
    /// When it is malformed, of another federation, or not proven to be a node's.
    pub fn decode(bytes: &[u8], federation: EventId) -> Result<Self, CarryError> {
        Self::decode_checked(bytes, federation).map_err(|problem| problem.at(0))
    }

    fn decode_checked(bytes: &[u8], federation: EventId) -> Result<Self, CarryProblem> {
        let mut r = Reader::new(bytes);
        r.array_of(3, "a standing of three fields")?;
        if r.text_of_at_most(STANDING_MAGIC.len(), "format of a standing")? != STANDING_MAGIC {
            return Err(CarryProblem::Cbor(Problem::OutOfRange("format (expected linli/carry-standing/1)")));
        }
        let fields = r.bytes_of_at_most(limits::CARRY_STANDING_BYTES_MAX, "length of a standing")?;
        let signature = Signature::from_bytes(r.byte_array()?);
        r.finish()?;
        let standing = Self::read_fields(fields)?;
        if standing.federation != federation {
            return Err(CarryProblem::OtherFederation);
        }
        verify(&standing.node, Purpose::CarryStanding, fields, &signature)?;
        check_member(federation, &standing.node, &standing.credentials)?;
        Ok(standing)
    }

    fn read_fields(fields: &[u8]) -> Result<Self, CarryProblem> {
        let mut r = Reader::new(fields);
        r.array_of(5, "the five fields of a standing")?;
        let federation = EventId::from_bytes(r.byte_array()?);
        let node = AuthorKey::from_bytes(r.byte_array()?);
        let created_ms = r.uint()?;
        let credentials = read_credentials(&mut r)?;
        let len = r.array_of_at_most(limits::CARRY_LOGS_MAX, "number of logs")?;
        let (mut frontier, mut before) = (Frontier::new(), None::<LogId>);
        for _ in 0..len {
            r.array_of(3, "a log, its height and its head")?;
            let log = read_log_id(&mut r)?;
            if before.as_ref().is_some_and(|before| *before >= log) {
                return Err(CarryProblem::LogOrder);
            }
            let seq = r.uint()?;
            if seq == 0 || seq == u64::MAX {
                return Err(CarryProblem::Cbor(Problem::OutOfRange("seq")));
            }
            frontier.advance(&log, Head { seq, id: EventId::from_bytes(r.byte_array()?) });
            before = Some(log);
        }
        r.finish()?;
        Ok(Self { federation, node, created_ms, credentials, frontier })
    }

    /// From which position on the node lacks a log that somebody holds up to `head`; nothing if it lacks nothing.
    ///
    /// A node that holds another event at that very height lacks it: it then sees that its author signed two histories.
    pub fn lacks(&self, log: &LogId, head: Head) -> Option<u64> {
        match self.frontier.relation(log, head) {
            Relation::Behind { ours, .. } => Some(ours + 1),
            Relation::Forked => Some(head.seq),
            Relation::Equal | Relation::Ahead => None,
        }
    }
}
