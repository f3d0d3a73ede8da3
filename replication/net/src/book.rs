//! Whom to call, when, and whom not to: addresses, pauses, and what went wrong last time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use linli_core::id::AuthorKey;

use crate::identity::author_key;
use crate::limits;

/// Addresses to call and peers to remember.
#[derive(Debug, Default)]
pub(crate) struct Book {
    targets: Vec<Target>,
    shunned: BTreeMap<AuthorKey, Shun>,
    notes: BTreeMap<AuthorKey, Note>,
    visits: BTreeMap<AuthorKey, Visits>,
}

/// Sessions with a peer in the current interval.
#[derive(Debug)]
struct Visits {
    since: Instant,
    count: u32,
}

#[derive(Debug)]
struct Target {
    address: Multiaddr,
    /// From `/p2p/` in the address, or whoever answered last.
    peer: Option<AuthorKey>,
    /// When it was found on the LAN and until when that is believed; none for configured ones.
    believed_until: Option<Instant>,
    next_dial: Instant,
    failures: u32,
    connection: Option<ConnectionId>,
}

#[derive(Debug)]
struct Shun {
    until: Instant,
    pause: Duration,
}

/// What is remembered of a peer beyond its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    pub(crate) last_heard_unix_ms: Option<u64>,
    pub(crate) refused: Option<String>,
    pub(crate) address: Option<Multiaddr>,
}

/// The key after `/p2p/`, if the address has one.
fn key_in(address: &Multiaddr) -> Option<AuthorKey> {
    address.iter().find_map(|part| match part {
        Protocol::P2p(peer) => author_key(&peer),
        _ => None,
    })
}

fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::QuicV1))
}

/// Up to `most`, at random, so that nodes that lost each other at once do not all call at once.
fn jittered(most: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX));
    most.mul_f64(0.5 + share / 2.0)
}

impl Book {
    /// Adds an address that is always called.
    pub(crate) fn add(&mut self, now: Instant, address: Multiaddr) {
        self.add_target(now, address, None);
    }

    /// Adds an address found on the LAN.
    pub(crate) fn found(&mut self, now: Instant, address: Multiaddr) {
        let found = self.targets.iter().filter(|target| target.believed_until.is_some()).count();
        let known = self.targets.iter().any(|target| target.address == address);
        if known || found < limits::REMEMBERED_PEERS_MAX {
            self.add_target(now, address, Some(now + limits::MDNS_TTL));
        }
    }

    fn add_target(&mut self, now: Instant, address: Multiaddr, believed_until: Option<Instant>) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == address) {
            target.believed_until = target.believed_until.and(believed_until);
            target.next_dial = target.next_dial.min(now + limits::REDIAL_MIN);
            return;
        }
        let peer = key_in(&address);
        self.targets.push(Target { address, peer, believed_until, next_dial: now, failures: 0, connection: None });
    }

    /// Addresses to call now: one per peer that is not connected, QUIC before TCP, the least failing first.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        own: AuthorKey,
        connected: impl Fn(&AuthorKey) -> bool,
    ) -> Vec<Multiaddr> {
        self.targets.retain(|t| t.connection.is_some() || t.believed_until.is_none_or(|until| now < until));
        self.shunned.retain(|_, shun| now < shun.until + shun.pause);
        self.visits.retain(|_, visits| now < visits.since + limits::VISITS_INTERVAL);
        let busy: Vec<AuthorKey> =
            self.targets.iter().filter(|t| t.connection.is_some()).filter_map(|t| t.peer).collect();
        let callable = |target: &&Target| {
            let peer_is_free =
                |peer| peer != own && !connected(&peer) && !busy.contains(&peer) && !self.is_shunned(now, &peer);
            target.connection.is_none() && now >= target.next_dial && target.peer.is_none_or(peer_is_free)
        };
        let mut due: Vec<&Target> = self.targets.iter().filter(callable).collect();
        due.sort_by_key(|target| (target.failures, !is_quic(&target.address)));
        let mut called = vec![];
        let mut addresses = vec![];
        for target in due {
            if target.peer.is_none_or(|peer| !called.contains(&peer)) {
                called.extend(target.peer);
                addresses.push(target.address.clone());
            }
        }
        addresses
    }

    /// An address is being called.
    pub(crate) fn dialled(&mut self, address: &Multiaddr, connection: ConnectionId) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == *address) {
            target.connection = Some(connection);
        }
    }

    /// Somebody answered.
    pub(crate) fn answered(&mut self, connection: ConnectionId, peer: AuthorKey, address: Multiaddr) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.connection == Some(connection)) {
            target.peer = Some(peer);
        }
        self.note(peer).address = Some(address);
    }

    /// A call failed, or its connection is over. One that led to replication is called again soon.
    pub(crate) fn over(&mut self, now: Instant, connection: ConnectionId, replicated: bool) {
        let Some(target) = self.targets.iter_mut().find(|target| target.connection == Some(connection)) else { return };
        target.connection = None;
        target.failures = if replicated { 0 } else { target.failures.saturating_add(1) };
        let pause = limits::REDIAL_MIN.saturating_mul(1 << target.failures.min(8)).min(limits::REDIAL_MAX);
        target.next_dial = now + jittered(pause);
    }

    /// A call could not even be tried.
    pub(crate) fn undialable(&mut self, now: Instant, address: &Multiaddr) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.address == *address) {
            target.next_dial = now + jittered(limits::REDIAL_MAX);
        }
    }

    /// Does not speak to a peer for a while, longer each time.
    pub(crate) fn shun(&mut self, now: Instant, peer: AuthorKey) {
        if self.shunned.len() >= limits::REMEMBERED_PEERS_MAX && !self.shunned.contains_key(&peer) {
            // Whoever is spoken to again soonest: strangers with ever new keys do not wipe out the longer ones.
            let soonest = self.shunned.iter().min_by_key(|(_, shun)| shun.until).map(|(key, _)| *key);
            soonest.and_then(|key| self.shunned.remove(&key));
        }
        let pause = self.shunned.get(&peer).map_or(limits::SHUN_MIN, |shun| (shun.pause * 2).min(limits::SHUN_MAX));
        self.shunned.insert(peer, Shun { until: now + pause, pause });
    }

    /// A peer has completed its hello once more. False when it does so again and again.
    pub(crate) fn visited(&mut self, now: Instant, peer: AuthorKey) -> bool {
        let visits = self.visits.entry(peer).or_insert(Visits { since: now, count: 0 });
        visits.count += 1;
        visits.count <= limits::VISITS_MAX
    }

    /// Whether a peer is not to be spoken to now.
    pub(crate) fn is_shunned(&self, now: Instant, peer: &AuthorKey) -> bool {
        self.shunned.get(peer).is_some_and(|shun| now < shun.until)
    }

    /// What is remembered of a peer, to be changed. Forgets another one when there are too many.
    pub(crate) fn note(&mut self, peer: AuthorKey) -> &mut Note {
        if self.notes.len() >= limits::REMEMBERED_PEERS_MAX && !self.notes.contains_key(&peer) {
            let oldest = self.notes.iter().min_by_key(|(_, note)| note.last_heard_unix_ms).map(|(key, _)| *key);
            oldest.and_then(|key| self.notes.remove(&key));
        }
        self.notes.entry(peer).or_default()
    }

    /// What is remembered, by peer.
    pub(crate) fn notes(&self) -> &BTreeMap<AuthorKey, Note> {
        &self.notes
    }

    /// Peers that are expected at some address.
    pub(crate) fn expected(&self) -> impl Iterator<Item = AuthorKey> {
        self.targets.iter().filter_map(|target| target.peer)
    }

    /// Addresses at which a peer is expected.
    pub(crate) fn addresses(&self, peer: &AuthorKey) -> Vec<Multiaddr> {
        let expected = self.targets.iter().filter(|target| target.peer == Some(*peer)).map(|t| t.address.clone());
        let met = self.notes.get(peer).and_then(|note| note.address.clone());
        let mut addresses: Vec<Multiaddr> = expected.collect();
        addresses.extend(met.filter(|address| !addresses.contains(address)));
        addresses
    }
}

