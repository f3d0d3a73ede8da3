//! Nodes with more logs than anybody would remember of a peer.

use super::*;
use crate::id::LogId;
use crate::testkit::area;

/// Heads of so many logs of one event each, written by nobody.
fn quiet_heads(logs: u64) -> Frontier {
    let writer = key(900).public();
    let log = |n| LogId { stream: Stream::TEAMS, author: writer, incarnation: n, area: area("320508005") };
    let head = |n: u64| Head { seq: 1, id: EventId::from_bytes([n as u8; 32]) };
    (0..logs).map(|n| (log(n), head(n))).collect()
}

/// Two nodes with as many logs, of which some were written on one side or the other.
fn many(logs: u64, differ: u16) -> Network {
    let mut network = Network::new(21, 2, Conditions::default());
    for node in 0..2 {
        network.hold(node, quiet_heads(logs));
    }
    for n in 0..differ {
        let run = Author::new(100 + n, "320508", None).write_many(Stream::TEAMS, 2, 40);
        network.write(usize::from(n % 2), &run);
    }
    network.connect(0, 1);
    network
}

/// Both know that both hold the same.
fn know_it(network: &Network) -> bool {
    (0..2).all(|n| {
        let view = network.nodes[n].engine.view(&key(2 - n as u16).public());
        view.is_some_and(|view| view.compared && view.behind_events == 0 && view.ahead_events == 0)
    })
}

#[test]
fn two_honest_nodes_with_seventy_thousand_logs_agree_and_nobody_hangs_up() {
    // Given more logs than two nodes could once tell each other of, ten of which differ,
    let mut network = many(70_000, 10);
    // when they are connected, they agree,
    assert!(network.run_until(seconds(5), know_it) && network.agrees());
    assert!(network.traffic.bytes < 50_000, "{:?}", network.traffic);
    // and a log that is opened afterwards is no reason to hang up either.
    let before = network.now();
    network.write(0, &Author::new(99, "320508", None).write_many(Stream::ALERTS, 1, 40));
    assert!(network.run_until(before + seconds(1), Network::agrees));
    assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()));
}

#[test]
fn a_peer_that_is_equal_costs_next_to_nothing() {
    let mut network = many(70_000, 0);
    assert!(network.run_until(seconds(5), know_it));
    let state = network.nodes[0].engine.peers.values().next().unwrap();
    assert_eq!((state.known.logs_told(), state.hints.is_empty()), (0, true));
}

#[test]
fn who_remembers_little_gets_everything_all_the_same() {
    for (seed, room) in [(1, 40), (2, 100), (3, 1_000)] {
        // Given a newcomer that remembers fewer logs than there are,
        let mut network = Network::new(seed, 2, Conditions::default());
        network.bound(1, Bounds { logs_ahead: room, ..Bounds::default() });
        for n in 0..2_000 {
            network.write(0, &Author::new(100 + n, "320508", None).write_many(Stream::TEAMS, 1, 40));
        }
        // when it is connected, it gets them range by range,
        network.connect(0, 1);
        let agreed = network.run_until(seconds(300), |network| {
            let ahead = network.nodes[1].engine.peers.values().map(|state| state.known.logs_ahead()).max();
            assert!(ahead.unwrap_or(0) <= room);
            know_it(network)
        });
        // and nobody has broken a rule.
        assert!(agreed && network.agrees(), "{room}: {} logs", network.nodes[1].engine.frontier().len());
        assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()), "{room}");
    }
}

#[test]
fn a_newcomer_catches_up_with_a_whole_district_and_blames_nobody() {
    for logs in [8_000, 8_300, 20_000] {
        // Given a node with the logs of a district, more than are remembered of a peer,
        let mut network = Network::new(5, 2, Conditions::default());
        for n in 0..logs {
            network.write(0, &Author::new(100 + n, "320508", None).write_many(Stream::TEAMS, 1, 40));
        }
        // when a newcomer meets it, it gets them all at one go,
        network.connect(0, 1);
        assert!(network.run_until(seconds(100), know_it) && network.agrees(), "{logs}");
        // asks for nothing that nobody has, and neither hangs up.
        assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()), "{logs}");
        assert_eq!(network.traffic.messages.get(&5), None, "{logs}: some wants were in vain");
    }
}

#[test]
fn where_most_ranges_differ_and_most_logs_do_not_only_those_are_told() {
    let mut network = many(100_000, 600);
    assert!(network.run_until(seconds(60), know_it) && network.agrees());
    let all_heads = 100_000 * 100;
    assert!(network.traffic.bytes < all_heads / 5, "{:?}", network.traffic);
}
