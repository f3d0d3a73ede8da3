//! What a group of requests will do to the store, worked out before anything is written.
//!
//! A request counts as a whole or not at all: what a refused one had planned is taken back, and only evidence of a
//! fork stays. Later requests of the group see what earlier ones have planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use linli_core::event::{ReceivedEvent, Slot, VerifiedEvent, event_id};
use linli_core::id::{EventId, Head, LogId};

use crate::append::{Appended, PayloadNews, Shared};
use crate::backend::{Batch, Mark, prefix_end};
use crate::catalogue::{Family, META_NEXT_LOG, SLOT_FAMILIES};
use crate::codec::{Entry, LogNumber, entry_key, fork_key, log_key, slot_value};
use crate::error::{AppendError, StoreError};

/// Most events of other branches that are kept of one log. A proof needs one run up to a signature; whoever signs
/// more histories than that only proves the same thing again, and must not fill the disk with it.
const FORK_EVENTS_MAX: usize = 4096;

/// Everything that one batch will write, and what the store will look like once it is durable.
pub struct Plan<'r> {
    shared: &'r Shared,
    batch: Batch<'r>,
    grown: BTreeMap<LogId, Growth>,
    new_logs: BTreeMap<LogId, LogNumber>,
    /// Of refused requests as well: who is told looks for itself.
    news: PayloadNews,
    undo: Vec<Undo>,
}

/// The outcome of a plan.
pub struct Planned<'r> {
    /// The writes.
    pub batch: Batch<'r>,
    /// The logs that grow, with their new heads.
    pub heads: Vec<(LogId, Head)>,
    /// Logs that were not here, with their numbers.
    pub new_logs: BTreeMap<LogId, LogNumber>,
    /// What it means for personal payloads.
    pub news: PayloadNews,
}

/// What a log gains: positions after `height`, in order.
struct Growth {
    height: u64,
    ids: Vec<EventId>,
}

enum Undo {
    NewLog(LogId),
    Growth(LogId, usize),
}

/// Another history of a log, found in a run.
struct Branch<'r> {
    seq: u64,
    ours: EventId,
    theirs: EventId,
    /// From the first event that is not ours to the end of the run, whose signature proves it.
    events: &'r [VerifiedEvent],
}

/// Why a run is refused, with the evidence still in hand.
enum Refusal<'r> {
    Branch(Branch<'r>),
    Other(AppendError),
}

