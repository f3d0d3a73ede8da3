//! From logs to records: folds what was appended into read models that can be deleted and rebuilt at any time.
//!
//! Catch-up of the store never waits for this. A pass takes what lies past the cursors, charter first, folds the
//! touched records, and writes views, event index and cursors in one atomic batch. The views are a pure function of
//! the set of events, so two nodes with the same logs have the same views, byte for byte.
//!
//! Keys in the projection family: `c` + log id → height folded so far; `e` + record + time + id → where the event
//! stands; `v` + record → the view; `s` + record → what is kept in memory of it, so that a start reads no views; `a` +
//! act → what its events say of it ([`crate::acts`]); `m` → the versions of all these.
//!
//! What another version left behind is folded anew. A read that fails is never taken for that: it is an error, and
//! nothing is deleted for it. A view or a summary that does not decode is folded again from its events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use linli_core::cbor::{Reader, Writer};
use linli_core::charter::Charter;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::frame::{read_log_id, write_log_id};
use linli_core::id::{AuthorKey, EventId, Head, LogId, RecordId, Stream};
use linli_domain::fold::{FoldEvent, fold_next, fold_record};
use linli_domain::payload;
use linli_domain::record::{RecordView, VIEWS_VERSION};
use linli_domain::summary::Summary;
use linli_store::{ProjectionBatch, Store};
use tokio::sync::broadcast;

use crate::acts::{ActsOfPass, Place};
use crate::cli::now_ms;
use crate::enrolment::Enrolment;
use crate::node::NodeError;

mod access;
mod areas;
mod removed;

/// Most events folded in one pass: bounds memory, and how long a pass keeps others waiting.
const PASS_EVENTS_MAX: usize = 2_048;
/// Most bytes of events read for one pass, all logs together. The last event may go beyond.
const PASS_BYTES_MAX: usize = 8 << 20;
/// Records that wait for a grant and are folded anew in one batch, when the charter has changed.
const REFOLD_RECORDS_MAX: usize = 256;
/// Changes that a slow page may fall behind before it is told to load everything anew.
const CHANGES_MAX: usize = 1_024;

/// Heights by log.
type Cursors = Vec<(LogId, u64)>;
/// Keys and values of the projection family.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A record's view changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Which record.
    pub record: RecordId,
    /// What it is now.
    pub kind_of_record: linli_domain::state::RecordKind,
}

/// Key of the versions.
pub const VERSION_KEY: &[u8] = b"m";

/// Version of what lies beside the views here. Raise it when keys are added: what was folded before is folded anew.
const INDEX_VERSION: u64 = 2;

/// What is kept in memory of each record.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Known {
    summary: Summary,
    hash: [u8; 32],
    /// Some of its events do not count yet: fold it again when the charter changes.
    waiting: bool,
}

/// What lies under a record's key.
enum Kept {
    Nothing,
    View(Box<RecordView>),
    /// Bytes that are no view.
    Unreadable,
}

/// A record that a pass folded, and what is kept of it; none if nothing is left of it.
type Folded = (Change, Option<Known>);

/// How far views are behind the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Events that are durable and not folded yet.
    pub events: u64,
    /// Logs that they are of.
    pub logs: u64,
    /// All that was durable at this moment is folded, in Unix milliseconds; none if the first pass over all logs since the
    /// start or a rebuild is not over.
    pub complete_ms: Option<u64>,
}

/// The read models of one node.
pub struct Projector {
    store: Store,
    enrolment: Enrolment,
    charter: RwLock<Arc<Charter>>,
    known: RwLock<BTreeMap<RecordId, Known>>,
    /// Held during a pass: they go one after the other.
    folding: Mutex<()>,
    cursors: RwLock<BTreeMap<LogId, u64>>,
    /// When a pass last found nothing to fold, in Unix milliseconds; 0 if none has since the start or a rebuild.
    complete_ms: AtomicU64,
    /// Passes that folded events of other authors.
    heard: AtomicU64,
    /// Whether own events are durable that could not be folded.
    owes_own: AtomicBool,
    access: access::AccessNews,
    changes: broadcast::Sender<Change>,
}

