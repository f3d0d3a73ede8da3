//! The commit thread: plans what waits, writes it in one batch with one sync, and only then answers.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use linli_core::event::{ReceivedEvent, Slot, VerifiedEvent, event_id};
use linli_core::frontier::Frontier;
use linli_core::id::{Head, LogId};

use crate::backend::{Backend, Batch};
use crate::catalogue::Family;
use crate::codec::{LogNumber, entry_key, entry_value, fork_key, log_key, read_entry, slot_value};
use crate::error::{AppendError, StoreError};

/// Most requests in one batch: bounds its memory; 64 clients fit several times over.
pub const GROUP_MAX: usize = 512;

/// Told the new heads after they are durable, on the commit thread: must be quick.
pub type Listener = Box<dyn Fn(&[(LogId, Head)]) + Send + Sync>;

/// What an append did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Events that were new.
    pub new: u64,
    /// Events that were here already.
    pub known: u64,
    /// The logs that grew, with their new heads.
    pub heads: Vec<(LogId, Head)>,
}

/// Runs that wait to be appended together, and whom to answer.
pub struct Request {
    /// Each a run of one log.
    pub runs: Vec<Vec<VerifiedEvent>>,
    /// Where the answer goes.
    pub answer: SyncSender<Result<Appended, AppendError>>,
}

/// What the commit thread shares with readers.
pub struct Shared {
    /// The database.
    pub backend: Arc<dyn Backend>,
    /// Heads of what is durable.
    pub frontier: RwLock<Arc<Frontier>>,
    /// Local numbers of logs.
    pub numbers: RwLock<BTreeMap<LogId, LogNumber>>,
    /// Whom to tell.
    pub listeners: RwLock<Vec<Listener>>,
    /// Why nothing more is acknowledged, if a durable write failed.
    pub poisoned: Mutex<Option<String>>,
}

impl Shared {
    /// The number of a log that has one.
    pub fn number(&self, log: &LogId) -> Option<LogNumber> {
        self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(log).copied()
    }

    fn poison(&self) -> Option<String> {
        self.poisoned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves requests until every sender is gone.
pub fn commit_loop(shared: &Shared, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match requests.try_recv() {
                Ok(request) => group.push(request),
                Err(_) => break,
            }
        }
        commit(shared, group);
    }
}

/// Heads and numbers as they will be once the batch is durable.
struct Plan<'s> {
    shared: &'s Shared,
    batch: Batch,
    heads: BTreeMap<LogId, Head>,
    new_logs: BTreeMap<LogId, LogNumber>,
    next_number: LogNumber,
}

fn commit(shared: &Shared, group: Vec<Request>) {
    let mut plan = Plan {
        shared,
        batch: Batch::default(),
        heads: BTreeMap::new(),
        new_logs: BTreeMap::new(),
        next_number: shared.numbers.read().unwrap_or_else(PoisonError::into_inner).len() as LogNumber,
    };
    let mut planned = vec![];
    for request in group {
        let outcome = match shared.poison() {
            Some(why) => Err(AppendError::Store(StoreError::Poisoned(why))),
            None => plan.request(&request.runs),
        };
        planned.push((request.answer, outcome));
    }
    let Plan { batch, heads, new_logs, .. } = plan;
    let written = if batch.writes.is_empty() { Ok(()) } else { shared.backend.write(batch, true) };
    match written {
        Ok(()) => publish(shared, &heads, new_logs),
        Err(ref error) => {
            *shared.poisoned.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    }
    for (answer, outcome) in planned {
        let outcome = match (&written, outcome) {
            (Ok(()), outcome) => outcome,
            (Err(_), Err(bad_input)) => Err(bad_input),
            (Err(error), Ok(_)) => Err(AppendError::Store(StoreError::Poisoned(error.to_string()))),
        };
        // Whoever asked may have stopped waiting; what is durable stays.
        let _ = answer.send(outcome);
    }
    if written.is_ok() && !heads.is_empty() {
        let heads: Vec<(LogId, Head)> = heads.into_iter().collect();
        for listener in shared.listeners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            listener(&heads);
        }
    }
}

fn publish(shared: &Shared, heads: &BTreeMap<LogId, Head>, new_logs: BTreeMap<LogId, LogNumber>) {
    shared.numbers.write().unwrap_or_else(PoisonError::into_inner).extend(new_logs);
    let mut frontier = shared.frontier.write().unwrap_or_else(PoisonError::into_inner);
    let frontier = Arc::make_mut(&mut frontier);
    for (log, head) in heads {
        frontier.advance(log, *head);
    }
}

