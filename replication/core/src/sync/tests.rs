//! Whole engines against each other under virtual time, and the rules that single engines enforce.

use std::time::Duration;

use super::*;
use crate::event::ReceivedEvent;
use crate::frontier::Frontier;
use crate::id::{EventId, Stream};
use crate::limits;
use crate::testkit::network::{Conditions, Network, Numbers};
use crate::testkit::{Author, Draft, key};

mod fill;
mod hostile;
mod many_logs;
mod strangers;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn authors(count: u16) -> Vec<Author> {
    (0..count).map(|n| Author::new(100 + n, "320508", None)).collect()
}

/// Node `n` gets `events` events in each of the streams, by its own author.
fn write_some(network: &mut Network, authors: &mut [Author], streams: &[Stream], events: usize) {
    for (n, author) in authors.iter_mut().enumerate() {
        for stream in streams {
            let run = author.write_many(*stream, events, 60);
            network.write(n, &run);
        }
    }
}

#[test]
fn two_nodes_converge_and_a_second_sync_costs_two_digests() {
    let mut network = Network::new(1, 2, Conditions::default());
    write_some(&mut network, &mut authors(2), &[Stream::CHARTER, Stream::INCIDENTS, Stream::COMMUNITY], 150);
    network.connect(0, 1);
    assert!(network.run_until(seconds(5), Network::agrees));
    network.run_for(seconds(2));
    assert_eq!(network.nodes[0].engine.frontier().events(), 900);
    let view = network.nodes[0].engine.view(&key(2).public()).unwrap();
    assert!(view.compared && view.behind_events == 0 && view.pulling == 0 && view.serving == 0, "{view:?}");

    network.cut(0, 1);
    let before = network.traffic.clone();
    network.connect(0, 1);
    network.run_for(seconds(10));
    assert_eq!(network.traffic.total() - before.total(), 2, "{:?}", network.traffic);
    assert!(network.nodes[1].engine.view(&key(1).public()).unwrap().compared);
}

#[test]
fn a_new_event_reaches_all_in_a_few_round_trips() {
    let mut network = Network::new(2, 5, Conditions::default());
    let mut writers = authors(5);
    network.connect_all();
    network.run_for(seconds(3));
    let event = writers[0].write(Draft::new(Stream::INCIDENTS, "reported", None));
    network.write(0, std::slice::from_ref(&event));
    let start = network.now();
    assert!(network.run_until(start + seconds(1), Network::agrees));
    assert!(network.now() - start < Duration::from_millis(120), "{:?}", network.now() - start);
    network.run_for(seconds(1));
    let log = writers[0].log_id(Stream::INCIDENTS);
    let held = |n: &u16| network.nodes[0].engine.head_of_peer(&key(*n).public(), &log) == Some(event.head());
    assert_eq!((2..=5).filter(held).count(), 4, "the writer hears who holds it");
}

#[test]
fn events_pass_through_nodes_that_are_not_connected_directly() {
    let mut network = Network::new(3, 4, Conditions::default());
    for n in 0..3 {
        network.connect(n, n + 1);
    }
    write_some(&mut network, &mut authors(4), &[Stream::SUPPLIES], 40);
    assert!(network.run_until(seconds(10), Network::agrees));
    let redundant: u64 = network.nodes.iter().map(|node| node.redundant_events).sum();
    assert_eq!(redundant, 0);
}

/// Six nodes, random lines, broken connections, two halves cut and healed, everybody writing all the time.
fn stormy(seed: u64, hints_disturbed_one_in: u64) -> Network {
    let conditions = Conditions {
        loss_one_in: 400,
        hints_disturbed_one_in,
        bytes_per_second: 200_000,
        jitter: Duration::from_millis(80),
        ..Conditions::default()
    };
    let mut network = Network::new(seed, 6, conditions);
    let mut writers = authors(6);
    network.connect_all();
    for round in 0..12 {
        for (n, writer) in writers.iter_mut().enumerate() {
            let stream = Stream::from_code(network.numbers().below(9)).unwrap();
            let count = network.numbers().below(20) as usize;
            let run = writer.write_many(stream, count, 80);
            network.write(n, &run);
        }
        for (a, b) in (0..3).flat_map(|a| (3..6).map(move |b| (a, b))) {
            if round == 3 {
                network.cut(a, b);
            } else if round == 8 {
                network.connect(a, b);
            }
        }
        network.run_for(Duration::from_millis(700));
    }
    network
}

