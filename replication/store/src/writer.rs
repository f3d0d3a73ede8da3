//! Own events: position, signature and durability in one place, so that an author never signs two histories.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};

use linli_core::area::Area;
use linli_core::chain::verify_single;
use linli_core::event::{Header, Payload, ReceivedEvent};
use linli_core::id::{AuthorKey, EventId, Head, Kind, LogId, RecordId, Stream};
use linli_core::sign::{KeyCache, SecretKey};
use linli_core::time::{Hlc, HlcClock};

use crate::append::Answer;
use crate::error::{AppendError, StoreError, WriteError};
use crate::generation::{Generation, Opened};
use crate::store::Store;

/// What an own event says; the writer adds author, position, time and salts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDraft {
    /// Where it applies.
    pub area: Area,
    /// What it is about.
    pub stream: Stream,
    /// The record.
    pub record: Option<RecordId>,
    /// What happened.
    pub kind: Kind,
    /// Heads of the record that the author has seen.
    pub parents: Vec<EventId>,
    /// The largest time among what it stands on, so that it is dated after that.
    pub after: Hlc,
    /// The right to write this.
    pub grant: Option<EventId>,
    /// Operational payload.
    pub op: Option<Vec<u8>>,
    /// Personal payload.
    pub pii: Option<Vec<u8>>,
}

/// Signs the events of one write, one after the other, while nobody else signs.
pub struct Signer<'w> {
    writer: &'w LocalWriter,
    state: &'w mut State,
    now_unix_ms: u64,
    salt: &'w mut dyn FnMut() -> [u8; 16],
    events: Vec<ReceivedEvent>,
}

impl Signer<'_> {
    /// The incarnation that signs what [`Signer::sign`] is given. A document change must be made under this one: made
    /// under another, no node accepts it.
    pub const fn incarnation(&self) -> u64 {
        self.state.incarnation
    }

    /// Signs a draft as the next event of its log; it becomes durable with all others of this write.
    ///
    /// # Errors
    /// When the generation file or the store fails, or the draft makes no valid event.
    pub fn sign(&mut self, draft: LocalDraft) -> Result<ReceivedEvent, WriteError> {
        let event = self.writer.sign(self.state, draft, self.now_unix_ms, self.salt)?;
        self.events.push(event.clone());
        Ok(event)
    }
}

/// Writes the logs of one key in one store.
pub struct LocalWriter {
    store: Store,
    key: SecretKey,
    generation: Generation,
    was_copied: bool,
    /// That of the state, for whoever only wants to know: the state is held while others sign.
    incarnation: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    incarnation: u64,
    /// Whether the generation file says that this incarnation is in use.
    noted: bool,
    /// Somebody else's event stands where this incarnation would have signed its next one: draw a new one first.
    superseded: bool,
    /// Whether a peer's word has moved this process to another incarnation. Nobody can know later events of that one, so
    /// it happens once: a peer that makes heads up must not make us open one log after another.
    moved: bool,
    clock: HlcClock,
    /// Our own key, checked once.
    keys: KeyCache,
    /// Head of this incarnation's log, or the head that its first event continues.
    heads: BTreeMap<(Stream, Area), (Option<Head>, Option<EventId>)>,
}

impl LocalWriter {
    /// Over a store on disk in `directory` (`None` in memory). `random` draws a new incarnation where one is needed.
    ///
    /// # Errors
    /// When the generation file or the store cannot be read.
    pub fn open(
        store: Store,
        directory: Option<&Path>,
        key: SecretKey,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Self, WriteError> {
        let generation = directory.map_or_else(Generation::none, |dir| Generation::beside(dir.to_owned()));
        let Opened { incarnation, was_copied } = generation.check(&key.public(), &store.frontier())?;
        let incarnation = incarnation.unwrap_or_else(|reason| {
            tracing::info!(reason, "own events open a new incarnation");
            random()
        });
        let last = last_own_time(&store, &key.public())?;
        let (clock, keys, heads) = (HlcClock::starting_after(last), KeyCache::default(), BTreeMap::new());
        let state = State { incarnation, noted: false, superseded: false, moved: false, clock, keys, heads };
        let incarnation = AtomicU64::new(incarnation);
        Ok(Self { store, key, generation, was_copied, incarnation, state: Mutex::new(state) })
    }

    /// Whether the directory was a copy, or was put back from one, when it was opened: what it says of this moment may be
    /// long over.
    pub const fn was_copied(&self) -> bool {
        self.was_copied
    }

    /// The author.
    pub fn author(&self) -> AuthorKey {
        self.key.public()
    }

    /// The incarnation that would write now. Another may have taken its place when the next event is signed:
    /// [`Signer::incarnation`] says which one signs.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::SeqCst)
    }

