//! A network of sync engines under virtual time: lines with delay and speed, cuts, lost connections, slow disks.
//!
//! A run is a pure function of its seed and of what the test does to it. Messages go through their encoding, frames
//! through real verification, so what converges here has proven every signature.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::area::Area;
use crate::event::{Payload, ReceivedEvent, Slot, domain_hash};
use crate::frame::{PiiScope, encode_frame};
use crate::frontier::Frontier;
use crate::id::{AuthorKey, EventId, Head, LogId};
use crate::limits;
use crate::payloads::{encode_payloads, payload_bytes};
use crate::sign::KeyCache;
use crate::sync::{
    Admitted, AppendFailure, Bounds, Coverage, DisconnectReason, Engine, Greeting, Input, Introduced, Message, Output,
    ReadFrame, Token, admit, admit_payloads,
};
use crate::testkit::{area, key};

/// What a greeting weighs in one direction: a chain of grants and the verdict.
const GREETING_BYTES: u64 = 1_500;

/// A small deterministic generator of numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is at least 1.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// What the lines and disks of a network are like.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Shortest one-way delay.
    pub delay: Duration,
    /// Added to it at random, per message; a line keeps its order.
    pub jitter: Duration,
    /// Speed of each direction of each line.
    pub bytes_per_second: u64,
    /// What sockets and routers take in without sending it yet: a message is written as soon as it fits in here.
    pub buffer_bytes: u64,
    /// Time for one durable append or one read.
    pub disk: Duration,
    /// One message of so many breaks its connection; 0 for never.
    pub loss_one_in: u64,
    /// One digest or announcement of so many is lost, and as many come again a second later; 0 for never. A real
    /// stream does neither; the protocol must not depend on it.
    pub hints_disturbed_one_in: u64,
    /// How long a broken line stays broken.
    pub reconnect: Duration,
}

impl Conditions {
    fn on_line(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes * 1_000_000 / self.bytes_per_second)
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(10),
            bytes_per_second: 10_000_000,
            buffer_bytes: 256 * 1024,
            disk: Duration::from_millis(2),
            loss_one_in: 0,
            hints_disturbed_one_in: 0,
            reconnect: Duration::from_secs(2),
        }
    }
}

/// One simulated node: an engine and a store in memory.
#[derive(Debug)]
pub struct SimulatedNode {
    /// Its engine.
    pub engine: Engine,
    /// What it holds.
    pub logs: BTreeMap<LogId, Vec<ReceivedEvent>>,
    /// Heads of logs that it holds as well, and that nobody will ask for.
    quiet: Frontier,
    /// How much its engine remembers and takes.
    bounds: Bounds,
    /// Where it may have personal payloads.
    pub area: Area,
    /// Personal payloads that came although it may not have them.
    pub leaked_payloads: u64,
    /// Personal payloads that came later than their events.
    pub filled_payloads: u64,
    /// Outputs that are for the people around a node: forks and reports of its own later heads.
    pub reports: Vec<Output>,
    /// Connections that its engine ended, with the reason, and with whom.
    pub disconnects: Vec<DisconnectReason>,
    /// With whom, in the same order.
    pub disconnected: Vec<usize>,
    /// Logs without a grant and who brought them, as its store notes them.
    pub introduced: BTreeMap<LogId, Introduced>,
    /// Who has a grant, as its charter says; before the first time everybody.
    granted: Option<BTreeSet<AuthorKey>>,
    /// When each event became durable here.
    pub durable_at: BTreeMap<EventId, Duration>,
    /// Events that arrived in frames although they were durable here already.
    pub redundant_events: u64,
    /// Most bytes of frames that waited for this node's disk at a time.
    pub most_waiting_bytes: usize,
    waiting_bytes: usize,
    disk_free: Duration,
    /// How long its machine had been up when everything began: what its engine is told of time.
    pub up_before: Duration,
    /// How often it has started: what an earlier process asked of its disk is not answered.
    starts: u32,
}

/// What a disk held.
#[derive(Debug, Clone)]
pub struct Snapshot {
    logs: BTreeMap<LogId, Vec<ReceivedEvent>>,
    introduced: BTreeMap<LogId, Introduced>,
}