#[test]
fn a_torn_network_converges_whatever_the_seed() {
    for seed in 0..20 {
        let mut network = stormy(seed, 0);
        let limit = network.now() + seconds(120);
        assert!(network.run_until(limit, Network::agrees), "seed {seed} does not converge");
        for node in &network.nodes {
            assert_eq!(node.redundant_events, 0, "seed {seed} sent durable events again");
            assert!(node.disconnects.is_empty() && node.reports.is_empty(), "seed {seed}: {:?}", node.disconnects);
        }
    }
}

#[test]
fn lost_repeated_and_late_hints_only_delay() {
    for seed in 0..5 {
        let mut network = stormy(seed, 3);
        let limit = network.now() + seconds(600);
        assert!(network.run_until(limit, Network::agrees), "seed {seed} does not converge");
        for node in &network.nodes {
            assert_eq!(node.redundant_events, 0, "seed {seed} sent durable events again");
            assert!(node.disconnects.is_empty() && node.reports.is_empty(), "seed {seed}: {:?}", node.disconnects);
        }
    }
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in [7, 8] {
        assert_eq!(stormy(seed, 9).trace(), stormy(seed, 9).trace(), "seed {seed}");
    }
    assert_ne!(stormy(7, 9).trace(), stormy(8, 9).trace());
}

#[test]
fn healing_costs_messages_in_proportion_to_what_was_missed() {
    let mut network = Network::new(5, 6, Conditions::default());
    let mut writers = authors(6);
    let streams: Vec<Stream> = Stream::known().collect();
    network.connect_all();
    write_some(&mut network, &mut writers, &streams, 10);
    assert!(network.run_until(seconds(20), Network::agrees));
    let across = || (0..3).flat_map(|a| (3..6).map(move |b| (a, b)));
    for (a, b) in across() {
        network.cut(a, b);
    }
    network.run_for(seconds(60));
    write_some(&mut network, &mut writers, &[Stream::INCIDENTS], 50);
    network.run_for(seconds(60));
    let before = network.traffic.total();
    for (a, b) in across() {
        network.connect(a, b);
    }
    let start = network.now();
    assert!(network.run_until(start + seconds(10), Network::agrees));
    network.run_for(seconds(5));
    let (nodes, lines, logs) = (6, 15, 6);
    // Per line two digests and two full vectors; per log and node a want, a frame, its confirmation and a receipt; per log and line hints.
    let bound = lines * 4 + logs * nodes * 4 + logs * lines * 2;
    let spent = network.traffic.total() - before;
    assert!(spent <= bound, "{spent} messages, bound {bound}");
}

/// A backlog of 1.2 MB waits for a line, and a warning is raised so long after the line came back. The relay node has
/// signatures only where it must keep them, so its frames cannot be short.
fn warning_behind_a_backlog(conditions: Conditions, after: Duration) -> (Network, Duration) {
    let mut network = Network::new(6, 2, conditions);
    let mut writers = authors(3);
    let run = writers[0].write_many(Stream::COMMUNITY, 4000, 200);
    let lean = |event: &ReceivedEvent| match event.header().seq.is_multiple_of(limits::SIGNATURE_INTERVAL) {
        true => event.clone(),
        false => event.clone().without_signature(),
    };
    network.write(0, &run[..3968].iter().map(lean).collect::<Vec<_>>());
    network.connect(0, 1);
    network.run_for(after);
    let warning = writers[1].write(Draft::new(Stream::ALERTS, "received", None));
    let written_at = network.now();
    network.write(0, std::slice::from_ref(&warning));
    let arrived = network.run_until(written_at + seconds(60), |n| n.nodes[1].durable_at.contains_key(&warning.id()));
    assert!(arrived && network.nodes[1].disconnects.is_empty());
    let took = network.now() - written_at;
    (network, took)
}

