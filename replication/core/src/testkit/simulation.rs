//! A whole life of a small district from one number: who writes what and when, which lines break, who restarts; and
//! whether what must hold did hold.
//!
//! ```text
//! seed → plan → run under virtual time → the network calms down → checks
//! ```
//!
//! A run is a pure function of its seed, so a violation is replayed by its seed alone.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::network::{Conditions, Network, Numbers};
use super::{Author, Draft, area};
use crate::event::ReceivedEvent;
use crate::id::{EventId, LogId, Stream};
use crate::limits;
use crate::sync::Output;

/// How long a district lives before it calms down.
const LIFE: Duration = Duration::from_secs(40);
/// How long it may take to agree once it is calm: the longest pause of a comparison, and time for the rest.
const CALM_MAX: Duration = Duration::from_secs(200);

/// Where nodes work: the district, two of its streets, a community of the first.
const AREAS: [&str; 4] = ["320508", "320508005", "320508006", "320508005012"];

/// What happens to a district.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// A node's author writes into one of its streams, perhaps with personal payloads.
    Write { node: usize, stream: Stream, events: usize, personal: bool },
    /// A node may have the personal payloads of the whole district from now on.
    Entitle(usize),
    /// The nodes below a number lose the others.
    Split(usize),
    /// One line breaks.
    Cut(usize, usize),
    /// One direction carries nothing.
    Stall(usize, usize),
    /// All lines carry again.
    Heal,
    /// A process ends and starts again.
    Restart(usize),
}

/// What must hold and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The seed that replays it.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// What a run was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// A hash over everything that was delivered, in order.
    pub trace: [u8; 32],
    /// Events that were written.
    pub events: u64,
    /// Personal payloads that came later than their events.
    pub filled_payloads: u64,
    /// Time from calm to agreement.
    pub agreed_after: Duration,
}

/// Lives through a seed and checks it.
///
/// # Errors
/// The first thing that must hold and did not.
pub fn run(seed: u64) -> Result<Run, Violation> {
    District::new(seed).live().map_err(|what| Violation { seed, what })
}

struct District {
    network: Network,
    authors: Vec<Author>,
    plan: Vec<(Duration, Act)>,
    written: BTreeSet<EventId>,
    /// A log of which two nodes got two histories from the start, in some districts.
    forked: Option<LogId>,
    /// Whether each announcement is made once: where no hints are disturbed, and no frontiers compared by ranges, which
    /// tell again what a list did not name yet.
    announces_once: bool,
}

impl District {
    fn new(seed: u64) -> Self {
        let mut draw = Numbers::new(seed ^ 0x5eed);
        let nodes = 2 + draw.below(5) as usize;
        let conditions = Conditions {
            delay: Duration::from_millis(1 + draw.below(100)),
            jitter: Duration::from_millis(draw.below(100)),
            bytes_per_second: [8_000, 60_000, 1_000_000, 20_000_000][draw.below(4) as usize],
            buffer_bytes: [0, 4_000, 4_000_000][draw.below(3) as usize],
            disk: Duration::from_millis(draw.below(8)),
            loss_one_in: [0, 0, 50, 400][draw.below(4) as usize],
            hints_disturbed_one_in: [0, 0, 3, 9][draw.below(4) as usize],
            reconnect: Duration::from_millis(200 + draw.below(3_000)),
        };
        let plan = plan(&mut draw, nodes);
        let areas: Vec<&str> = (0..nodes).map(|_| AREAS[draw.below(AREAS.len() as u64) as usize]).collect();
        let authors = areas.iter().zip(100..).map(|(area, n)| Author::new(n, area, None)).collect();
        let announces_once = conditions.hints_disturbed_one_in == 0;
        let fast = conditions.bytes_per_second >= 1_000_000;
        let mut network = Network::new(seed, nodes as u16, conditions);
        areas.iter().enumerate().for_each(|(n, code)| network.entitle(n, area(code)));
        let mut district = Self { network, authors, plan, written: BTreeSet::new(), forked: None, announces_once };
        match draw.below(8) {
            0 | 1 => district.quiet_logs(),
            2 if fast => district.large_log(),
            3 => district.fork(),
            _ => {}
        }
        district
    }

    /// Many quiet logs are there already, so that frontiers are compared by ranges. Not everybody has everything.
    fn quiet_logs(&mut self) {
        self.announces_once = false;
        for n in 0..90 {
            let run = Author::new(1_000 + n, "320508", None).write_many(Stream::TEAMS, 1, 20);
            for node in 0..self.authors.len() {
                if self.network.numbers().below(8) > 0 || node == 0 {
                    self.network.write(node, &run);
                }
            }
            self.written.extend(run.iter().map(ReceivedEvent::id));
        }
    }

    /// One node has a log that is longer than the credit of a want.
    fn large_log(&mut self) {
        let run = Author::new(99, "320508", None).write_many(Stream::WITNESS, 40, 40_000);
        self.written.extend(run.iter().map(ReceivedEvent::id));
        self.network.write(0, &run);
    }

