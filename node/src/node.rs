//! The node as its pages and commands see it: submit an act, read what is known, say how sure that is.
//!
//! Data flows one way: a command is checked against the views, signed, made durable, folded, shown.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::time::{Duration, Instant};

use linli_core::area::Area;
use linli_core::charter::Charter;
use linli_core::event::ReceivedEvent;
use linli_core::id::{AuthorKey, EventId, LogId, RecordId};
use linli_core::sign::SecretKey;
use linli_domain::act::ActId;
use linli_domain::commands::{Command, CommandContext, Draft, Refused, Stamps, Unreadable, Views, prepare};
use linli_domain::date::Date;
use linli_domain::desk::Desk;
use linli_domain::figures::{Figures, figures};
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use linli_net::MeshHandle;
use linli_store::{LocalDraft, LocalWriter, Store, WriteError};
use prometheus::Registry;
use tokio::sync::broadcast;

use crate::acts::{ActReused, InHand, Underway};
use crate::cli::now_ms;
use crate::data_dir::DataDir;
use crate::enrolment::Enrolment;
use crate::history::{HistoryLine, Told, Wanted, tell};
use crate::limits::{ACTS_IN_HAND_MAX, BATCHES_IN_HAND_MAX};
use crate::losses::AcceptedLosses;
use crate::operators::Operators;
use crate::peer_checks::ClockDoubt;
use crate::projector::{Change, Projector};

/// The shortest pause between two times that damaged read models are folded anew: a disk that damages whatever is written to
/// it must not keep a node busy with nothing else.
const MEND_PAUSE: Duration = Duration::from_secs(600);
/// Acts on one record go one after the other, so that each sees the one before; acts on others go beside them, unless they
/// share a lock and one waits for the other's sync. Of 64 clients two in three shared one of 64 locks; of so many, two in a
/// hundred do.
const RECORD_LOCKS: usize = 4_096;

/// What can go wrong that is not the person's fault, besides [`NodeError::Input`].
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] linli_store::StoreError),
    /// Writing an event failed.
    #[error("the event could not be written: {0}")]
    Write(#[from] linli_store::WriteError),
    /// Something that a person typed cannot be used.
    #[error("{0}")]
    Input(String),
    /// An act that would change nothing.
    #[error("没有变化,无需记录 / nothing would change")]
    NothingToDo,
    /// A defect or a broken environment.
    #[error("internal: {0}")]
    Internal(String),
}

/// Why an act was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The domain refuses it and says what to do.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// This node has no right to write that there.
    #[error("{0}")]
    NotAllowed(String),
    /// This node's clock cannot be right, so the act would be dated wrong. Whoever says that it is right may go on.
    #[error("{0}")]
    ClockWrong(ClockDoubt),
    /// The id is that of another act.
    #[error(transparent)]
    ActReused(Box<ActReused>),
    /// More acts wait than this node takes in hand at once: nothing was recorded, and it may be sent again in a moment.
    #[error("等待记录的操作太多，请稍后再试 / too many acts wait to be recorded: try again in a moment")]
    Busy,
    /// What the act stands on could not be read: nothing was recorded.
    #[error(transparent)]
    Unreadable(Refused),
    /// The disk did not take it: nothing was acknowledged. Sent again under the same id it is recorded once, even if what
    /// was written now should be found after a restart.
    #[error("the act is not durable: {0}")]
    NotDurable(#[source] WriteError),
    /// Our own fault.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// What was recorded: durable on this node when it is handed out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// The act: whoever sends it again under this id gets this receipt again.
    pub act: ActId,
    /// The record.
    pub record: RecordId,
    /// The events, in order.
    pub events: Vec<EventId>,
    /// Other nodes known to hold all of them. 0 right after the act: nobody has answered yet.
    pub heard_by: u64,
    /// Whether it was on record before: this is its first receipt again.
    pub repeated: bool,
    /// Whether the pages of this node show it. If not it is durable all the same, and shown as soon as this node can.
    pub shown: bool,
}

