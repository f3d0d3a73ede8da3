//! What the book calls, when, and what it forgets, under a clock that the tests move.

use linli_core::testkit::key;

use super::*;

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

/// Nobody is connected.
fn alone(_: &AuthorKey) -> Tie {
    Tie::None
}

const NOW_MS: u64 = 1_790_000_000_000;

fn due(book: &mut Book, now: Instant) -> Vec<Due> {
    book.due(now, key(1).public(), NOW_MS, alone, Enough::default())
}

fn connection(n: usize) -> ConnectionId {
    ConnectionId::new_unchecked(n)
}

/// An address that leads straight to node `n`.
fn at(n: u16, place: &str) -> Multiaddr {
    address(&format!("{place}/p2p/{}", peer_id(&key(n).public()).unwrap()))
}

/// An address that leads to node `n` through node `relay`.
fn through(relay: u16, n: u16) -> Multiaddr {
    let relay = peer_id(&key(relay).public()).unwrap();
    at(n, &format!("/ip4/10.0.0.9/tcp/1/p2p/{relay}/p2p-circuit"))
}

#[test]
fn one_call_per_peer_and_pauses_that_grow_to_a_bound() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    let (tcp, quic) = (at(2, "/ip4/10.0.0.2/tcp/1"), at(2, "/ip4/10.0.0.2/udp/1/quic-v1"));
    book.add(now, tcp.clone());
    book.found(now, quic.clone());
    assert_eq!(due(&mut book, now)[0].addresses, std::slice::from_ref(&quic));
    let connected = book.due(now, key(1).public(), NOW_MS, |_| Tie::Direct, Enough::default());
    assert!(connected.is_empty(), "connected already");
    for n in 0..12 {
        let called = due(&mut book, now);
        assert_eq!(called.len(), 1, "{n}");
        book.dialled(now, &called[0], connection(n));
        assert!(due(&mut book, now).is_empty(), "one call at a time");
        book.over(now, connection(n), false);
        now += limits::REDIAL_MAX;
    }
    book.shun(now, key(2).public());
    assert!(due(&mut book, now).is_empty());
    let later = due(&mut book, now + limits::MDNS_TTL);
    assert_eq!(later[0].addresses, [tcp], "what was found on the LAN is forgotten");
}

#[test]
fn several_cards_of_a_peer_are_tried_at_once_and_the_first_answer_ends_it() {
    let (mut book, now) = (Book::default(), Instant::now());
    let cards = ["/ip4/10.0.0.2/udp/1/quic-v1", "/ip4/192.168.7.2/udp/1/quic-v1", "/ip4/10.0.0.2/tcp/1"];
    let cards = cards.map(|place| at(2, place));
    book.told(now, key(2).public(), &cards);
    let call = due(&mut book, now).remove(0);
    assert_eq!((call.addresses.as_slice(), call.way), (&cards[..2], Way::Quic));
    book.dialled(now, &call, connection(1));
    book.answered(now, connection(1), key(2).public(), &cards[1]);
    assert!(due(&mut book, now).is_empty());
    book.proven(now, connection(1), key(2).public(), NOW_MS);
    let kept: Vec<Multiaddr> = book.remembered().remove(0).addresses.into_iter().map(|(address, _)| address).collect();
    assert_eq!(kept, cards[1..2]);
}

#[test]
fn a_relay_is_asked_only_where_no_direct_way_leads_there_in_time() {
    let (mut book, now) = (Book::default(), Instant::now());
    book.told(now, key(2).public(), &[at(2, "/ip4/10.0.0.2/udp/1/quic-v1"), through(3, 2)]);
    let direct = due(&mut book, now).remove(0);
    assert_eq!(direct.way, Way::Quic);
    book.dialled(now, &direct, connection(1));
    assert!(due(&mut book, now + limits::RELAYED_CALL_AFTER / 2).is_empty());
    let later = now + limits::RELAYED_CALL_AFTER;
    let relayed = due(&mut book, later).remove(0);
    assert_eq!(relayed.way, Way::Relayed);
    book.dialled(later, &relayed, connection(2));
    book.answered(later, connection(2), key(2).public(), &relayed.addresses[0]);
    // Once it is connected that way, only direct ways are looked for.
    book.over(later, connection(1), false);
    let much_later = later + limits::REDIAL_MAX;
    let tied = book.due(much_later, key(1).public(), NOW_MS, |_| Tie::Relayed, Enough::default());
    assert_eq!(tied.iter().map(|due| due.way).collect::<Vec<_>>(), [Way::Quic]);
    book.over(much_later, connection(2), true);
    let last = much_later + limits::REDIAL_MAX;
    let enough = Enough { relayed: true, ..Enough::default() };
    assert!(book.due(last, key(1).public(), NOW_MS, alone, enough).iter().all(|due| due.way == Way::Quic));
    assert!(book.due(last, key(3).public(), NOW_MS, alone, Enough::default()).iter().all(|due| due.way == Way::Quic));
}

