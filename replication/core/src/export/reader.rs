//! Checks an export file piece by piece, in bounded memory, and hands out its events once they are proven.

use sha2::{Digest, Sha256};

use crate::cbor::{CborError, Problem, Reader, Value};
use crate::chain::{ChainError, Join, verify_by_tail, verify_run};
use crate::charter::Charter;
use crate::event::{EventError, Payload, ReceivedEvent, Slot, VerifiedEvent};
use crate::export::error::ItemError;
use crate::export::{
    CharterSummary, Discrepancy, END, ExportError, ExportProblem, ExportReport, Known, KnownHead, LogSummary, Manifest,
    Verdicts,
};
use crate::frontier::Frontier;
use crate::id::{EventId, Stream};
use crate::limits;
use crate::sign::{KeyCache, Signature};

/// Pieces in which [`verify_export`] feeds a whole file.
const PIECE_BYTES: usize = 64 * 1024;
/// Events that one signature proves at least, where the others are not checked.
const TAIL_EVENTS: usize = 512;
/// Bytes of events that one signature proves at least, where the others are not checked.
const TAIL_BYTES: usize = 1 << 20;

/// Takes an event that is proven, with the charter in the same file, which says whether it counts.
pub type Sink<'s> = dyn FnMut(VerifiedEvent, &Charter) + 's;

/// Verifies a whole file that is in memory (or mapped into it).
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn verify_export(file: &[u8], known: impl Into<Known>) -> Result<ExportReport, ExportError> {
    let mut reader = ExportReader::new(known);
    for piece in file.chunks(PIECE_BYTES) {
        reader.push(piece, &mut |_, _| {})?;
    }
    reader.finish(&mut |_, _| {})
}

/// Which item has to come next.
#[derive(Debug)]
enum Next {
    Manifest,
    Event,
    End,
    Nothing,
}

/// Reads an export file in pieces of any size.
///
/// Feed with [`ExportReader::push`], then ask [`ExportReader::finish`]. Events reach the sink only after the signature
/// that covers them was checked; that the *file* is whole is known only when `finish` returns its report.
#[derive(Debug)]
pub struct ExportReader {
    known: Known,
    next: Next,
    pending: Vec<u8>,
    pending_at: u64,
    retry_len: usize,
    hash: Sha256,
    keys: KeyCache,
    manifest: Manifest,
    at: Position,
    run: Run,
    charter: CharterSoFar,
    by_tails: bool,
    logs: Vec<LogSummary>,
    payloads_absent: u64,
    payloads_unreadable: u64,
    discrepancies: Vec<Discrepancy>,
    failed: Option<ExportError>,
}

/// The next event's place: which log of the manifest, which seq, after what.
#[derive(Debug, Default)]
struct Position {
    log: usize,
    seq: u64,
    prev: Option<EventId>,
    continues: Option<EventId>,
    signed: u64,
}

/// Events that still wait for a signature that covers them.
#[derive(Debug, Default)]
struct Run {
    events: Vec<ReceivedEvent>,
    bytes: usize,
    /// Of those, the ones after the last that is signed.
    unsigned: usize,
    unsigned_bytes: usize,
}

/// Charter logs stand first, so the charter is complete before the first other event is judged.
#[derive(Debug, Default)]
struct CharterSoFar {
    events: Vec<VerifiedEvent>,
    settled: Option<Charter>,
    verdicts: Verdicts,
}

impl ExportReader {
    /// A reader that also holds the file against what is known from elsewhere.
    pub fn new(known: impl Into<Known>) -> Self {
        Self {
            known: known.into(),
            next: Next::Manifest,
            pending: Vec::new(),
            pending_at: 0,
            retry_len: 0,
            hash: Sha256::new(),
            keys: KeyCache::default(),
            manifest: Manifest { federation: EventId::from_bytes([0; 32]), created_ms: 0, logs: Vec::new() },
            at: Position { seq: 1, ..Position::default() },
            run: Run::default(),
            charter: CharterSoFar::default(),
            by_tails: false,
            logs: Vec::new(),
            payloads_absent: 0,
            payloads_unreadable: 0,
            discrepancies: Vec::new(),
            failed: None,
        }
    }