/// An id for an act that begins here and now: a version 7 UUID.
pub fn new_act() -> ActId {
    ActId::from_bytes(*RecordId::new_v7(now_ms(), random_bytes()).as_bytes())
}

/// One street's node.
pub struct Node {
    pub(crate) store: Store,
    pub(crate) writer: LocalWriter,
    pub(crate) enrolment: Enrolment,
    pub(crate) projector: Projector,
    pub(crate) dir: Option<DataDir>,
    pub(crate) mesh: OnceLock<MeshHandle>,
    pub(crate) started_ms: u64,
    pub(crate) key: SecretKey,
    operators: Operators,
    metrics: Registry,
    record_locks: Vec<Mutex<()>>,
    pub(crate) underway: Underway,
    pub(crate) accepted_losses: AcceptedLosses,
    /// When damaged read models were folded anew last.
    mended: Mutex<Option<Instant>>,
    /// Single acts go beside each other, and beside a batch that is composed; what a batch writes, and a rebuild, go alone.
    acting: RwLock<()>,
    pub(crate) acts_in_hand: InHand,
    pub(crate) batches_in_hand: InHand,
    /// Batches go one after the other.
    composing: Mutex<()>,
}

/// Opens the store of a data directory for writing.
///
/// # Errors
/// When another process holds it, it is of a newer version, or the disk fails.
pub fn open_store(dir: &DataDir) -> Result<Store, NodeError> {
    Ok(Store::open(&dir.store(), linli_store::OpenOptions::default())?)
}

impl Node {
    /// Opens the node of a data directory, catches up with its own logs, and is ready to serve.
    ///
    /// # Errors
    /// When the node is not a member of a district, or the store fails.
    pub fn open(dir: &DataDir, now_ms: u64) -> anyhow::Result<Arc<Self>> {
        let node = Self::open_behind(dir, now_ms)?;
        node.catch_up()?;
        Ok(node)
    }

