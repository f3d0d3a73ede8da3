//! Logs of keys without a grant: a little of them is taken, the bringer is charged, and nobody else pays.

use std::collections::BTreeSet;

use super::*;
use crate::id::LogId;

/// Three nodes in a row, of which the first is hostile: the victim and its honest neighbour. All three have grants.
fn row(seed: u64) -> Network {
    let mut network = Network::new(seed, 3, Conditions::default());
    for node in [1, 2] {
        network.grant(node, members());
    }
    network
}

fn members() -> BTreeSet<AuthorKey> {
    (1..=3).map(|n| key(n).public()).collect()
}

fn connect(network: &mut Network) {
    network.connect(0, 1);
    network.connect(1, 2);
}

/// The first node signs logs with invented keys.
fn invent(network: &mut Network, keys: std::ops::Range<u16>, events: usize, bytes: usize) -> Vec<LogId> {
    keys.map(|n| {
        let mut author = Author::new(1_000 + n, "320508", None);
        network.write(0, &author.write_many(Stream::COMMUNITY, events, bytes));
        author.log_id(Stream::COMMUNITY)
    })
    .collect()
}

fn charged(network: &Network, node: usize, by: u16) -> Quota {
    let quota = network.nodes[node].engine.quotas().find(|(peer, _)| *peer == Some(key(by).public()));
    quota.map(|(_, quota)| quota).unwrap_or_default()
}

#[test]
fn invented_logs_are_taken_up_to_a_quota_that_outlives_connections_and_restarts() {
    // Given a member that has signed more than its quota with invented keys,
    let mut network = row(31);
    let logs = limits::SYNC_STRANGER_LOGS_MAX as u16 + 500;
    invent(&mut network, 0..logs, 1, 40);
    // when it comes again and again, and the victim starts anew in between,
    for _ in 0..4 {
        connect(&mut network);
        network.run_for(seconds(200));
        network.cut(0, 1);
        network.restart(1);
    }
    network.run_for(seconds(10));
    // then it has brought what it may and no more,
    let quota = charged(&network, 1, 1);
    let with_those_under_way = limits::SYNC_STRANGER_LOGS_MAX + limits::SYNC_STRANGER_WANTS_PER_PEER as u64;
    assert!((limits::SYNC_STRANGER_LOGS_MAX..=with_those_under_way).contains(&quota.logs), "{quota:?}");
    assert_eq!(network.nodes[1].engine.frontier().len() as u64, quota.logs);
    // the neighbour pays nothing, and nobody has hung up on anybody.
    assert_eq!(network.nodes[2].engine.frontier().len(), 0);
    assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()), "{:?}", network.nodes[1].disconnects);
    let view = network.nodes[1].engine.view(&key(3).public()).unwrap();
    assert!(view.compared && view.behind_events + view.ahead_events == 0, "{view:?}");
}

#[test]
fn a_flood_of_garbage_ends_at_the_quota_of_bytes() {
    let mut network = row(32);
    invent(&mut network, 0..40, 100, 20_000);
    connect(&mut network);
    network.run_for(seconds(120));
    let (quota, held) = (charged(&network, 1, 1), network.nodes[1].logs.values().flatten().count() as u64 * 20_000);
    let under_way = (limits::FRAME_BYTES_MAX as u64 + limits::SYNC_SHORT_CREDIT_BYTES)
        * limits::SYNC_STRANGER_WANTS_PER_PEER as u64;
    assert!(quota.full && quota.refused > 0, "{quota:?}");
    assert!(held <= limits::SYNC_STRANGER_BYTES_MAX + under_way, "{held} bytes");
    assert!(network.nodes[2].logs.is_empty());
}

#[test]
fn honest_events_do_not_wait_behind_invented_logs() {
    // Given a flood that goes on,
    let mut network = row(33);
    invent(&mut network, 0..2_000, 1, 4_000);
    connect(&mut network);
    network.run_for(seconds(1));
    // when a member writes, its neighbour has it at once.
    let mut honest = Author::new(3, "320508", None);
    let event = honest.write(Draft::new(Stream::COMMUNITY, "listed", None));
    let before = network.now();
    network.write(2, std::slice::from_ref(&event));
    assert!(network.run_until(before + seconds(1), |network| network.nodes[1].durable_at.contains_key(&event.id())));
}

