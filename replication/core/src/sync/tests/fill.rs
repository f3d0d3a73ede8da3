//! Personal payloads that come later than their events: who asks whom, when again, and what a peer can do with it.

use super::*;
use crate::area::Area;
use crate::event::Payload;
use crate::frame::{PiiScope, encode_frame};
use crate::payloads::{decode_payloads, encode_payloads};
use crate::testkit::area;

/// A community's log with personal payloads, and the three nodes of the tests: one that wrote it, one of another street,
/// one of the whole district.
const COMMUNITY: &str = "320508005012";
const AUTHOR: usize = 0;
const STRANGER: usize = 1;
const BUREAU: usize = 2;

fn place(codes: &[&str], events: usize) -> (Network, LogId) {
    let mut network = Network::new(20, codes.len() as u16, Conditions::default());
    codes.iter().enumerate().for_each(|(n, code)| network.entitle(n, area(code)));
    let mut author = Author::new(100, COMMUNITY, None);
    network.write(AUTHOR, &author.write_personal(Stream::COMMUNITY, events, 60));
    (network, author.log_id(Stream::COMMUNITY))
}

fn lacking(network: &Network, node: usize, log: &LogId) -> usize {
    network.nodes[node].logs.get(log).map_or(0, |events| events.iter().filter(|event| event.lacks_pii()).count())
}

/// Nobody was blamed, and nobody got what it may not have.
fn all_is_well(network: &Network) {
    for node in &network.nodes {
        assert!(node.disconnects.is_empty() && node.leaked_payloads == 0, "{:?}", node.disconnects);
    }
}

#[test]
fn an_entitled_node_that_met_a_commitments_only_peer_first_gets_the_payloads_from_the_next() {
    // Given a bureau that has got a log from a node of another street, which has only commitments,
    let (mut network, log) = place(&[COMMUNITY, "320508006", "320508"], 700);
    network.connect(AUTHOR, STRANGER);
    network.run_for(seconds(5));
    network.cut(AUTHOR, STRANGER);
    network.connect(STRANGER, BUREAU);
    network.run_for(seconds(60));
    assert_eq!((lacking(&network, BUREAU, &log), network.traffic.messages.get(&10)), (700, None), "nobody to ask");
    // when it meets the author,
    network.connect(AUTHOR, BUREAU);
    let start = network.now();
    assert!(network.run_until(start + seconds(10), |network| lacking(network, BUREAU, &log) == 0));
    // then it has all of them, after three questions, and the other street has none.
    network.run_for(seconds(60));
    assert_eq!((network.traffic.messages[&10], lacking(&network, STRANGER, &log)), (3, 700));
    all_is_well(&network);
}

#[test]
fn payloads_come_along_a_chain_of_entitled_nodes_of_which_none_had_them() {
    let (mut network, log) = place(&[COMMUNITY, "320508006", "320508", "320508005", "320508"], 20);
    network.connect(AUTHOR, STRANGER);
    for node in 2..5 {
        network.connect(STRANGER, node);
    }
    for (a, b) in [(2, 3), (3, 4)] {
        network.connect(a, b);
    }
    network.run_for(seconds(20));
    assert_eq!([2, 3, 4].map(|node| lacking(&network, node, &log)), [20; 3]);
    network.connect(AUTHOR, 2);
    let limit = network.now() + seconds(300);
    assert!(network.run_until(limit, |network| (2..5).all(|node| lacking(network, node, &log) == 0)));
    assert_eq!(lacking(&network, STRANGER, &log), 20);
    all_is_well(&network);
}

#[test]
fn a_grant_that_is_widened_brings_the_payloads_of_what_is_held_already() {
    let (mut network, log) = place(&[COMMUNITY, "320508006"], 20);
    network.connect(AUTHOR, STRANGER);
    network.run_for(seconds(60));
    assert_eq!((lacking(&network, STRANGER, &log), network.traffic.messages.get(&10)), (20, None));
    network.entitle(STRANGER, area("320508"));
    network.run_for(seconds(5));
    assert_eq!(lacking(&network, STRANGER, &log), 0);
    all_is_well(&network);
}

