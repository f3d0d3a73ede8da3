//! Frames in and out of the store, on threads that may block.
//!
//! Frames of one log are appended in the order in which they came. Several small frames share one batch, and with it
//! one sync to disk; two batches run at a time, so that one is verified while the other is synced.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use linli_core::chain::{Join, verify_by_tail};
use linli_core::event::{Header, VerifiedEvent};
use linli_core::frame::{FrameEntry, FrameWriter, PiiScope, decode_frame};
use linli_core::id::{Head, LogId, Stream};
use linli_core::limits::SIGNATURE_INTERVAL;
use linli_core::payloads::encode_payloads;
use linli_core::sign::KeyCache;
use linli_core::sync::{Admitted, AppendFailure, ReadFrame, Token, admit, admit_payloads};
use linli_store::{AppendError, FillError, LentEvent, Run, Store, StoreError};

use crate::limits;

/// A frame on its way into the store, and how its bringer knows it again.
#[derive(Debug)]
pub struct Job<T = Token> {
    /// The bringer's name for it.
    pub token: T,
    /// The log that it must be of.
    pub log: LogId,
    /// The frame, unpacked.
    pub frame: Vec<u8>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct BatchDone<T = Token> {
    /// The logs of its frames.
    pub logs: BTreeSet<LogId>,
    /// Each frame's log is durable up to this head, or why nothing of it was taken. In the order of the jobs.
    pub outcomes: Vec<(T, Result<Head, AppendFailure>)>,
    /// Events that are durable now and were not before.
    pub events: u64,
    /// Events that were held already when their frame was proven.
    pub held: u64,
    /// Why our own store took nothing, if it did not.
    pub failure: Option<AppendError>,
}

/// Frames that wait, by log, and the logs that batches under way belong to. What waits is bounded by the credit that the
/// engine gives.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    waiting: BTreeMap<LogId, VecDeque<Job<T>>>,
    /// Logs with frames that wait and no batch under way, in turn: many small frames of one do not hold up the others.
    turns: VecDeque<LogId>,
    under_way: BTreeSet<LogId>,
    batches: usize,
}

/// Frames as the engine names them.
pub(crate) type Door = Waiting<Token>;

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), turns: VecDeque::new(), under_way: BTreeSet::new(), batches: 0 }
    }
}

impl<T> Waiting<T> {
    /// Queues a frame.
    pub(crate) fn push(&mut self, job: Job<T>) {
        if !self.under_way.contains(&job.log) && !self.waiting.contains_key(&job.log) {
            self.turns.push_back(job.log.clone());
        }
        self.waiting.entry(job.log.clone()).or_default().push_back(job);
    }

    /// The next batch to run, if one may run now.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Job<T>>> {
        if self.batches >= limits::APPENDS_AT_A_TIME {
            return None;
        }
        let (mut batch, mut bytes) = (vec![], 0);
        let mut logs = std::mem::take(&mut self.turns);
        while let Some(log) = logs.pop_front() {
            if bytes >= limits::APPEND_BATCH_BYTES || batch.len() >= limits::APPEND_BATCH_FRAMES {
                self.turns.push_back(log);
                continue;
            }
            // One frame of each in turn; a log of which nothing more waits has had its share.
            let Some(frames) = self.waiting.get_mut(&log) else { continue };
            if let Some(job) = frames.pop_front() {
                bytes += job.frame.len();
                batch.push(job);
            }
            self.under_way.insert(log.clone());
            if frames.is_empty() {
                self.waiting.remove(&log);
            } else {
                logs.push_back(log);
            }
        }
        // Logs that go on in a later batch wait for this one.
        let under_way = &self.under_way;
        self.turns.retain(|log| !under_way.contains(log));
        if batch.is_empty() {
            return None;
        }
        self.batches += 1;
        Some(batch)
    }

    /// Whether a batch is under way.
    pub(crate) const fn is_busy(&self) -> bool {
        self.batches > 0
    }

    /// Notes that a batch is done.
    pub(crate) fn done(&mut self, logs: &BTreeSet<LogId>) {
        self.batches -= 1;
        for log in logs {
            if self.under_way.remove(log) && self.waiting.contains_key(log) {
                self.turns.push_back(log.clone());
            }
        }
    }
}