/// Sockets and routers that would take in the whole backlog at once.
const RADIO: Conditions = Conditions {
    delay: Duration::from_millis(30),
    jitter: Duration::from_millis(10),
    bytes_per_second: 8_000,
    buffer_bytes: 8_000_000,
    disk: Duration::from_millis(2),
    loss_one_in: 0,
    hints_disturbed_one_in: 0,
    reconnect: Duration::from_secs(2),
};

#[test]
fn a_warning_overtakes_a_backlog_on_a_radio_of_64_kbit_a_second() {
    for after in [0, 300, 1_000, 2_500, 10_000, 31_000] {
        let (network, took) = warning_behind_a_backlog(RADIO, Duration::from_millis(after));
        assert!(took < Duration::from_millis(1_600), "raised after {after} ms, there after {took:?}");
        let view = network.nodes[1].engine.view(&key(1).public()).unwrap();
        assert!(view.behind_events > 1000, "the catch-up is still under way: {view:?}");
        let speed = network.nodes[0].engine.view(&key(2).public()).unwrap().bytes_per_second;
        assert!(after < 1_000 || (7_000..9_000).contains(&speed.unwrap()), "measured {speed:?} bytes a second");
        let coming = view.received_bytes_per_second;
        assert!(after < 10_000 || (7_000..9_000).contains(&coming.unwrap()), "measured {coming:?} coming in");
        let waiting = view.received.bytes_of(view.behind_events).unwrap_or(0) / view.behind_events;
        assert!(after < 10_000 || (200..400).contains(&waiting), "{waiting} bytes an event");
    }
}

#[test]
fn the_radio_is_kept_busy_meanwhile() {
    let mut network = Network::new(6, 2, RADIO);
    let run = authors(1)[0].write_many(Stream::COMMUNITY, 3000, 200);
    network.write(0, &run);
    network.connect(0, 1);
    assert!(network.run_until(seconds(600), Network::agrees));
    let ideal = Duration::from_secs_f64(network.traffic.bytes as f64 / 8_000.0);
    assert!(network.now() < ideal.mul_f64(1.05), "{:?} instead of {ideal:?}", network.now());
}

#[test]
fn a_large_mesh_tells_each_of_a_new_event_a_bounded_number_of_times() {
    let nodes = 60;
    let mut network = Network::new(13, nodes, Conditions::default());
    network.connect_all();
    network.run_for(seconds(3));
    let before = network.traffic.clone();
    let event = Author::new(100, "320508", None).write(Draft::new(Stream::INCIDENTS, "reported", None));
    network.write(0, std::slice::from_ref(&event));
    let start = network.now();
    assert!(network.run_until(start + seconds(5), Network::agrees));
    let took = network.now() - start;
    network.run_for(seconds(5));
    let hints = network.traffic.messages[&1] - before.messages.get(&1).copied().unwrap_or(0);
    let all = u64::from(nodes) * u64::from(nodes - 1);
    println!("{nodes} nodes agree after {took:?}, {hints} hints, one to each from each would be {all}");
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert!(hints < all * 2 / 3, "{hints} of {all}");
}

#[test]
fn several_peers_share_the_work_of_a_catch_up() {
    let mut network = Network::new(7, 4, Conditions::default());
    let mut writers = authors(36);
    for writer in &mut writers {
        let run = writer.write_many(Stream::TEAMS, limits::SYNC_SHORT_WANT_EVENTS as usize + 1, 60);
        for node in 0..3 {
            network.write(node, &run);
        }
    }
    for node in 0..3 {
        network.connect(node, 3);
    }
    let mut most_pulling = [0; 3];
    let done = network.run_until(seconds(10), |n| {
        for (node, most) in most_pulling.iter_mut().enumerate() {
            let view = n.nodes[3].engine.view(&key(node as u16 + 1).public());
            *most = (*most).max(view.map_or(0, |view| view.pulling));
        }
        n.agrees()
    });
    assert!(done && most_pulling.iter().all(|most| *most >= 3), "{most_pulling:?}");
    assert_eq!(network.nodes[3].redundant_events, 0);
}