#[test]
fn payloads_that_are_long_come_in_several_frames_and_a_slow_line_in_parts() {
    for bytes_per_second in [8_000, 10_000_000] {
        let conditions = Conditions { bytes_per_second, ..Conditions::default() };
        let mut network = Network::new(21, 2, conditions);
        network.entitle(1, area("320508006"));
        let mut author = Author::new(100, COMMUNITY, None);
        let log = author.log_id(Stream::COMMUNITY);
        network.write(AUTHOR, &author.write_personal(Stream::COMMUNITY, 12, 60_000));
        network.connect(AUTHOR, 1);
        assert!(network.run_until(seconds(60), Network::agrees));
        network.entitle(1, area("320508"));
        let limit = network.now() + seconds(200);
        assert!(network.run_until(limit, |network| lacking(network, 1, &log) == 0), "{bytes_per_second}");
        let parts = network.traffic.messages.get(&8).copied().unwrap_or(0);
        assert!(network.traffic.messages[&10] > 1 && (parts > 0 || bytes_per_second > 8_000), "{parts} parts");
        all_is_well(&network);
    }
}

/// An engine that holds three events of a log without their payloads, connected to peers of these areas which hold the
/// log as well.
struct Asking {
    engine: Engine,
    now: Duration,
    log: LogId,
    run: Vec<ReceivedEvent>,
}

impl Asking {
    fn new(peers: &[(u16, &str)]) -> Self {
        let mut author = Author::new(100, COMMUNITY, None);
        let (log, run) = (author.log_id(Stream::COMMUNITY), author.write_personal(Stream::COMMUNITY, 3, 40));
        let mut engine = Engine::new(key(1).public(), Frontier::new());
        engine.handle(Duration::ZERO, Input::Appended { log: log.clone(), head: run[2].head() });
        engine.handle(Duration::ZERO, Input::Lacks { log: log.clone() });
        let mut asking = Self { engine, now: Duration::ZERO, log, run };
        peers.iter().for_each(|(n, code)| asking.connect(*n, code));
        asking
    }

    fn connect(&mut self, n: u16, code: &str) {
        let (peer, entries) = (key(n).public(), vec![(self.log.clone(), self.run[2].head())]);
        let pii_areas: Vec<Area> = vec![area(code)];
        self.engine.handle(self.now, Input::PeerConnected { peer, pii_areas, greeting: Greeting::Near });
        let message = Message::Heads { coverage: Coverage::End, entries };
        self.engine.handle(self.now, Input::Message { peer, message });
    }

    /// Lets so many seconds pass in ticks; what the engine wants to list is listed. Gives the questions that it asks.
    fn questions_within(&mut self, span: u64) -> Vec<(AuthorKey, u64)> {
        let mut asked = vec![];
        for _ in 0..=span {
            let outputs = self.engine.handle(self.now, Input::Tick);
            asked.extend(self.carry_out(outputs));
            self.now += seconds(1);
        }
        asked
    }

