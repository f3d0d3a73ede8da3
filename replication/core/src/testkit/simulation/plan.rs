//! What happens to a district, drawn from its seed.

use std::time::Duration;

use super::LIFE;
use crate::id::Stream;
use crate::testkit::EPOCH_MS;
use crate::testkit::network::Numbers;

/// What happens to a district.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
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
    /// A node's clock shows another time.
    SetClock(usize, u64),
    /// A node's disk is copied.
    Copy(usize),
    /// The copy of a node's disk is put back, and whether the node can tell.
    RollBack(usize, bool),
    /// The copy of a node's disk runs somewhere else, beside it: what it writes arrives at another node.
    CloneWrites { of: usize, at: usize, stream: Stream, events: usize },
    /// The hostile member does something.
    Hostile(Hostility),
}

/// What a hostile member does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hostility {
    /// Signs logs with keys that it invents: how many, of how many events, each so long.
    Invent { logs: u16, events: usize, bytes: usize },
    /// Tells a node of heads that nobody has, of logs of honest members.
    Exaggerate { to: usize },
    /// Tells a node of more later heads of its own logs than anybody would count.
    Bury { to: usize },
}

/// Twenty to sixty acts in the order of their times; many writes, some trouble.
pub(super) fn plan(draw: &mut Numbers, nodes: usize, troubled: bool, hostile: bool) -> Vec<(Duration, Act)> {
    let count = 20 + draw.below(40);
    let millis = u64::try_from(LIFE.as_millis()).unwrap();
    let mut times: Vec<Duration> = (0..count).map(|_| Duration::from_millis(draw.below(millis))).collect();
    times.sort_unstable();
    let act = |at| (at, act(draw, nodes, troubled, hostile));
    times.into_iter().map(act).collect()
}

fn act(draw: &mut Numbers, nodes: usize, troubled: bool, hostile: bool) -> Act {
    let some = draw.below(nodes as u64) as usize;
    let other = (some + 1 + draw.below(nodes as u64 - 1) as usize) % nodes;
    if hostile && draw.below(5) == 0 {
        return Act::Hostile(hostility(draw, some));
    }
    if troubled && draw.below(5) == 0 {
        return trouble(draw, some, other);
    }
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

/// What happens to a node's clock and disk.
fn trouble(draw: &mut Numbers, some: usize, other: usize) -> Act {
    match draw.below(6) {
        0 => Act::SetClock(some, [1_000, EPOCH_MS / 2, EPOCH_MS * 2][draw.below(3) as usize]),
        1 | 2 => Act::Copy(some),
        3 | 4 => Act::RollBack(some, draw.below(3) == 0),
        _ => {
            let stream = Stream::from_code(draw.below(9)).unwrap();
            Act::CloneWrites { of: some, at: other, stream, events: 1 + draw.below(6) as usize }
        }
    }
}

fn hostility(draw: &mut Numbers, to: usize) -> Hostility {
    match draw.below(4) {
        0 => Hostility::Invent { logs: 1 + draw.below(30) as u16, events: 1 + draw.below(3) as usize, bytes: 60 },
        1 => Hostility::Invent { logs: 1, events: 40, bytes: 4_000 },
        2 => Hostility::Exaggerate { to },
        _ => Hostility::Bury { to },
    }
}
