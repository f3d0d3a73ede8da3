//! The state machine: one per node, for all of its peers.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::allowance::{Allowance, Rate};
use super::fill::{Fills, Settled};
use super::hints::Hints;
use super::incoming::Append;
use super::known::Known;
use super::line::{Greeting, Line};
use super::moved::Arrivals;
use super::overflow::Overflow;
use super::pull::Pulls;
use super::ranges::{Place, Range, Ranges, place_of};
use super::reconcile::range_bytes;
use super::serve::Schedule;
use super::strangers::{Bounds, Strangers};
use super::{Coverage, DisconnectReason, Input, Message, Output, PeerView, Token, Violation};
use crate::area::Area;
use crate::frontier::{Frontier, Relation};
use crate::id::{AuthorKey, Head, LogId};
use crate::limits;

type Digest = [u8; 32];

/// Replication of one node with all of its peers.
#[derive(Debug)]
pub struct Engine {
    pub(super) own_key: AuthorKey,
    pub(super) frontier: Frontier,
    /// Of this the logs that count, summed up by ranges.
    pub(super) ranges: Ranges,
    pub(super) strangers: Strangers,
    pub(super) digest: Option<Digest>,
    pub(super) peers: BTreeMap<AuthorKey, Peer>,
    pub(super) pulls: Pulls,
    pub(super) fills: Fills,
    pub(super) appends: BTreeMap<Token, Append>,
    pub(super) next_number: u64,
    pub(super) outputs: Vec<Output>,
}

#[derive(Debug)]
pub(super) struct Peer {
    /// Tells connections to the same peer apart.
    pub(super) session: u64,
    pub(super) pii_areas: Vec<Area>,
    /// Its heads of logs that count.
    pub(super) known: Known,
    /// Its heads, above ours, of logs that do not.
    pub(super) strange: BTreeMap<LogId, Head>,
    /// It has told more than we had room for.
    pub(super) overflow: Option<Overflow>,
    forked: BTreeSet<LogId>,
    compared: bool,
    pub(super) line: Line,
    pub(super) arrivals: Arrivals,
    pub(super) schedule: Schedule,
    /// Logs whose new heads it is to be told.
    pub(super) hints: Hints,
    /// Whose payloads it need not be asked for now.
    pub(super) settled: Settled,
    pub(super) exchange: Exchange,
    pub(super) oddities: Oddities,
    pub(super) last_answer: Duration,
    /// Pieces of frames that it has sent.
    pub(super) pieces_received: u64,
    /// Bytes of frames that may still arrive for wants that we closed early.
    pub(super) stale_bytes: u64,
    unknown_messages: u64,
}

/// What costs us work and an honest peer has little reason to do.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    /// Digests.
    digests: Allowance,
    /// Wants that replaced an open one.
    replaced_wants: Allowance,
    /// Questions for payloads.
    fills: Allowance,
    /// Frames that brought nothing.
    pub(super) idle_frames: Allowance,
    /// Pulls that brought nothing of what was announced.
    pub(super) empty_pulls: Allowance,
}

/// When to compare and when to tell all our heads.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) next_compare: Duration,
    /// Under way: the last log told, or none yet.
    pub(super) under_way: Option<Option<LogId>>,
    /// Messages of comparisons by ranges since its last digest.
    pub(super) range_messages: u32,
    /// How many logs it said last that it has.
    pub(super) their_logs: u64,
    /// Requests for heads since its last digest.
    pub(super) tells: u32,
    /// Once events have stopped moving after this moment, digests are compared at once.
    pub(super) check_after: Option<Duration>,
    /// The digest that it was told last.
    told: Option<Digest>,
    /// The last digest that both had.
    shared: Option<Digest>,
    /// The digests, theirs and ours, that led to the last full exchange.
    led_by: Option<(Digest, Digest)>,
    not_before: Duration,
    interval: Duration,
}

impl Peer {
    fn new(session: u64, now: Duration, pii_areas: Vec<Area>, greeting: Greeting, known: Known) -> Self {
        Self {
            session,
            pii_areas,
            known,
            strange: BTreeMap::new(),
            overflow: None,
            forked: BTreeSet::new(),
            compared: false,
            line: Line::new(greeting),
            arrivals: Arrivals::default(),
            schedule: Schedule::default(),
            hints: Hints::default(),
            settled: Settled::default(),
            pieces_received: 0,
            exchange: Exchange {
                next_compare: now,
                under_way: None,
                range_messages: 0,
                their_logs: 0,
                tells: 0,
                check_after: None,
                told: None,
                shared: None,
                led_by: None,
                not_before: now,
                interval: Duration::from_millis(limits::SYNC_COMPARE_INTERVAL_MS),
            },
            oddities: Oddities::default(),
            last_answer: now,
            stale_bytes: 0,
            unknown_messages: 0,
        }
    }