#[test]
fn a_log_is_pulled_from_whoever_may_have_its_personal_payloads() {
    let (mut engine, now) = (Engine::new(key(1).public(), Frontier::new()), Duration::ZERO);
    let mut author = Author::new(100, "320508005012", None);
    let entry = (author.log_id(Stream::COMMUNITY), author.write_many(Stream::COMMUNITY, 2, 40)[1].head());
    // Two streets have a log of the first one; the other announces it first and carries nothing else.
    let (other, first) = (key(2).public(), key(3).public());
    for (peer, area) in [(other, "320508006"), (first, "320508005")] {
        let pii_areas = vec![crate::testkit::area(area)];
        engine.handle(now, Input::PeerConnected { peer, pii_areas, greeting: Greeting::Near });
    }
    let author_of_other_logs = Author::new(101, "320508005", None);
    let busy = (author_of_other_logs.log_id(Stream::ALERTS), Head { seq: 9, id: EventId::from_bytes([1; 32]) });
    engine.pulls.pause(&entry.0, seconds(1));
    for (peer, entries) in [(first, vec![busy, entry.clone()]), (other, vec![entry.clone()])] {
        engine.handle(now, Input::Message { peer, message: Message::Heads { coverage: Coverage::Hint, entries } });
    }
    let outputs = engine.handle(seconds(2), Input::Tick);
    let asked = outputs.iter().find_map(|output| match output {
        Output::Send { peer, message: Message::Want { log, .. } } if *log == entry.0 => Some(*peer),
        _ => None,
    });
    assert_eq!(asked, Some(first));
}

#[test]
fn a_day_of_many_short_logs_is_asked_for_at_once() {
    let delay = Duration::from_millis(100);
    let far = Conditions { delay, jitter: Duration::ZERO, disk: Duration::ZERO, ..Conditions::default() };
    let mut network = Network::new(14, 2, far);
    for writer in &mut authors(50) {
        network.write(0, &writer.write_many(Stream::TEAMS, 2, 60));
    }
    network.connect(0, 1);
    assert!(network.run_until(seconds(5), Network::agrees));
    // Digests, heads, wants, as many frames as a line may hold that was not measured, and the rest: three round trips.
    assert!(network.now() < Duration::from_millis(650), "{:?}", network.now());
}

#[test]
fn forged_hints_cost_only_time() {
    let mut network = Network::new(8, 2, Conditions::default());
    let mut writers = authors(2);
    network.write(0, &writers[0].write_many(Stream::TEAMS, 5, 60));
    network.connect(0, 1);
    let head = Head { seq: 1_000_000, id: EventId::from_bytes([9; 32]) };
    for log in [writers[0].log_id(Stream::TEAMS), writers[1].log_id(Stream::PLANS)] {
        network.forge(0, 1, Message::Heads { coverage: Coverage::Hint, entries: vec![(log, head)] });
    }
    assert!(network.run_until(seconds(5), Network::agrees));
    network.run_for(seconds(1));
    let view = network.nodes[1].engine.view(&key(1).public()).unwrap();
    assert_eq!((view.pulling, view.behind_events), (0, 0), "{view:?}");
    assert!(network.nodes[1].disconnects.is_empty());
}