    /// Writes one event; durable when it returns.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing was written.
    pub fn write(
        &self,
        draft: LocalDraft,
        now_unix_ms: u64,
        salt: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<ReceivedEvent, WriteError> {
        let mut written = self.write_all(vec![draft], now_unix_ms, salt)?;
        written.pop().ok_or_else(|| WriteError::Draft("nothing to write".into()))
    }

    /// Writes several events, all or none; durable when it returns.
    ///
    /// # Errors
    /// As [`LocalWriter::write`].
    pub fn write_all(
        &self,
        drafts: Vec<LocalDraft>,
        now_unix_ms: u64,
        salt: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<Vec<ReceivedEvent>, WriteError> {
        self.write_with(now_unix_ms, salt, |signer| {
            drafts.into_iter().try_for_each(|draft| signer.sign(draft).map(drop))
        })
    }

    /// Writes what `compose` signs step by step, seeing each event before it drafts the next; all or none.
    ///
    /// # Errors
    /// What `compose` returns, or [`WriteError`]; then nothing was written. After [`AppendError::Fork`] or
    /// [`AppendError::Gap`] it may be tried again at once: the next attempt opens a new incarnation.
    pub fn write_with<E: From<WriteError>>(
        &self,
        now_unix_ms: u64,
        salt: &mut dyn FnMut() -> [u8; 16],
        compose: impl FnOnce(&mut Signer<'_>) -> Result<(), E>,
    ) -> Result<Vec<ReceivedEvent>, E> {
        let mut state = self.lock();
        if state.superseded {
            let [a, b, c, d, e, f, g, h, ..] = salt();
            state.incarnation = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            self.incarnation.store(state.incarnation, Ordering::SeqCst);
            (state.noted, state.superseded) = (false, false);
        }
        let before = state.clone();
        let mut signer = Signer { writer: self, state: &mut state, now_unix_ms, salt, events: vec![] };
        let composed = compose(&mut signer);
        let events = signer.events;
        let queued = composed.and_then(|()| Ok(self.queue(&events, &mut state.keys)?));
        let answer = match queued {
            Ok(answer) => answer,
            Err(error) => {
                // Nothing left this process, so the same positions may be signed again.
                *state = State { noted: state.noted, ..before };
                return Err(error);
            }
        };
        let incarnation = state.incarnation;
        drop(state);
        let answered = answer.recv().map_err(|_| StoreError::Backend("the store is closed".into()));
        if let (Err(error), _) = answered.map_err(WriteError::from)? {
            self.refused(incarnation, &error);
            return Err(WriteError::from(error).into());
        }
        Ok(events)
    }

    /// Signs what `compose` says, as [`LocalWriter::write_with`] would now, and lets go of it: nothing is written and nothing
    /// leaves this process, so the same positions may be signed again. Others sign meanwhile.
    ///
    /// # Errors
    /// What `compose` returns.
    pub fn rehearse<E: From<WriteError>>(
        &self,
        now_unix_ms: u64,
        salt: &mut dyn FnMut() -> [u8; 16],
        compose: impl FnOnce(&mut Signer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.lock().clone();
        compose(&mut Signer { writer: self, state: &mut state, now_unix_ms, salt, events: vec![] })
    }

    /// Events of this log came from elsewhere and took the positions that were signed here: a copy of this store has
    /// been writing. What was refused never left this process; the next event goes into a new incarnation.
    fn refused(&self, incarnation: u64, error: &AppendError) {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return;
        }
        // Where the log stands is what the store says, also after it has been opened anew.
        state.heads.clear();
        if matches!(error, AppendError::Store(_)) {
            return;
        }
        tracing::warn!(%error, "own events stand in the store that were not written here: a new incarnation follows");
        state.superseded = true;
    }

    fn sign(
        &self,
        state: &mut State,
        draft: LocalDraft,
        now_unix_ms: u64,
        salt: &mut dyn FnMut() -> [u8; 16],
    ) -> Result<ReceivedEvent, WriteError> {
        if !state.noted {
            self.generation.open(state.incarnation).inspect_err(|error| self.store.could_not_write(error))?;
            state.noted = true;
        }
        let at = (draft.stream, draft.area.clone());
        let (head, continues) = match state.heads.get(&at) {
            Some(known) => *known,
            None => self.place(state.incarnation, &draft)?,
        };
        let mut parents = draft.parents;
        parents.sort();
        parents.dedup();
        let header = Header {
            author: self.key.public(),
            incarnation: state.incarnation,
            area: draft.area,
            stream: draft.stream,
            seq: head.map_or(1, |head| head.seq + 1),
            prev: head.map_or(continues, |head| Some(head.id)),
            parents,
            record: draft.record,
            kind: draft.kind,
            time: state.clock.tick_past(draft.after, now_unix_ms),
            grant: draft.grant,
            op: None,
            pii: None,
        };
        let mut salted = |bytes: Vec<u8>| Payload { salt: salt(), bytes };
        let (op, pii) = (draft.op.map(&mut salted), draft.pii.map(&mut salted));
        let event = ReceivedEvent::sign(header, op, pii, &self.key);
        Header::decode(event.header_bytes()).map_err(|error| WriteError::Draft(error.to_string()))?;
        state.heads.insert(at, (Some(event.head()), None));
        Ok(event)
    }

    /// Where this incarnation's log of a stream and area stands, or which head it continues.
    fn place(&self, incarnation: u64, draft: &LocalDraft) -> Result<(Option<Head>, Option<EventId>), WriteError> {
        let own = self.key.public();
        let frontier = self.store.frontier();
        let same = |log: &LogId| log.author == own && log.stream == draft.stream && log.area == draft.area;
        let mut latest: Option<(Hlc, EventId)> = None;
        for (log, head) in frontier.iter().filter(|(log, _)| same(log)) {
            if log.incarnation == incarnation {
                return Ok((Some(*head), None));
            }
            if let Some(event) = self.store.event(log, head.seq)? {
                latest = latest.max(Some((event.event().header().time, head.id)));
            }
        }
        Ok((None, latest.map(|(_, id)| id)))
    }

    fn queue(&self, events: &[ReceivedEvent], keys: &mut KeyCache) -> Result<Receiver<Answer>, WriteError> {
        let mut runs: BTreeMap<LogId, Vec<_>> = BTreeMap::new();
        for event in events {
            let verified = verify_single(event.clone(), keys)
                .map_err(|error| WriteError::Draft(format!("our own signature does not verify: {error}")))?;
            runs.entry(event.header().log_id()).or_default().push(verified);
        }
        Ok(self.store.append_later(runs.into_values().collect(), false)?)
    }

    /// A peer shows a head of a log that we sign: if it is ahead of ours, this store may have been rolled back, and what is
    /// written from now on goes into a new incarnation. Says whether that happened. What the peer says it has and we do not
    /// is a loss until it is here, or until the peer is doubted ([`Store::losses`]): the new incarnation stays, for going on
    /// in a log that may have a later head is never worth the doubt. `peer` is none where the events themselves are at hand,
    /// as on a stick: they come in, or are refused by name.
    pub fn reported_by_peer(
        &self,
        peer: Option<AuthorKey>,
        log: &LogId,
        theirs: Head,
        random: &mut dyn FnMut() -> u64,
    ) -> bool {
        let mut state = self.lock();
        let ours = state
            .heads
            .get(&(log.stream, log.area.clone()))
            .and_then(|(head, _)| *head)
            .or_else(|| self.store.head(log));
        let ahead = ours.is_none_or(|ours| theirs.seq > ours.seq || (theirs.seq == ours.seq && theirs.id != ours.id));
        if log.author != self.key.public() || !ahead {
            return false;
        }
        peer.into_iter().for_each(|peer| self.store.told_by_peer(peer, log, theirs));
        if log.incarnation != state.incarnation || state.moved {
            return false;
        }
        tracing::warn!(%log, seq = theirs.seq, "a peer holds later events of ours: opening a new incarnation");
        state.incarnation = random();
        self.incarnation.store(state.incarnation, Ordering::SeqCst);
        state.moved = true;
        (state.noted, state.superseded) = (false, false);
        state.heads.clear();
        true
    }

    /// Notes that this process stops in order, after everything that was written is durable and in the files themselves.
    ///
    /// # Errors
    /// When the disk refuses; the next start then opens a new incarnation.
    pub fn close(&self) -> Result<(), WriteError> {
        let mut state = self.lock();
        self.store.settle()?;
        if state.noted && !state.superseded {
            self.generation.close(state.incarnation, &self.key.public(), &self.store.frontier())?;
            // Whatever is written after this says again that the incarnation is in use.
            state.noted = false;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last_own_time(store: &Store, own: &AuthorKey) -> Result<Hlc, StoreError> {
    let mut last = Hlc::default();
    for (log, head) in store.frontier().iter().filter(|(log, _)| log.author == *own) {
        if let Some(event) = store.event(log, head.seq)? {
            last = last.max(event.event().header().time);
        }
    }
    Ok(last)
}