#[cfg(test)]
mod tests {
    use linli_core::testkit::key;

    use super::*;
    use crate::identity::peer_id;

    fn address(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_that_comes_again_and_again_is_noticed_and_forgiven() {
        let (mut book, now, own, peer) = (Book::default(), Instant::now(), key(1).public(), key(2).public());
        assert!((0..limits::VISITS_MAX).all(|_| book.visited(now, peer)));
        assert!(!book.visited(now, peer));
        assert!(book.visited(now, key(3).public()));
        let later = now + limits::VISITS_INTERVAL;
        book.due(later, own, |_| false);
        assert!(book.visited(later, peer));
    }

    #[test]
    fn pauses_grow_end_and_are_not_wiped_out_by_strangers() {
        let (mut book, mut now, own, peer) = (Book::default(), Instant::now(), key(1).public(), key(2).public());
        for pause in [5, 10, 20, 40, 60, 60] {
            book.shun(now, peer);
            now += Duration::from_secs(pause) - Duration::from_millis(1);
            assert!(book.is_shunned(now, &peer), "{pause}");
            now += Duration::from_millis(1);
            assert!(!book.is_shunned(now, &peer), "{pause}");
            book.due(now, own, |_| false);
        }
        book.shun(now, peer);
        (0..2 * limits::REMEMBERED_PEERS_MAX as u16).for_each(|n| book.shun(now, key(100 + n).public()));
        assert!(book.is_shunned(now, &peer) && book.shunned.len() <= limits::REMEMBERED_PEERS_MAX);
        book.due(now + limits::SHUN_MAX * 2, own, |_| false);
        book.shun(now, peer);
        assert!(!book.is_shunned(now + limits::SHUN_MIN, &peer), "after good behaviour the shortest pause again");
    }

    #[test]
    fn one_call_per_peer_and_pauses_that_grow_to_a_bound() {
        let (mut book, mut now, own) = (Book::default(), Instant::now(), key(1).public());
        let peer = peer_id(&key(2).public()).unwrap();
        let tcp = address(&format!("/ip4/10.0.0.2/tcp/1/p2p/{peer}"));
        let quic = address(&format!("/ip4/10.0.0.2/udp/1/quic-v1/p2p/{peer}"));
        book.add(now, tcp.clone());
        book.found(now, quic.clone());
        assert_eq!(book.due(now, own, |_| false), std::slice::from_ref(&quic));
        assert!(book.due(now, own, |_| true).is_empty(), "connected already");
        for n in 0..12 {
            let called = book.due(now, own, |_| false);
            assert_eq!(called.len(), 1, "{n}");
            book.dialled(&called[0], ConnectionId::new_unchecked(n));
            assert!(book.due(now, own, |_| false).is_empty(), "one call at a time");
            book.over(now, ConnectionId::new_unchecked(n), false);
            now += limits::REDIAL_MAX;
        }
        book.shun(now, key(2).public());
        assert!(book.due(now, own, |_| false).is_empty());
        assert_eq!(book.due(now + limits::MDNS_TTL, own, |_| false), [tcp], "what was found on the LAN is forgotten");
    }
}