#[test]
fn two_histories_of_one_log_are_reported_on_both_sides_and_neither_wins() {
    let mut network = Network::new(9, 2, Conditions::default());
    let mut author = Author::new(100, "320508", None);
    let shared = author.write_many(Stream::SUPPLIES, 3, 40);
    let mut other = author.clone();
    for node in 0..2 {
        network.write(node, &shared);
    }
    network.write(0, &[author.write(Draft::new(Stream::SUPPLIES, "issued", None))]);
    let theirs = [0, 1].map(|_| other.write(Draft::new(Stream::SUPPLIES, "received", None)));
    network.write(1, &theirs);
    network.connect(0, 1);
    network.run_for(seconds(120));
    let [Output::Forked { ours, theirs: reported, proven: true, .. }] = &network.nodes[0].reports[..] else {
        panic!("{:?}", network.nodes[0].reports)
    };
    assert_eq!((ours.seq, reported.seq), (4, 5));
    assert_eq!(network.nodes[0].engine.frontier().height(&author.log_id(Stream::SUPPLIES)), 4);
    assert!(network.nodes.iter().all(|node| node.disconnects.is_empty()));
    assert!(network.traffic.total() < 40, "a fork causes no storm: {:?}", network.traffic);
}

#[test]
fn the_same_height_with_another_head_is_never_taken_for_agreement() {
    let mut network = Network::new(10, 2, Conditions::default());
    let mut author = Author::new(100, "320508", None);
    let mut other = author.clone();
    network.write(0, &[author.write(Draft::new(Stream::SUPPLIES, "issued", None))]);
    network.write(1, &[other.write(Draft::new(Stream::SUPPLIES, "received", None))]);
    network.connect(0, 1);
    network.run_for(seconds(5));
    for node in &network.nodes {
        assert!(matches!(&node.reports[..], [Output::Forked { proven: false, .. }]), "{:?}", node.reports);
    }
}

#[test]
fn a_restored_node_hears_of_its_later_heads_and_gets_them_back() {
    let mut network = Network::new(11, 2, Conditions::default());
    let mut own = Author::new(1, "320508", None);
    let run: Vec<ReceivedEvent> = own.write_many(Stream::INCIDENTS, 9, 40);
    network.write(0, &run[..4]);
    network.write(1, &run);
    network.connect(0, 1);
    assert!(network.run_until(seconds(2), Network::agrees));
    let (peer, log) = (network.keys[1], own.log_id(Stream::INCIDENTS));
    let report = Output::PeerReportsOurHead { peer, log, head: run[8].head() };
    assert_eq!(network.nodes[0].reports, [report]);
}

#[test]
fn a_failing_store_blames_nobody_and_is_asked_again_later() {
    let mut author = Author::new(100, "320508", None);
    let (log, head) = (author.log_id(Stream::TEAMS), author.write_many(Stream::TEAMS, 2, 40)[1].head());
    let (mut engine, peer) = (Engine::new(key(1).public(), Frontier::new()), key(2).public());
    let mut now = Duration::ZERO;
    engine.handle(now, Input::PeerConnected { peer, pii_areas: vec![], greeting: Greeting::Near });
    let heads = Message::Heads { coverage: Coverage::End, entries: vec![(log, head)] };
    let outputs = engine.handle(now, Input::Message { peer, message: heads });
    let [Output::Send { message: Message::Want { want, .. }, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let frame = Message::Frame { want, last: false, frame: vec![1; 100] };
    let outputs = engine.handle(now, Input::Message { peer, message: frame });
    let [Output::Append { token, .. }, Output::Send { .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(engine.handle(now, Input::AppendFailed { token, failure: AppendFailure::Store }), []);
    let late = Message::Frame { want, last: false, frame: vec![1; 100] };
    let outputs = engine.handle(now, Input::Message { peer, message: late });
    let [Output::Send { message: Message::Received { pieces: 2 }, .. }] = outputs[..] else { panic!("{outputs:?}") };
    now += Duration::from_millis(limits::SYNC_STORE_RETRY_MS);
    let outputs = engine.handle(now, Input::Tick);
    assert!(matches!(&outputs[..], [Output::Send { message: Message::Want { .. }, .. }]), "{outputs:?}");
}

/// An engine that has just asked peer 2 for a log, and the number of its want.
fn asking() -> (Engine, AuthorKey, u64) {
    let mut author = Author::new(100, "320508", None);
    let entry = (author.log_id(Stream::TEAMS), author.write_many(Stream::TEAMS, 2, 40)[1].head());
    let (mut engine, peer) = (Engine::new(key(1).public(), Frontier::new()), key(2).public());
    engine.handle(Duration::ZERO, Input::PeerConnected { peer, pii_areas: vec![], greeting: Greeting::Near });
    let heads = Message::Heads { coverage: Coverage::End, entries: vec![entry] };
    let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message: heads });
    let [Output::Send { message: Message::Want { want, .. }, .. }] = outputs[..] else { panic!("{outputs:?}") };
    (engine, peer, want)
}

fn reason(outputs: &[Output]) -> Option<&DisconnectReason> {
    outputs.iter().find_map(|output| match output {
        Output::Disconnect { reason, .. } => Some(reason),
        _ => None,
    })
}

#[test]
fn frames_beyond_credit_or_unasked_end_the_connection() {
    let (mut engine, peer, want) = asking();
    let frame = |want| Message::Frame { want, last: false, frame: vec![1; limits::FRAME_BYTES_MAX] };
    let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message: frame(want) });
    assert!(matches!(outputs[..], [Output::Append { .. }, Output::Send { .. }]));
    let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message: frame(want) });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Violation(Violation::CreditOverrun)));

    let (mut engine, peer, want) = asking();
    let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message: frame(want + 1) });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Violation(Violation::Unasked)));
}