impl Projector {
    /// Reads summaries and cursors back from the store. What another version left behind is thrown away: the next passes
    /// fold it again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(store: Store, enrolment: Enrolment) -> Result<Self, NodeError> {
        let charter = evaluate(&store, &enrolment)?;
        let projector = Self {
            store,
            enrolment,
            charter: RwLock::new(Arc::new(charter)),
            known: RwLock::default(),
            folding: Mutex::default(),
            cursors: RwLock::default(),
            complete_ms: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            owes_own: AtomicBool::new(false),
            access: access::AccessNews::default(),
            changes: broadcast::channel(CHANGES_MAX).0,
        };
        if !projector.load()? {
            tracing::warn!("the read models are of another version: rebuilding them from the logs");
            projector.clear()?;
        }
        if projector.lag().events == 0 {
            projector.complete_ms.store(now_ms(), Ordering::SeqCst);
        }
        Ok(projector)
    }

    /// Reads back what is kept; says whether it is of this version.
    fn load(&self) -> Result<bool, NodeError> {
        let projection = self.store.projection();
        let kept = scan_all(&projection, b"c")?;
        if !kept.is_empty() && projection.get(VERSION_KEY)? != Some(version_value()) {
            return Ok(false);
        }
        let mut cursors = BTreeMap::new();
        for (key, value) in kept {
            match read_log_id(&mut Reader::new(&key[1..])).and_then(|log| Ok((log, Reader::new(&value).uint()?))) {
                Ok((log, height)) => drop(cursors.insert(log, height)),
                // Its log is folded from the first event: that gives the same views.
                Err(error) => tracing::error!(%error, "a cursor of the read models does not decode"),
            }
        }
        let mut known = BTreeMap::new();
        for (key, value) in scan_all(&projection, b"s")? {
            let Ok(record) = <[u8; 16]>::try_from(&key[1..]).map(RecordId::from_bytes) else {
                tracing::error!("the key of a summary is no record");
                continue;
            };
            let one = match payload::decode::<Known>(&value) {
                Ok(one) => Some(one),
                Err(error) => {
                    tracing::error!(%record, %error, "a summary does not decode: it is made from its view again");
                    self.view(&record)?.as_ref().map(remember)
                }
            };
            known.extend(one.map(|one| (record, one)));
        }
        *self.cursors.write().unwrap_or_else(PoisonError::into_inner) = cursors;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(true)
    }

    /// Deletes every read model and folds all logs again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn rebuild(&self) -> Result<(), NodeError> {
        self.clear()?;
        self.catch_up()
    }

    fn clear(&self) -> Result<(), NodeError> {
        let _alone = lock(&self.folding);
        // First what says how far the views are behind: nobody may read an empty view beside "everything is shown".
        self.complete_ms.store(0, Ordering::SeqCst);
        self.cursors.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.store.projection().clear()?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Folds everything that was appended until now, and lets go of what was removed.
    ///
    /// # Errors
    /// When the store fails. What was folded stays folded.
    pub fn catch_up(&self) -> Result<(), NodeError> {
        self.let_go_of_removed_logs()?;
        while self.pass(None)? > 0 {}
        Ok(())
    }

    /// Folds what this node wrote itself until now, so that an act sees the acts before it and its page shows it,
    /// however much of others' still waits.
    ///
    /// # Errors
    /// When the store fails. What was folded stays folded.
    pub fn catch_up_own(&self) -> Result<(), NodeError> {
        let caught_up = (|| {
            while self.pass(Some(self.enrolment.node))? > 0 {}
            Ok(())
        })();
        self.owes_own.store(caught_up.is_err(), Ordering::SeqCst);
        caught_up
    }

    /// How many passes have folded events of other authors. As long as it stays the same, nothing was heard.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// Whether the last [`Projector::catch_up_own`] failed.
    pub(crate) fn owes_own(&self) -> bool {
        self.owes_own.load(Ordering::SeqCst)
    }

    /// One bounded pass, over the logs of one author or all; says how many events it folded.
    #[tracing::instrument(level = "debug", name = "projection_batch", skip_all, fields(events))]
    fn pass(&self, author: Option<AuthorKey>) -> Result<usize, NodeError> {
        let _alone = lock(&self.folding);
        let began_ms = now_ms();
        let (events, advanced) = self.read_ahead(author)?;
        let count = events.len();
        tracing::Span::current().record("events", count);
        if events.is_empty() {
            if author.is_none() {
                self.complete_ms.store(began_ms, Ordering::SeqCst);
            }
            return Ok(0);
        }
        if events.iter().any(|event| event.header().stream == Stream::CHARTER) {
            *self.charter.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(evaluate(&self.store, &self.enrolment)?);
            self.fold_waiting()?;
        }
        let mut batch = ProjectionBatch::default();
        batch.put(VERSION_KEY.to_vec(), version_value());
        for (log, height) in &advanced {
            let mut w = Writer::new();
            w.uint(*height);
            batch.put(cursor_key(log), w.into_bytes());
        }
        let mut by_record: BTreeMap<RecordId, Vec<ReceivedEvent>> = BTreeMap::new();
        let (projection, mut heard) = (self.store.projection(), false);
        let mut acts = ActsOfPass::new(&projection);
        for event in events {
            self.access.note(&event, &mut batch);
            if let Some(record) = event.header().record {
                batch.put(event_key(&record, event.header().time.to_bits(), &event.id()), location(&event));
                acts.note(&event, record)?;
                heard |= event.header().author != self.enrolment.node;
                by_record.entry(record).or_default().push(event);
            }
        }
        acts.put(&mut batch);
        let folded = self.fold(by_record, &mut batch)?;
        projection.write(batch)?;
        self.heard.fetch_add(u64::from(heard), Ordering::SeqCst);
        self.cursors.write().unwrap_or_else(PoisonError::into_inner).extend(advanced);
        // Still alone: another pass would publish what comes after this first, and whoever finds nothing left to fold
        // relies on all of it being shown.
        self.publish(folded);
        Ok(count)
    }

    /// Folds records anew that wait for a grant, some at a time. Their views are written before the cursors move past
    /// the charter event, so that a crash in between only repeats it.
    fn fold_waiting(&self) -> Result<(), NodeError> {
        let waiting: Vec<RecordId> = self.waiting_records().into_iter().collect();
        for some in waiting.chunks(REFOLD_RECORDS_MAX) {
            let mut batch = ProjectionBatch::default();
            let folded = self.fold(some.iter().map(|record| (*record, vec![])).collect(), &mut batch)?;
            self.store.projection().write(batch)?;
            self.publish(folded);
        }
        Ok(())
    }

    /// Events past the cursors in order of stream, and where the cursors will stand.
    fn read_ahead(&self, author: Option<AuthorKey>) -> Result<(Vec<ReceivedEvent>, Cursors), NodeError> {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let (mut events, mut advanced, mut bytes): (Vec<ReceivedEvent>, _, _) = (vec![], vec![], 0);
        for (log, head) in self.store.frontier().iter() {
            if events.len() >= PASS_EVENTS_MAX || bytes >= PASS_BYTES_MAX {
                break;
            }
            let folded = cursors.get(log).copied().unwrap_or(0);
            if head.seq <= folded || author.is_some_and(|author| author != log.author) {
                continue;
            }
            let read = self.store.read(log, folded + 1, PASS_EVENTS_MAX - events.len(), PASS_BYTES_MAX - bytes)?;
            if !read.is_empty() {
                advanced.push((log.clone(), folded + read.len() as u64));
                bytes += read.iter().map(|event| bytes_in(event.event())).sum::<usize>();
                events.extend(read.into_iter().map(|event| event.into_event()));
            }
        }
        Ok((events, advanced))
    }

    fn waiting_records(&self) -> BTreeSet<RecordId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(_, k)| k.waiting).map(|(record, _)| *record).collect()
    }

    /// Puts the new view of each touched record into the batch: folded on where the new events follow all heads, else
    /// from its start. One view at a time is in memory.
    fn fold(
        &self,
        by_record: BTreeMap<RecordId, Vec<ReceivedEvent>>,
        batch: &mut ProjectionBatch,
    ) -> Result<Vec<Folded>, NodeError> {
        let charter = self.charter();
        let mut folded = vec![];
        for (record, mut new) in by_record {
            new.sort_by_key(|event| (event.header().time, event.id()));
            let folded_on = match self.kept(&record)? {
                Kept::View(view) if !new.is_empty() => fold_on(*view, &new, &charter),
                _ => None,
            };
            let view = match folded_on {
                Some(view) => Some(view),
                None => {
                    let mut all = self.events(&record)?;
                    all.extend(new);
                    fold_record(record, all.iter().map(|event| fold_event(event, &charter)))
                }
            };
            let Some(view) = view else {
                batch.delete(view_key(&record));
                batch.delete(summary_key(&record));
                let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
                let change = known.get(&record).map(|k| Change { record, kind_of_record: k.summary.kind });
                folded.extend(change.map(|change| (change, None)));
                continue;
            };
            let (bytes, known) = (view.encode(), remember(&view));
            batch.put(view_key(&view.record), bytes.map_err(|e| NodeError::Internal(e.to_string()))?);
            let kept = payload::encode(&known).map_err(|e| NodeError::Internal(e.to_string()))?;
            batch.put(summary_key(&view.record), kept);
            folded.push((Change { record: view.record, kind_of_record: view.kind }, Some(known)));
        }
        Ok(folded)
    }

    /// A record folded from its first event, as if `events` were all there is.
    pub fn fold_whole(&self, record: RecordId, events: &[ReceivedEvent]) -> Option<RecordView> {
        let charter = self.charter();
        fold_record(record, events.iter().map(|event| fold_event(event, &charter)))
    }

    /// A view with events that follow all that it shows; none where they do not.
    pub fn fold_on(&self, view: RecordView, new: &[ReceivedEvent]) -> Option<RecordView> {
        fold_on(view, new, &self.charter())
    }

    fn publish(&self, folded: Vec<Folded>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (change, remembered) in folded {
            match remembered {
                Some(remembered) => drop(known.insert(change.record, remembered)),
                None => drop(known.remove(&change.record)),
            }
            // Nobody listening is fine: pages come and go.
            let _ = self.changes.send(change);
        }
    }

    /// Personal payloads of records came after their events. Views do not hold them, so there is nothing to fold: whoever
    /// shows such a record reads the payload from its event, and hears that now is the time.
    pub fn tell_again(&self, records: &BTreeSet<RecordId>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for (record, known) in records.iter().filter_map(|record| known.get_key_value(record)) {
            let _ = self.changes.send(Change { record: *record, kind_of_record: known.summary.kind });
        }
    }

    /// How far the views are behind the store. Never waits for a fold.
    pub fn lag(&self) -> Lag {
        let frontier = self.store.frontier();
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let behind = |(log, head): (&LogId, &Head)| head.seq.saturating_sub(cursors.get(log).copied().unwrap_or(0));
        let mut lag = Lag::default();
        for events in frontier.iter().map(behind).filter(|events| *events > 0) {
            lag.events += events;
            lag.logs += 1;
        }
        lag.complete_ms = Some(self.complete_ms.load(Ordering::SeqCst)).filter(|ms| *ms > 0);
        lag
    }

    /// The charter as the last pass knows it.
    pub fn charter(&self) -> Arc<Charter> {
        self.charter.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A record's view. One that does not decode is folded again from its events.
    ///
    /// # Errors
    /// When the store fails.
    pub fn view(&self, record: &RecordId) -> Result<Option<RecordView>, NodeError> {
        match self.kept(record)? {
            Kept::Nothing => Ok(None),
            Kept::View(view) => Ok(Some(*view)),
            Kept::Unreadable => Ok(self.fold_whole(*record, &self.events(record)?)),
        }
    }

    fn kept(&self, record: &RecordId) -> Result<Kept, NodeError> {
        let Some(bytes) = self.store.projection().get(&view_key(record))? else { return Ok(Kept::Nothing) };
        match RecordView::decode(&bytes) {
            Ok(view) => Ok(Kept::View(Box::new(view))),
            Err(error) => {
                tracing::error!(%record, %error, "a view does not decode: it is folded again");
                Ok(Kept::Unreadable)
            }
        }
    }

    /// An event of a record by what the index has of it, and where it stands.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn event_at(
        &self,
        record: &RecordId,
        time: u64,
        id: &EventId,
    ) -> Result<Option<(Place, ReceivedEvent)>, NodeError> {
        let Some(value) = self.store.projection().get(&event_key(record, time, id))? else { return Ok(None) };
        let (log, seq) = read_location(&value)?;
        let event = self.store.event(&log, seq)?.map(|event| event.into_event());
        Ok(event.filter(|event| event.id() == *id).map(|event| ((log, seq), event)))
    }

    /// All events of a record that were folded, with their payloads, in order of time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn events(&self, record: &RecordId) -> Result<Vec<ReceivedEvent>, NodeError> {
        let mut events = vec![];
        for (log, seq) in self.places(record)? {
            events.extend(self.store.event(&log, seq)?.map(|event| event.into_event()));
        }
        Ok(events)
    }

    /// Where the events of a record stand that were folded, in order of time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn places(&self, record: &RecordId) -> Result<Vec<(LogId, u64)>, NodeError> {
        self.index_of(record)?.iter().map(|(_, value)| read_location(value)).collect()
    }

    /// The index's keys of a record's events in order of time, and where these stand.
    fn index_of(&self, record: &RecordId) -> Result<Pairs, NodeError> {
        scan_all(&self.store.projection(), &[b"e", &record.as_bytes()[..]].concat())
    }

    /// Summaries of all records.
    pub fn summaries(&self) -> Vec<Summary> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|k| k.summary.clone()).collect()
    }

    /// Summaries of the records that are wanted.
    pub fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|k| &k.summary).filter(|summary| wanted(summary)).cloned().collect()
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// One hash over all views: equal on two nodes exactly when they show the same.
    pub fn digest(&self) -> [u8; 32] {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        linli_domain::record::projection_hash(known.iter().map(|(record, k)| (*record, k.hash)))
    }

    /// Height folded so far, by log.
    pub fn folded(&self) -> BTreeMap<LogId, u64> {
        self.cursors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

fn evaluate(store: &Store, enrolment: &Enrolment) -> Result<Charter, NodeError> {
    let events = enrolment.charter_events(store).map_err(|e| NodeError::Internal(format!("{e:#}")))?;
    Ok(Charter::evaluate(enrolment.federation, &events))
}

fn fold_event<'e>(event: &'e ReceivedEvent, charter: &Charter) -> FoldEvent<'e> {
    FoldEvent {
        id: event.id(),
        header: event.header(),
        verdict: charter.verdict(&event.id(), event.header()),
        op: event.payload(Slot::Op).map(|payload| &payload.bytes[..]),
    }
}