impl Plan<'_> {
    /// Plans one request: all of its runs or none of them.
    fn request(&mut self, runs: &[Vec<VerifiedEvent>]) -> Result<Appended, AppendError> {
        let kept = (self.batch.writes.len(), self.heads.clone(), self.new_logs.clone(), self.next_number);
        let mut done = Appended::default();
        for run in runs {
            let outcome = self.run(run, &mut done);
            if let Err(error) = outcome {
                if !matches!(error, AppendError::Fork { .. }) {
                    self.batch.writes.truncate(kept.0);
                } else {
                    self.keep_only_evidence(kept.0);
                }
                (self.heads, self.new_logs, self.next_number) = (kept.1, kept.2, kept.3);
                return Err(error);
            }
        }
        Ok(done)
    }

    fn keep_only_evidence(&mut self, from: usize) {
        let tail = self.batch.writes.split_off(from);
        self.batch.writes.extend(tail.into_iter().filter(|(family, _, _)| *family == Family::Forks));
    }

    fn run(&mut self, run: &[VerifiedEvent], done: &mut Appended) -> Result<(), AppendError> {
        let Some(first) = run.first() else { return Ok(()) };
        let log = first.event().header().log_id();
        let first_seq = first.event().header().seq;
        let head = self.head(&log);
        let height = head.map_or(0, |head| head.seq);
        if first_seq > height + 1 {
            return Err(AppendError::Gap { log: Box::new(log), expected: height + 1, found: first_seq });
        }
        let known = (run.len() as u64).min(height + 1 - first_seq) as usize;
        self.overlap(&log, &run[..known], run)?;
        let fresh = &run[known..];
        done.known += known as u64;
        let Some(last) = fresh.last() else { return Ok(()) };
        let joins = fresh[0].event().header().prev == head.map(|head| head.id) || height == 0;
        if !joins {
            return Err(self.fork(&log, height, run));
        }
        let number = self.number(&log);
        for event in fresh {
            self.put_event(number, event.event());
        }
        let head = last.event().head();
        self.heads.insert(log.clone(), head);
        done.new += fresh.len() as u64;
        done.heads.push((log, head));
        Ok(())
    }

    fn head(&self, log: &LogId) -> Option<Head> {
        let durable = || self.shared.frontier.read().unwrap_or_else(PoisonError::into_inner).head(log);
        self.heads.get(log).copied().or_else(durable)
    }

    fn number(&mut self, log: &LogId) -> LogNumber {
        if let Some(number) = self.shared.number(log).or_else(|| self.new_logs.get(log).copied()) {
            return number;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.new_logs.insert(log.clone(), number);
        self.batch.put(Family::Logs, log_key(log), number.to_be_bytes().to_vec());
        number
    }

    fn put_event(&mut self, number: LogNumber, event: &ReceivedEvent) {
        let key = entry_key(number, event.header().seq);
        self.batch.put(Family::Entries, key.clone(), entry_value(event));
        for (slot, family) in [(Slot::Op, Family::Op), (Slot::Pii, Family::Pii)] {
            if let Some(payload) = event.payload(slot) {
                self.batch.put(family, key.clone(), slot_value(payload));
            }
        }
    }

    /// Events at positions that are taken: the same (then payloads that were missing are filled in), or a fork.
    fn overlap(&mut self, log: &LogId, known: &[VerifiedEvent], run: &[VerifiedEvent]) -> Result<(), AppendError> {
        let Some(last) = known.last() else { return Ok(()) };
        // Positions planned in this very batch are not readable yet; equal heads settle them.
        let seq = last.event().header().seq;
        let ours = match self.head(log).filter(|head| head.seq == seq) {
            Some(head) => Some(head.id),
            None => self.stored_id(log, seq)?,
        };
        // The chain makes one comparison at the last position enough for all before it.
        if ours.is_some_and(|id| id != last.event().id()) {
            return Err(self.first_difference(log, known, run));
        }
        let Some(number) = self.shared.number(log) else { return Ok(()) };
        for event in known {
            let key = entry_key(number, event.event().header().seq);
            for (slot, family) in [(Slot::Op, Family::Op), (Slot::Pii, Family::Pii)] {
                let Some(payload) = event.event().payload(slot) else { continue };
                if self.shared.backend.get(family, &key)?.is_none() {
                    self.batch.put(family, key.clone(), slot_value(payload));
                }
            }
        }
        Ok(())
    }

    fn stored_id(&self, log: &LogId, seq: u64) -> Result<Option<linli_core::id::EventId>, StoreError> {
        let Some(number) = self.shared.number(log) else { return Ok(None) };
        let Some(value) = self.shared.backend.get(Family::Entries, &entry_key(number, seq))? else { return Ok(None) };
        Ok(Some(event_id(&read_entry(&value)?.1)))
    }

    fn first_difference(&mut self, log: &LogId, known: &[VerifiedEvent], run: &[VerifiedEvent]) -> AppendError {
        for event in known {
            let seq = event.event().header().seq;
            match self.stored_id(log, seq) {
                Ok(Some(ours)) if ours != event.event().id() => return self.fork(log, seq, run),
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
        self.fork(log, known.last().map_or(0, |e| e.event().header().seq), run)
    }

    /// Keeps the other branch from `seq` on as evidence; the signature at its end proves it.
    fn fork(&mut self, log: &LogId, seq: u64, run: &[VerifiedEvent]) -> AppendError {
        let number = self.number(log);
        let theirs = run.iter().filter(|e| e.event().header().seq >= seq);
        for event in theirs {
            let event = event.event();
            let key = fork_key(number, event.header().seq, &event.id());
            self.batch.put(Family::Forks, key, entry_value(event));
        }
        let at = run.iter().find(|e| e.event().header().seq >= seq).map(|e| e.event());
        let ours = self.stored_id(log, seq).ok().flatten();
        let theirs = at.map_or_else(|| linli_core::id::EventId::from_bytes([0; 32]), ReceivedEvent::id);
        AppendError::Fork { log: Box::new(log.clone()), seq, ours: ours.unwrap_or(theirs), theirs }
    }
}