#[test]
fn a_bad_frame_ends_the_connection_once() {
    let (mut engine, peer, want) = asking();
    let mut tokens = vec![];
    for _ in 0..2 {
        let frame = Message::Frame { want, last: false, frame: vec![1; 10] };
        match &engine.handle(Duration::ZERO, Input::Message { peer, message: frame })[..] {
            [Output::Append { token, .. }, Output::Send { .. }] => tokens.push(*token),
            other => panic!("{other:?}"),
        }
    }
    let failed = |token| Input::AppendFailed { token, failure: AppendFailure::BadPeer("nonsense".into()) };
    let outputs = engine.handle(Duration::ZERO, failed(tokens[0]));
    assert!(matches!(reason(&outputs), Some(DisconnectReason::BadFrame { .. })));
    assert_eq!(engine.handle(Duration::ZERO, failed(tokens[1])), []);
}

#[test]
fn a_silent_peer_is_left_after_the_timeout_and_others_are_asked() {
    let (mut engine, peer, _) = asking();
    let other = key(3).public();
    engine.handle(seconds(1), Input::PeerConnected { peer: other, pii_areas: vec![], greeting: Greeting::Near });
    let mut author = Author::new(100, "320508", None);
    let entry = (author.log_id(Stream::TEAMS), author.write_many(Stream::TEAMS, 2, 40)[1].head());
    let heads = Message::Heads { coverage: Coverage::End, entries: vec![entry] };
    assert_eq!(engine.handle(seconds(1), Input::Message { peer: other, message: heads }), []);
    assert!(reason(&engine.handle(seconds(29), Input::Tick)).is_none());
    let outputs = engine.handle(seconds(31), Input::Tick);
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Stalled));
    assert!(
        outputs.iter().any(|o| matches!(o, Output::Send { peer, message: Message::Want { .. } } if *peer == other))
    );
    assert!(engine.view(&peer).is_none());
}

/// Heads of logs that nobody has.
fn invented(numbers: &mut Numbers, count: usize) -> Vec<(LogId, Head)> {
    let author = Author::new(100, "320508", None);
    let log = |incarnation| LogId { incarnation, ..author.log_id(Stream::TEAMS) };
    let head = Head { seq: 1, id: EventId::from_bytes([1; 32]) };
    (0..count).map(|_| (log(numbers.below(u64::MAX)), head)).collect()
}

