//! The commit thread: plans what waits, writes it in one batch with one sync, and only then answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use linli_core::event::{Slot, VerifiedEvent};
use linli_core::frontier::Frontier;
use linli_core::id::{Head, LogId, RecordId};

use crate::backend::{Backend, Batch};
use crate::codec::LogNumber;
use crate::error::{AppendError, StoreError};
use crate::losses::Missing;
use crate::plan::{Plan, Planned};
use crate::tended::Place;

/// Most requests in one batch: bounds its memory; 64 clients fit several times over.
pub const GROUP_MAX: usize = 512;
/// A group takes no further request once it holds this many bytes: bounds the copy that the database makes of it.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Told the new heads after they are durable, on the commit thread: must be quick.
pub type Listener = Box<dyn Fn(&[(LogId, Head)]) + Send + Sync>;

/// What a durable write means for personal payloads. May name more than that: whoever is told looks for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadNews {
    /// Logs of events that came without their personal payload.
    pub lacking: BTreeSet<LogId>,
    /// Records of events whose personal payload was lacking and has come.
    pub filled: BTreeSet<RecordId>,
}

/// Told what is durable, on the thread that wrote it: must be quick.
pub type PayloadListener = Box<dyn Fn(&PayloadNews) + Send + Sync>;

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

/// What became of a request, and its runs: whoever asked frees them, so that the commit thread need not.
pub type Answer = (Result<Appended, AppendError>, Vec<Vec<VerifiedEvent>>);

/// Runs that wait to be appended together, and whom to answer.
pub struct Request {
    /// Each a run of one log.
    pub runs: Vec<Vec<VerifiedEvent>>,
    /// Whether another branch of a log is kept as evidence. Not that of an own event which is refused: it never leaves
    /// this process, and nobody shall hold it against us.
    pub keep_evidence: bool,
    /// Where the answer goes.
    pub answer: SyncSender<Answer>,
}

/// What the commit thread shares with readers.
pub struct Shared {
    /// The database.
    pub backend: Arc<dyn Backend>,
    /// Heads of what is durable.
    pub frontier: RwLock<Arc<Frontier>>,
    /// Local numbers of logs.
    pub numbers: RwLock<BTreeMap<LogId, LogNumber>>,
    /// The number of the next log.
    pub next_log: AtomicU32,
    /// Most logs that are held.
    pub logs_max: usize,
    /// Whom to tell of new heads.
    pub listeners: RwLock<Vec<Listener>>,
    /// Whom to tell of personal payloads.
    pub payload_listeners: RwLock<Vec<PayloadListener>>,
    /// Counts the states of the frontier that were published.
    pub published: AtomicU64,
    /// What was durable here and is missing.
    pub missing: Mutex<Missing>,
    /// The directory; none in memory and for readers.
    pub place: Option<Place>,
    /// Why the read models cannot be read, if they cannot. They are made again from the logs, so that nothing is missing.
    pub derived_damage: Mutex<Option<String>>,
    /// Whether the store has thrown the read models away by itself. Until somebody folds, what is not there is not nothing.
    pub derived_is_gone: AtomicBool,
    /// Why nothing more is acknowledged, if a durable write failed.
    pub poisoned: Mutex<Option<StoreError>>,
    /// How many durable writes have failed.
    pub failures: AtomicU64,
    /// Held while payloads are planned and written, and while one is erased: a payload that is being filled in must
    /// not overtake its own erasure.
    pub payloads: Mutex<()>,
}

impl Shared {
    /// The number of a log that has one.
    pub fn number(&self, log: &LogId) -> Option<LogNumber> {
        self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(log).copied()
    }

    /// How many logs have a number.
    pub fn logs(&self) -> usize {
        self.numbers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Logs by their numbers.
    pub fn logs_by_number(&self) -> BTreeMap<LogNumber, LogId> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.iter().map(|(log, number)| (*number, log.clone())).collect()
    }

    /// The durable head of a log.
    pub fn head(&self, log: &LogId) -> Option<Head> {
        self.frontier.read().unwrap_or_else(PoisonError::into_inner).head(log)
    }

    /// The number of a log and how far it is durable. After a failed sync there may be more on disk; it is not shown.
    pub fn durable(&self, log: &LogId) -> Option<(LogNumber, u64)> {
        self.number(log).zip(self.head(log).map(|head| head.seq))
    }

    /// Why nothing more is acknowledged.
    pub fn poison(&self) -> Option<StoreError> {
        self.poisoned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses once a write has failed, until the store has been opened anew.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] with the cause.
    pub fn is_sound(&self) -> Result<(), StoreError> {
        self.poison().map_or(Ok(()), |why| Err(StoreError::Poisoned(why.to_string())))
    }