/// What a network has carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages by their number in the encoding.
    pub messages: BTreeMap<u8, u64>,
    /// Encoded bytes.
    pub bytes: u64,
    /// Announcements of a head that the same connection had been told of before.
    pub repeated_hints: u64,
}

impl Traffic {
    /// All messages.
    pub fn total(&self) -> u64 {
        self.messages.values().sum()
    }
}

#[derive(Debug)]
enum Happening {
    Tick(usize),
    Deliver {
        from: usize,
        to: usize,
        session: u64,
        bytes: Vec<u8>,
    },
    Written {
        from: usize,
        to: usize,
        session: u64,
    },
    /// The disk of a node has done what its engine asked for.
    Disk {
        node: usize,
        starts: u32,
        output: Output,
    },
    Reconnect(usize, usize),
    KeepAliveFails {
        from: usize,
        to: usize,
        session: u64,
    },
}

#[derive(Debug, Default)]
struct Direction {
    free_at: Duration,
    last_arrival: Duration,
    /// What was sent into a direction that carries nothing: it goes on when the direction does.
    parked: Option<Vec<Vec<u8>>>,
}

/// How long a direction may carry nothing before both sides give the connection up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Several nodes, the lines between them, and the time.
#[derive(Debug)]
pub struct Network {
    /// The nodes, by number. Node `i` has the test key `i + 1`.
    pub nodes: Vec<SimulatedNode>,
    /// Their keys.
    pub keys: Vec<AuthorKey>,
    /// What has been carried so far.
    pub traffic: Traffic,
    conditions: Conditions,
    numbers: Numbers,
    now: Duration,
    agenda: BTreeMap<(Duration, u64), Happening>,
    next_happening: u64,
    sessions: BTreeMap<(usize, usize), u64>,
    /// Since when each line is up.
    up_since: BTreeMap<(usize, usize), Duration>,
    next_session: u64,
    /// Heads announced so far, by session and direction.
    hinted: BTreeSet<(u64, bool, LogId, EventId)>,
    wanted_lines: BTreeSet<(usize, usize)>,
    checked_keys: KeyCache,
    directions: BTreeMap<(usize, usize), Direction>,
    trace: [u8; 32],
}

impl Network {
    /// Nodes without lines between them.
    pub fn new(seed: u64, nodes: u16, conditions: Conditions) -> Self {
        let keys: Vec<AuthorKey> = (1..=nodes).map(|n| key(n).public()).collect();
        let node = |key: &AuthorKey| SimulatedNode {
            engine: Engine::new(*key, Frontier::new()),
            logs: BTreeMap::new(),
            quiet: Frontier::new(),
            bounds: Bounds::default(),
            area: area("320508"),
            leaked_payloads: 0,
            filled_payloads: 0,
            reports: vec![],
            disconnects: vec![],
            disconnected: vec![],
            introduced: BTreeMap::new(),
            granted: None,
            durable_at: BTreeMap::new(),
            redundant_events: 0,
            most_waiting_bytes: 0,
            waiting_bytes: 0,
            disk_free: Duration::ZERO,
            up_before: Duration::ZERO,
            starts: 0,
        };
        let mut network = Self {
            nodes: keys.iter().map(node).collect(),
            keys,
            traffic: Traffic::default(),
            conditions,
            numbers: Numbers::new(seed),
            now: Duration::ZERO,
            agenda: BTreeMap::new(),
            next_happening: 0,
            sessions: BTreeMap::new(),
            up_since: BTreeMap::new(),
            next_session: 0,
            hinted: BTreeSet::new(),
            wanted_lines: BTreeSet::new(),
            checked_keys: KeyCache::default(),
            directions: BTreeMap::new(),
            trace: [0; 32],
        };
        for n in 0..network.nodes.len() {
            let phase = Duration::from_millis(network.numbers.below(1000));
            network.at(phase, Happening::Tick(n));
        }
        network
    }

    /// Virtual time since the start.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// A hash over everything that was delivered so far, in order.
    pub const fn trace(&self) -> [u8; 32] {
        self.trace
    }

