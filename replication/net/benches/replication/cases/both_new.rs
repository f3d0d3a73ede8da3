//! Two nodes that were apart for a day: each has what the other lacks.

use crate::data::{PAYLOAD_BYTES, Stock};
use crate::host::Lab;
use crate::meeting::{Meeting, Room, Transport};
use crate::report::{Figure, Outcome, Report};

use super::{Round, Sizes, costs, each, floor_of, lent, many, messages, of_the_floor, times};

/// What it may cost, in floors: the floors of both directions, one after the other.
const GOAL_FLOORS: f64 = 2.5;

pub fn run(lab: &Lab, sizes: &Sizes, report: &mut Report) {
    let room = Room::new();
    let held = Stock::write(room.path("held"), sizes.logs, sizes.held);
    let half = sizes.logs / 2;
    // Each side's half of the authors went on writing.
    let a = held.extended(room.path("a"), 0..half, sizes.each_lacks / half);
    let b = held.extended(room.path("b"), half..2 * half, sizes.each_lacks / half);
    let mut rounds = Transport::ALL.map(|transport| (transport, vec![]));
    for _ in 0..sizes.runs_short {
        for (transport, rounds) in &mut rounds {
            rounds.push(round(lab, sizes, [&a, &b], a.events + b.events - held.events, *transport));
        }
    }
    for (transport, rounds) in rounds {
        report.add(outcome(sizes, transport, &rounds));
    }
}

fn round(lab: &Lab, sizes: &Sizes, [a, b]: [&Stock; 2], together: u64, transport: Transport) -> Round {
    let room = Room::new();
    let floor = floor_of(lab, a, &room) + floor_of(lab, b, &room);
    let stores = [lent(a, &room, "a"), lent(b, &room, "b")];
    let meeting = Meeting {
        lab,
        transport,
        stores: [&stores[0], &stores[1]],
        events: [together; 2],
        delay: None,
        settle: sizes.settle_short(),
    };
    Round { floor, met: meeting.hold() }
}

fn outcome(sizes: &Sizes, transport: Transport, rounds: &[Round]) -> Outcome {
    let payloads = (2 * sizes.each_lacks * PAYLOAD_BYTES) as f64;
    let mut figures = times(rounds);
    figures.extend(of_the_floor(rounds, GOAL_FLOORS));
    figures.extend(costs(rounds));
    let of_payloads = each(rounds, |r| messages(&r.met) as f64 / payloads);
    figures.push(Figure::new("sync messages, of the payload", "x", of_payloads));
    let floor = figures[0].median();
    Outcome {
        case: format!("both hold {}, each lacks {}", many(sizes.held), many(sizes.each_lacks)),
        transport: transport.name(),
        figures,
        notes: vec![],
        goal_ms: Some(floor * GOAL_FLOORS),
    }
}