    /// A want may take the place of an open one for the same log, but not again and again.
    fn may_want(&mut self, now: Duration, log: &LogId) -> Result<(), Violation> {
        let often = rate(limits::SYNC_REPLACED_WANTS_BURST);
        let may = !self.schedule.has(log) || self.oddities.replaced_wants.spend(now, often);
        may.then_some(()).ok_or(Violation::ReplacesWants)
    }
}

impl Engine {
    /// An engine for the node with this key, whose store holds `frontier`.
    pub fn new(own_key: AuthorKey, frontier: Frontier) -> Self {
        let mut ranges = Ranges::default();
        frontier.iter_shared().for_each(|(log, head)| ranges.set(log, None, *head));
        Self {
            own_key,
            frontier,
            ranges,
            strangers: Strangers::new(own_key),
            digest: None,
            peers: BTreeMap::new(),
            pulls: Pulls::default(),
            fills: Fills::default(),
            appends: BTreeMap::new(),
            next_number: 1,
            outputs: vec![],
        }
    }

    /// With other bounds than usual.
    #[must_use]
    pub const fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.strangers.bounds = bounds;
        self
    }

    /// Takes one input and says what to do, in order. `now` counts from any fixed moment and never falls.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        match input {
            Input::PeerConnected { peer, pii_areas, greeting } => self.connect(now, peer, pii_areas, greeting),
            Input::PiiAreas { peer, pii_areas } => {
                if let Some(state) = self.peers.get_mut(&peer).filter(|state| state.pii_areas != pii_areas) {
                    state.pii_areas = pii_areas;
                    state.settled.clear();
                }
            }
            Input::PeerDisconnected { peer } => self.forget(&peer),
            Input::Message { peer, message } => {
                if let Err(violation) = self.on_message(now, peer, message) {
                    self.disconnect(peer, violation.into());
                }
            }
            Input::Appended { log, head } => self.advance(now, &log, head),
            Input::Granted { authors } => self.on_granted(now, authors),
            Input::Discarded { logs } => self.on_discarded(logs),
            Input::Lacks { log } => self.on_lacks(log),
            Input::Lacking { token, seqs } => self.on_lacking(now, token, seqs),
            Input::Filled { token, payloads } => self.on_filled(token, payloads),
            Input::ReadDone { peer, token, frame } => self.on_read(now, peer, token, frame),
            Input::Written { peer } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.line.written();
                }
            }
            Input::Arriving { peer } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.last_answer = now;
                }
            }
            Input::FrameAppended { token, head } => self.on_frame_appended(now, token, head),
            Input::AppendFailed { token, failure } => self.on_append_failed(now, token, failure),
            Input::Tick => self.on_tick(now),
        }
        self.ask_for_overflow(now);
        self.open_wants(now);
        self.write_to_all(now);
        mem::take(&mut self.outputs)
    }

    /// What this node holds, as the engine has been told.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Connected peers.
    pub fn peers(&self) -> impl Iterator<Item = &AuthorKey> {
        self.peers.keys()
    }

    /// The head of a log that a connected peer says it has.
    pub fn head_of_peer(&self, peer: &AuthorKey, log: &LogId) -> Option<Head> {
        let (state, place) = (self.peers.get(peer)?, self.place(log));
        state.known.head(&place, self.head_that_counts(log))
    }

    /// Whether a connected peer says that it holds our event at a position of a log. One that holds another history of the
    /// log does not, however long that is.
    pub fn is_held_by(&self, peer: &AuthorKey, log: &LogId, seq: u64) -> bool {
        let is_forked = self.peers.get(peer).is_some_and(|state| state.forked.contains(log));
        !is_forked && self.head_of_peer(peer, log).is_some_and(|head| head.seq >= seq)
    }

    /// What is known of a connected peer.
    pub fn view(&self, peer: &AuthorKey) -> Option<PeerView> {
        let state = self.peers.get(peer)?;
        Some(PeerView {
            compared: state.compared,
            behind_events: state.known.behind_events(),
            ahead_events: state.known.ahead_events(),
            pulling: self.pulls.load(peer).total(),
            serving: state.schedule.len(),
            bytes_per_second: state.line.bytes_per_second(),
            received_bytes_per_second: state.arrivals.bytes_per_second(),
            sent: state.schedule.moved(),
            received: state.arrivals.moved(),
            unknown_messages: state.unknown_messages,
            forked_logs: state.forked.len(),
        })
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn connect(&mut self, now: Duration, peer: AuthorKey, pii_areas: Vec<Area>, greeting: Greeting) {
        self.forget(&peer);
        let session = self.number();
        let known = Known::nothing(self.ranges.events(Range::ALL));
        self.peers.insert(peer, Peer::new(session, now, pii_areas, greeting, known));
    }

    fn forget(&mut self, peer: &AuthorKey) {
        if self.peers.remove(peer).is_some() {
            self.pulls.forget_peer(peer);
            self.fills.forget_peer(peer);
        }
    }

    pub(super) fn disconnect(&mut self, peer: AuthorKey, reason: DisconnectReason) {
        self.forget(&peer);
        self.outputs.push(Output::Disconnect { peer, reason });
    }

    pub(super) fn send(&mut self, now: Duration, peer: AuthorKey, message: Message) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let bytes = match &message {
            Message::Frame { frame: piece, .. } | Message::Part { bytes: piece, .. } => {
                state.line.piece_sent(now, piece.len() as u64);
                piece.len() as u64
            }
            Message::Heads { entries, .. } => entries.len() as u64 * 110,
            Message::Ranges { sums, lists } => range_bytes(sums, lists),
            Message::Tell { keys } => keys.len() as u64 * 8 + 16,
            Message::Fill { seqs, .. } => seqs.len() as u64 * 9 + 64,
            _ => 64,
        };
        if state.line.hand(bytes) {
            self.outputs.push(Output::Send { peer, message });
        } else {
            self.disconnect(peer, DisconnectReason::NotReading);
        }
    }

    fn on_message(&mut self, now: Duration, peer: AuthorKey, message: Message) -> Result<(), Violation> {
        // What does not count is not offered, and not given on.
        let given = !matches!(&message, Message::Want { log, .. } if !self.counts(log));
        let Some(state) = self.peers.get_mut(&peer) else { return Ok(()) };
        match message {
            Message::Digest { digest, logs } => {
                let often = rate(limits::SYNC_DIGESTS_BURST);
                state.oddities.digests.spend(now, often).then_some(()).ok_or(Violation::ComparesWithoutEnd)?;
                self.on_digest(now, peer, digest, logs);
            }
            Message::Heads { coverage, entries } => {
                for (log, head) in entries {
                    self.learn(peer, log, head);
                }
                if let (Coverage::End, Some(state)) = (coverage, self.peers.get_mut(&peer)) {
                    state.compared = true;
                }
            }
            Message::Want { want, log, from_seq, credit } => {
                if from_seq > self.frontier.height(&log) || !given {
                    self.send(now, peer, Message::Unavailable { want });
                } else {
                    state.may_want(now, &log)?;
                    state.schedule.open(want, log, from_seq, credit)?;
                }
            }
            Message::Fill { want, log, seqs, credit } => {
                let every = Duration::from_millis(limits::SYNC_FILL_INTERVAL_MS);
                let often = Rate { burst: limits::SYNC_FILLS_BURST, every };
                if self.frontier.height(&log) == 0 || !state.oddities.fills.spend(now, often) {
                    self.send(now, peer, Message::Unavailable { want });
                } else {
                    state.may_want(now, &log)?;
                    state.schedule.open_fill(want, log, seqs, credit)?;
                }
            }
            Message::Credit { want, bytes } => state.schedule.add_credit(want, bytes)?,
            Message::Frame { want, last, frame } => self.on_piece(now, peer, want, frame, Some(last))?,
            Message::Part { want, bytes } => self.on_piece(now, peer, want, bytes, None)?,
            Message::Received { pieces } => state.line.pieces_received(now, pieces)?,
            Message::Unavailable { want } => self.on_unavailable(now, peer, want)?,
            Message::Ranges { sums, lists } => self.on_ranges(now, peer, &sums, &lists)?,
            Message::Tell { keys } => self.on_tell(peer, &keys)?,
            Message::Unknown { .. } => state.unknown_messages += 1,
        }
        Ok(())
    }

    /// Equal digests mean equal heads. Different ones lead to a comparison, but not over and over: while events are
    /// moving they will differ, and when they differ for good (a fork) the pauses grow.
    fn on_digest(&mut self, now: Duration, peer: AuthorKey, theirs: Digest, their_logs: u64) {
        let ours = self.digest();
        let moving = self.pulls.load(&peer).total() > 0;
        let many = their_logs.max(self.ranges.logs(Range::ALL)) > limits::SYNC_VECTOR_LOGS_MAX;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        (state.exchange.range_messages, state.exchange.tells) = (0, 0);
        state.exchange.their_logs = their_logs;
        if theirs == ours {
            if state.exchange.shared.replace(ours) != Some(ours) {
                state.known.all_equal();
                state.hints.clear();
                state.overflow = None;
                self.pulls.forget_heads(&peer);
                state.strange.clear();
            }
            state.compared = true;
            state.exchange.led_by = None;
            if state.exchange.told != Some(ours) {
                // It shall know as well.
                state.exchange.next_compare = now;
            }
            return;
        }
        let exchange = &mut state.exchange;
        let base = Duration::from_millis(limits::SYNC_COMPARE_INTERVAL_MS);
        let again = exchange.led_by == Some((theirs, ours));
        if again {
            if now < exchange.not_before {
                return;
            }
            let longest = Duration::from_millis(limits::SYNC_FULL_EXCHANGE_INTERVAL_MS_MAX);
            exchange.interval = (exchange.interval * 2).min(longest);
        } else {
            if exchange.led_by.is_some() && (moving || state.schedule.len() > 0) {
                return;
            }
            exchange.interval = base;
        }
        exchange.led_by = Some((theirs, ours));
        exchange.not_before = now + exchange.interval - base / 2;
        // By ranges first. Where that did not help, because somebody's fingerprints lie, all heads settle it.
        if many && !again {
            if self.own_key < peer {
                self.compare_ranges(now, peer);
            }
            return;
        }
        exchange.under_way.get_or_insert(None);
        state.hints.clear();
    }

    fn digest(&mut self) -> Digest {
        if let Some(digest) = self.digest {
            return digest;
        }
        let digest = self.digest_of_heads();
        *self.digest.insert(digest)
    }

    /// A peer says it has a head.
    pub(super) fn learn(&mut self, peer: AuthorKey, log: LogId, head: Head) {
        if !self.counts(&log) {
            return self.learn_stranger(peer, log, head);
        }
        let (place, ours) = (self.place(&log), self.frontier.head(&log));
        let Some(state) = self.peers.get(&peer) else { return };
        let known = state.known.head(&place, ours);
        if known.is_some_and(|known| known.seq > head.seq || known == head) {
            return;
        }
        // Whoever hears it merges it: a bound here would be used up by heads that somebody makes up.
        if log.author == self.own_key && head.seq > self.frontier.height(&log) {
            self.outputs.push(Output::PeerReportsOurHead { peer, log: log.clone(), head });
        }
        let is_ahead = |theirs: Head| theirs.seq > ours.map_or(0, |ours| ours.seq);
        if is_ahead(head) && !known.is_some_and(is_ahead) && !self.has_room_for(peer, &log) {
            return self.note_overflow(peer);
        }
        self.tell_known(peer, place, ours, Some(head));
        self.compare(peer, &log, head);
    }

    /// Where a log stands among all logs.
    pub(super) fn place(&self, log: &LogId) -> Place {
        let shared = self.frontier.shared(log).or_else(|| self.pulls.shared(log)).cloned();
        place_of(&shared.unwrap_or_else(|| Arc::new(log.clone())))
    }

    /// Our head of a log, if it counts.
    fn head_that_counts(&self, log: &LogId) -> Option<Head> {
        self.frontier.head(log).filter(|_| self.counts(log))
    }

    pub(super) fn tell_known(&mut self, peer: AuthorKey, place: Place, ours: Option<Head>, theirs: Option<Head>) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.known.tell(place, ours, theirs, &self.ranges, &self.frontier);
        }
    }

    /// What is known of a peer stood beside other heads of ours.
    pub(super) fn forget_heads(&mut self, peer: AuthorKey) {
        self.pulls.forget_heads(&peer);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.known = Known::nothing(self.ranges.events(Range::ALL));
            state.strange.clear();
            state.compared = false;
        }
    }

    /// Compares with a peer at once, whatever was compared before. By ranges, for digests that have not changed would be
    /// taken for a difference that stays.
    pub(super) fn compare_anew(&mut self, now: Duration, peer: AuthorKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.exchange.led_by, state.exchange.shared, state.exchange.next_compare) = (None, None, now);
            self.compare_ranges(now, peer);
        }
    }

    /// Draws the conclusions from a peer's head and ours.
    pub(super) fn compare(&mut self, peer: AuthorKey, log: &LogId, theirs: Head) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let relation = self.frontier.relation(log, theirs);
        let missing = match relation {
            Relation::Behind { ours, theirs } if !state.forked.contains(log) => theirs - ours,
            _ => 0,
        };
        self.pulls.set_ahead(log, peer, missing);
        match relation {
            Relation::Ahead | Relation::Behind { .. } => {}
            Relation::Equal => state.hints.remove(log),
            Relation::Forked => self.report_fork(peer, log, theirs, false),
        }
    }

    pub(super) fn report_fork(&mut self, peer: AuthorKey, log: &LogId, theirs: Head, proven: bool) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        self.pulls.set_ahead(log, peer, 0);
        if let (true, Some(ours)) = (state.forked.insert(log.clone()), self.frontier.head(log)) {
            self.outputs.push(Output::Forked { peer, log: log.clone(), ours, theirs, proven });
        }
    }

    fn on_tick(&mut self, now: Duration) {
        self.tell_later_hints(now);
        for (peer, reason) in self.useless(now) {
            self.disconnect(peer, reason);
        }
        self.give_up_fills(now);
        self.begin_fills(now);
        for log in self.pulls.withheld(now) {
            if let Some(peer) = self.pulls.get_mut(&log).map(|pull| pull.peer) {
                self.pulls.note_withheld(&log, peer);
                self.abandon_pull(&log);
            }
        }
    }

    fn write_to_all(&mut self, now: Duration) {
        let keys: Vec<AuthorKey> = self.peers.keys().copied().collect();
        for peer in keys {
            self.write_digest(now, peer);
            self.write_heads(now, peer);
            self.serve(now, peer);
        }
    }

    fn write_digest(&mut self, now: Duration, peer: AuthorKey) {
        let Some(state) = self.peers.get(&peer) else { return };
        let still = || self.pulls.load(&peer).total() == 0 && state.schedule.len() == 0;
        let checks = state.exchange.check_after.is_some_and(|after| now >= after && still());
        if !checks && now < state.exchange.next_compare {
            return;
        }
        let (digest, logs) = (self.digest(), self.ranges.logs(Range::ALL));
        if let Some(state) = self.peers.get_mut(&peer) {
            state.exchange.next_compare = now + Duration::from_millis(limits::SYNC_COMPARE_INTERVAL_MS);
            state.exchange.check_after = state.exchange.check_after.filter(|_| !checks);
            state.exchange.told = Some(digest);
            // Ours lets the peer open a comparison as its own does.
            (state.exchange.range_messages, state.exchange.tells) = (0, 0);
        }
        self.send(now, peer, Message::Digest { digest, logs });
    }

    /// Goes on with a full exchange, then tells of logs that have grown, as far as the line has room.
    fn write_heads(&mut self, now: Duration, peer: AuthorKey) {
        while let Some(state) = self.peers.get_mut(&peer) {
            if !state.line.has_room_for_heads() {
                return;
            }
            let message = if let Some(told) = state.exchange.under_way.take() {
                let (part, rest) = part_after(&self.frontier, told.as_ref(), |log| self.strangers.counts(log));
                let coverage = if rest { Coverage::Part } else { Coverage::End };
                state.exchange.under_way = part.last().filter(|_| rest).map(|(log, _)| Some(log.clone()));
                Message::Heads { coverage, entries: part }
            } else if state.hints.is_empty() {
                return;
            } else {
                let logs = state.hints.take(limits::SYNC_HEADS_PER_MESSAGE_MAX);
                let entry = |log: Arc<LogId>| self.frontier.head(&log).map(|head| ((*log).clone(), head));
                Message::Heads { coverage: Coverage::Hint, entries: logs.into_iter().filter_map(entry).collect() }
            };
            self.send(now, peer, message);
        }
    }
}

/// So many at once, and then one every [`limits::SYNC_ODDITY_INTERVAL_MS`].
pub(super) const fn rate(burst: u32) -> Rate {
    Rate { burst, every: Duration::from_millis(limits::SYNC_ODDITY_INTERVAL_MS) }
}

/// The heads that count after a log, as many as go into one message, and whether more follow.
fn part_after(
    frontier: &Frontier,
    told: Option<&LogId>,
    counts: impl Fn(&LogId) -> bool,
) -> (Vec<(LogId, Head)>, bool) {
    let mut rest = frontier.after(told.map_or(Bound::Unbounded, Bound::Excluded)).filter(|(log, _)| counts(log));
    let part = rest.by_ref().take(limits::SYNC_HEADS_PER_MESSAGE_MAX).map(|(log, head)| (log.clone(), *head)).collect();
    (part, rest.next().is_some())
}
