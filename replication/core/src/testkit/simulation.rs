//! A whole life of a small district from one number: who writes what and when, which lines break, who restarts, whose disk
//! is put back, what a hostile member does; and whether what must hold did hold.
//!
//! ```text
//! seed → plan → run under virtual time → the network calms down → checks
//! ```
//!
//! A run is a pure function of its seed, so a violation is replayed by its seed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use self::plan::{Act, Hostility, plan};
use self::writer::Writer;
use super::network::{Conditions, Network, Numbers};
use super::{Author, Draft, area, key};
use crate::event::ReceivedEvent;
use crate::frontier::Frontier;
use crate::id::{AuthorKey, EventId, Head, LogId, Stream};
use crate::limits;
use crate::sync::{Bounds, Coverage, Message};

mod checks;
mod plan;
mod writer;

/// How long a district lives before it calms down.
const LIFE: Duration = Duration::from_secs(40);
/// How long it may take to agree once it is calm: the longest pause of a comparison, and time for the rest.
const CALM_MAX: Duration = Duration::from_secs(200);
/// How often it is looked whether all agree.
const LOOK: Duration = Duration::from_millis(200);

/// Where nodes work: the district, two of its streets, a community of the first.
const AREAS: [&str; 4] = ["320508", "320508005", "320508006", "320508005012"];