    /// The one way in which anything is made durable: once it has failed, nothing more is written or acknowledged, for
    /// nobody knows what of it is on disk.
    ///
    /// # Errors
    /// When this write fails, or one has before.
    pub fn write_durably(&self, batch: Batch<'_>) -> Result<(), StoreError> {
        self.is_sound()?;
        self.backend.write(batch, true).inspect_err(|error| self.failed(error))
    }

    /// Notes that a write failed. A store that is read only has not.
    pub fn failed(&self, error: &StoreError) {
        if !matches!(error, StoreError::ReadOnly) {
            tracing::error!(%error, "a write to disk failed: nothing is acknowledged until the store has been reopened");
            self.failures.fetch_add(1, Ordering::SeqCst);
            *self.poisoned.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
    }

    /// Read models cannot be read: whoever folds throws them away and folds anew.
    pub fn derived_is_damaged(&self, why: String) {
        let mut damage = self.derived_damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.is_none() {
            tracing::error!(why, "read models are damaged: they are to be made again from the logs");
            *damage = Some(why);
        }
    }

    /// Tells whoever listens of new heads, if there are any.
    pub fn tell_heads(&self, heads: &[(LogId, Head)]) {
        if !heads.is_empty() {
            self.listeners.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|listener| listener(heads));
        }
    }

    /// Tells whoever listens, if there is anything to tell.
    pub fn tell(&self, news: &PayloadNews) {
        if *news != PayloadNews::default() {
            self.payload_listeners
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .for_each(|listener| listener(news));
        }
    }
}

/// Serves requests until every sender is gone.
pub fn commit_loop(shared: &Shared, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(request) = requests.try_recv() else { break };
            bytes += request.bytes();
            group.push(request);
        }
        commit(shared, group);
    }
}

impl Request {
    fn bytes(&self) -> usize {
        let payload = |event: &VerifiedEvent, slot| event.event().payload(slot).map_or(0, |p| p.bytes.len());
        // A key, flags and salts, and a signature now and then.
        let size = |event: &VerifiedEvent| {
            event.event().header_bytes().len() + 64 + Slot::ALL.iter().map(|slot| payload(event, *slot)).sum::<usize>()
        };
        self.runs.iter().flatten().map(size).sum()
    }
}

#[tracing::instrument(level = "debug", name = "append", skip_all, fields(requests = group.len()))]
fn commit(shared: &Shared, group: Vec<Request>) {
    let payloads = shared.payloads.lock().unwrap_or_else(PoisonError::into_inner);
    let mut plan = Plan::new(shared);
    let mut outcomes = vec![];
    for request in &group {
        let sound = shared.is_sound().map_err(AppendError::from);
        outcomes.push(sound.and_then(|()| plan.request(&request.runs, request.keep_evidence)));
    }
    let Planned { batch, heads, new_logs, news } = plan.finish();
    let written = if batch.is_empty() { Ok(()) } else { shared.write_durably(batch) };
    if written.is_ok() {
        publish(shared, &heads, new_logs);
    }
    drop(payloads);
    for (Request { runs, answer, .. }, outcome) in group.into_iter().zip(outcomes) {
        let outcome = match (&written, outcome) {
            (Ok(()), outcome) => outcome,
            (Err(_), Err(bad_input)) => Err(bad_input),
            (Err(StoreError::Poisoned(why)), Ok(_)) => Err(AppendError::Store(StoreError::Poisoned(why.clone()))),
            (Err(error), Ok(_)) => Err(AppendError::Store(StoreError::Poisoned(error.to_string()))),
        };
        // Whoever asked may have stopped waiting; what is durable stays.
        let _ = answer.send((outcome, runs));
    }
    if written.is_ok() {
        shared.tell_heads(&heads);
        shared.tell(&news);
    }
}

fn publish(shared: &Shared, heads: &[(LogId, Head)], new_logs: BTreeMap<LogId, LogNumber>) {
    if let Some(last) = new_logs.values().max() {
        shared.next_log.store(last.saturating_add(1), Ordering::SeqCst);
    }
    shared.numbers.write().unwrap_or_else(PoisonError::into_inner).extend(new_logs);
    let mut frontier = shared.frontier.write().unwrap_or_else(PoisonError::into_inner);
    let frontier = Arc::make_mut(&mut frontier);
    for (log, head) in heads {
        frontier.advance(log, *head);
    }
    shared.published.fetch_add(1, Ordering::SeqCst);
}