    fn carry_out(&mut self, outputs: Vec<Output>) -> Vec<(AuthorKey, u64)> {
        let mut asked = vec![];
        for output in outputs {
            match output {
                Output::ListLacking { token, after, .. } => {
                    let seqs = (after + 1..=3).collect();
                    let outputs = self.engine.handle(self.now, Input::Lacking { token, seqs });
                    asked.extend(self.carry_out(outputs));
                }
                Output::Send { peer, message: Message::Fill { want, .. } } => asked.push((peer, want)),
                Output::Disconnect { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        }
        asked
    }

    fn says(&mut self, peer: AuthorKey, message: Message) -> Vec<Output> {
        self.engine.handle(self.now, Input::Message { peer, message })
    }

    fn unavailable(&mut self, (peer, want): (AuthorKey, u64)) {
        let outputs = self.says(peer, Message::Unavailable { want });
        assert_eq!(self.carry_out(outputs), []);
    }

    fn frame(&self, seqs: &[u64]) -> Vec<u8> {
        let payload = |seq: &u64| (*seq, Payload { salt: [1; 16], bytes: vec![0xa0] });
        encode_payloads(&self.log, &seqs.iter().map(payload).collect::<Vec<_>>())
    }
}

#[test]
fn a_peer_that_gave_nothing_is_asked_again_after_pauses_that_double() {
    let mut asking = Asking::new(&[(2, "320508")]);
    let mut pauses = vec![];
    let mut last: u64 = 0;
    for _ in 0..7 {
        let question = loop {
            if let Some(question) = asking.questions_within(0).pop() {
                break question;
            }
        };
        // A tick has passed since.
        pauses.push(asking.now.as_secs() - 1 - last);
        last = asking.now.as_secs();
        asking.unavailable(question);
    }
    assert_eq!(pauses[1..], [30, 60, 120, 240, 480, 600]);
    // It connects again, may have more, or something else is lacking: then at once.
    asking.connect(2, "320508");
    let question = asking.questions_within(0)[0];
    asking.unavailable(question);
    assert_eq!(asking.questions_within(5), []);
    let (peer, pii_areas) = (question.0, vec![area("320508"), area("320507")]);
    asking.engine.handle(asking.now, Input::PiiAreas { peer, pii_areas });
    let question = asking.questions_within(0)[0];
    asking.unavailable(question);
    let lacks = Input::Lacks { log: asking.log.clone() };
    asking.engine.handle(asking.now, lacks);
    assert_eq!(asking.questions_within(5).len(), 1);
}

#[test]
fn only_peers_are_asked_that_may_have_the_payloads_and_hold_the_same_history() {
    let mut asking = Asking::new(&[(2, "320508006"), (3, "320508005")]);
    // A peer that may have them and says that it holds another history.
    let (peer, pii_areas) = (key(4).public(), vec![area("320508")]);
    asking.engine.handle(asking.now, Input::PeerConnected { peer, pii_areas, greeting: Greeting::Near });
    let other = Head { seq: 3, id: EventId::from_bytes([1; 32]) };
    let entries = vec![(asking.log.clone(), other)];
    asking.says(peer, Message::Heads { coverage: Coverage::End, entries });
    let question = asking.questions_within(0)[0];
    assert_eq!(question.0, key(3).public());
    asking.unavailable(question);
    assert_eq!(asking.questions_within(20), []);
}

#[test]
fn new_events_come_before_payloads_and_a_silent_peer_is_not_blamed() {
    // Given a peer that leaves a question for payloads without an answer, as an earlier version does,
    let mut asking = Asking::new(&[(2, "320508")]);
    let (peer, _) = asking.questions_within(20)[0];
    // when it has a new event of the log, then it is asked for it after the time that others have as well,
    let head = Head { seq: 4, id: EventId::from_bytes([4; 32]) };
    let entries = vec![(asking.log.clone(), head)];
    assert_eq!(asking.says(peer, Message::Heads { coverage: Coverage::Hint, entries }), []);
    let mut wants = vec![];
    for second in 21..40 {
        let outputs = asking.engine.handle(seconds(second), Input::Tick);
        assert!(reason(&outputs).is_none(), "left at {second}");
        wants.extend(
            outputs.into_iter().filter(|output| matches!(output, Output::Send { message: Message::Want { .. }, .. })),
        );
    }
    assert_eq!(wants.len(), 1);
    // and where nothing new is there it is left alone with such questions, and nothing else.
    let mut asking = Asking::new(&[(2, "320508")]);
    assert_eq!(asking.questions_within(600).len(), 1);
    assert!(asking.engine.view(&peer).is_some());
    assert_eq!(asking.questions_within(60).len(), 1);
}

#[test]
fn a_store_that_fails_blames_nobody_and_payloads_are_asked_for_again() {
    let mut asking = Asking::new(&[(2, "320508")]);
    let (peer, want) = asking.questions_within(0)[0];
    let frame = asking.frame(&[1, 2]);
    let outputs = asking.says(peer, Message::Frame { want, last: true, frame });
    let [Output::Fill { token, .. }, Output::Send { .. }] = outputs[..] else { panic!("{outputs:?}") };
    let failure = AppendFailure::Store;
    assert_eq!(asking.engine.handle(asking.now, Input::AppendFailed { token, failure }), []);
    assert_eq!(asking.questions_within(3), []);
    assert_eq!(asking.questions_within(10).len(), 1);
}

#[test]
fn a_frame_that_does_not_hold_or_comes_twice_or_unasked_ends_the_connection() {
    // A frame that the store refuses is told with its reason,
    let mut asking = Asking::new(&[(2, "320508")]);
    let (peer, want) = asking.questions_within(0)[0];
    let (frame, log) = (asking.frame(&[1, 2]), asking.log.clone());
    let outputs = asking.says(peer, Message::Frame { want, last: true, frame: frame.clone() });
    let [Output::Fill { token, .. }, Output::Send { .. }] = outputs[..] else { panic!("{outputs:?}") };
    let what = "the payload of seq 1 is not the one that its header commits to".to_owned();
    let failure = AppendFailure::BadPeer(what.clone());
    let outputs = asking.engine.handle(asking.now, Input::AppendFailed { token, failure });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::BadFrame { log, what }));
    // a second one before the first is durable, though the first is not called the last,
    let mut asking = Asking::new(&[(2, "320508")]);
    let (peer, want) = asking.questions_within(0)[0];
    asking.says(peer, Message::Frame { want, last: false, frame: frame.clone() });
    let outputs = asking.says(peer, Message::Frame { want, last: true, frame: frame.clone() });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Violation(Violation::CreditOverrun)));
    // or after it,
    let mut asking = Asking::new(&[(2, "320508")]);
    let (peer, want) = asking.questions_within(0)[0];
    let outputs = asking.says(peer, Message::Frame { want, last: true, frame: frame.clone() });
    let [Output::Fill { token, .. }, Output::Send { .. }] = outputs[..] else { panic!("{outputs:?}") };
    asking.engine.handle(asking.now, Input::Filled { token, payloads: 2 });
    let outputs = asking.says(peer, Message::Frame { want, last: true, frame: frame.clone() });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Violation(Violation::Unasked)));
    // or one that nobody asked for.
    let mut asking = Asking::new(&[(2, "320508006")]);
    let outputs = asking.says(key(2).public(), Message::Frame { want: 7, last: true, frame });
    assert_eq!(reason(&outputs), Some(&DisconnectReason::Violation(Violation::Unasked)));
}

