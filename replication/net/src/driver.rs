//! The one loop: what the network, the store and the clock say goes into the engine, and what it answers is done.
//!
//! The loop itself never waits for a disk or a slow peer. Each stream has its own tasks, the store its own threads,
//! and every queue between them is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::{ConnectionId, Swarm};
use linli_core::area::Area;
use linli_core::charter::Charter;
use linli_core::id::{AuthorKey, Head, LogId, Stream};
use linli_core::limits::FILL_EVENTS_MAX;
use linli_core::sync::{AppendFailure, DisconnectReason, Engine, Input, Message, Output, ReadFrame, Token};
use linli_store::StoreError;
use tokio::sync::{Notify, OwnedSemaphorePermit, broadcast, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::book::Book;
use crate::clocks::Clocks;
use crate::config::{MeshConfig, MeshEvent, MeshNode, SpawnError};
use crate::connection::Connection;
use crate::copies::Copies;
use crate::door::{self, BatchDone, Door, Job};
use crate::hello::{Greeted, HelloError, Instance, node_areas};
use crate::limits;
use crate::memory::Memory;
use crate::mesh::Behaviour;
use crate::metrics::Metrics;
use crate::own_heads::OwnHeads;
use crate::reach::Reach;
use crate::session::{Session, SessionEnd};
use crate::status::{State, Told};
use crate::strangers::{self, Charges};
use crate::trouble::Reason;
use crate::whereabouts::{Places, Whereabouts};

/// How an answer goes back to whoever asked. Whoever does not wait any more needs none.
pub(crate) type Answer<T> = Box<dyn FnOnce(T) + Send>;

/// What the handle asks.
pub(crate) enum Request {
    Holders(Vec<(LogId, u64)>, Answer<Vec<AuthorKey>>),
    Discard(Option<AuthorKey>, oneshot::Sender<Result<u64, StoreError>>),
    AddPeer(Multiaddr),
    Shutdown(oneshot::Sender<()>),
}

/// What tasks and threads report to the loop.
#[derive(Debug)]
pub(crate) enum Happened {
    Hello { connection: ConnectionId, peer: AuthorKey, result: Result<Greeted, HelloError> },
    OpenSync { connection: ConnectionId },
    Message { number: u64, peer: AuthorKey, message: Message, permit: OwnedSemaphorePermit },
    Written { number: u64, peer: AuthorKey },
    SessionEnded { number: u64, peer: AuthorKey, end: SessionEnd },
    Read { peer: AuthorKey, token: Token, frame: Option<ReadFrame> },
    Batch(BatchDone),
    Lacking { token: Token, seqs: Vec<u64> },
    Filled { token: Token, outcome: Result<u64, AppendFailure> },
    Charged,
    Whereabouts { connection: ConnectionId, heard: Option<Result<Whereabouts, String>> },
}

/// What is new in the store and the loop has not seen.
#[derive(Debug, Default)]
struct Risen {
    news: Mutex<News>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct News {
    /// Heads that rose: one per log however often it rose.
    heads: BTreeMap<LogId, Head>,
    /// Logs of which personal payloads are lacking.
    lacking: BTreeSet<LogId>,
}

impl Risen {
    fn add(&self, heads: &[(LogId, Head)]) {
        self.lock().heads.extend(heads.iter().cloned());
        self.notify.notify_one();
    }

    fn lack<'l>(&self, logs: impl IntoIterator<Item = &'l LogId>) {
        self.lock().lacking.extend(logs.into_iter().cloned());
        self.notify.notify_one();
    }

    fn take(&self) -> News {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, News> {
        // Map and set are whole whatever a panicking thread was doing.
        self.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The state of the loop.
pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) node: MeshNode,
    pub(crate) own_key: AuthorKey,
    pub(crate) engine: Engine,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) sessions: BTreeMap<AuthorKey, Session>,
    pub(crate) book: Book,
    pub(crate) metrics: Metrics,
    pub(crate) queue: mpsc::Sender<Happened>,
    pub(crate) next_session: u64,
    pub(crate) listeners_awaited: Vec<ListenerId>,
    pub(crate) places: Places,
    pub(crate) reach: Reach,
    /// Where others are told to call, if that is not found out.
    pub(crate) announce: Option<Vec<Multiaddr>>,
    /// When an own address went away: connections that have shown no life since are doubtful.
    pub(crate) doubted_since: Option<Instant>,
    pub(crate) memory: Memory,
    pub(crate) own_heads: OwnHeads,
    pub(crate) clocks: Clocks,
    pub(crate) copies: Copies,
    /// Which process this is, to peers.
    pub(crate) instance: Instance,
    /// As it was when what peers and this node may have was worked out last.
    pub(crate) charter: Arc<Charter>,
    /// Areas whose personal payloads this node may have.
    own_areas: Vec<Area>,
    /// What is charged for logs without a grant and not on disk yet.
    pub(crate) charges: Charges,
    happened: mpsc::Receiver<Happened>,
    events: broadcast::Sender<MeshEvent>,
    risen: Arc<Risen>,
    door: Door,
    start: Instant,
    told: Arc<Told>,
    told_at: Option<Instant>,
    /// When the time that telling took is made up for, at the share that it may have.
    tells_even_at: Instant,
    tell_due: bool,
    /// When the doorstep was told where members come from.
    pub(crate) places_told: Option<Instant>,
}

impl Driver {
    /// Puts the parts together and learns what the store holds.
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        node: MeshNode,
        metrics: Metrics,
        events: broadcast::Sender<MeshEvent>,
        config: MeshConfig,
        told: Arc<Told>,
        instance: Instance,
    ) -> Self {
        let (queue, happened) = mpsc::channel(limits::LOOP_QUEUE);
        let risen = Arc::new(Risen::default());
        // First the callback, then the frontier: what is appended in between is told twice rather than never.
        let rising = Arc::clone(&risen);
        node.store.on_append(Box::new(move |heads| rising.add(heads)));
        let rising = Arc::clone(&risen);
        node.store.on_payloads(Box::new(move |news| rising.lack(&news.lacking)));
        let own_key = node.key.public();
        let engine = strangers::engine(own_key, &node.store);
        let (mut book, now) = (Book::default(), Instant::now());
        for address in config.peers {
            book.add(now, address);
        }
        let memory = Memory::new(config.address_file);
        book.remember(now, memory.recall());
        let clocks = Clocks::new(now, Arc::clone(&node.clock));
        let own_heads = OwnHeads::new(own_key, node.incarnation);
        let mut driver = Self {
            swarm,
            node,
            own_key,
            engine,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            book,
            metrics,
            queue,
            next_session: 0,
            listeners_awaited: vec![],
            places: Places::default(),
            reach: Reach::new(config.relays),
            announce: config.announce,
            doubted_since: None,
            memory,
            own_heads,
            clocks,
            copies: Copies::default(),
            instance,
            charter: Arc::default(),
            own_areas: vec![],
            charges: Charges::default(),
            happened,
            events,
            risen,
            door: Door::default(),
            start: now,
            told,
            told_at: None,
            tells_even_at: now,
            tell_due: false,
            places_told: None,
        };
        // What the areas of this node are is looked up at the first tick, so that what is lacking is looked for then.
        driver.charter = (driver.node.charter)();
        driver.heed_grants();
        driver.charter = Arc::default();
        driver.tell_state();
        driver
    }

    /// Runs until the handle asks for the end, and gives whom to tell when all is over, or until the handle is gone. Says through `ready` when all listeners have addresses.
    pub(crate) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        listeners: Vec<ListenerId>,
        ready: oneshot::Sender<Result<(), SpawnError>>,
    ) -> Option<oneshot::Sender<()>> {
        let mut ready = Some(ready).filter(|_| !listeners.is_empty());
        self.listeners_awaited = listeners;
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let risen = Arc::clone(&self.risen);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event, &mut ready),
                Some(happened) = self.happened.recv() => self.on_happened(happened),
                () = risen.notify.notified() => self.on_risen(),
                _ = tick.tick() => self.on_tick(),
                request = requests.recv() => match request {
                    Some(Request::Holders(events, answer)) => answer(self.holders(&events)),
                    Some(Request::Discard(by, answer)) => self.discard(by, answer),
                    Some(Request::AddPeer(address)) => {
                        self.book.add(Instant::now(), address);
                        self.call_due();
                    }
                    Some(Request::Shutdown(done)) => {
                        self.close_all().await;
                        return Some(done);
                    }
                    None => {
                        self.close_all().await;
                        return None;
                    }
                },
            }
        }
    }

    /// One input for the engine.
    pub(crate) fn input(&mut self, input: Input) {
        for output in self.engine.handle(self.start.elapsed(), input) {
            self.carry_out(output);
        }
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: MeshEvent) {
        // Nobody needs to listen.
        let _ = self.events.send(event);
    }

    fn on_happened(&mut self, happened: Happened) {
        match happened {
            Happened::Hello { connection, peer, result } => self.on_hello(connection, peer, result),
            Happened::OpenSync { connection } => self.open_sync(connection),
            Happened::Message { number, peer, message, permit } if self.is_current(&peer, number) => {
                self.on_message(peer, message, permit);
            }
            Happened::Message { .. } => {}
            Happened::Written { number, peer } if self.is_current(&peer, number) => self.input(Input::Written { peer }),
            Happened::Written { .. } => {}
            Happened::SessionEnded { number, peer, end } if self.is_current(&peer, number) => match end {
                SessionEnd::Lost(what) => self.end_session(peer, Reason::Lost, what),
                SessionEnd::Garbage(what) => {
                    self.break_off(peer, Reason::Garbage, format!("sent bytes that are no message: {what}"));
                }
                SessionEnd::Trickles(what) => self.break_off(peer, Reason::Trickles, what),
                SessionEnd::NotReading(what) => self.break_off(peer, Reason::NotReading, what),
            },
            Happened::SessionEnded { .. } => {}
            Happened::Read { peer, token, frame } => self.input(Input::ReadDone { peer, token, frame }),
            Happened::Batch(done) => self.on_batch(done),
            Happened::Lacking { token, seqs } => self.input(Input::Lacking { token, seqs }),
            Happened::Filled { token, outcome } => self.on_filled(token, outcome),
            Happened::Charged => self.charges.written(),
            Happened::Whereabouts { connection, heard } => self.on_whereabouts(connection, heard),
        }
    }

    /// A peer whose messages keep the loop busy is read more slowly; the others notice nothing.
    fn on_message(&mut self, peer: AuthorKey, message: Message, permit: OwnedSemaphorePermit) {
        let begun = Instant::now();
        self.input(Input::Message { peer, message });
        let wait = self.sessions.get_mut(&peer).and_then(|session| session.took(begun, begun.elapsed()));
        if let Some(wait) = wait {
            self.metrics.slowed_messages.inc();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                drop(permit);
            });
        }
    }

    /// Ends replication with a peer that broke a rule, and does not speak to it for a while.
    pub(crate) fn break_off(&mut self, peer: AuthorKey, why: Reason, reason: String) {
        self.metrics.disconnects.with_label_values(&[why.code()]).inc();
        self.book.shun(Instant::now(), peer);
        if self.sessions.contains_key(&peer) {
            self.end_session(peer, why, reason);
        } else {
            self.note_trouble(peer, why, reason);
        }
    }

    fn is_current(&self, peer: &AuthorKey, number: u64) -> bool {
        self.sessions.get(peer).is_some_and(|session| session.number == number)
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { peer, message } => {
                let sent = self.sessions.get(&peer).is_some_and(|session| session.send(message));
                if !sent {
                    tracing::debug!(peer = %peer.short(), "a message for a stream that is closing");
                }
            }
            Output::Read { peer, token, log, from_seq, max_events, max_bytes, pii } => {
                let (store, queue) = (self.node.store.clone(), self.queue.clone());
                tokio::spawn(async move {
                    let read = move || door::read_frame(&store, &log, from_seq, max_events, max_bytes, pii);
                    let frame = tokio::task::spawn_blocking(read).await.ok().flatten();
                    // A driver that is gone needs no frame.
                    let _ = queue.send(Happened::Read { peer, token, frame }).await;
                });
            }
            Output::ReadPayloads { peer, token, log, seqs, max_bytes } => {
                let (store, queue) = (self.node.store.clone(), self.queue.clone());
                tokio::spawn(async move {
                    let read = move || door::read_payloads(&store, &log, &seqs, max_bytes);
                    let frame = tokio::task::spawn_blocking(read).await.ok().flatten();
                    let _ = queue.send(Happened::Read { peer, token, frame }).await;
                });
            }
            Output::ListLacking { token, log, after } => self.list_lacking(token, log, after),
            Output::Fill { token, log, seqs, frame } => {
                let (store, queue) = (self.node.store.clone(), self.queue.clone());
                tokio::spawn(async move {
                    let done = tokio::task::spawn_blocking(move || door::fill(&store, &log, &seqs, &frame)).await;
                    // A store that panicked has failed; the payloads are asked for again.
                    let outcome = done.unwrap_or(Err(AppendFailure::Store));
                    let _ = queue.send(Happened::Filled { token, outcome }).await;
                });
            }
            Output::Append { token, log, frame, .. } => {
                self.door.push(Job { token, log, frame });
                self.run_batches();
            }
            Output::Introduced(introduced) => self.charges.add(introduced),
            Output::Disconnect { peer, reason } => self.on_engine_disconnect(peer, &reason),
            Output::PeerReportsOurHead { peer, log, head } => self.own_heads.report(peer, log, head),
            Output::Forked { peer, log, ours, theirs, proven } => {
                self.metrics.forks.inc();
                tracing::warn!(peer = %peer.short(), %log, seq = theirs.seq, proven, "a log has two histories");
                self.tell(MeshEvent::Forked { peer, log, ours, theirs, proven });
            }
        }
    }

    fn on_engine_disconnect(&mut self, peer: AuthorKey, reason: &DisconnectReason) {
        self.break_off(peer, Reason::from(reason), reason.to_string());
    }

    fn run_batches(&mut self) {
        while let Some(batch) = self.door.next_batch() {
            let (store, queue) = (self.node.store.clone(), self.queue.clone());
            tokio::spawn(async move {
                let logs = batch.iter().map(|job| job.log.clone()).collect();
                let failed = batch.iter().map(|job| (job.token, Err(AppendFailure::Store))).collect();
                let done = tokio::task::spawn_blocking(move || door::append_batch(&store, batch)).await;
                // A store that panicked has failed; the frames are asked for again.
                let done = done.unwrap_or(BatchDone { logs, outcomes: failed, events: 0, held: 0, failure: None });
                let _ = queue.send(Happened::Batch(done)).await;
            });
        }
    }

    fn on_batch(&mut self, done: BatchDone) {
        self.door.done(&done.logs);
        self.run_batches();
        self.metrics.received_events.inc_by(done.events);
        self.metrics.held_events.inc_by(done.held);
        for (token, outcome) in done.outcomes {
            match outcome {
                Ok(head) => self.input(Input::FrameAppended { token, head }),
                Err(failure) => self.append_failed(token, failure),
            }
        }
    }

    fn on_filled(&mut self, token: Token, outcome: Result<u64, AppendFailure>) {
        match outcome {
            Ok(payloads) => {
                self.metrics.filled_payloads.inc_by(payloads);
                self.input(Input::Filled { token, payloads });
            }
            Err(failure) => self.append_failed(token, failure),
        }
    }

    fn append_failed(&mut self, token: Token, failure: AppendFailure) {
        if failure == AppendFailure::Store {
            self.metrics.failed_appends.inc();
        }
        self.input(Input::AppendFailed { token, failure });
    }

    /// Something was appended, here or by replication.
    fn on_risen(&mut self) {
        let News { heads, lacking } = self.risen.take();
        let mut charter_rose = false;
        for (log, head) in heads {
            charter_rose |= log.stream == Stream::CHARTER;
            self.input(Input::Appended { log, head });
        }
        if charter_rose {
            self.places.changed();
            self.heed_charter();
        }
        for log in lacking {
            if self.may_hold_payloads(&log) {
                self.input(Input::Lacks { log });
            }
        }
    }

    /// New grants may widen what connected peers may have, and what this node may. The charter follows the store at its
    /// own pace, so this is asked now and then.
    fn heed_charter(&mut self) {
        let charter = (self.node.charter)();
        if Arc::ptr_eq(&charter, &self.charter) {
            return;
        }
        self.charter = charter;
        self.heed_grants();
        self.refresh_pii_areas();
        let own_areas: Vec<Area> = node_areas(&self.charter, &self.own_key).collect();
        if own_areas != self.own_areas {
            self.own_areas = own_areas;
            self.look_for_lacking();
        }
    }

    /// Finds out in which logs payloads are lacking: after the start, and when this node may have more than before.
    fn look_for_lacking(&self) {
        let (store, risen) = (self.node.store.clone(), Arc::clone(&self.risen));
        tokio::task::spawn_blocking(move || match store.logs_lacking() {
            Ok(logs) => risen.lack(&logs),
            Err(error) => tracing::error!(%error, "the store does not tell which payloads are lacking"),
        });
    }

    /// Whether this node may have the personal payloads of a log.
    fn may_hold_payloads(&self, log: &LogId) -> bool {
        self.own_areas.iter().any(|area| area.contains(&log.area))
    }

    fn list_lacking(&self, token: Token, log: LogId, after: u64) {
        let (store, queue, entitled) = (self.node.store.clone(), self.queue.clone(), self.may_hold_payloads(&log));
        tokio::spawn(async move {
            let list = move || if entitled { store.lacking(&log, after, FILL_EVENTS_MAX) } else { Ok(vec![]) };
            let listed = tokio::task::spawn_blocking(list).await;
            // Of a store that fails nothing is asked for; the next thing that is lacking brings the log up again.
            let seqs = listed.ok().and_then(Result::ok).unwrap_or_default();
            let _ = queue.send(Happened::Lacking { token, seqs }).await;
        });
    }

    fn refresh_pii_areas(&mut self) {
        let charter = Arc::clone(&self.charter);
        let peers: Vec<AuthorKey> = self.sessions.keys().copied().collect();
        for peer in peers {
            let shown = self.sessions.get(&peer).and_then(|session| self.connections.get(&session.connection));
            let mut pii_areas = shown.map(Connection::areas).unwrap_or_default();
            pii_areas.extend(node_areas(&charter, &peer));
            self.input(Input::PiiAreas { peer, pii_areas });
        }
    }

    fn on_tick(&mut self) {
        let arriving = self.sessions.iter().filter(|(_, session)| session.traffic.was_arriving());
        let arriving: Vec<AuthorKey> = arriving.map(|(peer, _)| *peer).collect();
        arriving.into_iter().for_each(|peer| self.input(Input::Arriving { peer }));
        self.heed_charter();
        self.input(Input::Tick);
        self.write_charges();
        self.close_overdue();
        self.call_due();
        self.tell_whereabouts();
        self.end_calls_back();
        self.settle_copies();
        if self.clocks.was_set(Instant::now()) {
            self.greet_anew();
        }
        self.keep_reservations();
        self.save_addresses();
        self.know_members_places();
        if self.tell_due || self.told_at.is_none_or(|at| at.elapsed() >= limits::TELL_INTERVAL) {
            self.tell_state();
        }
    }

    /// Publishes what the handle answers from, or does so at a later tick when it was done just now.
    pub(crate) fn tell_state(&mut self) {
        let now = Instant::now();
        self.tell_due = self.tells_even_at.saturating_duration_since(now) > limits::TELL_BURST;
        if !self.tell_due {
            self.tell_now(now);
        }
    }

    /// Publishes it in any case.
    pub(crate) fn tell_now(&mut self, now: Instant) {
        let (peers, reachability) = (self.peer_statuses(), self.reachability());
        let misbehaving = peers.iter().filter(|peer| peer.misbehaved.is_some()).count();
        self.metrics.misbehaving_peers.set(i64::try_from(misbehaving).unwrap_or(i64::MAX));
        #[allow(clippy::cast_precision_loss)] // Seconds need no more than 53 bits of them.
        self.metrics.clock_offset.set(self.clocks.furthest_ms(now) as f64 / 1e3);
        let (listeners, copies) = (self.swarm.listeners().cloned().collect(), self.copies_told());
        self.told.set(State { peers, strangers: self.strangers(), listeners, reachability, copies });
        (self.told_at, self.tell_due) = (Some(now), false);
        self.tells_even_at = self.tells_even_at.max(now) + now.elapsed() * limits::TELL_SHARE;
    }

    async fn close_all(&mut self) {
        self.save_addresses_at_last().await;
        self.write_charges_at_last().await;
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        self.sessions.clear();
        for connection in connections {
            self.swarm.close_connection(connection);
        }
        let closed = async {
            while !self.connections.is_empty() {
                if let libp2p::swarm::SwarmEvent::ConnectionClosed { connection_id, .. } =
                    self.swarm.select_next_some().await
                {
                    self.connections.remove(&connection_id);
                }
            }
        };
        // Peers notice by themselves if the goodbye does not get through.
        let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
        let appends = async {
            while self.door.is_busy() {
                if let Some(Happened::Batch(done)) = self.happened.recv().await {
                    self.door.done(&done.logs);
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), appends).await;
    }
}