#[test]
fn what_was_only_told_is_given_up_and_not_believed_again_at_once_but_what_once_led_there_stays() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    let (told, proven) = (at(2, "/ip4/10.0.0.2/tcp/1"), at(3, "/ip4/10.0.0.3/tcp/1"));
    book.told(now, key(2).public(), std::slice::from_ref(&told));
    let remembered = Remembered {
        key: key(3).public(),
        last_heard_unix_ms: Some(7),
        addresses: vec![(proven.clone(), NOW_MS - 1000)],
    };
    book.remember(now, vec![remembered]);
    assert_eq!(book.notes()[&key(3).public()].last_heard_unix_ms, Some(7));
    let mut n = 0;
    for _ in 0..2 * limits::TOLD_FAILURES_MAX {
        for call in due(&mut book, now) {
            n += 1;
            book.dialled(now, &call, connection(n));
            book.over(now, connection(n), false);
        }
        now += limits::REDIAL_MAX;
    }
    book.told(now, key(2).public(), std::slice::from_ref(&told));
    let called: Vec<Multiaddr> = due(&mut book, now).into_iter().flat_map(|due| due.addresses).collect();
    assert_eq!(called, std::slice::from_ref(&proven));
    book.told(now + limits::HOPELESS_FOR, key(2).public(), std::slice::from_ref(&told));
    assert_eq!(due(&mut book, now + limits::HOPELESS_FOR).len(), 2, "told anew after a while it is believed again");
    let long_after = NOW_MS + limits::ADDRESS_KEPT_FOR.as_millis() as u64;
    let much_later = now + limits::HOPELESS_FOR;
    let called = book.due(much_later, key(1).public(), long_after, alone, Enough::default());
    assert!(called.iter().all(|due| !due.addresses.contains(&proven)), "not even that is kept for ever");
}

#[test]
fn an_address_at_which_somebody_else_lives_is_forgotten_unless_a_person_wrote_it_down() {
    let (mut book, now) = (Book::default(), Instant::now());
    let (told, configured) = (at(2, "/ip4/10.0.0.2/tcp/1"), at(3, "/ip4/10.0.0.3/tcp/1"));
    book.told(now, key(2).public(), std::slice::from_ref(&told));
    book.add(now, configured.clone());
    for address in [&told, &configured] {
        book.misled(address);
    }
    assert_eq!(book.addresses(&key(2).public()), []);
    assert_eq!(book.addresses(&key(3).public()), [address("/ip4/10.0.0.3/tcp/1")]);
}

#[test]
fn a_place_that_was_configured_without_a_name_and_told_with_it_is_shown_once() {
    let (mut book, now) = (Book::default(), Instant::now());
    let (bare, named) = (address("/ip4/10.0.0.2/tcp/1"), at(2, "/ip4/10.0.0.2/tcp/1"));
    book.add(now, bare.clone());
    let call = Due { peer: None, addresses: vec![bare.clone()], way: Way::Tcp };
    book.dialled(now, &call, connection(1));
    book.answered(now, connection(1), key(2).public(), &bare);
    book.told(now, key(2).public(), &[named, address("/ip4/10.0.0.4/tcp/1")]);
    assert_eq!(book.addresses(&key(2).public()), [bare, address("/ip4/10.0.0.4/tcp/1")]);
}

#[test]
fn a_member_that_tells_nonsense_without_end_fills_nothing() {
    let (mut book, now) = (Book::default(), Instant::now());
    for round in 0..50u16 {
        let place = |n: u16| address(&format!("/ip4/10.1.{round}.{n}/tcp/1"));
        let places: Vec<Multiaddr> = (0..100).map(place).collect();
        for n in 0..400 {
            book.told(now, key(n).public(), &places[..3]);
        }
        book.told(now, key(2).public(), &places);
    }
    assert!(book.targets.len() <= 3 * limits::REMEMBERED_PEERS_MAX + limits::ADDRESSES_PER_PEER_MAX);
    assert_eq!(book.addresses(&key(2).public()).len(), limits::ADDRESSES_PER_PEER_MAX);
}

/// Plays `minutes` in which nobody answers, asking four times a second as the driver does, and counts calls by minute.
fn calls_while_cut(book: &mut Book, now: &mut Instant, minutes: usize) -> Vec<usize> {
    let (mut open, mut n, mut calls) = (Vec::new(), 0, vec![0; minutes]);
    for tick in 0..minutes * 240 {
        // A call into a dead line takes five seconds to fail.
        for number in open.extract_if(.., |(_, at): &mut (usize, usize)| tick - *at >= 20).map(|(number, _)| number) {
            book.over(*now, connection(number), false);
        }
        for call in due(book, *now) {
            n += 1;
            book.dialled(*now, &call, connection(n));
            open.push((n, tick));
            calls[tick / 240] += 1;
        }
        *now += Duration::from_millis(250);
    }
    for (number, _) in open {
        book.over(*now, connection(number), false);
    }
    calls
}