    /// The generator that the run itself draws from.
    pub const fn numbers(&mut self) -> &mut Numbers {
        &mut self.numbers
    }

    /// Lays a line between two nodes; both see the connection at once.
    pub fn connect(&mut self, a: usize, b: usize) {
        let line = (a.min(b), a.max(b));
        self.wanted_lines.insert(line);
        if self.sessions.contains_key(&line) {
            return;
        }
        self.next_session += 1;
        self.sessions.insert(line, self.next_session);
        self.up_since.insert(line, self.now);
        for (from, to) in [(a, b), (b, a)] {
            self.directions.insert((from, to), Direction { free_at: self.now, last_arrival: self.now, parked: None });
            let pii_areas = vec![self.nodes[to].area.clone()];
            let round_trip = self.conditions.delay * 2;
            let greeting = Greeting::of(round_trip, round_trip + self.conditions.on_line(GREETING_BYTES));
            self.input(from, Input::PeerConnected { peer: self.keys[to], pii_areas, greeting });
        }
    }

    /// Cuts the line between two nodes: what is on its way is lost, both notice at once.
    pub fn cut(&mut self, a: usize, b: usize) {
        let line = (a.min(b), a.max(b));
        self.wanted_lines.remove(&line);
        self.break_connection(line);
    }

    /// One direction of a line carries nothing any more, as behind a broken radio; the other does. Whoever keeps the
    /// connection alive gives it up after [`KEEP_ALIVE`].
    pub fn stall(&mut self, from: usize, to: usize) {
        let Some(session) = self.sessions.get(&(from.min(to), from.max(to))).copied() else { return };
        if let Some(direction) = self.directions.get_mut(&(from, to)).filter(|direction| direction.parked.is_none()) {
            direction.parked = Some(vec![]);
            self.at(self.now + KEEP_ALIVE, Happening::KeepAliveFails { from, to, session });
        }
    }

    /// A direction carries again, first what was parked.
    pub fn resume(&mut self, from: usize, to: usize) {
        let parked = self.directions.get_mut(&(from, to)).and_then(|direction| direction.parked.take());
        let session = self.sessions.get(&(from.min(to), from.max(to))).copied();
        let (Some(parked), Some(session)) = (parked, session) else { return };
        self.up_since.insert((from.min(to), from.max(to)), self.now);
        parked.into_iter().for_each(|bytes| self.carry(from, to, session, bytes));
    }

    /// A node's process ends and starts again at once: connections break, what was not durable is gone.
    pub fn restart(&mut self, node: usize) {
        let lines: Vec<(usize, usize)> =
            self.sessions.keys().filter(|(a, b)| *a == node || *b == node).copied().collect();
        lines.into_iter().for_each(|line| self.break_connection(line));
        self.nodes[node].waiting_bytes = 0;
        self.start(node);
        if let Some(granted) = self.nodes[node].granted.clone() {
            self.input(node, Input::granted(granted));
        }
        self.tell_lacking(node);
    }

    /// A process starts with what its store holds.
    fn start(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let mut heads = state.quiet.clone();
        for (log, events) in &state.logs {
            if let Some(last) = events.last() {
                heads.advance(log, last.head());
            }
        }
        state.engine = Engine::new(self.keys[node], heads)
            .with_strangers(state.introduced.values().cloned(), [])
            .with_bounds(state.bounds);
        state.starts += 1;
    }

    /// A node that has no lines yet holds logs that nobody will ask for, since all who are asked hold them.
    pub fn hold(&mut self, node: usize, heads: Frontier) {
        self.nodes[node].quiet = heads;
        self.start(node);
    }

    /// A node that has no lines yet remembers and takes no more than this.
    pub fn bound(&mut self, node: usize, bounds: Bounds) {
        self.nodes[node].bounds = bounds;
        self.start(node);
    }