fn fold_on(view: RecordView, new: &[ReceivedEvent], charter: &Charter) -> Option<RecordView> {
    new.iter().try_fold(view, |view, event| fold_next(&view, &fold_event(event, charter)).ok())
}

fn remember(view: &RecordView) -> Known {
    Known { summary: Summary::from(view), hash: view.view_hash(), waiting: view.unsettled_total > 0 }
}

fn bytes_in(event: &ReceivedEvent) -> usize {
    let payload = |slot| event.payload(slot).map_or(0, |payload| payload.bytes.len());
    event.header_bytes().len() + payload(Slot::Op) + payload(Slot::Pii)
}

fn scan_all(projection: &linli_store::Projection, prefix: &[u8]) -> Result<Pairs, NodeError> {
    let mut out: Pairs = vec![];
    loop {
        let after = out.last().map(|(key, _)| key.clone());
        let page = projection.scan(prefix, after.as_deref(), 1_024)?;
        let done = page.len() < 1_024;
        out.extend(page);
        if done {
            return Ok(out);
        }
    }
}

fn cursor_key(log: &LogId) -> Vec<u8> {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    [b"c", &w.into_bytes()[..]].concat()
}

fn view_key(record: &RecordId) -> Vec<u8> {
    [b"v", &record.as_bytes()[..]].concat()
}

fn summary_key(record: &RecordId) -> Vec<u8> {
    [b"s", &record.as_bytes()[..]].concat()
}

fn version_value() -> Vec<u8> {
    let mut w = Writer::new();
    w.uint(VIEWS_VERSION);
    w.uint(INDEX_VERSION);
    w.into_bytes()
}

fn event_key(record: &RecordId, time: u64, event: &EventId) -> Vec<u8> {
    [b"e", &record.as_bytes()[..], &time.to_be_bytes(), event.as_bytes()].concat()
}

fn read_location(value: &[u8]) -> Result<Place, NodeError> {
    let mut r = Reader::new(value);
    let damaged = |e: linli_core::cbor::CborError| NodeError::Internal(e.to_string());
    let log = read_log_id(&mut r).map_err(damaged)?;
    Ok((log, r.uint().map_err(damaged)?))
}

fn location(event: &ReceivedEvent) -> Vec<u8> {
    let mut w = Writer::new();
    write_log_id(&mut w, &event.header().log_id());
    w.uint(event.header().seq);
    w.into_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