#[test]
fn what_was_refused_for_want_of_a_grant_is_fetched_once_there_is_one() {
    // Given a member whose quota is used up,
    let mut network = row(34);
    invent(&mut network, 0..limits::SYNC_STRANGER_LOGS_MAX as u16 + 10, 1, 40);
    connect(&mut network);
    network.run_for(seconds(200));
    // when somebody without a grant writes at the first node,
    let mut late = Author::new(50, "320508", None);
    network.write(0, &late.write_many(Stream::INCIDENTS, 3, 40));
    network.run_for(seconds(60));
    let log = late.log_id(Stream::INCIDENTS);
    assert_eq!([1, 2].map(|n: usize| network.nodes[n].engine.frontier().height(&log)), [0, 0]);
    // then it is nowhere else before it has a grant, and everywhere within seconds of it.
    let granted: BTreeSet<AuthorKey> = members().into_iter().chain([late.key.public()]).collect();
    network.grant(1, granted.clone());
    network.grant(2, granted);
    let before = network.now();
    let arrived =
        network.run_until(before + seconds(5), |network| network.nodes[2].engine.frontier().height(&log) == 3);
    assert!(arrived);
}

#[test]
fn what_came_before_its_grant_is_offered_once_there_is_one_and_costs_its_bringer_nothing_more() {
    let mut network = row(35);
    let mut late = Author::new(50, "320508", None);
    network.write(0, &late.write_many(Stream::INCIDENTS, 3, 40));
    connect(&mut network);
    network.run_for(seconds(5));
    let log = late.log_id(Stream::INCIDENTS);
    assert_eq!([1, 2].map(|n: usize| network.nodes[n].engine.frontier().height(&log)), [3, 0], "held and not offered");
    assert_eq!(charged(&network, 1, 1).logs, 1);
    let granted: BTreeSet<AuthorKey> = members().into_iter().chain([late.key.public()]).collect();
    network.grant(1, granted.clone());
    network.grant(2, granted);
    let before = network.now();
    assert!(network.run_until(before + seconds(2), |network| network.nodes[2].engine.frontier().height(&log) == 3));
    assert_eq!((charged(&network, 1, 1).logs, charged(&network, 1, 1).bytes), (0, 0));
    network.run_for(seconds(40));
    let view = network.nodes[1].engine.view(&key(3).public()).unwrap();
    assert!(view.compared && view.behind_events + view.ahead_events == 0, "{view:?}");
}

#[test]
fn a_newcomer_without_a_charter_gets_it_and_then_the_rest() {
    // Given a district of many logs, and a newcomer that has no charter and so knows nobody with a grant,
    let mut network = Network::new(36, 2, Conditions::default());
    let mut root = Author::new(0, "320508", None);
    let mut writers = authors(600);
    let granted: BTreeSet<AuthorKey> =
        writers.iter().map(|writer| writer.key.public()).chain([root.key.public(), key(1).public()]).collect();
    network.grant(0, granted.clone());
    network.grant(1, []);
    network.write(0, &root.write_many(Stream::CHARTER, 30, 40));
    for writer in &mut writers {
        network.write(0, &writer.write_many(Stream::TEAMS, 2, 40));
    }
    // when it is connected, it gets the charter,
    network.connect(0, 1);
    let charter = root.log_id(Stream::CHARTER);
    assert!(network.run_until(seconds(3), |network| network.nodes[1].engine.frontier().height(&charter) == 30));
    // and when it has read it, all else.
    network.grant(1, granted);
    let before = network.now();
    assert!(network.run_until(before + seconds(10), Network::agrees));
    assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()));
}

#[test]
fn what_people_had_removed_is_not_fetched_again_before_there_is_a_grant() {
    // Given invented logs at the victim,
    let mut network = row(37);
    let logs = invent(&mut network, 0..20, 2, 40);
    connect(&mut network);
    network.run_for(seconds(10));
    assert_eq!(charged(&network, 1, 1).logs, 20);
    // when a person has them removed,
    let brought = network.nodes[1].engine.brought_by(Some(key(1).public()));
    assert_eq!(brought.len(), 20);
    network.discard(1, brought);
    // then they stay away, whatever their bringer says,
    network.cut(0, 1);
    network.connect(0, 1);
    network.run_for(seconds(60));
    assert!(network.nodes[1].logs.is_empty());
    assert_eq!(charged(&network, 1, 1).logs, 0);
    // until one of the authors gets a grant.
    let author = logs[3].author;
    network.grant(1, members().into_iter().chain([author]));
    let before = network.now();
    assert!(network.run_until(before + seconds(5), |network| network.nodes[1].engine.frontier().height(&logs[3]) == 2));
    assert_eq!(network.nodes[1].logs.len(), 1);
}