impl From<StoreError> for Refusal<'_> {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl<'r> Plan<'r> {
    /// Nothing planned yet.
    pub fn new(shared: &'r Shared) -> Self {
        let (batch, news) = (Batch::default(), PayloadNews::default());
        Self { shared, batch, grown: BTreeMap::new(), new_logs: BTreeMap::new(), news, undo: vec![] }
    }

    /// Plans one request: all of its runs or none of them. With `keep_evidence`, a fork leaves the other branch.
    pub fn request(&mut self, runs: &'r [Vec<VerifiedEvent>], keep_evidence: bool) -> Result<Appended, AppendError> {
        let mark = self.batch.mark();
        self.undo.clear();
        let mut done = Appended::default();
        for run in runs {
            let Err(refusal) = self.run(run, &mut done) else { continue };
            self.take_back(mark);
            return Err(match refusal {
                Refusal::Other(error) => error,
                Refusal::Branch(branch) => self.forked(&branch, keep_evidence)?,
            });
        }
        Ok(done)
    }

    /// What is to be written and told.
    pub fn finish(mut self) -> Planned<'r> {
        if let Some(last) = self.new_logs.values().max() {
            self.batch.put(Family::Meta, META_NEXT_LOG, &[&last.saturating_add(1).to_be_bytes()]);
        }
        let head = |growth: &Growth| {
            growth.ids.last().map(|id| Head { seq: growth.height + growth.ids.len() as u64, id: *id })
        };
        let heads = self.grown.into_iter().filter_map(|(log, growth)| head(&growth).map(|head| (log, head)));
        Planned { batch: self.batch, heads: heads.collect(), new_logs: self.new_logs, news: self.news }
    }

    fn take_back(&mut self, mark: Mark) {
        self.batch.take_back(mark);
        for step in self.undo.drain(..).rev() {
            match step {
                Undo::NewLog(log) => drop(self.new_logs.remove(&log)),
                Undo::Growth(log, 0) => drop(self.grown.remove(&log)),
                Undo::Growth(log, len) => {
                    self.grown.entry(log).and_modify(|growth| growth.ids.truncate(len));
                }
            }
        }
    }

    fn run(&mut self, run: &'r [VerifiedEvent], done: &mut Appended) -> Result<(), Refusal<'r>> {
        let Some(first) = run.first() else { return Ok(()) };
        let log = first.event().header().log_id();
        check_consecutive(&log, run).map_err(Refusal::Other)?;
        let (first_seq, head) = (first.event().header().seq, self.head(&log));
        let height = head.map_or(0, |head| head.seq);
        if first_seq > height + 1 {
            let (log, expected, found) = (Box::new(log), height + 1, first_seq);
            return Err(Refusal::Other(AppendError::Gap { log, expected, found }));
        }
        let known = (run.len() as u64).min(height + 1 - first_seq) as usize;
        self.overlap(&log, run, known)?;
        let fresh = &run[known..];
        done.known += known as u64;
        let (Some(next), Some(last)) = (fresh.first(), fresh.last()) else { return Ok(()) };
        if let (Some(ours), Some(theirs)) = (head, next.event().header().prev)
            && ours.id != theirs
        {
            return Err(Refusal::Branch(Branch { seq: height, ours: ours.id, theirs, events: fresh }));
        }
        self.grow(&log, height, fresh).map_err(Refusal::Other)?;
        done.new += fresh.len() as u64;
        done.heads.push((log, last.event().head()));
        Ok(())
    }

    /// Events at positions that are taken: the same (then payloads that were missing are filled in), or a fork.
    fn overlap(&mut self, log: &LogId, run: &'r [VerifiedEvent], known: usize) -> Result<(), Refusal<'r>> {
        let Some(last) = known.checked_sub(1) else { return Ok(()) };
        // The chain makes one comparison at the last position enough for all before it.
        if self.id_at(log, run[last].event().header().seq)? != Some(run[last].event().id()) {
            return Err(self.first_difference(log, run, known)?);
        }
        let Some(number) = self.number(log) else { return Ok(()) };
        for event in &run[..known] {
            let key = entry_key(number, event.event().header().seq);
            for (slot, family) in SLOT_FAMILIES {
                let Some(payload) = event.event().payload(slot) else { continue };
                // An erased slot is there, and empty: what was erased does not come back from a peer.
                let is_there = self.shared.backend.get(family, &key)?.is_some();
                if is_there || (slot == Slot::Op && self.has_op_in_entry(&key)?) {
                    continue;
                }
                self.batch.put(family, &key, &slot_value(payload));
                if slot == Slot::Pii {
                    self.batch.delete(Family::Lacking, &key);
                    self.news.filled.extend(event.event().header().record);
                }
            }
        }
        Ok(())
    }

    fn has_op_in_entry(&self, key: &[u8]) -> Result<bool, StoreError> {
        let value = self.shared.backend.get(Family::Entries, key)?;
        value.map_or(Ok(false), |value| Ok(Entry::read(&value)?.op.is_some()))
    }

    fn first_difference(&self, log: &LogId, run: &'r [VerifiedEvent], known: usize) -> Result<Refusal<'r>, StoreError> {
        for (at, event) in run[..known].iter().enumerate() {
            let (seq, theirs) = (event.event().header().seq, event.event().id());
            match self.id_at(log, seq)? {
                Some(ours) if ours == theirs => {}
                Some(ours) => return Ok(Refusal::Branch(Branch { seq, ours, theirs, events: &run[at..] })),
                None => return Err(StoreError::Damaged(format!("log {log}: seq {seq} is missing below its head"))),
            }
        }
        Err(StoreError::Damaged(format!("log {log}: its entries changed while they were read")))
    }

    fn grow(&mut self, log: &LogId, height: u64, fresh: &'r [VerifiedEvent]) -> Result<(), AppendError> {
        let number = self.number(log).map_or_else(|| self.open_log(log), Ok)?;
        let mut lacks = false;
        for event in fresh {
            lacks |= self.put_event(number, event.event());
        }
        if lacks {
            self.news.lacking.insert(log.clone());
        }
        let growth = self.grown.entry(log.clone()).or_insert(Growth { height, ids: vec![] });
        self.undo.push(Undo::Growth(log.clone(), growth.ids.len()));
        growth.ids.extend(fresh.iter().map(|event| event.event().id()));
        Ok(())
    }

    /// Says whether the event came without its personal payload.
    fn put_event(&mut self, number: LogNumber, event: &'r ReceivedEvent) -> bool {
        let key = entry_key(number, event.header().seq);
        if let Some(payload) = event.payload(Slot::Pii) {
            self.batch.put(Family::Pii, &key, &slot_value(payload));
        }
        self.batch.put_entry(Family::Entries, &key, event, true);
        if event.lacks_pii() {
            self.batch.put(Family::Lacking, &key, &[]);
        }
        event.lacks_pii()
    }

    fn head(&self, log: &LogId) -> Option<Head> {
        let planned = self.grown.get(log).and_then(|growth| {
            growth.ids.last().map(|id| Head { seq: growth.height + growth.ids.len() as u64, id: *id })
        });
        planned.or_else(|| self.shared.head(log))
    }

    fn number(&self, log: &LogId) -> Option<LogNumber> {
        self.shared.number(log).or_else(|| self.new_logs.get(log).copied())
    }

    fn open_log(&mut self, log: &LogId) -> Result<LogNumber, AppendError> {
        let most = self.shared.logs_max;
        let next = self.shared.next_log.load(Ordering::SeqCst);
        let number = LogNumber::try_from(self.new_logs.len()).ok().and_then(|new| next.checked_add(new));
        let Some(number) = number.filter(|_| self.shared.logs() + self.new_logs.len() < most) else {
            return Err(AppendError::TooManyLogs { most });
        };
        self.new_logs.insert(log.clone(), number);
        self.undo.push(Undo::NewLog(log.clone()));
        self.batch.put(Family::Logs, &log_key(log), &[&number.to_be_bytes()]);
        Ok(number)
    }

    /// The event at a position that is taken, durable or planned.
    fn id_at(&self, log: &LogId, seq: u64) -> Result<Option<EventId>, StoreError> {
        if let Some(growth) = self.grown.get(log)
            && seq > growth.height
        {
            return Ok(growth.ids.get((seq - growth.height - 1) as usize).copied());
        }
        if let Some(head) = self.shared.head(log).filter(|head| head.seq == seq) {
            return Ok(Some(head.id));
        }
        let Some(number) = self.shared.number(log) else { return Ok(None) };
        let Some(value) = self.shared.backend.get(Family::Entries, &entry_key(number, seq))? else { return Ok(None) };
        Ok(Some(event_id(Entry::read(&value)?.header)))
    }

    /// The error for a fork; the other branch is kept unless it is here already or there is too much of it.
    fn forked(&mut self, branch: &Branch<'r>, keep_evidence: bool) -> Result<AppendError, AppendError> {
        let Branch { seq, ours, theirs, events } = *branch;
        let log = events[0].event().header().log_id();
        // A log that only the refused request itself would have opened has no number any more, and no history here.
        if let Some(number) = self.number(&log).filter(|_| keep_evidence) {
            self.keep_branch(number, events)?;
        }
        Ok(AppendError::Fork { log: Box::new(log), seq, ours, theirs })
    }

    fn keep_branch(&mut self, number: LogNumber, events: &'r [VerifiedEvent]) -> Result<(), StoreError> {
        let prefix = number.to_be_bytes();
        let kept = self.shared.backend.range(Family::Forks, &prefix, &prefix_end(&prefix), FORK_EVENTS_MAX)?;
        let kept: BTreeSet<Vec<u8>> = kept.into_iter().map(|(key, _)| key).collect();
        let keyed = events.iter().map(|event| {
            let event = event.event();
            (fork_key(number, event.header().seq, &event.id()), event)
        });
        let unknown: Vec<_> = keyed.filter(|(key, _)| !kept.contains(key)).collect();
        if kept.len() + unknown.len() <= FORK_EVENTS_MAX {
            for (key, event) in unknown {
                self.batch.put_entry(Family::Forks, &key, event, false);
            }
        }
        Ok(())
    }
}

/// Each event is proven, but whoever put them together may have put the wrong ones side by side.
fn check_consecutive(log: &LogId, run: &[VerifiedEvent]) -> Result<(), AppendError> {
    for pair in run.windows(2) {
        let (before, after) = (pair[0].event(), pair[1].event());
        let (expected, found) = (before.header().seq + 1, after.header().seq);
        if found != expected || !same_log(log, after) {
            return Err(AppendError::Gap { log: Box::new(log.clone()), expected, found });
        }
        if let Some(theirs) = after.header().prev.filter(|prev| *prev != before.id()) {
            let seq = before.header().seq;
            return Err(AppendError::Fork { log: Box::new(log.clone()), seq, ours: before.id(), theirs });
        }
    }
    Ok(())
}

fn same_log(log: &LogId, event: &ReceivedEvent) -> bool {
    let header = event.header();
    header.author == log.author
        && header.incarnation == log.incarnation
        && header.stream == log.stream
        && header.area == log.area
}