#[test]
fn a_peer_that_announces_a_million_logs_is_no_fault_and_fills_no_memory() {
    let (mut engine, peer, _) = asking();
    let mut numbers = Numbers::new(1);
    for _ in 0..1_000 {
        let message = Message::Heads { coverage: Coverage::Part, entries: invented(&mut numbers, 1_000) };
        let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message });
        assert_eq!(reason(&outputs), None);
    }
    let behind = engine.view(&peer).unwrap().behind_events;
    assert!(behind <= limits::SYNC_LOGS_AHEAD_MAX as u64 + 2, "{behind} logs are remembered");
}

#[test]
fn a_warning_is_heard_of_one_who_announced_more_than_there_is_room_for() {
    let (mut engine, peer, _) = asking();
    let entries = |entries| Message::Heads { coverage: Coverage::Part, entries };
    let mut numbers = Numbers::new(1);
    for _ in 0..70 {
        let message = entries(invented(&mut numbers, 1_000));
        engine.handle(Duration::ZERO, Input::Message { peer, message });
    }
    let mut author = Author::new(101, "320508", None);
    let (log, head) = (author.log_id(Stream::ALERTS), author.write_many(Stream::ALERTS, 1, 40)[0].head());
    let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message: entries(vec![(log.clone(), head)]) });
    let asks =
        |output: &Output| matches!(output, Output::Send { message: Message::Want { log: of, .. }, .. } if *of == log);
    assert!(outputs.iter().any(asks), "{outputs:?}");
}

#[test]
fn unknown_messages_are_counted_and_ignored() {
    let (mut engine, peer, _) = asking();
    let message = Message::decode(&[0x82, 0x18, 0x63, 0xf6]).unwrap();
    assert_eq!(engine.handle(Duration::ZERO, Input::Message { peer, message }), []);
    assert_eq!(engine.view(&peer).unwrap().unknown_messages, 1);
}

/// Two nodes that hold the same `same` logs, and of `differ` others one event more on one side or the other, connected
/// over a line on which only the number of trips costs time.
fn almost_equal(same: u16, differ: u16) -> Network {
    let trip = Duration::from_millis(100);
    let line = Conditions {
        delay: trip,
        jitter: Duration::ZERO,
        bytes_per_second: u64::MAX / 2_000_000,
        disk: Duration::ZERO,
        ..Conditions::default()
    };
    let mut network = Network::new(12, 2, line);
    for n in 0..same + differ {
        let mut author = Author::new(100 + n, "320508", None);
        let run = author.write_many(Stream::TEAMS, 2, 40);
        for node in 0..2 {
            let ahead = usize::from(n % 2);
            let events = if n >= same && node != ahead { &run[..1] } else { &run[..] };
            network.write(node, events);
        }
    }
    network.connect(0, 1);
    network
}

#[test]
fn ten_of_ten_thousand_logs_are_found_in_three_round_trips_and_twelve_kilobytes() {
    let mut network = almost_equal(9_990, 10);
    let knows = |network: &Network, node: usize| {
        let view = network.nodes[node].engine.view(&key(2 - node as u16).public()).unwrap();
        view.behind_events == 5
    };
    assert!(network.run_until(seconds(10), |n| knows(n, 0) && knows(n, 1)));
    let (round_trips, bytes) = (network.now().as_secs_f64() / 0.2, network.traffic.bytes);
    println!("{round_trips} round trips, {bytes} bytes, {:?}", network.traffic.messages);
    assert!(round_trips <= 3.0 && bytes <= 12_000, "{round_trips} round trips, {bytes} bytes: {:?}", network.traffic);
    assert!(network.run_until(seconds(10), Network::agrees));
    network.run_for(seconds(5));
    for (node, other) in [(0, 2), (1, 1)] {
        let view = network.nodes[node].engine.view(&key(other).public()).unwrap();
        assert!(view.compared && view.behind_events == 0 && view.ahead_events == 0, "{view:?}");
    }
}

