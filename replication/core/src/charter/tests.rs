//! Given some charter events, when they arrive in any order, then these may write and those may not.

use proptest::prelude::*;

use super::*;
use crate::event::Payload;
use crate::time::Hlc;

struct District {
    roots: Vec<SecretKey>,
    genesis: ReceivedEvent,
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn district(threshold: u64, roots: u8) -> District {
    let mut roots: Vec<SecretKey> = (1..=roots).map(key).collect();
    roots.sort_by_key(SecretKey::public);
    let area: Area = "320508".parse().unwrap();
    let payload = Genesis::payload("试验区", threshold, &roots, &area);
    let genesis = charter_event(&roots[0], KIND_GENESIS, None, "320508", payload);
    District { roots, genesis }
}

fn charter_event(
    by: &SecretKey,
    word: &'static str,
    grant: Option<EventId>,
    area: &str,
    payload: Vec<u8>,
) -> ReceivedEvent {
    let header = Header {
        author: by.public(),
        incarnation: 1,
        area: area.parse().unwrap(),
        stream: Stream::CHARTER,
        seq: 1,
        prev: None,
        parents: vec![],
        record: None,
        kind: kind(word),
        time: Hlc::from_unix_ms(1_790_000_000_000),
        grant,
        op: None,
        pii: None,
    };
    ReceivedEvent::sign(header, Some(Payload { salt: [0; 16], bytes: payload }), None, by)
}

fn terms(subject: &SecretKey, role: Role, area: &str) -> Grant {
    Grant {
        subject: subject.public(),
        proof: subject.prove_possession(),
        role,
        label: "临湖街道".into(),
        area: area.parse().unwrap(),
        streams: Stream::known().collect(),
        delegate: true,
        not_after: None,
        cosigned: vec![],
    }
}

fn grant(by: &SecretKey, under: EventId, terms: &Grant) -> ReceivedEvent {
    charter_event(by, KIND_GRANT, Some(under), terms.area.as_str(), terms.payload())
}

fn write_by(author: &SecretKey, under: EventId, area: &str, stream: Stream) -> Header {
    Header {
        stream,
        kind: "reported".parse().unwrap(),
        ..charter_event(author, KIND_GRANT, Some(under), area, vec![0xa0]).header().clone()
    }
}

fn verdict(charter: &Charter, header: &Header) -> Verdict {
    charter.verdict(&EventId::from_bytes([0xee; 32]), header)
}

const OK: Verdict = Verdict::Authorised { expired: false };

#[test]
fn rights_fall_along_the_chain_and_never_widen() {
    let d = district(1, 1);
    let fed = d.genesis.id();
    let (bureau, street, liaison) = (key(11), key(12), key(13));
    let g1 = grant(&d.roots[0], fed, &terms(&bureau, Role::Node, "320508"));
    let g2 = grant(&bureau, g1.id(), &terms(&street, Role::Node, "320508005"));
    let mut only_supplies = terms(&liaison, Role::Liaison, "320508005012");
    only_supplies.streams = BTreeSet::from([Stream::SUPPLIES]);
    only_supplies.delegate = false;
    only_supplies.not_after = Some(1_700_000_000_000);
    let g3 = grant(&street, g2.id(), &only_supplies);
    let wider = grant(&street, g2.id(), &terms(&liaison, Role::Liaison, "320508"));
    let peer = grant(&street, g2.id(), &terms(&liaison, Role::Node, "320508005"));
    let passed_on = grant(&liaison, g3.id(), &terms(&key(14), Role::Lead, "320508005012"));
    let stolen = grant(&liaison, g2.id(), &terms(&key(14), Role::Lead, "320508005012"));
    let all = [&d.genesis, &g1, &g2, &g3, &wider, &peer, &passed_on, &stolen];
    let charter = Charter::evaluate(fed, all);

    assert_eq!(charter.grants().count(), 3);
    let reasons: BTreeMap<_, _> = charter.invalid().map(|(id, e)| (*id, e.clone())).collect();
    assert_eq!(reasons[&wider.id()], CharterError::Widened("area"));
    assert_eq!(reasons[&peer.id()], CharterError::Widened("rank"));
    assert_eq!(reasons[&passed_on.id()], CharterError::MayNotDelegate);
    assert_eq!(reasons[&stolen.id()], CharterError::NotTheHolder);

    assert_eq!(verdict(&charter, &write_by(&street, g2.id(), "320508005012", Stream::TEAMS)), OK);
    let late = write_by(&liaison, g3.id(), "320508005012", Stream::SUPPLIES);
    assert_eq!(verdict(&charter, &late), Verdict::Authorised { expired: true });
    let cases = [
        (write_by(&street, g2.id(), "320508006", Stream::TEAMS), Refusal::OutsideArea),
        (write_by(&liaison, g3.id(), "320508005012", Stream::TEAMS), Refusal::OutsideStreams),
        (write_by(&liaison, g2.id(), "320508005", Stream::TEAMS), Refusal::NotTheHolder),
        (write_by(&liaison, wider.id(), "320508", Stream::TEAMS), Refusal::InvalidGrant),
        (Header { grant: None, ..late }, Refusal::NoGrant),
    ];
    for (header, why) in cases {
        assert_eq!(verdict(&charter, &header), Verdict::Refused(why));
    }
    let unheard = write_by(&street, EventId::from_bytes([1; 32]), "320508005", Stream::TEAMS);
    assert_eq!(verdict(&charter, &unheard), Verdict::GrantUnknown);
}

#[test]
fn a_payload_that_is_not_here_makes_unknown_and_never_refused() {
    // Given a node under the genesis, and a liaison under the node,
    let d = district(1, 1);
    let fed = d.genesis.id();
    let (street, liaison) = (key(12), key(13));
    let above = grant(&d.roots[0], fed, &terms(&street, Role::Node, "320508005"));
    let below = grant(&street, above.id(), &terms(&liaison, Role::Liaison, "320508005"));
    let acts = [
        write_by(&street, above.id(), "320508005", Stream::TEAMS),
        write_by(&liaison, below.id(), "320508005", Stream::TEAMS),
    ];
    let verdicts = |events: [&ReceivedEvent; 3]| {
        let charter = Charter::evaluate(fed, events);
        assert_eq!(charter.invalid().count(), 0);
        acts.each_ref().map(|header| verdict(&charter, header))
    };
    assert_eq!(verdicts([&d.genesis, &above, &below]), [OK, OK]);
    // when whoever made the file withheld the payload of one of the three,
    let withheld = |event: &ReceivedEvent| {
        ReceivedEvent::new(event.header_bytes().to_vec(), event.signature().copied(), None, None).unwrap()
    };
    // then nothing under it is called unlawful: nobody can know.
    let unknown = Verdict::GrantUnknown;
    assert_eq!(verdicts([&d.genesis, &above, &withheld(&below)]), [OK, unknown.clone()]);
    assert_eq!(verdicts([&d.genesis, &withheld(&above), &below]), [unknown.clone(), unknown.clone()]);
    assert_eq!(verdicts([&withheld(&d.genesis), &above, &below]), [unknown.clone(), unknown]);
    // An event that commits to no payload at all gives nothing, whoever holds it.
    let header = Header { op: None, ..above.header().clone() };
    let empty = ReceivedEvent::sign(header, None, None, &d.roots[0]);
    assert_eq!(Charter::evaluate(fed, [&d.genesis, &empty]).invalid().count(), 1);
}

#[test]
fn three_of_five_roots_must_agree() {
    let d = district(3, 5);
    let fed = d.genesis.id();
    let node = key(20);
    let mut agreed = terms(&node, Role::Node, "320508");
    agreed.cosign(&d.roots[1], &fed);
    let two = grant(&d.roots[0], fed, &agreed);
    agreed.cosign(&d.roots[2], &fed);
    let three = grant(&d.roots[0], fed, &agreed);
    let mut elsewhere = terms(&node, Role::Node, "320508");
    elsewhere.cosign(&d.roots[1], &EventId::from_bytes([9; 32]));
    elsewhere.cosign(&d.roots[2], &EventId::from_bytes([9; 32]));
    let replayed = grant(&d.roots[0], fed, &elsewhere);
    let charter = Charter::evaluate(fed, [&d.genesis, &two, &three, &replayed]);
    assert_eq!(charter.grants().map(|(id, _)| *id).collect::<Vec<_>>(), vec![three.id()]);
    let reasons: BTreeMap<_, _> = charter.invalid().collect();
    assert_eq!(reasons[&two.id()], &CharterError::TooFewAgreed { agreed: 2, threshold: 3 });
    assert_eq!(reasons[&replayed.id()], &CharterError::TooFewAgreed { agreed: 1, threshold: 3 });
}

#[test]
fn a_minority_threshold_and_an_unagreed_root_are_refused() {
    let minority = district(2, 4).genesis;
    assert_eq!(Genesis::read(&minority), Err(CharterError::Threshold { threshold: 2, roots: 4 }));
    let d = district(1, 1);
    let forged =
        charter_event(&key(99), KIND_GENESIS, None, "320508", d.genesis.payload(Slot::Op).unwrap().bytes.clone());
    assert_eq!(Genesis::read(&forged), Err(CharterError::NotTheHolder));
}

#[test]
fn a_grant_of_another_federation_gives_nothing() {
    let (ours, theirs) = (district(1, 1), district(1, 2));
    let node = key(20);
    let foreign = grant(&theirs.roots[0], theirs.genesis.id(), &terms(&node, Role::Node, "320508"));
    let charter = Charter::evaluate(ours.genesis.id(), [&ours.genesis, &theirs.genesis, &foreign]);
    assert_eq!(charter.grants().count(), 0);
    assert!(charter.node_grant(&node.public()).is_none());
    let header = write_by(&node, foreign.id(), "320508", Stream::TEAMS);
    assert_ne!(verdict(&charter, &header), OK);
}

#[test]
fn a_key_that_the_subject_does_not_hold_is_refused() {
    let d = district(1, 1);
    let mut borrowed = terms(&key(20), Role::Node, "320508");
    borrowed.subject = key(21).public();
    let event = grant(&d.roots[0], d.genesis.id(), &borrowed);
    assert!(matches!(Grant::read(&event), Err(CharterError::Key { .. })));
}

#[test]
fn a_long_chain_of_worthless_grants_is_judged_in_one_pass() {
    let d = district(1, 1);
    let fed = d.genesis.id();
    let lead = key(11);
    let mut all = vec![d.genesis.clone(), grant(&d.roots[0], fed, &terms(&lead, Role::Lead, "320508"))];
    for _ in 0..2000 {
        let parent = all.last().unwrap().id();
        all.push(grant(&lead, parent, &terms(&lead, Role::Lead, "320508")));
    }
    let charter = Charter::evaluate(fed, &all);
    assert_eq!((charter.grants().count(), charter.invalid().count()), (1, 2000));
}

#[test]
fn a_copy_without_its_payload_takes_nothing_away_from_the_whole_event() {
    let d = district(1, 1);
    let bare = ReceivedEvent::new(d.genesis.header_bytes().to_vec(), None, None, None).unwrap();
    for order in [[&d.genesis, &bare], [&bare, &d.genesis]] {
        assert_eq!(Charter::evaluate(d.genesis.id(), order).federation(), Some(d.genesis.id()));
    }
}

proptest! {
    #[test]
    fn any_arrival_order_gives_the_same_charter(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(), upto in 0usize..=6) {
        let d = district(1, 1);
        let fed = d.genesis.id();
        let g1 = grant(&d.roots[0], fed, &terms(&key(11), Role::Node, "320508"));
        let g2 = grant(&key(11), g1.id(), &terms(&key(12), Role::Node, "320508005"));
        let g3 = grant(&key(12), g2.id(), &terms(&key(13), Role::Liaison, "320508005012"));
        let bad = grant(&key(12), g2.id(), &terms(&key(13), Role::Liaison, "320508"));
        let under_bad = grant(&key(13), bad.id(), &terms(&key(14), Role::Lead, "320508"));
        let all = [&d.genesis, &g1, &g2, &g3, &bad, &under_bad];
        let some: BTreeSet<usize> = order.iter().take(upto).copied().collect();
        let shuffled = Charter::evaluate(fed, order.iter().take(upto).map(|i| all[*i]));
        let sorted = Charter::evaluate(fed, some.iter().map(|i| all[*i]));
        prop_assert_eq!(&shuffled.valid, &sorted.valid);
        prop_assert_eq!(&shuffled.invalid, &sorted.invalid);
    }
}

#[test]
fn a_grant_that_lasts_is_used_before_a_narrower_one_that_has_expired() {
    let d = district(1, 1);
    let (fed, street) = (d.genesis.id(), key(12));
    let mut narrow = terms(&street, Role::Node, "320508005012");
    narrow.not_after = Some(1_700_000_000_000);
    let narrow = grant(&d.roots[0], fed, &narrow);
    let wide = grant(&d.roots[0], fed, &terms(&street, Role::Node, "320508005"));
    let charter = Charter::evaluate(fed, [&d.genesis, &narrow, &wide]);
    let area: Area = "320508005012".parse().unwrap();
    let at = |now_ms| charter.grant_for(&street.public(), &area, Stream::TEAMS, now_ms);
    assert_eq!((at(1_700_000_000_000), at(1_700_000_000_001)), (Some(narrow.id()), Some(wide.id())));
    // one that has expired is better than none: what is written under it is marked
    let only = Charter::evaluate(fed, [&d.genesis, &narrow]);
    assert_eq!(only.grant_for(&street.public(), &area, Stream::TEAMS, 1_800_000_000_000), Some(narrow.id()));
}