#[test]
fn payloads_are_read_only_for_peers_that_may_have_them_and_not_without_end() {
    let mut asking = Asking::new(&[(2, "320508"), (3, "320508006")]);
    let [entitled, other] = [2, 3].map(|n| key(n).public());
    let ask = |asking: &mut Asking, peer, want| {
        let (log, seqs) = (asking.log.clone(), vec![1, 3]);
        asking.says(peer, Message::Fill { want, log, seqs, credit: 1_000 })
    };
    // Given a peer that may not have them: nothing is read, and it is told that there is nothing.
    let outputs = ask(&mut asking, other, 1);
    assert_eq!(outputs, [Output::Send { peer: other, message: Message::Unavailable { want: 1 } }]);
    // One that may is answered with one frame, which is the last.
    let outputs = ask(&mut asking, entitled, 1);
    let [Output::ReadPayloads { peer, token, ref seqs, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((peer, &seqs[..]), (entitled, &[1, 3][..]));
    let frame = Some(ReadFrame { bytes: asking.frame(&[3]), last_seq: 3 });
    let outputs = asking.engine.handle(asking.now, Input::ReadDone { peer, token, frame });
    let [Output::Send { message: Message::Frame { want: 1, last: true, ref frame }, .. }] = outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(decode_payloads(frame).unwrap().payloads[0].0, 3);
    assert_eq!(asking.engine.view(&entitled).unwrap().serving, 0);
    // An earlier want for the log gives way to a question, and the other way round.
    let log = asking.log.clone();
    asking.says(entitled, Message::Want { want: 2, log: log.clone(), from_seq: 1, credit: 1_000 });
    ask(&mut asking, entitled, 3);
    asking.says(entitled, Message::Want { want: 4, log, from_seq: 1, credit: 1_000 });
    assert_eq!(asking.engine.view(&entitled).unwrap().serving, 1);
    // Questions without end make us read no more than a bounded number of times in a while.
    let mut asking = Asking::new(&[(2, "320508")]);
    let mut reads = 0;
    for want in 0..10_000 {
        for output in ask(&mut asking, entitled, want) {
            if let Output::ReadPayloads { peer, token, .. } = output {
                reads += 1;
                asking.engine.handle(asking.now, Input::ReadDone { peer, token, frame: None });
                asking.engine.handle(asking.now, Input::Written { peer });
            } else {
                asking.engine.handle(asking.now, Input::Written { peer: entitled });
            }
        }
    }
    assert_eq!(reads, limits::SYNC_FILLS_BURST);
    assert!(asking.engine.view(&entitled).is_some());
}

#[test]
fn events_that_came_with_their_payloads_raise_no_question() {
    let mut network = Network::new(22, 2, Conditions::default());
    let mut author = Author::new(100, COMMUNITY, None);
    let run = author.write_personal(Stream::COMMUNITY, 5, 40);
    assert!(encode_frame(&run, PiiScope::Covered).len() > encode_frame(&run, PiiScope::Withheld).len() + 40);
    network.write(0, &run);
    network.connect(0, 1);
    network.run_for(seconds(60));
    assert_eq!((lacking(&network, 1, &author.log_id(Stream::COMMUNITY)), network.traffic.messages.get(&10)), (0, None));
}