/// A batch that is proven and not yet in the store.
pub struct Proven<T = Token> {
    logs: BTreeSet<LogId>,
    outcomes: Vec<(T, Result<Option<Head>, AppendFailure>)>,
    runs: Vec<Vec<VerifiedEvent>>,
    held: u64,
    /// Other histories of logs, each a proof.
    evidence: Vec<Vec<VerifiedEvent>>,
}

/// Heads of logs as they will be once every batch that was proven so far is in the store.
pub type HeadsAhead = BTreeMap<LogId, Option<Head>>;

/// Verifies and appends a batch, whoever brought it: a peer or a courier. Blocks.
pub fn append_batch<T>(store: &Store, jobs: Vec<Job<T>>) -> BatchDone<T> {
    append_proven(store, prove_batch(store, jobs, &mut HeadsAhead::new()))
}

/// Verifies a batch without waiting for those before it to be durable: `heads` says where they lead, and where this one
/// does. Blocks.
pub fn prove_batch<T>(store: &Store, jobs: Vec<Job<T>>, heads: &mut HeadsAhead) -> Proven<T> {
    let logs: BTreeSet<LogId> = jobs.iter().map(|job| job.log.clone()).collect();
    let mut keys = KeyCache::default();
    let mut runs: BTreeMap<LogId, Vec<VerifiedEvent>> = BTreeMap::new();
    let (mut outcomes, mut evidence, mut already) = (vec![], vec![], 0);
    for job in jobs {
        let head = match heads.get(&job.log) {
            Some(head) => *head,
            None => store.head(&job.log),
        };
        let admitted = admit(&job.log, head, &job.frame, &mut keys);
        if matches!(admitted, Err(AppendFailure::Forked { .. })) {
            evidence.extend(proof_of(&job.frame, &mut keys));
        }
        let outcome = admitted.map(|Admitted { events, held }| {
            already += held as u64;
            let new_head = events.last().map(|event| event.event().head()).or(head);
            heads.insert(job.log.clone(), new_head);
            runs.entry(job.log.clone()).or_default().extend(events);
            new_head
        });
        outcomes.push((job.token, outcome));
    }
    let runs = runs.into_values().filter(|run| !run.is_empty()).collect();
    Proven { logs, outcomes, runs, held: already, evidence }
}

/// Appends a batch that was proven, after those that were proven before it. Blocks until it is durable.
pub fn append_proven<T>(store: &Store, batch: Proven<T>) -> BatchDone<T> {
    let Proven { logs, outcomes, runs, held, evidence } = batch;
    let events = runs.iter().map(|run| run.len() as u64).sum();
    let failure = if runs.is_empty() { None } else { store.append(runs).err() };
    let failed = failure.is_some();
    if let Some(error) = &failure {
        tracing::error!(%error, "the store does not take replicated events");
    }
    // Only now: before it holds our history, the store would take the other one for it.
    evidence.into_iter().filter(|_| !failed).for_each(|run| keep_evidence(store, run));
    let settle = |outcome: Result<Option<Head>, AppendFailure>| match outcome {
        Ok(Some(head)) if !failed => Ok(head),
        Ok(_) => Err(AppendFailure::Store),
        Err(failure) => Err(failure),
    };
    let outcomes = outcomes.into_iter().map(|(token, outcome)| (token, settle(outcome))).collect();
    BatchDone { logs, outcomes, events: if failed { 0 } else { events }, held, failure }
}