#[test]
fn a_cut_from_a_hundred_peers_makes_no_storm_and_a_heal_is_noticed_within_fifteen_seconds() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    for n in 2..102u16 {
        book.add(now, at(n, &format!("/ip4/10.0.0.{n}/tcp/1")));
    }
    let calls = calls_while_cut(&mut book, &mut now, 10);
    assert!(calls.iter().all(|calls| *calls <= 240 * limits::CALLS_AT_ONCE_MAX), "{calls:?}");
    assert!(calls.iter().all(|calls| *calls >= 100), "it sleeps: {calls:?}");
    // The line heals: within 15 s everybody has been called once.
    let mut reached = std::collections::BTreeSet::new();
    for tick in 0..60 {
        for call in due(&mut book, now) {
            book.dialled(now, &call, connection(1_000_000 + tick * 10 + reached.len() % 10));
            reached.extend(call.peer);
        }
        now += Duration::from_millis(250);
    }
    assert_eq!(reached.len(), 100, "within 15 s");
}

#[test]
fn a_node_that_moved_calls_everybody_soon_and_not_all_at_the_same_moment() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    for n in 2..12u16 {
        book.add(now, at(n, &format!("/ip4/10.0.0.{n}/tcp/1")));
    }
    calls_while_cut(&mut book, &mut now, 5);
    book.hurry(now);
    let mut soon = vec![];
    for _ in 0..12 {
        let calls = due(&mut book, now);
        soon.push(calls.len());
        calls
            .iter()
            .enumerate()
            .for_each(|(i, call)| book.dialled(now, call, connection(2_000_000 + soon.len() * 10 + i)));
        now += Duration::from_millis(250);
    }
    assert_eq!(soon.iter().sum::<usize>(), 10, "{soon:?}");
    assert!(soon[0] <= limits::CALLS_AT_ONCE_MAX, "{soon:?}");
}

#[test]
fn a_peer_that_comes_again_and_again_is_noticed_and_forgiven() {
    let (mut book, now, peer) = (Book::default(), Instant::now(), key(2).public());
    assert!((0..limits::VISITS_MAX).all(|_| book.visited(now, peer)));
    assert!(!book.visited(now, peer));
    assert!(book.visited(now, key(3).public()));
    let later = now + limits::VISITS_INTERVAL;
    due(&mut book, later);
    assert!(book.visited(later, peer));
}

#[test]
fn pauses_grow_end_and_are_not_wiped_out_by_strangers() {
    let (mut book, mut now, peer) = (Book::default(), Instant::now(), key(2).public());
    for pause in [5, 10, 20, 40, 60, 60] {
        book.shun(now, peer);
        now += Duration::from_secs(pause) - Duration::from_millis(1);
        assert!(book.is_shunned(now, &peer), "{pause}");
        now += Duration::from_millis(1);
        assert!(!book.is_shunned(now, &peer), "{pause}");
        due(&mut book, now);
    }
    book.shun(now, peer);
    (0..2 * limits::REMEMBERED_PEERS_MAX as u16).for_each(|n| book.shun(now, key(100 + n).public()));
    assert!(book.is_shunned(now, &peer) && book.shunned.len() <= limits::REMEMBERED_PEERS_MAX);
    due(&mut book, now + limits::SHUN_MAX * 2);
    book.shun(now, peer);
    assert!(!book.is_shunned(now + limits::SHUN_MIN, &peer), "after good behaviour the shortest pause again");
}

#[test]
fn a_peer_whose_connection_is_doubtful_is_called_beside_it_once() {
    let (mut book, mut now) = (Book::default(), Instant::now());
    let peer = key(2).public();
    book.add(now, at(2, "/ip4/10.0.0.2/tcp/1"));
    let call = due(&mut book, now).remove(0);
    book.dialled(now, &call, connection(1));
    book.answered(now, connection(1), peer, &call.addresses[0]);
    let mut doubtful = |now| book.due(now, key(1).public(), NOW_MS, |_| Tie::Doubtful, Enough::default());
    assert!(doubtful(now).is_empty(), "it was made a moment ago");
    now += limits::DOUBTED_AFTER * 2;
    assert_eq!(doubtful(now), std::slice::from_ref(&call));
    book.hurry(now);
    book.dialled(now, &call, connection(2));
    let mut doubtful = |now| book.due(now, key(1).public(), NOW_MS, |_| Tie::Doubtful, Enough::default());
    assert!(doubtful(now + limits::REDIAL_MIN).is_empty(), "one call at a time");
    // The end of the old connection does not touch the new call.
    book.over(now, connection(1), true);
    assert!(due(&mut book, now + limits::REDIAL_MAX).is_empty());
}

#[test]
fn hearsay_adds_addresses_and_takes_none_away() {
    let (mut book, now) = (Book::default(), Instant::now());
    let own = at(2, "/ip4/10.0.0.2/tcp/1");
    book.told(now, key(2).public(), std::slice::from_ref(&own));
    book.heard_of(now, key(2).public(), &[]);
    book.heard_of(now, key(2).public(), &[at(2, "/ip4/10.0.0.66/tcp/1")]);
    assert!(due(&mut book, now)[0].addresses.contains(&own));
    // Its own word replaces hearsay.
    book.told(now, key(2).public(), std::slice::from_ref(&own));
    assert_eq!(due(&mut book, now)[0].addresses, [own]);
}