#[test]
fn nodes_with_many_logs_agree_however_they_differ() {
    for (same, differ) in [(0, 65), (1, 64), (65, 1), (100, 100), (600, 40), (3_000, 0)] {
        let mut network = almost_equal(same, differ);
        assert!(network.run_until(seconds(60), Network::agrees), "{same} the same, {differ} differ");
        network.run_for(seconds(5));
        for node in &network.nodes {
            assert_eq!(node.redundant_events, 0);
            assert!(node.disconnects.is_empty() && node.reports.is_empty());
        }
        let compared = |n: usize| network.nodes[n].engine.view(&key(2 - n as u16).public()).unwrap().compared;
        assert!(compared(0) && compared(1), "{same} the same, {differ} differ");
    }
}

#[test]
fn a_node_without_anything_gets_thousands_of_logs() {
    let mut network = Network::new(13, 2, Conditions::default());
    for n in 0..3_000 {
        network.write(0, &Author::new(100 + n, "320508", None).write_many(Stream::TEAMS, 1, 40));
    }
    network.connect(0, 1);
    assert!(network.run_until(seconds(60), Network::agrees));
}

#[test]
fn a_fork_among_many_logs_is_found() {
    let mut network = almost_equal(200, 0);
    let mut author = Author::new(999, "320508", None);
    let mut other = author.clone();
    network.write(0, &[author.write(Draft::new(Stream::SUPPLIES, "issued", None))]);
    network.write(1, &[other.write(Draft::new(Stream::SUPPLIES, "received", None))]);
    network.run_for(seconds(60));
    for node in &network.nodes {
        assert!(matches!(&node.reports[..], [Output::Forked { .. }]), "{:?}", node.reports);
    }
    assert!(network.traffic.total() < 60, "a fork causes no storm: {:?}", network.traffic);
}

#[test]
fn fingerprints_that_lie_only_delay() {
    // Given two nodes that differ in one log of many,
    let mut network = almost_equal(200, 1);
    // when whoever opens the comparison is told that all ranges are the same, which leaves it nothing to answer,
    let ours = network.nodes[0].engine.frontier().clone();
    let mut lie = ranges::Ranges::default();
    ours.iter_shared().for_each(|(log, head)| lie.set(log, None, *head));
    let ranges = ranges::opening(lie.logs(ranges::Range::ALL));
    let sums = Sums { first: ranges[0], fingerprints: ranges.iter().map(|range| lie.fingerprint(*range)).collect() };
    network.forge(1, 0, Message::Ranges { sums: vec![sums], lists: vec![] });
    // then the next digests tell.
    assert!(network.run_until(seconds(90), Network::agrees));
}

#[test]
fn a_peer_that_compares_without_end_is_left() {
    let (mut engine, peer, _) = asking();
    for _ in 0..=limits::SYNC_RECONCILE_MESSAGES_MAX {
        let message = Message::Ranges { sums: vec![], lists: vec![] };
        let outputs = engine.handle(Duration::ZERO, Input::Message { peer, message });
        if let Some(reason) = reason(&outputs) {
            assert_eq!(*reason, DisconnectReason::Violation(Violation::ComparesWithoutEnd));
            return;
        }
    }
    panic!("nothing bounded it");
}

#[test]
fn a_frame_that_overran_its_credit_is_made_up_for_before_the_next() {
    // Frames are counted on both sides, while credit passes them on its way. A side that forgave the overrun would have
    // more credit than the other one allows, and an honest sender would be left for it.
    let log = Author::new(100, "320508", None).log_id(Stream::TEAMS);
    let mut schedule = serve::Schedule::default();
    schedule.open(1, log.clone(), 1, 1_000).unwrap();
    let read = |from_seq| Some(serve::Next::Read(log.clone(), from_seq));
    for seq in [1, 2] {
        assert_eq!(schedule.next(seq, true, 600), read(seq));
        schedule.read_done(seq, Some(ReadFrame { bytes: vec![1; 600], last_seq: seq }), |_| 9);
        assert!(matches!(schedule.next(seq, true, 600), Some(serve::Next::Send(Message::Frame { .. }))));
    }
    schedule.add_credit(1, 200).unwrap();
    assert_eq!(schedule.next(3, true, 600), None);
    schedule.add_credit(1, 1).unwrap();
    assert_eq!(schedule.next(3, true, 600), read(3));
}