/// Signatures that go along: the last of a frame proves it, every 64th lets the receiver end frames of its own, and
/// charter events are shown singly as credentials. The others would cost a check and 66 bytes each and prove nothing.
fn needs_signature(header: &Header, last_seq: u64) -> bool {
    header.seq == last_seq || header.seq.is_multiple_of(SIGNATURE_INTERVAL) || header.stream == Stream::CHARTER
}

/// What a frame proves by itself.
fn proof_of(frame: &[u8], keys: &mut KeyCache) -> Option<Vec<VerifiedEvent>> {
    verify_by_tail(Join::Anywhere, decode_frame(frame).ok()?, keys).ok()
}

/// Shows the store another history of a log: it keeps what proves the fork and leaves the log as it is.
fn keep_evidence(store: &Store, run: Vec<VerifiedEvent>) {
    match store.append(vec![run]) {
        Err(AppendError::Store(error)) => tracing::error!(%error, "evidence of a fork cannot be kept"),
        // The store answers with the fork, or knows the branch already.
        Ok(_) | Err(AppendError::Fork { .. } | AppendError::Gap { .. } | AppendError::TooManyLogs { .. }) => {}
    }
}

/// Reads a run and makes a frame of it; none if the store has nothing there or cannot read. Blocks.
pub fn read_frame(
    store: &Store,
    log: &LogId,
    from_seq: u64,
    max_events: usize,
    max_bytes: u64,
    pii: PiiScope,
) -> Option<ReadFrame> {
    let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let frame = store.read_run(log, from_seq, max_events, max_bytes).and_then(|run| frame_of(&run, pii));
    frame.unwrap_or_else(|error| {
        tracing::error!(%error, %log, from_seq, "a run cannot be read for a peer");
        None
    })
}

fn frame_of(run: &Run, pii: PiiScope) -> Result<Option<ReadFrame>, StoreError> {
    let Some(last) = run.lent().next_back() else { return Ok(None) };
    let last_seq = last?.header.seq;
    let mut frame: Option<FrameWriter> = None;
    for event in run.lent() {
        let LentEvent { header, signature, op, pii: personal } = &event?;
        let frame = frame.get_or_insert_with(|| FrameWriter::new(header, run.len(), run.size_bytes(), pii));
        let signature = signature.as_ref().filter(|_| needs_signature(header, last_seq));
        frame.entry(&FrameEntry { header, signature, op: *op, pii: *personal });
    }
    Ok(frame.map(|frame| ReadFrame { bytes: frame.into_bytes(), last_seq }))
}

/// Reads personal payloads for a peer that may have them and makes a payload frame; none if the store has none of them or
/// cannot read. Blocks.
pub(crate) fn read_payloads(store: &Store, log: &LogId, seqs: &[u64], max_bytes: u64) -> Option<ReadFrame> {
    let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let payloads = match store.personal_payloads(log, seqs, max_bytes) {
        Ok(payloads) => payloads,
        Err(error) => {
            tracing::error!(%error, %log, "payloads cannot be read for a peer");
            return None;
        }
    };
    let last_seq = payloads.last()?.0;
    Some(ReadFrame { bytes: encode_payloads(log, &payloads), last_seq })
}