    /// The same, for whoever wants to read and not to judge: each event is proven by the tail of a run that it stands in,
    /// and signatures of single events are not checked. All authors' words are authentic all the same.
    #[must_use]
    pub const fn by_tails(mut self) -> Self {
        self.by_tails = true;
        self
    }

    /// Takes the next piece of the file and checks as much as it completes.
    ///
    /// # Errors
    /// The first thing that is wrong, and where. Every later call returns the same.
    pub fn push(&mut self, piece: &[u8], sink: &mut Sink<'_>) -> Result<(), ExportError> {
        self.pending.extend_from_slice(piece);
        // An item that did not fit is tried again when twice as much is there, so that tiny pieces stay cheap.
        if self.failed.is_none() && self.pending.len() < self.retry_len {
            return Ok(());
        }
        self.advance(false, sink)
    }

    /// Says that the file is at its end, and gets the report.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> Result<ExportReport, ExportError> {
        self.advance(true, sink)?;
        let charter = self.charter.settled.take().unwrap_or_default();
        let events = self.logs.iter().map(|log| log.head.seq).sum();
        let found = self.manifest.federation;
        let other = self.known.federation.filter(|known| *known != found);
        self.discrepancies.extend(other.map(|known| Discrepancy::Federation { found, known }));
        self.discrepancies.extend(shorter_logs(&self.known.heads, &self.logs));
        self.discrepancies.sort_by(|a, b| a.log().cmp(&b.log()));
        Ok(ExportReport {
            federation: self.manifest.federation,
            created_ms: self.manifest.created_ms,
            events,
            bytes: self.pending_at,
            logs: self.logs,
            payloads_absent: self.payloads_absent,
            payloads_unreadable: self.payloads_unreadable,
            charter: CharterSummary::of(&charter),
            verdicts: self.charter.verdicts,
            discrepancies: self.discrepancies,
        })
    }

    /// Reads all complete items that are pending; with `at_end` an incomplete one is an error.
    fn advance(&mut self, at_end: bool, sink: &mut Sink<'_>) -> Result<(), ExportError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let pending = std::mem::take(&mut self.pending);
        let mut start = 0;
        let result = loop {
            if at_end && matches!(self.next, Next::Nothing) && start == pending.len() {
                break Ok(());
            }
            if !at_end && start == pending.len() {
                break Ok(());
            }
            match self.item(&pending[start..], sink) {
                Ok(len) => start += len,
                Err(error) if error.incomplete && !at_end => break Ok(()),
                Err(error) => break Err(self.error(start + error.offset, error.problem)),
            }
        };
        self.pending = pending;
        self.pending.drain(..start);
        self.pending_at += start as u64;
        self.retry_len = self.pending.len() * 2;
        self.failed = result.clone().err();
        result
    }

    /// Reads one item from the front of `input` and says how long it is.
    fn item(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<usize, ItemError> {
        let mut r = Reader::new(input);
        match self.next {
            Next::Manifest => {
                self.manifest = Manifest::read(&mut r)?;
                self.next = if self.manifest.logs.is_empty() { Next::End } else { Next::Event };
            }
            Next::Event => self.event(&mut r, sink)?,
            Next::End => {
                self.end(&mut r, sink)?;
                self.next = Next::Nothing;
            }
            Next::Nothing => return Err(ItemError::at(0, ExportProblem::Cbor(Problem::TrailingBytes))),
        }
        self.hash.update(r.since(0));
        Ok(r.offset())
    }

    fn event(&mut self, r: &mut Reader<'_>, sink: &mut Sink<'_>) -> Result<(), ItemError> {
        let event = read_event(r)?;
        let is_head = self.check_place(&event, r.offset()).map_err(|problem| ItemError::at(0, problem))?;
        self.take_note(&event);
        let (head, signed) = (event.head(), event.signature().is_some());
        self.run.push(event, r.offset());
        let long_enough = self.run.events.len() >= TAIL_EVENTS || self.run.bytes >= TAIL_BYTES;
        if signed && (is_head || long_enough || !self.by_tails) {
            self.prove(sink).map_err(|problem| ItemError::at(0, problem))?;
        }
        (self.at.seq, self.at.prev) = (head.seq + 1, Some(head.id));
        if is_head {
            self.close_log();
        }
        Ok(())
    }

    /// Whether this is the event that has to come here, and whether it is the log's last.
    fn check_place(&self, event: &ReceivedEvent, item_bytes: usize) -> Result<bool, ExportProblem> {
        let Some(current) = self.manifest.logs.get(self.at.log) else { return Err(ExportProblem::OtherLog) };
        let (header, log) = (event.header(), &current.log);
        let same_log = header.stream == log.stream
            && header.author == log.author
            && header.incarnation == log.incarnation
            && header.area == log.area;
        if !same_log {
            return Err(ExportProblem::OtherLog);
        }
        if header.seq != self.at.seq {
            return Err(ExportProblem::Gap { expected: self.at.seq, found: header.seq });
        }
        if header.seq > 1 && header.prev != self.at.prev {
            return Err(ExportProblem::BrokenLink);
        }
        let is_head = header.seq == current.head.seq;
        if is_head && event.id() != current.head.id {
            return Err(ExportProblem::WrongHead);
        }
        if event.signature().is_some() {
            return Ok(is_head);
        }
        if is_head {
            return Err(ExportProblem::UnsignedHead);
        }
        let too_long = self.run.unsigned >= limits::EXPORT_UNSIGNED_EVENTS_MAX
            || self.run.unsigned_bytes + item_bytes > limits::EXPORT_UNSIGNED_BYTES_MAX;
        if too_long { Err(ExportProblem::UnsignedRun) } else { Ok(false) }
    }

    /// Counts what the event holds, and compares it with the known head if that stands here.
    fn take_note(&mut self, event: &ReceivedEvent) {
        let header = event.header();
        for slot in Slot::ALL {
            match event.payload(slot) {
                Some(payload) => self.payloads_unreadable += u64::from(!is_map(payload)),
                None => self.payloads_absent += u64::from(header.slot(slot).is_some()),
            }
        }
        if header.seq == 1 {
            self.at.continues = header.prev;
        }
        self.at.signed += u64::from(event.signature().is_some());
        let log = &self.manifest.logs[self.at.log].log;
        if let Some(known) = self.known.heads.head(log).filter(|k| k.seq == header.seq && k.id != event.id()) {
            self.discrepancies.push(Discrepancy::Forked { log: log.clone(), found: event.head(), known });
        }
    }

    /// Proves the pending run by the signature at its end, judges it and hands it out.
    fn prove(&mut self, sink: &mut Sink<'_>) -> Result<(), ExportProblem> {
        let run = std::mem::take(&mut self.run).events;
        let proven = if self.by_tails {
            verify_by_tail(Join::Anywhere, run, &mut self.keys)
        } else {
            verify_run(Join::Anywhere, run, &mut self.keys)
        };
        for event in proven.map_err(problem_of)? {
            self.charter.take(self.manifest.federation, event, sink);
        }
        Ok(())
    }

    fn close_log(&mut self) {
        let KnownHead { log, head } = self.manifest.logs[self.at.log].clone();
        self.logs.push(LogSummary { log, head, continues: self.at.continues, signed: self.at.signed });
        self.at = Position { log: self.at.log + 1, seq: 1, ..Position::default() };
        if self.at.log == self.manifest.logs.len() {
            self.next = Next::End;
        }
    }

    fn end(&mut self, r: &mut Reader<'_>, sink: &mut Sink<'_>) -> Result<(), ItemError> {
        r.array_of(3, "an end record of three fields")?;
        let start = r.offset();
        if r.text_of_at_most(END.len(), "name of the end record")? != END {
            return Err(Reader::error(start, Problem::OutOfRange("name of the end record (expected end)")).into());
        }
        let announced = r.uint()?;
        let digest: [u8; 32] = r.byte_array()?;
        let found = self.logs.iter().map(|log| log.head.seq).sum();
        if announced != found {
            return Err(ItemError::at(0, ExportProblem::WrongCount { announced, found }));
        }
        if digest != <[u8; 32]>::from(self.hash.clone().finalize()) {
            return Err(ItemError::at(0, ExportProblem::WrongDigest));
        }
        self.charter.settle(self.manifest.federation, sink);
        Ok(())
    }

    fn error(&self, offset: usize, problem: ExportProblem) -> ExportError {
        let current = match self.next {
            Next::Event => self.manifest.logs.get(self.at.log),
            Next::Manifest | Next::End | Next::Nothing => None,
        };
        ExportError {
            offset: self.pending_at + offset as u64,
            log: current.map(|known| Box::new(known.log.clone())),
            seq: current.map(|_| self.at.seq),
            problem,
        }
    }
}

