//! Thousands of logs of which a few differ: what it takes to find out which.

use std::path::Path;
use std::time::Duration;

use crate::data::Stock;
use crate::host::Lab;
use crate::meeting::{Meeting, Met, Room, Transport};
use crate::report::{Figure, Outcome, Report};

use super::round_trips::Trips;
use super::{Round, Sizes, costs, each, floor_of, kb, lent, many, messages, times};

/// Until the events of the logs that differ are here, after the handshake.
const GOAL_ROUND_TRIPS: f64 = 3.0;
/// For knowing which logs differ, both ways.
const GOAL_KB: f64 = 12.0;

pub fn run(lab: &Lab, sizes: &Sizes, report: &mut Report) {
    let room = Room::new();
    let held = Stock::write(room.path("held"), sizes.many_logs, sizes.many_logs);
    // Not the first few: those would lie side by side in no ordering but ours.
    let newer = held.extended(room.path("newer"), sizes.differ..2 * sizes.differ, 1);
    let frames = std::fs::metadata(&newer.bytes.frames).unwrap().len();
    for transport in Transport::ALL {
        let mut rounds = vec![];
        let mut same = vec![];
        for _ in 0..sizes.runs_short {
            let room = Room::new();
            let floor = floor_of(lab, &newer, &room);
            rounds.push(Round { floor, met: meet(lab, sizes, [&newer, &held], transport, None, &room) });
            same.push(meet(lab, sizes, [&held, &held], transport, None, &Room::new()));
        }
        let trips =
            Trips::count(sizes, |delay| meet(lab, sizes, [&newer, &held], transport, Some(delay), &Room::new()));
        report.add(outcome(lab, sizes, transport, &rounds, &same, &trips, frames));
    }
}

fn meet(
    lab: &Lab,
    sizes: &Sizes,
    [a, b]: [&Stock; 2],
    transport: Transport,
    delay: Option<Duration>,
    room: &Room,
) -> Met {
    let stores = [lent(a, room, "a"), lent(b, room, "b")];
    let stores: [&Path; 2] = [&stores[0], &stores[1]];
    Meeting { lab, transport, stores, events: [a.events; 2], delay, settle: sizes.settle_for(delay) }.hold()
}

fn outcome(
    lab: &Lab,
    sizes: &Sizes,
    transport: Transport,
    rounds: &[Round],
    same: &[Met],
    trips: &Trips,
    frames: u64,
) -> Outcome {
    let mut figures = times(rounds);
    figures.extend(trips.figures(GOAL_ROUND_TRIPS));
    let found = each(rounds, |r| kb(messages(&r.met).saturating_sub(frames)));
    figures.push(Figure::new("sync messages, both ways", "kB", each(rounds, |r| kb(messages(&r.met)))));
    figures.push(Figure::new("  without the events that differ", "kB", found).at_most(GOAL_KB));
    if lab.has_cable() {
        let cable = each(rounds, |r| kb(r.met.costs[1].cable_bytes));
        let connection: Vec<f64> = same.iter().map(|met| kb(met.costs[1].cable_bytes)).collect();
        figures.push(Figure::new("cable, from the call on", "kB", cable));
        figures.push(Figure::new("cable, when nothing differs", "kB", connection));
    }
    figures.extend(costs(rounds));
    let notes = vec![trips.note.clone(), "one of the round trips asks for the events and gets them".to_owned()];
    Outcome {
        case: format!("{} logs, {} differ", many(sizes.many_logs), sizes.differ),
        transport: transport.name(),
        figures,
        notes,
        goal_ms: None,
    }
}