    /// One author's two machines have signed two histories.
    fn fork(&mut self) {
        for (node, kind) in [(0, "issued"), (1, "received")] {
            let event = Author::new(98, "320508", None).write(Draft::new(Stream::SUPPLIES, kind, None));
            self.forked = Some(event.header().log_id());
            self.network.write(node, &[event]);
        }
    }

    fn live(mut self) -> Result<Run, String> {
        self.network.connect_all();
        for (at, act) in std::mem::take(&mut self.plan) {
            let wait = at.saturating_sub(self.network.now());
            self.network.run_for(wait);
            self.perform(act);
        }
        let rest = LIFE.saturating_sub(self.network.now());
        self.network.run_for(rest);
        self.network.calm();
        self.heal();
        let calm = self.network.now();
        let agreed = self
            .network
            .run_until(calm + CALM_MAX, |network| agree(network, self.forked.as_ref()) && network.all_lines_up());
        let agreed_after = self.network.now() - calm;
        if !agreed {
            return Err(format!("no agreement within {CALM_MAX:?} of calm: {}", self.heights()));
        }
        // Both sides of each line shall also know it.
        self.network.run_for(Duration::from_secs(40));
        self.check_sets()?;
        self.check_payloads()?;
        self.check_nodes()?;
        match &self.forked {
            // Two histories differ for good, so there is something to compare again and again.
            Some(log) => self.check_fork(log)?,
            None => self.check_second_sync()?,
        }
        let filled_payloads = self.network.nodes.iter().map(|node| node.filled_payloads).sum();
        Ok(Run { trace: self.network.trace(), events: self.written.len() as u64, filled_payloads, agreed_after })
    }

    fn perform(&mut self, act: Act) {
        match act {
            Act::Write { node, stream, events, personal } => {
                let author = &mut self.authors[node];
                let run = match personal {
                    true => author.write_personal(stream, events, 60),
                    false => author.write_many(stream, events, 60),
                };
                self.written.extend(run.iter().map(ReceivedEvent::id));
                self.network.write(node, &run);
            }
            Act::Entitle(node) => self.network.entitle(node, area(AREAS[0])),
            Act::Split(below) => {
                for (a, b) in (0..below).flat_map(|a| (below..self.authors.len()).map(move |b| (a, b))) {
                    self.network.cut(a, b);
                }
            }
            Act::Cut(a, b) => self.network.cut(a, b),
            Act::Stall(from, to) => self.network.stall(from, to),
            Act::Heal => self.heal(),
            Act::Restart(node) => self.network.restart(node),
        }
    }

    fn heal(&mut self) {
        for (a, b) in (0..self.authors.len()).flat_map(|a| (0..self.authors.len()).map(move |b| (a, b))) {
            if a < b {
                self.network.connect(a, b);
            }
            if a != b {
                self.network.resume(a, b);
            }
        }
    }

    fn heights(&self) -> String {
        let events: Vec<u64> = self.network.nodes.iter().map(|node| node.engine.frontier().events()).collect();
        format!("{events:?} of {} events", self.written.len())
    }

    /// Everybody holds exactly what was written, in the same logs, each once, and says so by its heads.
    fn check_sets(&self) -> Result<(), String> {
        for (n, node) in self.network.nodes.iter().enumerate() {
            let held = node.logs.iter().filter(|(log, _)| Some(*log) != self.forked.as_ref());
            let held: Vec<EventId> = held.flat_map(|(_, events)| events).map(ReceivedEvent::id).collect();
            let set: BTreeSet<EventId> = held.iter().copied().collect();
            if set != self.written || held.len() != set.len() {
                return Err(format!(
                    "node {n} holds {} events, {} different, of {}",
                    held.len(),
                    set.len(),
                    self.written.len()
                ));
            }
            let chained = |events: &Vec<ReceivedEvent>| {
                events.iter().zip(1..).all(|(event, seq)| event.header().seq == seq)
                    && events.windows(2).all(|pair| pair[1].header().prev == Some(pair[0].id()))
            };
            let headed = |(log, events): (&LogId, &Vec<ReceivedEvent>)| {
                node.engine.frontier().head(log) == events.last().map(ReceivedEvent::head)
            };
            if !node.logs.values().all(chained) || !node.logs.iter().all(headed) {
                return Err(format!("node {n} has a log that is no chain, or claims another head than it has"));
            }
        }
        Ok(())
    }

    /// Whoever may have a personal payload has it: its author is connected. Nobody else was ever sent one.
    fn check_payloads(&self) -> Result<(), String> {
        for (n, node) in self.network.nodes.iter().enumerate() {
            let events = node.logs.values().flatten().filter(|event| event.header().pii.is_some());
            for event in events {
                let (entitled, lacks) = (node.area.contains(&event.header().area), event.lacks_pii());
                if entitled == lacks {
                    let (log, seq) = (event.header().log_id(), event.header().seq);
                    return Err(format!("node {n} of {} lacks a payload: {lacks} ({log}, seq {seq})", node.area));
                }
            }
            if node.leaked_payloads > 0 {
                return Err(format!("node {n} was sent {} payloads that it may not have", node.leaked_payloads));
            }
        }
        Ok(())
    }