impl Run {
    fn push(&mut self, event: ReceivedEvent, bytes: usize) {
        let signed = event.signature().is_some();
        self.unsigned = if signed { 0 } else { self.unsigned + 1 };
        self.unsigned_bytes = if signed { 0 } else { self.unsigned_bytes + bytes };
        self.events.push(event);
        self.bytes += bytes;
    }
}

impl CharterSoFar {
    fn take(&mut self, federation: EventId, event: VerifiedEvent, sink: &mut Sink<'_>) {
        if self.settled.is_none() && event.event().header().stream == Stream::CHARTER {
            return self.events.push(event);
        }
        self.settle(federation, sink);
        self.hand_out(event, sink);
    }

    /// Evaluates the charter once its logs are through, and hands their events out.
    fn settle(&mut self, federation: EventId, sink: &mut Sink<'_>) {
        if self.settled.is_some() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        self.settled = Some(Charter::evaluate(federation, events.iter().map(VerifiedEvent::event)));
        events.into_iter().for_each(|event| self.hand_out(event, sink));
    }

    fn hand_out(&mut self, event: VerifiedEvent, sink: &mut Sink<'_>) {
        let Some(charter) = &self.settled else { return };
        let header = event.event().header();
        self.verdicts.count(header, &charter.verdict(&event.event().id(), header));
        sink(event, charter);
    }
}