    /// From now on a node may have the personal payloads of an area, and everybody knows.
    pub fn entitle(&mut self, node: usize, area: Area) {
        self.nodes[node].area = area;
        let (peer, pii_areas) = (self.keys[node], vec![self.nodes[node].area.clone()]);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.input(other, Input::PiiAreas { peer, pii_areas: pii_areas.clone() });
        }
        self.tell_lacking(node);
    }

    /// A node's charter says from now on who has a grant.
    pub fn grant(&mut self, node: usize, authors: impl IntoIterator<Item = AuthorKey>) {
        let granted: BTreeSet<AuthorKey> = authors.into_iter().collect();
        self.nodes[node].granted = Some(granted.clone());
        self.input(node, Input::granted(granted));
    }

    /// A person has logs removed from a node that do not count.
    pub fn discard(&mut self, node: usize, logs: Vec<LogId>) {
        for log in &logs {
            self.nodes[node].logs.remove(log);
            self.nodes[node].introduced.remove(log);
        }
        self.input(node, Input::Discarded { logs });
    }

    /// An engine hears in which logs its node lacks payloads that it may have.
    fn tell_lacking(&mut self, node: usize) {
        let logs: Vec<LogId> = self.nodes[node].logs.keys().cloned().collect();
        for log in logs {
            if !self.lacking(node, &log, 0).is_empty() {
                self.input(node, Input::Lacks { log });
            }
        }
    }

    /// From now on nothing is lost or disturbed.
    pub const fn calm(&mut self) {
        (self.conditions.loss_one_in, self.conditions.hints_disturbed_one_in) = (0, 0);
    }

    /// Since when a line is up and carries in both directions; none if it does not.
    pub fn up_since(&self, a: usize, b: usize) -> Option<Duration> {
        let line = (a.min(b), a.max(b));
        let carries = |from, to| self.directions.get(&(from, to)).is_none_or(|direction| direction.parked.is_none());
        self.up_since
            .get(&line)
            .copied()
            .filter(|_| self.sessions.contains_key(&line) && carries(a, b) && carries(b, a))
    }

    /// What a node's disk holds.
    pub fn snapshot(&self, node: usize) -> Snapshot {
        let SimulatedNode { logs, introduced, .. } = &self.nodes[node];
        Snapshot { logs: logs.clone(), introduced: introduced.clone() }
    }

    /// A node's disk holds again what it held before, as when its image is put back, and its process starts.
    pub fn roll_back(&mut self, node: usize, Snapshot { logs, introduced }: Snapshot) {
        (self.nodes[node].logs, self.nodes[node].introduced) = (logs, introduced);
        self.restart(node);
    }

    /// Every node with every other.
    pub fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                self.connect(a, b);
            }
        }
    }

    /// Puts events of one log straight into a node's store, as typed there or imported.
    pub fn write(&mut self, node: usize, events: &[ReceivedEvent]) {
        let Some(last) = events.last() else { return };
        let (log, head) = (last.header().log_id(), last.head());
        self.store(node, &log, events.to_vec());
        self.input(node, Input::Appended { log, head });
    }

    /// Hands a message to a node as if its peer had sent it.
    pub fn forge(&mut self, from: usize, to: usize, message: Message) {
        self.input(to, Input::Message { peer: self.keys[from], message });
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Lets time pass until something holds; says whether it did before `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        while !done(self) {
            let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= limit) else { return false };
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        true
    }

    /// Whether all nodes hold the same heads.
    pub fn agrees(&self) -> bool {
        self.nodes.windows(2).all(|pair| pair[0].engine.frontier() == pair[1].engine.frontier())
    }

    fn at(&mut self, at: Duration, happening: Happening) {
        self.next_happening += 1;
        self.agenda.insert((at, self.next_happening), happening);
    }

    fn index_of(&self, peer: &AuthorKey) -> usize {
        self.keys.iter().position(|key| key == peer).unwrap()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(n) => {
                self.at(self.now + Duration::from_secs(1), Happening::Tick(n));
                self.input(n, Input::Tick);
            }
            Happening::Deliver { from, to, session, bytes } => self.deliver(from, to, session, &bytes),
            Happening::Written { from, to, session } if self.is_current(from, to, session) => {
                self.input(from, Input::Written { peer: self.keys[to] });
            }
            Happening::Written { .. } => {}
            Happening::Disk { node, starts, output } if self.nodes[node].starts == starts => self.done(node, output),
            Happening::Disk { .. } => {}
            Happening::KeepAliveFails { from, to, session } => {
                let stalled = self.directions.get(&(from, to)).is_some_and(|direction| direction.parked.is_some());
                if stalled && self.is_current(from, to, session) {
                    self.break_connection((from.min(to), from.max(to)));
                }
            }
            Happening::Reconnect(a, b) if self.wanted_lines.contains(&(a, b)) => self.connect(a, b),
            Happening::Reconnect(..) => {}
        }
    }

    fn is_current(&self, a: usize, b: usize, session: u64) -> bool {
        self.sessions.get(&(a.min(b), a.max(b))) == Some(&session)
    }

    fn deliver(&mut self, from: usize, to: usize, session: u64, bytes: &[u8]) {
        if !self.is_current(from, to, session) {
            return;
        }
        let lost = self.conditions.loss_one_in > 0 && self.numbers.below(self.conditions.loss_one_in) == 0;
        if lost {
            return self.break_connection((from.min(to), from.max(to)));
        }
        if self.disturbs(from, to, session, bytes) {
            return;
        }
        let at = u64::try_from(self.now.as_micros()).unwrap().to_be_bytes();
        self.trace = domain_hash("trace", &[&self.trace, &at, &[from as u8, to as u8], bytes]);
        let message = Message::decode(bytes).unwrap();
        self.input(to, Input::Message { peer: self.keys[from], message });
    }

    /// Whether a hint is lost here; others are repeated late. Wants and frames always arrive in order.
    fn disturbs(&mut self, from: usize, to: usize, session: u64, bytes: &[u8]) -> bool {
        let one_in = self.conditions.hints_disturbed_one_in;
        if one_in == 0 || bytes[1] > 1 {
            return false;
        }
        match self.numbers.below(one_in * 2) {
            0 | 1 => true,
            2 | 3 => {
                let again = Happening::Deliver { from, to, session, bytes: bytes.to_vec() };
                self.at(self.now + Duration::from_secs(1), again);
                false
            }
            _ => false,
        }
    }

    fn break_connection(&mut self, line: (usize, usize)) {
        if self.sessions.remove(&line).is_none() {
            return;
        }
        for (from, to) in [line, (line.1, line.0)] {
            self.input(from, Input::PeerDisconnected { peer: self.keys[to] });
        }
        if self.wanted_lines.contains(&line) {
            let jitter = Duration::from_millis(self.numbers.below(500));
            self.at(self.now + self.conditions.reconnect + jitter, Happening::Reconnect(line.0, line.1));
        }
    }

    fn input(&mut self, node: usize, input: Input) {
        let now = self.now + self.nodes[node].up_before;
        for output in self.nodes[node].engine.handle(now, input) {
            self.carry_out(node, output);
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { peer, message } => self.send(node, self.index_of(&peer), &message),
            Output::Read { .. } | Output::ReadPayloads { .. } | Output::ListLacking { .. } => {
                let starts = self.nodes[node].starts;
                self.at(self.now + self.conditions.disk, Happening::Disk { node, starts, output });
            }
            Output::Append { ref frame, .. } | Output::Fill { ref frame, .. } => {
                let state = &mut self.nodes[node];
                let done = self.now.max(state.disk_free) + self.conditions.disk;
                (state.disk_free, state.waiting_bytes) = (done, state.waiting_bytes + frame.len());
                state.most_waiting_bytes = state.most_waiting_bytes.max(state.waiting_bytes);
                let starts = state.starts;
                self.at(done, Happening::Disk { node, starts, output });
            }
            Output::Disconnect { peer, reason } => {
                let other = self.index_of(&peer);
                self.nodes[node].disconnects.push(reason);
                self.nodes[node].disconnected.push(other);
                self.break_connection((node.min(other), node.max(other)));
            }
            Output::Introduced(introduced) => {
                self.nodes[node].introduced.insert(introduced.log.clone(), introduced);
            }
            report @ (Output::PeerReportsOurHead { .. } | Output::Forked { .. }) => {
                self.nodes[node].reports.push(report);
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: &Message) {
        let Some(session) = self.sessions.get(&(from.min(to), from.max(to))).copied() else { return };
        let bytes = message.encode();
        *self.traffic.messages.entry(bytes[1]).or_default() += 1;
        self.traffic.bytes += bytes.len() as u64;
        if let Message::Heads { coverage: Coverage::Hint, entries } = message {
            let told = entries.iter().map(|(log, head)| (session, from < to, log.clone(), head.id));
            let repeated = told.filter(|told| !self.hinted.insert(told.clone())).count();
            self.traffic.repeated_hints += repeated as u64;
        }
        match self.directions.entry((from, to)).or_default() {
            Direction { parked: Some(parked), .. } => parked.push(bytes),
            _ => self.carry(from, to, session, bytes),
        }
    }

    /// A message takes its turn on a line.
    fn carry(&mut self, from: usize, to: usize, session: u64, bytes: Vec<u8>) {
        let jitter_us = u64::try_from(self.conditions.jitter.as_micros()).unwrap() + 1;
        let jitter = Duration::from_micros(self.numbers.below(jitter_us));
        let on_line = self.conditions.on_line(bytes.len() as u64);
        let buffered = self.conditions.on_line(self.conditions.buffer_bytes);
        let direction = self.directions.entry((from, to)).or_default();
        direction.free_at = direction.free_at.max(self.now) + on_line;
        direction.last_arrival = direction.last_arrival.max(direction.free_at + self.conditions.delay + jitter);
        let (written, arrival) = (direction.free_at.saturating_sub(buffered).max(self.now), direction.last_arrival);
        self.at(written, Happening::Written { from, to, session });
        self.at(arrival, Happening::Deliver { from, to, session, bytes });
    }

    fn done(&mut self, node: usize, output: Output) {
        match output {
            Output::Read { peer, token, log, from_seq, max_events, max_bytes, pii } => {
                let frame = self.read(node, &log, from_seq, (max_events, max_bytes), pii);
                self.input(node, Input::ReadDone { peer, token, frame });
            }
            Output::ReadPayloads { peer, token, log, seqs, max_bytes } => {
                let frame = self.read_payloads(node, &log, &seqs, max_bytes);
                self.input(node, Input::ReadDone { peer, token, frame });
            }
            Output::ListLacking { token, log, after } => {
                let seqs = self.lacking(node, &log, after);
                self.input(node, Input::Lacking { token, seqs });
            }
            Output::Append { token, log, frame, .. } => self.append(node, token, &log, &frame),
            Output::Fill { token, log, seqs, frame } => {
                self.nodes[node].waiting_bytes -= frame.len();
                let done = self.fill(node, &log, &seqs, &frame).map(|payloads| Input::Filled { token, payloads });
                let input = done.unwrap_or_else(|failure| Input::AppendFailed { token, failure });
                self.input(node, input);
            }
            other => unreachable!("no disk does {other:?}"),
        }
    }

    fn read(
        &self,
        node: usize,
        log: &LogId,
        from_seq: u64,
        (max_events, max_bytes): (usize, u64),
        pii: PiiScope,
    ) -> Option<ReadFrame> {
        let events = self.nodes[node].logs.get(log)?.get(usize::try_from(from_seq).unwrap() - 1..)?;
        let payload = |event: &ReceivedEvent, slot| event.payload(slot).map_or(0, |payload| payload.bytes.len());
        let payloads = |event: &ReceivedEvent| Slot::ALL.iter().map(|slot| payload(event, *slot)).sum::<usize>();
        let size = |event: &ReceivedEvent| (event.header_bytes().len() + payloads(event)) as u64 + 100;
        let mut bytes = 0;
        let fits = |event: &&ReceivedEvent| {
            bytes += size(event);
            bytes <= max_bytes || bytes == size(event)
        };
        let fitting = events.iter().take(max_events).take_while(fits).count();
        // A frame ends on a signed event: the last that fits, or the first after it.
        let signed = |event: &ReceivedEvent| event.signature().is_some();
        let back = events[..fitting].iter().rposition(signed);
        let end = back.or_else(|| events.iter().position(signed))?;
        let run: Vec<ReceivedEvent> = events[..=end].to_vec();
        let last_seq = run.last()?.header().seq;
        Some(ReadFrame { bytes: encode_frame(&run, pii), last_seq })
    }

    fn read_payloads(&self, node: usize, log: &LogId, seqs: &[u64], max_bytes: u64) -> Option<ReadFrame> {
        let events = self.nodes[node].logs.get(log)?;
        let held = |seq: &u64| {
            let event = events.get(usize::try_from(*seq).unwrap() - 1)?;
            Some((*seq, event.payload(Slot::Pii)?.clone()))
        };
        let mut bytes = 0;
        let fits = |(_, payload): &(u64, Payload)| {
            bytes += payload_bytes(payload) as u64;
            bytes <= max_bytes || bytes == payload_bytes(payload) as u64
        };
        let payloads: Vec<(u64, Payload)> = seqs.iter().filter_map(held).take_while(fits).collect();
        let last_seq = payloads.last()?.0;
        Some(ReadFrame { bytes: encode_payloads(log, &payloads), last_seq })
    }

    /// Events past a position whose personal payload a node lacks and may have.
    fn lacking(&self, node: usize, log: &LogId, after: u64) -> Vec<u64> {
        let state = &self.nodes[node];
        let events = state.logs.get(log).filter(|_| state.area.contains(&log.area)).into_iter().flatten();
        let lacking = events.filter(|event| event.lacks_pii()).map(|event| event.header().seq);
        lacking.filter(|seq| *seq > after).take(limits::FILL_EVENTS_MAX).collect()
    }

    fn fill(&mut self, node: usize, log: &LogId, seqs: &[u64], frame: &[u8]) -> Result<u64, AppendFailure> {
        let state = &mut self.nodes[node];
        let events = state.logs.get_mut(log).unwrap();
        let filled_before = state.filled_payloads;
        for (seq, payload) in admit_payloads(log, seqs, frame)? {
            let event = &mut events[usize::try_from(seq).unwrap() - 1];
            state.leaked_payloads += u64::from(!state.area.contains(&log.area));
            state.filled_payloads += u64::from(event.lacks_pii());
            *event = event.clone().with_pii(payload).map_err(|error| AppendFailure::BadPeer(error.to_string()))?;
        }
        Ok(state.filled_payloads - filled_before)
    }

    fn append(&mut self, node: usize, token: Token, log: &LogId, frame: &[u8]) {
        self.nodes[node].waiting_bytes -= frame.len();
        let head = self.head(node, log);
        match admit(log, head, frame, &mut self.checked_keys) {
            Ok(Admitted { events, held }) => {
                let state = &mut self.nodes[node];
                state.redundant_events += held as u64;
                let leaks = events.iter().filter(|event| event.event().payload(Slot::Pii).is_some()).count() as u64;
                state.leaked_payloads += if state.area.contains(&log.area) { 0 } else { leaks };
                self.store(node, log, events.into_iter().map(|event| event.into_event().with_claim()).collect());
                let head = self.head(node, log).unwrap();
                self.input(node, Input::FrameAppended { token, head });
            }
            Err(failure) => self.input(node, Input::AppendFailed { token, failure }),
        }
    }

    fn head(&self, node: usize, log: &LogId) -> Option<Head> {
        self.nodes[node].logs.get(log).and_then(|events| events.last()).map(ReceivedEvent::head)
    }

    fn store(&mut self, node: usize, log: &LogId, events: Vec<ReceivedEvent>) {
        let state = &mut self.nodes[node];
        for event in &events {
            state.durable_at.insert(event.id(), self.now);
        }
        let lacks = state.area.contains(&log.area) && events.iter().any(ReceivedEvent::lacks_pii);
        state.logs.entry(log.clone()).or_default().extend(events);
        if lacks {
            self.input(node, Input::Lacks { log: log.clone() });
        }
    }
}
