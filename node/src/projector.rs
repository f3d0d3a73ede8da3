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

use linli_core::charter::Charter;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::{EventId, Head, LogId, RecordId, Stream};
use linli_domain::fold::{FoldEvent, fold_next, fold_record};
use linli_domain::payload;
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use linli_store::{ProjectionBatch, Store, StoreError};
use tokio::sync::broadcast;

use crate::acts::{ActsOfPass, Place};
use crate::cli::now_ms;
use crate::enrolment::Enrolment;
use crate::node::NodeError;

mod access;
mod ahead;
mod areas;
mod keys;
mod over;
mod removed;
mod seen;

pub use keys::VERSION_KEY;
use keys::{
    Pairs, cursor_key, cursor_value, event_key, location, read_cursor, read_location, record_prefix, scan_all,
    summary_key, version_value, view_key,
};
use over::Over;

/// Records that wait for a grant and are folded anew in one batch, when the charter has changed.
const REFOLD_RECORDS_MAX: usize = 256;
/// Changes that a slow page may fall behind before it is told to load everything anew.
const CHANGES_MAX: usize = 1_024;

/// Heights by log.
type Cursors = Vec<(LogId, u64)>;

/// A record's view changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Which record.
    pub record: RecordId,
    /// What it is now.
    pub kind_of_record: linli_domain::state::RecordKind,
}

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
        match projector.load() {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!("the read models are of another version: rebuilding them from the logs");
                projector.clear()?;
            }
            Err(error) if projector.store.derived_damage().is_some() => {
                tracing::warn!(%error, "the read models are damaged: rebuilding them from the logs");
                projector.clear()?;
            }
            Err(error) => return Err(error),
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
            match read_cursor(&key, &value) {
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
                    self.view(&record)?.map(|view| remember(&view, &view.encode().unwrap_or_default()))
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

    /// Deletes every read model and folds what this node wrote. The rest is for [`Projector::catch_up`].
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn fold_own_anew(&self) -> Result<(), NodeError> {
        self.clear()?;
        self.catch_up_own()
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
        while self.pass(&Over::All)? > 0 {}
        Ok(())
    }

    /// Folds what this node wrote itself until now, so that an act sees the acts before it and its page shows it,
    /// however much of others' still waits.
    ///
    /// # Errors
    /// When the store fails. What was folded stays folded.
    pub fn catch_up_own(&self) -> Result<(), NodeError> {
        let caught_up = (|| {
            while self.pass(&Over::Author(self.enrolment.node))? > 0 {}
            Ok(())
        })();
        self.owes_own.store(caught_up.is_err(), Ordering::SeqCst);
        caught_up
    }

    /// Folds what was just written, and nothing else: acts that became durable together are folded by whoever comes first.
    ///
    /// # Errors
    /// When the store fails. What was folded stays folded.
    pub fn show(&self, written: &[ReceivedEvent]) -> Result<(), NodeError> {
        let mut places: BTreeMap<LogId, u64> = BTreeMap::new();
        for header in written.iter().map(ReceivedEvent::header) {
            let height = places.entry(header.log_id()).or_default();
            *height = header.seq.max(*height);
        }
        let shown = self.show_places(&places);
        if shown.is_err() {
            self.owes_own.store(true, Ordering::SeqCst);
        }
        shown
    }

    fn show_places(&self, places: &BTreeMap<LogId, u64>) -> Result<(), NodeError> {
        let over = Over::Logs(places.keys().collect());
        while !self.has_folded(places) {
            let alone = lock(&self.folding);
            // Whoever was before us may have folded ours as well. What a pass does not find is not durable, or was
            // removed: then there is nothing to wait for.
            if self.has_folded(places) || self.pass_alone(&over, &alone)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Whether these logs are folded and shown up to these heights.
    fn has_folded(&self, places: &BTreeMap<LogId, u64>) -> bool {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        places.iter().all(|(log, height)| cursors.get(log).is_some_and(|folded| folded >= height))
    }

    /// How many passes have folded events of other authors. As long as it stays the same, nothing was heard.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// Whether the last [`Projector::catch_up_own`] failed.
    pub(crate) fn owes_own(&self) -> bool {
        self.owes_own.load(Ordering::SeqCst)
    }

    /// One bounded pass over some logs; says how many events it folded.
    fn pass(&self, over: &Over<'_>) -> Result<usize, NodeError> {
        self.pass_alone(over, &lock(&self.folding))
    }

    #[tracing::instrument(level = "debug", name = "projection_batch", skip_all, fields(events))]
    fn pass_alone(&self, over: &Over<'_>, _alone: &MutexGuard<'_, ()>) -> Result<usize, NodeError> {
        let began_ms = now_ms();
        let (events, advanced) = self.read_ahead(over)?;
        // Where nothing of a stretch can be read, the next pass goes on behind it.
        let count = events.len().max(advanced.len());
        tracing::Span::current().record("events", count);
        if advanced.is_empty() {
            if matches!(over, Over::All) {
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
            batch.put(cursor_key(log), cursor_value(*height));
        }
        let mut by_record: BTreeMap<RecordId, Vec<ReceivedEvent>> = BTreeMap::new();
        let mut heard = false;
        for event in events {
            self.access.note(&event, &mut batch);
            if let Some(record) = event.header().record {
                batch.put(event_key(&record, event.header().time.to_bits(), &event.id()), location(&event));
                heard |= event.header().author != self.enrolment.node;
                by_record.entry(record).or_default().push(event);
            }
        }
        let folded = self.fold(by_record, &mut batch)?;
        self.store.projection().write(batch)?;
        self.heard.fetch_add(u64::from(heard), Ordering::SeqCst);
        // Still alone: another pass would publish what comes after this first. And before the cursors say so: whoever finds
        // nothing left to fold relies on all of it being shown.
        self.publish(folded);
        self.cursors.write().unwrap_or_else(PoisonError::into_inner).extend(advanced);
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

    fn waiting_records(&self) -> BTreeSet<RecordId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(_, k)| k.waiting).map(|(record, _)| *record).collect()
    }

    /// Puts the new view of each touched record into the batch: folded on where the new events follow all heads, else
    /// from its start. One view at a time is in memory. Beside it what the events say of acts; where nothing is new, rights
    /// may be.
    fn fold(
        &self,
        by_record: BTreeMap<RecordId, Vec<ReceivedEvent>>,
        batch: &mut ProjectionBatch,
    ) -> Result<Vec<Folded>, NodeError> {
        let (charter, projection) = (self.charter(), self.store.projection());
        let (mut folded, mut acts) = (vec![], ActsOfPass::new(&projection, &charter));
        for (record, mut new) in by_record {
            new.sort_by_key(|event| (event.header().time, event.id()));
            new.iter().try_for_each(|event| acts.note(event, record))?;
            // What is not known has no view, so most new records are not looked for.
            let folded_on = match new.is_empty() || self.view_hash(&record).is_none() {
                true => None,
                false => match self.kept(&record)? {
                    Kept::View(view) => fold_on(*view, &new, &charter),
                    Kept::Nothing | Kept::Unreadable => None,
                },
            };
            let view = match folded_on {
                Some(view) => Some(view),
                None => {
                    let mut all = self.events(&record)?;
                    if new.is_empty() {
                        all.iter().try_for_each(|event| acts.note(event, record))?;
                    }
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
            let bytes = view.encode().map_err(|e| NodeError::Internal(e.to_string()))?;
            let known = remember(&view, &bytes);
            batch.put(view_key(&view.record), bytes);
            let kept = payload::encode(&known).map_err(|e| NodeError::Internal(e.to_string()))?;
            batch.put(summary_key(&view.record), kept);
            folded.push((Change { record: view.record, kind_of_record: view.kind }, Some(known)));
        }
        acts.put(batch);
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
        let (log, seq) = self.location(&value)?;
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
            match self.store.event(&log, seq) {
                Ok(event) => events.extend(event.map(|event| event.into_event())),
                // Told as a loss. A record of which one event is lost is folded from the others, as after a rebuild.
                Err(StoreError::Damaged(why)) => tracing::error!(%log, seq, why, "an event of a record cannot be read"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(events)
    }

    /// Where the events of a record stand that were folded, in order of time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn places(&self, record: &RecordId) -> Result<Vec<(LogId, u64)>, NodeError> {
        self.index_of(record)?.iter().map(|(_, value)| self.location(value)).collect()
    }

    /// Where an event stands, as the index has it. What does not decode is damage: all of it is folded anew.
    fn location(&self, value: &[u8]) -> Result<Place, NodeError> {
        read_location(value).inspect_err(|error| self.store.projection().is_damaged(error.to_string()))
    }

    /// The index's keys of a record's events in order of time, and where these stand.
    fn index_of(&self, record: &RecordId) -> Result<Pairs, NodeError> {
        scan_all(&self.store.projection(), &record_prefix(record))
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

    /// The hash of a record's view; none if there is no such record here.
    pub fn view_hash(&self, record: &RecordId) -> Option<[u8; 32]> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(record).map(|known| known.hash)
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

pub(crate) fn fold_event<'e>(event: &'e ReceivedEvent, charter: &Charter) -> FoldEvent<'e> {
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

fn remember(view: &RecordView, encoded: &[u8]) -> Known {
    Known { summary: Summary::from(view), hash: view.view_hash_of(encoded), waiting: view.unsettled_total > 0 }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
