//! Two nodes that hold the same but for a few events: what happens on every short cut, and on every start.

use std::time::Duration;

use crate::data::Stock;
use crate::host::Lab;
use crate::meeting::{Meeting, Met, Room, Transport};
use crate::report::{Figure, Outcome, Report};

use super::round_trips::Trips;
use super::{Round, Sizes, costs, each, floor_of, kb, lent, many, messages, times};

/// From the call to the last durable event.
const GOAL_MS: f64 = 100.0;
/// After the handshake.
const GOAL_ROUND_TRIPS: f64 = 3.0;
/// Both ways.
const GOAL_KB: f64 = 60.0;

pub fn run(lab: &Lab, sizes: &Sizes, report: &mut Report) {
    let room = Room::new();
    let held = Stock::write(room.path("held"), sizes.logs, sizes.held);
    // One author wrote all of them, or every author a few.
    for writing in [1, sizes.logs] {
        let newer = held.extended(room.path(&format!("newer-{writing}")), 0..writing, sizes.few / writing);
        for transport in Transport::ALL {
            let rounds: Vec<Round> =
                (0..sizes.runs_short).map(|_| round(lab, sizes, &held, &newer, transport)).collect();
            let trips =
                Trips::count(sizes, |delay| meet(lab, sizes, &held, &newer, transport, Some(delay), &Room::new()));
            let authors = if writing == 1 { "one author".to_owned() } else { format!("{writing} authors") };
            let case = format!("both hold {}, {} new of {authors}", many(sizes.held), sizes.few);
            report.add(outcome(lab, case, transport, &rounds, &trips));
        }
    }
}

fn round(lab: &Lab, sizes: &Sizes, held: &Stock, newer: &Stock, transport: Transport) -> Round {
    let room = Room::new();
    let floor = floor_of(lab, newer, &room);
    Round { floor, met: meet(lab, sizes, held, newer, transport, None, &room) }
}

fn meet(
    lab: &Lab,
    sizes: &Sizes,
    held: &Stock,
    newer: &Stock,
    transport: Transport,
    delay: Option<Duration>,
    room: &Room,
) -> Met {
    let stores = [lent(newer, room, "newer"), lent(held, room, "held")];
    let events = [newer.events; 2];
    let settle = sizes.settle_for(delay);
    Meeting { lab, transport, stores: [&stores[0], &stores[1]], events, delay, settle }.hold()
}

fn outcome(lab: &Lab, case: String, transport: Transport, rounds: &[Round], trips: &Trips) -> Outcome {
    let mut figures = times(rounds);
    let time = figures.iter_mut().find(|figure| figure.name == crate::report::TIME).unwrap();
    time.goal = Some(GOAL_MS);
    figures.extend(trips.figures(GOAL_ROUND_TRIPS));
    figures
        .push(Figure::new("sync messages, both ways", "kB", each(rounds, |r| kb(messages(&r.met)))).at_most(GOAL_KB));
    if lab.has_cable() {
        let cable = each(rounds, |r| kb(r.met.costs[1].cable_bytes));
        figures.push(Figure::new("cable, from the call on", "kB", cable).at_most(GOAL_KB));
    }
    figures.extend(costs(rounds));
    let notes = vec![trips.note.clone()];
    Outcome { case, transport: transport.name(), figures, notes, goal_ms: Some(GOAL_MS) }
}