    /// As [`Node::open`], but folds only what this node wrote itself. The rest is for [`Node::keep_folding`]; until then
    /// pages say how far they are behind.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open_behind(dir: &DataDir, now_ms: u64) -> anyhow::Result<Arc<Self>> {
        let key = dir.read_key(crate::data_dir::KeyName::Node)?;
        let store = open_store(dir)?;
        let token = dir.api_token()?;
        let node = Self::assemble(store, key, token, Some(dir.clone()), now_ms)?;
        let caught_up = node.projector.catch_up_own();
        // Read models that cannot be read keep no node from starting.
        if caught_up.is_err() && node.views_need_mending() {
            node.mend_views()?;
        } else {
            caught_up?;
        }
        Ok(node)
    }

    /// Folds everything that is durable, and anew from the first event where read models are damaged.
    ///
    /// # Errors
    /// When the store fails.
    pub fn catch_up(&self) -> Result<(), NodeError> {
        self.mend_views()?;
        let caught_up = self.projector.catch_up();
        if caught_up.is_err() && self.views_need_mending() {
            self.mend_views()?;
            return self.projector.catch_up();
        }
        caught_up
    }

    /// Whether read models are damaged and nobody has folded them anew lately.
    pub(crate) fn views_need_mending(&self) -> bool {
        let mended = *self.mended.lock().unwrap_or_else(PoisonError::into_inner);
        let may_be_mended = || self.store.derived_is_gone() || mended.is_none_or(|at| at.elapsed() >= MEND_PAUSE);
        self.store.derived_damage().is_some() && may_be_mended()
    }

    /// Throws damaged read models away and folds what this node wrote, so that acts go on; the rest is folded as after a
    /// start, and pages say how far they are behind. Does nothing where nothing is damaged.
    fn mend_views(&self) -> Result<(), NodeError> {
        if !self.views_need_mending() {
            return Ok(());
        }
        // An act in between would find records missing.
        let _alone = self.alone();
        tracing::warn!("read models are damaged: they are folded again from the logs");
        self.projector.fold_own_anew()?;
        *self.mended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    /// A node over a given store whose enrolment is established, for tests of what stands on top.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn assemble(
        store: Store,
        key: SecretKey,
        api_token: String,
        dir: Option<DataDir>,
        now_ms: u64,
    ) -> anyhow::Result<Arc<Self>> {
        let enrolment = Enrolment::load(&store, key.public())?;
        let directory = dir.as_ref().map(DataDir::store);
        let writer = LocalWriter::open(store.clone(), directory.as_deref(), key.clone(), &mut random_u64)?;
        let projector = Projector::open(store.clone(), enrolment.clone())?;
        let operators = Operators::open(store.clone(), api_token)?;
        if writer.was_copied() {
            // What was taken back since the copy was made would be valid again.
            let ended = operators.end_all()?;
            tracing::warn!(ended, "the data directory was copied or restored: everybody signs in anew");
        }
        let node = Self {
            operators,
            metrics: Registry::new(),
            record_locks: (0..RECORD_LOCKS).map(|_| Mutex::default()).collect(),
            underway: Underway::default(),
            accepted_losses: AcceptedLosses::open(store.clone())?,
            mended: Mutex::default(),
            acting: RwLock::default(),
            acts_in_hand: InHand::at_most(ACTS_IN_HAND_MAX),
            batches_in_hand: InHand::at_most(BATCHES_IN_HAND_MAX),
            composing: Mutex::default(),
            mesh: OnceLock::new(),
            started_ms: now_ms,
            store,
            writer,
            enrolment,
            projector,
            dir,
            key,
        };
        node.end_what_was_revoked()?;
        Ok(Arc::new(node))
    }

    pub(crate) fn prepare(
        &self,
        operator: &str,
        command: Command,
        views: &dyn Views,
        stamps: &Stamps,
        new_id: RecordId,
        incarnation: u64,
    ) -> Result<Vec<Draft>, SubmitError> {
        let context = CommandContext {
            views,
            operator,
            area: &self.enrolment.area,
            act: Some(stamps),
            new_id,
            today: today(),
            now_ms: now_ms(),
            writer: (self.enrolment.node, incarnation),
        };
        prepare(command, &context).map_err(|refused| match refused.is_unreadable() {
            true => SubmitError::Unreadable(refused),
            false => SubmitError::Refused(refused),
        })
    }

    pub(crate) fn to_local(&self, draft: Draft, charter: &Charter) -> Result<LocalDraft, SubmitError> {
        let grant = charter.grant_for(&self.enrolment.node, &draft.area, draft.stream, now_ms()).ok_or_else(|| {
            SubmitError::NotAllowed(format!("this node may not write {} for {}", draft.stream, draft.area))
        })?;
        Ok(LocalDraft {
            area: draft.area,
            stream: draft.stream,
            record: Some(draft.record),
            kind: draft.kind,
            parents: draft.parents,
            after: draft.after,
            grant: Some(grant),
            op: Some(draft.op),
            pii: draft.pii,
        })
    }

    pub(crate) fn lock_record(&self, record: &RecordId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        record.hash(&mut hasher);
        let at = (hasher.finish() % RECORD_LOCKS as u64) as usize;
        self.record_locks[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while a batch is composed and written.
    pub(crate) fn one_batch(&self) -> MutexGuard<'_, ()> {
        self.composing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held during one act: no batch is written and no rebuild takes place beside it.
    pub(crate) fn beside_other_acts(&self) -> RwLockReadGuard<'_, ()> {
        self.acting.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Node::beside_other_acts`]; none while a batch is written or a rebuild takes place, or waits for its turn.
    pub(crate) fn beside_other_acts_now(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match self.acting.try_read() {
            Ok(beside) => Some(beside),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Held by what must not see half of an act, nor be seen by one: from its first look until all of it is shown.
    pub(crate) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.acting.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an act is being recorded just now: it was sent, and has no receipt yet.
    pub fn is_underway(&self, act: &ActId) -> bool {
        self.underway.has(act)
    }

    /// A record's state.
    ///
    /// # Errors
    /// When the store fails.
    pub fn view(&self, record: &RecordId) -> Result<Option<RecordView>, NodeError> {
        self.projector.view(record)
    }

    /// A record's whole history. Pages and programs ask for a part of it: [`Node::history_part`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn history(&self, record: &RecordId) -> Result<Vec<HistoryLine>, NodeError> {
        Ok(self.history_part(record, &Wanted::From(0, usize::MAX), &[])?.lines)
    }

    /// Part of a record's history, told event by event, and the lines of some other events of it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn history_part(&self, record: &RecordId, wanted: &Wanted, also: &[EventId]) -> Result<Told, NodeError> {
        self.history_beside(record, self.projector.view(record)?.as_ref(), wanted, also)
    }

    /// The same for whoever holds the record's view already.
    ///
    /// # Errors
    /// When the store fails.
    pub fn history_beside(
        &self,
        record: &RecordId,
        view: Option<&RecordView>,
        wanted: &Wanted,
        also: &[EventId],
    ) -> Result<Told, NodeError> {
        let places = self.projector.places(record)?;
        let read = |log: &LogId, seq| Ok::<_, NodeError>(self.store.event(log, seq)?.map(|event| event.into_event()));
        let told = tell(&places, read, &self.projector.charter(), wanted, also)?;
        Ok(match view {
            Some(view) => told.with_outside(view),
            None => told,
        })
    }

    /// All records, short.
    pub fn summaries(&self) -> Vec<Summary> {
        self.projector.summaries()
    }

    /// What needs somebody's attention today.
    pub fn desk(&self) -> Desk {
        Desk::from_summaries(&self.summaries(), today())
    }

    /// The programme's figures today.
    pub fn figures(&self) -> Figures {
        figures(&self.summaries(), today())
    }

    /// Changes of records from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.projector.changes()
    }

    /// Who may sign in here.
    pub fn operators(&self) -> &Operators {
        &self.operators
    }

    /// The metrics that this process offers.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// Whether everything that was durable here at the start, or before a rebuild, has been folded.
    pub fn is_ready(&self) -> bool {
        self.projector.charter().federation().is_some() && self.projector.lag().complete_ms.is_some()
    }

    /// Where this node works.
    pub const fn area(&self) -> &Area {
        &self.enrolment.area
    }

    /// This node's key.
    pub fn key(&self) -> AuthorKey {
        self.enrolment.node
    }

    /// Charter events that are known here.
    ///
    /// # Errors
    /// When the store fails.
    pub fn charter_events(&self) -> Result<Vec<ReceivedEvent>, NodeError> {
        self.enrolment.charter_events(&self.store).map_err(|e| NodeError::Internal(format!("{e:#}")))
    }
}

impl Views for Node {
    fn view(&self, record: &RecordId) -> Result<Option<RecordView>, Unreadable> {
        self.projector.view(record).map_err(|error| {
            tracing::error!(%record, %error, "a view cannot be read");
            Unreadable
        })
    }

    fn as_seen(&self, record: &RecordId, heads: &[EventId]) -> Result<Option<RecordView>, Unreadable> {
        self.projector.as_seen(record, heads, &[]).map_err(|error| {
            tracing::error!(%record, %error, "a record's events cannot be read");
            Unreadable
        })
    }

    fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
        self.projector.matching(wanted)
    }
}

/// Today in China, by the machine's clock: UTC+8 without daylight saving.
pub fn today() -> Date {
    // Only a clock outside the years 1900 to 2199 has no date.
    Date::from_unix_ms(now_ms(), 480)
        .or_else(|| Date::from_day_number(0))
        .unwrap_or_else(|| unreachable!("1970 is a date"))
}

pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    // A system without randomness cannot sign or salt anything safely: stopping is the only honest answer.
    #[allow(clippy::expect_used)]
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

pub(crate) fn random_salt() -> [u8; 16] {
    random_bytes()
}

pub(crate) fn random_u64() -> u64 {
    u64::from_be_bytes(random_bytes())
}