/// What a hostile member may bring in a district that has one.
const HOSTILE: Bounds = Bounds { logs_ahead: 65_536, stranger_logs: 20, stranger_bytes: 60_000 };

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
    writers: Vec<Writer>,
    plan: Vec<(Duration, Act)>,
    /// All that was signed and not lost with a disk that was put back, with its log.
    written: BTreeMap<EventId, LogId>,
    /// What was lost with a disk that was put back, unless it was on its way to another.
    perhaps_lost: BTreeSet<EventId>,
    /// All that was ever signed, by its place: two at one place are two histories.
    signed: BTreeMap<(LogId, u64), BTreeSet<EventId>>,
    /// A log of which two nodes got two histories from the start, in some districts.
    forked: Option<LogId>,
    /// Whether each announcement is made once: where no hints are disturbed, and no frontiers compared by ranges, which
    /// tell again what a list did not name yet.
    announces_once: bool,
    /// The number of the hostile member, after all honest ones, if there is one; and who has a line to it.
    hostile: Option<(usize, usize)>,
    invented_keys: u16,
    /// Whether disks are put back, copied and run twice.
    troubled: bool,
    /// Whether whoever is connected hears everything within seconds.
    prompt: bool,
    next_incarnation: u64,
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
        let (troubled, hostile) = (draw.below(3) == 0, draw.below(3) == 0);
        let plan = plan(&mut draw, nodes, troubled, hostile);
        let areas: Vec<&str> = (0..nodes).map(|_| AREAS[draw.below(AREAS.len() as u64) as usize]).collect();
        let undisturbed = conditions.hints_disturbed_one_in == 0;
        let fast = conditions.bytes_per_second >= 1_000_000;
        let prompt = fast && undisturbed && conditions.loss_one_in == 0;
        let mut district = Self {
            network: Network::new(seed, (nodes + usize::from(hostile)) as u16, conditions),
            writers: areas.iter().zip(1..).map(|(area, n)| Writer::new(Author::new(n, area, None))).collect(),
            plan,
            written: BTreeMap::new(),
            perhaps_lost: BTreeSet::new(),
            signed: BTreeMap::new(),
            forked: None,
            announces_once: undisturbed && !hostile && !troubled,
            hostile: hostile.then(|| (nodes, if draw.below(2) == 0 { 1 } else { nodes })),
            invented_keys: 0,
            troubled,
            prompt,
            next_incarnation: 1,
        };
        district.found(&mut draw, &areas);
        match draw.below(8) {
            0 | 1 => district.quiet_logs(),
            2 if fast => district.large_log(),
            3 => district.fork(),
            _ => {}
        }
        district
    }

    /// What nodes are like before there are lines between them.
    fn found(&mut self, draw: &mut Numbers, areas: &[&str]) {
        let few = draw.below(4) == 0;
        let many_logs = draw.below(64) == 0;
        let quiet = if many_logs { very_many_logs() } else { Frontier::new() };
        self.announces_once &= !few && !many_logs;
        for (n, code) in areas.iter().enumerate() {
            self.network.nodes[n].up_before = Duration::from_millis(draw.below(1 << 32));
            let bounds = if self.hostile.is_some() { HOSTILE } else { Bounds::default() };
            self.network.bound(n, Bounds { logs_ahead: if few { 40 } else { bounds.logs_ahead }, ..bounds });
            self.network.hold(n, quiet.clone());
            self.network.entitle(n, area(code));
            self.network.grant(n, granted().iter().copied());
        }
    }

    /// Many quiet logs are there already, so that frontiers are compared by ranges. Not everybody has everything.
    fn quiet_logs(&mut self) {
        self.announces_once = false;
        for n in 0..90 {
            let run = Author::new(1_000 + n, "320508", None).write_many(Stream::TEAMS, 1, 20);
            for node in 0..self.writers.len() {
                if self.network.numbers().below(8) > 0 || node == 0 {
                    self.network.write(node, &run);
                }
            }
            self.note(&run);
        }
    }

    /// One node has a log that is longer than the credit of a want.
    fn large_log(&mut self) {
        let run = Author::new(99, "320508", None).write_many(Stream::WITNESS, 40, 40_000);
        self.note(&run);
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

    fn note(&mut self, run: &[ReceivedEvent]) {
        for event in run {
            let (log, seq) = (event.header().log_id(), event.header().seq);
            self.written.insert(event.id(), log.clone());
            self.signed.entry((log, seq)).or_default().insert(event.id());
        }
    }

    fn live(mut self) -> Result<Run, String> {
        self.heal();
        for (at, act) in std::mem::take(&mut self.plan) {
            let wait = at.saturating_sub(self.network.now());
            self.network.run_for(wait);
            self.perform(act)?;
        }
        let rest = LIFE.saturating_sub(self.network.now());
        self.network.run_for(rest);
        self.network.calm();
        self.heal();
        let calm = self.network.now();
        while !self.agree() {
            if self.network.now() > calm + CALM_MAX {
                return Err(format!("no agreement within {CALM_MAX:?} of calm: {}", self.heights()));
            }
            self.network.run_for(LOOK);
        }
        let agreed_after = self.network.now() - calm;
        // Both sides of each line shall also know it.
        self.network.run_for(Duration::from_secs(40));
        self.check_sets()?;
        // Whoever was asked in vain, while it lacked the payload itself, is left alone for a while.
        let last_asked = self.network.now() + Duration::from_millis(limits::SYNC_FILL_AGAIN_MS_MAX);
        while self.network.now() < last_asked && self.check_payloads().is_err() {
            self.network.run_for(Duration::from_secs(10));
        }
        self.check_payloads()?;
        self.check_nodes()?;
        self.check_strangers()?;
        self.check_forks()?;
        if self.hostile.is_none() && !self.may_differ() {
            self.check_second_sync()?;
        }
        let filled_payloads = self.network.nodes.iter().map(|node| node.filled_payloads).sum();
        Ok(Run { trace: self.network.trace(), events: self.written.len() as u64, filled_payloads, agreed_after })
    }

    fn perform(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Write { node, stream, events, personal } => return self.write(node, stream, events, personal),
            Act::Entitle(node) => self.network.entitle(node, area(AREAS[0])),
            Act::Split(below) => {
                for (a, b) in (0..below).flat_map(|a| (below..self.writers.len()).map(move |b| (a, b))) {
                    self.network.cut(a, b);
                }
            }
            Act::Cut(a, b) => self.network.cut(a, b),
            Act::Stall(from, to) => self.network.stall(from, to),
            Act::Heal => self.heal(),
            Act::Restart(node) => self.network.restart(node),
            Act::SetClock(node, unix_ms) => self.writers[node].author.set_clock(unix_ms),
            Act::Copy(node) => self.writers[node].copy_disk(&self.network, node),
            Act::RollBack(node, noticed) => self.roll_back(node, noticed),
            Act::CloneWrites { of, at, stream, events } => self.clone_writes(of, at, stream, events),
            Act::Hostile(hostility) => self.be_hostile(hostility),
        }
        Ok(())
    }

    fn be_hostile(&mut self, hostility: Hostility) {
        let Some((hostile, _)) = self.hostile else { return };
        match hostility {
            Hostility::Invent { logs, events, bytes } => {
                for _ in 0..logs {
                    self.invented_keys += 1;
                    let mut author = Author::new(2_000 + self.invented_keys, "320508", None);
                    self.network.write(hostile, &author.write_many(Stream::COMMUNITY, events, bytes));
                }
            }
            Hostility::Exaggerate { to } => {
                let logs: BTreeSet<LogId> = self.written.values().cloned().collect();
                let more = 1 + self.network.numbers().below(1_000);
                let head = |log: &LogId| Head {
                    seq: self.network.nodes[to].engine.frontier().height(log) + more,
                    id: nobodys(),
                };
                let entries = logs.iter().take(30).map(|log| (log.clone(), head(log))).collect();
                self.network.forge(hostile, to, Message::Heads { coverage: Coverage::Hint, entries });
            }
            Hostility::Bury { to } => {
                for _ in 0..2 {
                    let own = self.writers[to].author.log_id(Stream::PLANS);
                    let mut log =
                        || LogId { incarnation: 1 << 40 | self.network.numbers().below(1 << 30), ..own.clone() };
                    let entries = (0..1_024).map(|_| (log(), Head { seq: 9, id: nobodys() })).collect();
                    self.network.forge(hostile, to, Message::Heads { coverage: Coverage::Hint, entries });
                }
            }
        }
    }

    fn heal(&mut self) {
        let honest = self.writers.len();
        for (a, b) in (0..honest).flat_map(|a| (0..honest).map(move |b| (a, b))) {
            if a < b {
                self.network.connect(a, b);
            }
            if a != b {
                self.network.resume(a, b);
            }
        }
        if let Some((hostile, victims)) = self.hostile {
            (0..victims).for_each(|victim| self.network.connect(victim, hostile));
        }
    }
}

/// All who have a grant: everybody but those whom a hostile member invents.
fn granted() -> &'static BTreeSet<AuthorKey> {
    static GRANTED: LazyLock<BTreeSet<AuthorKey>> =
        LazyLock::new(|| (1..9).chain(98..100).chain([900]).chain(1_000..1_090).map(|n| key(n).public()).collect());
    &GRANTED
}

fn nobodys() -> EventId {
    EventId::from_bytes([0xee; 32])
}

/// More logs than two nodes could once tell each other of.
fn very_many_logs() -> Frontier {
    let first = Author::new(900, "320508005", None).log_id(Stream::TEAMS);
    let log = |incarnation| LogId { incarnation, ..first.clone() };
    (0..66_000).map(|n| (log(n), Head { seq: 1, id: nobodys() })).collect()
}