/// Checks a payload frame that answers a question for these events and writes what is lacking; says how many payloads
/// that were. Blocks.
pub(crate) fn fill(store: &Store, log: &LogId, seqs: &[u64], frame: &[u8]) -> Result<u64, AppendFailure> {
    let payloads = admit_payloads(log, seqs, frame)?;
    store.fill(log, &payloads).map_err(|error| match error {
        FillError::WrongPayload { .. } => AppendFailure::BadPeer(error.to_string()),
        FillError::Store(error) => {
            tracing::error!(%error, "the store does not take payloads");
            AppendFailure::Store
        }
    })
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::{Author, Draft};

    use super::*;

    const CANARY: &[u8] = b"canary-Zhang-San-51d07a3b";

    #[test]
    fn a_frame_for_a_peer_without_the_right_holds_no_byte_of_a_personal_payload() {
        // Given a log with personal payloads in it, of which one shares a frame with what anybody may have,
        let mut author = Author::new(1, "320508005", None);
        let stream = Stream::COMMUNITY;
        let plain = author.write(Draft { op: Some(b"\xa0".to_vec()), ..Draft::new(stream, "listed", None) });
        let personal =
            |salted: u8| Draft { pii: Some([CANARY, &[salted]].concat()), ..Draft::new(stream, "listed", None) };
        let run = vec![plain, author.write(personal(1)), author.write(personal(2))];
        let (log, head) = (author.log_id(stream), run[2].head());
        let store = Store::in_memory();
        let proven = verify_by_tail(Join::Start, run, &mut KeyCache::default()).unwrap();
        store.append(vec![proven]).unwrap();
        let frame = |scope| read_frame(&store, &log, 1, 100, 1 << 20, scope).unwrap();
        let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY);
        // when it is read for a peer that may have them, the frame has them; for one that may not, it has not,
        assert!(holds(&frame(PiiScope::Covered).bytes), "the search does not work");
        let withheld = frame(PiiScope::Withheld);
        assert!(!holds(&withheld.bytes));
        // and the peer holds all events and proves them, and whatever it reads for others has no payload either.
        let next = Store::in_memory();
        let job = Job { token: (), log: log.clone(), frame: withheld.bytes };
        let done = append_batch(&next, vec![job]);
        assert_eq!(done.outcomes[0].1, Ok(head));
        assert!(!holds(&read_frame(&next, &log, 1, 100, 1 << 20, PiiScope::Covered).unwrap().bytes));
    }

    #[test]
    fn a_store_that_takes_nothing_says_why_and_blames_nobody() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), linli_store::OpenOptions::default()).unwrap());
        let store = Store::open_read_only(folder.path()).unwrap();
        let mut author = Author::new(1, "320508005", None);
        let frame = linli_core::frame::encode_frame(&author.write_many(Stream::TEAMS, 3, 40), PiiScope::Covered);
        let done = append_batch(&store, vec![Job { token: (), log: author.log_id(Stream::TEAMS), frame }]);
        assert_eq!((&done.outcomes[..], done.events), (&[((), Err(AppendFailure::Store))][..], 0));
        assert!(done.failure.unwrap().to_string().contains("for reading only"));
    }

    #[test]
    fn frames_of_a_log_keep_their_order_and_one_log_does_not_hold_up_another() {
        let log = |n| Author::new(n, "320508", None).log_id(Stream::TEAMS);
        // The tokens of the engine are its own; here the frame says which one it is.
        let job = |n, frame: u32| Job { token: (), log: log(n), frame: frame.to_be_bytes().to_vec() };
        let (mut door, frames) = (Waiting::default(), limits::APPEND_BATCH_FRAMES as u32 * 3);
        (0..frames).for_each(|n| door.push(job(1, n)));
        let first = door.next_batch().unwrap();
        assert_eq!(first.len(), limits::APPEND_BATCH_FRAMES);
        (frames..frames + 10).for_each(|n| door.push(job(1, n)));
        (0..3).for_each(|n| door.push(job(2, n)));
        let second = door.next_batch().unwrap();
        assert!(second.len() == 3 && second.iter().all(|job| job.log == log(2)), "the first log is under way");
        assert!(door.next_batch().is_none());
        door.done(&BTreeSet::from([log(2)]));
        assert!(door.next_batch().is_none(), "nothing else waits");
        let mut taken = first;
        door.done(&BTreeSet::from([log(1)]));
        while let Some(batch) = door.next_batch() {
            taken.extend(batch);
            door.done(&BTreeSet::from([log(1)]));
        }
        let order: Vec<Vec<u8>> = taken.into_iter().map(|job| job.frame).collect();
        assert_eq!(order, (0..frames + 10).map(|n| n.to_be_bytes().to_vec()).collect::<Vec<_>>());
        assert!(!door.is_busy() && door.waiting.is_empty() && door.turns.is_empty());
    }
}