fn read_event(r: &mut Reader<'_>) -> Result<ReceivedEvent, ItemError> {
    r.array_of(4, "an event of four fields")?;
    let header = r.bytes_of_at_most(limits::HEADER_BYTES_MAX, "length of a header")?;
    let header_at = r.offset() - header.len();
    let signature = if r.null() { None } else { Some(Signature::from_bytes(r.byte_array()?)) };
    let op = read_payload(r)?;
    let pii = read_payload(r)?;
    ReceivedEvent::new(header.to_vec(), signature, op, pii).map_err(|error| match error {
        EventError::Header(e) => ItemError::at(header_at + e.offset, ExportProblem::Cbor(e.problem)),
        EventError::UnexpectedPayload(slot) => ItemError::at(0, ExportProblem::UnexpectedPayload(slot)),
        EventError::WrongPayload(slot) => ItemError::at(0, ExportProblem::WrongPayload(slot)),
    })
}

fn read_payload(r: &mut Reader<'_>) -> Result<Option<Payload>, CborError> {
    if r.null() {
        return Ok(None);
    }
    r.array_of(2, "a salt and a payload")?;
    let salt = r.byte_array()?;
    let bytes = r.bytes_of_at_most(limits::PAYLOAD_BYTES_MAX, "size of a payload")?.to_vec();
    Ok(Some(Payload { salt, bytes }))
}

fn is_map(payload: &Payload) -> bool {
    matches!(Value::decode(&payload.bytes), Ok(Value::Map(_)))
}

fn problem_of(error: ChainError) -> ExportProblem {
    match error {
        ChainError::Empty | ChainError::UnsignedEnd { .. } => ExportProblem::UnsignedHead,
        ChainError::OtherLog { .. } => ExportProblem::OtherLog,
        ChainError::Gap { expected, found } => ExportProblem::Gap { expected, found },
        ChainError::BrokenLink { .. } => ExportProblem::BrokenLink,
        ChainError::Signature { source, .. } => ExportProblem::Signature(source),
    }
}

/// Known heads that the file does not reach. `logs` stand in ascending order, as the manifest does.
fn shorter_logs(known: &Frontier, logs: &[LogSummary]) -> Vec<Discrepancy> {
    let found = |log| logs.binary_search_by(|l| l.log.cmp(log)).map_or(0, |i| logs[i].head.seq);
    known
        .iter()
        .filter(|(log, head)| found(log) < head.seq)
        .map(|(log, head)| Discrepancy::Shorter { log: log.clone(), found: found(log), known: *head })
        .collect()
}