    /// Nobody broke a rule, sent durable events again, let queues grow, or fails to know that all is equal.
    fn check_nodes(&self) -> Result<(), String> {
        let wants = (limits::SYNC_WANTS_MAX + 8) as u64;
        let bound =
            limits::SYNC_WANTED_BYTES_MAX + 8 * limits::SYNC_CREDIT_BYTES + wants * limits::FRAME_BYTES_MAX as u64;
        for (n, node) in self.network.nodes.iter().enumerate() {
            if let Some(reason) = node.disconnects.first() {
                return Err(format!("node {n} hung up on an honest peer: {reason}"));
            }
            if let (None, Some(report)) = (&self.forked, node.reports.first()) {
                return Err(format!("node {n} reports what nobody did: {report:?}"));
            }
            if node.redundant_events > 0 {
                return Err(format!("node {n} was sent {} events that it had", node.redundant_events));
            }
            if node.most_waiting_bytes as u64 > bound {
                return Err(format!("{} bytes waited for the disk of node {n}", node.most_waiting_bytes));
            }
            for other in (0..self.authors.len()).filter(|other| *other != n) {
                let view = node.engine.view(&self.network.keys[other]);
                if self.forked.is_some() {
                    continue;
                }
                match view {
                    Some(v) if v.compared && v.behind_events + v.ahead_events == 0 && v.pulling + v.serving == 0 => {}
                    view => return Err(format!("node {n} does not know that {other} has the same: {view:?}")),
                }
            }
        }
        let repeated = self.network.traffic.repeated_hints;
        if self.announces_once && self.forked.is_none() && repeated > 0 {
            return Err(format!("{repeated} heads were announced twice on one connection"));
        }
        Ok(())
    }

    /// Nobody drops or prefers a history, and whoever is connected to the other one says so.
    fn check_fork(&self, log: &LogId) -> Result<(), String> {
        let heads: Vec<_> = self.network.nodes.iter().map(|node| node.engine.frontier().head(log)).collect();
        for (n, node) in self.network.nodes.iter().enumerate() {
            let differs = heads.iter().any(|head| *head != heads[n]);
            let reported =
                node.reports.iter().any(|report| matches!(report, Output::Forked { log: l, .. } if l == log));
            if heads[n].is_none() || !differs || !reported {
                return Err(format!("node {n} does not tell of two histories: {heads:?}, {:?}", node.reports));
            }
        }
        Ok(())
    }

    /// A line that comes back when nothing is missing costs digests and nothing else.
    fn check_second_sync(&mut self) -> Result<(), String> {
        self.network.cut(0, 1);
        let before = self.network.traffic.clone();
        self.network.connect(0, 1);
        self.network.run_for(Duration::from_secs(5));
        for (number, count) in &self.network.traffic.messages {
            let more = count - before.messages.get(number).copied().unwrap_or(0);
            let lines = self.authors.len() as u64 * (self.authors.len() as u64 - 1);
            if more > if *number == 0 { 2 + lines } else { 0 } {
                return Err(format!("a second sync cost {more} messages of number {number}"));
            }
        }
        Ok(())
    }
}

/// Whether all hold the same heads, of a forked log any.
fn agree(network: &Network, forked: Option<&LogId>) -> bool {
    let heads = |n: usize| {
        let frontier = network.nodes[n].engine.frontier();
        frontier.iter().filter(move |(log, _)| Some(*log) != forked)
    };
    let of_fork = |n: usize| forked.is_none_or(|log| network.nodes[n].engine.frontier().head(log).is_some());
    (0..network.nodes.len()).all(|n| of_fork(n) && heads(n).eq(heads(0)))
}

/// Twenty to sixty acts in the order of their times; many writes, some trouble.
fn plan(draw: &mut Numbers, nodes: usize) -> Vec<(Duration, Act)> {
    let count = 20 + draw.below(40);
    let millis = u64::try_from(LIFE.as_millis()).unwrap();
    let mut times: Vec<Duration> = (0..count).map(|_| Duration::from_millis(draw.below(millis))).collect();
    times.sort_unstable();
    times.into_iter().map(|at| (at, act(draw, nodes))).collect()
}

fn act(draw: &mut Numbers, nodes: usize) -> Act {
    let some = draw.below(nodes as u64) as usize;
    let other = (some + 1 + draw.below(nodes as u64 - 1) as usize) % nodes;
    match draw.below(16) {
        0 => Act::Split(1 + draw.below(nodes as u64 - 1) as usize),
        1 => Act::Cut(some, other),
        2 => Act::Stall(some, other),
        3 | 4 => Act::Heal,
        5 if draw.below(2) == 0 => Act::Entitle(some),
        5 => Act::Restart(some),
        _ => {
            let stream = Stream::from_code(draw.below(9)).unwrap();
            let (events, personal) = (1 + draw.below(12) as usize, draw.below(3) == 0);
            Act::Write { node: some, stream, events, personal }
        }
    }
}
