//! An empty node catches up from a full one.

use crate::data::{PAYLOAD_BYTES, Stock};
use crate::host::Lab;
use crate::meeting::{Meeting, Room, Transport};
use crate::report::{Figure, Outcome, Report};

use super::{Round, Sizes, costs, each, floor_of, many, of_the_floor, times};

/// What a catch-up may cost, in floors.
const GOAL_FLOORS: f64 = 2.0;
/// What may cross the line, in payloads.
const GOAL_PAYLOADS: f64 = 1.25;

pub fn run(lab: &Lab, sizes: &Sizes, report: &mut Report) {
    for &events in &sizes.catch_ups {
        let room = Room::new();
        let full = Stock::write(room.path("full"), sizes.logs, events);
        // In turn, so that a machine whose mood changes changes them alike.
        let mut rounds = Transport::ALL.map(|transport| (transport, vec![]));
        for _ in 0..sizes.runs_long {
            for (transport, rounds) in &mut rounds {
                rounds.push(round(lab, sizes, &full, *transport));
            }
        }
        for (transport, rounds) in rounds {
            report.add(outcome(lab, sizes, events, transport, &rounds));
        }
    }
}

fn round(lab: &Lab, sizes: &Sizes, full: &Stock, transport: Transport) -> Round {
    let room = Room::new();
    let floor = floor_of(lab, full, &room);
    let empty = room.path("empty");
    let meeting = Meeting {
        lab,
        transport,
        stores: [&full.path, &empty],
        events: [full.events; 2],
        delay: None,
        settle: sizes.settle_short(),
    };
    Round { floor, met: meeting.hold() }
}

fn outcome(lab: &Lab, sizes: &Sizes, events: usize, transport: Transport, rounds: &[Round]) -> Outcome {
    let payloads = (events * PAYLOAD_BYTES) as f64;
    let received = |r: &Round| r.met.costs[1].received_bytes as f64;
    let mut figures = times(rounds);
    figures.extend(of_the_floor(rounds, GOAL_FLOORS));
    figures.extend(costs(rounds));
    figures.push(Figure::new("sync messages, per event", "B", each(rounds, |r| received(r) / events as f64)));
    figures.push(
        Figure::new("sync messages, of the payload", "x", each(rounds, |r| received(r) / payloads))
            .at_most(GOAL_PAYLOADS),
    );
    if lab.has_cable() {
        let cable = each(rounds, |r| r.met.costs[1].cable_bytes as f64 / payloads);
        figures.push(Figure::new("cable, of the payload", "x", cable).at_most(GOAL_PAYLOADS));
    }
    let floor = figures[0].median();
    Outcome {
        case: format!("catch-up of {} events, {} authors", many(events), sizes.logs),
        transport: transport.name(),
        figures,
        notes: vec![],
        goal_ms: Some(floor * GOAL_FLOORS),
    }
}
