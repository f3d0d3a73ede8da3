//! Whom to call, when, and whom not to: addresses, pauses, and what went wrong last time.
//!
//! An address comes from the settings, from the LAN, from the node itself or from one that is connected to it, or from
//! an earlier run. Whatever it comes from, it is called with pauses that double from half a second to fifteen, each
//! with its own jitter, a few calls at a time: after a cut that everybody notices at once nobody storms, and nobody
//! sleeps when it heals.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use linli_core::id::AuthorKey;

use crate::address::{Way, destination, ip, key_in, naming, relay, unnamed};
use crate::address_file::Remembered;
use crate::identity::{author_key, peer_id};
use crate::limits;
use crate::trouble::{Misbehaviour, Reason};

/// Addresses to call and peers to remember.
#[derive(Debug, Default)]
pub(crate) struct Book {
    targets: Vec<Target>,
    shunned: BTreeMap<AuthorKey, Shun>,
    notes: BTreeMap<AuthorKey, Note>,
    /// Addresses that were given up, and until when they are not believed again.
    hopeless: BTreeMap<Multiaddr, Instant>,
    changed: bool,
    visits: BTreeMap<AuthorKey, Visits>,
}

/// Sessions with a peer in the current interval.
#[derive(Debug)]
struct Visits {
    since: Instant,
    count: u32,
}

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A person wrote it down: it is never given up.
    Configured,
    /// Found on the LAN, believed until then.
    Lan(Instant),
    /// A member of the federation told it, or it was remembered from an earlier run.
    Told,
}

#[derive(Debug)]
struct Target {
    address: Multiaddr,
    way: Way,
    /// From the name in the address, or whoever answered last.
    peer: Option<AuthorKey>,
    origin: Origin,
    /// When it last led to a completed hello, in Unix milliseconds.
    proven_unix_ms: Option<u64>,
    next_dial: Instant,
    failures: u32,
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    connection: ConnectionId,
    since: Instant,
    answered: bool,
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
    /// The same, as something that can be said in any language.
    pub(crate) refused_for: Option<Reason>,
    pub(crate) misbehaved: Option<Misbehaviour>,
    pub(crate) address: Option<Multiaddr>,
}

/// How a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// Not.
    None,
    /// There is a connection, but it has shown no life since this node moved: it is called as if there were none.
    Doubtful,
    /// Through a relay: a direct way is still looked for.
    Relayed,
    /// Directly.
    Direct,
}

/// What is not looked for at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Enough {
    /// Neighbours beyond those that are configured or on the LAN.
    pub(crate) neighbours: bool,
    /// Neighbours through relays.
    pub(crate) relayed: bool,
}

/// Somebody to call: the peer if it is known, and addresses that are tried at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) peer: Option<PeerId>,
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) way: Way,
}

/// A share of a pause at random, so that nodes that lost each other at once do not all call at once.
pub(crate) fn jittered(most: Duration) -> Duration {
    most.mul_f64(0.5 + share() / 2.0)
}

fn share() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

impl Target {
    fn new(now: Instant, address: Multiaddr, origin: Origin) -> Self {
        let (peer, way) = (key_in(&address), Way::of(&address));
        Self { address, way, peer, origin, proven_unix_ms: None, next_dial: now, failures: 0, call: None }
    }

    fn is_at(&self, connection: ConnectionId) -> bool {
        self.call.as_ref().is_some_and(|call| call.connection == connection)
    }

    fn is_named(&self) -> bool {
        destination(&self.address).is_some()
    }

    fn is_believed(&self, now: Instant, unix_ms: u64) -> bool {
        let kept_ms = u64::try_from(limits::ADDRESS_KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
        let proven = self.proven_unix_ms.is_some_and(|proven| unix_ms.saturating_sub(proven) < kept_ms);
        let told = match self.origin {
            Origin::Configured => true,
            Origin::Lan(until) => now < until,
            Origin::Told => self.failures < limits::TOLD_FAILURES_MAX,
        };
        self.call.is_some() || told || proven
    }
}

impl Book {
    /// Adds an address that is always called.
    pub(crate) fn add(&mut self, now: Instant, address: Multiaddr) {
        self.add_target(now, address, Origin::Configured);
    }

    /// Adds an address found on the LAN.
    pub(crate) fn found(&mut self, now: Instant, address: Multiaddr) {
        let found = self.targets.iter().filter(|target| matches!(target.origin, Origin::Lan(_))).count();
        let known = self.targets.iter().any(|target| target.address == address);
        if known || found < limits::REMEMBERED_PEERS_MAX {
            self.add_target(now, address, Origin::Lan(now + limits::MDNS_TTL));
        }
    }

    /// A peer tells its own addresses: they replace what was told before. What has led to it once, or comes from
    /// elsewhere, stays.
    pub(crate) fn told(&mut self, now: Instant, peer: AuthorKey, addresses: &[Multiaddr]) {
        let Some(id) = peer_id(&peer) else { return };
        let named: Vec<Multiaddr> = addresses.iter().filter_map(|address| naming(address.clone(), id)).collect();
        self.targets.retain(|t| {
            let only_told = t.origin == Origin::Told && t.proven_unix_ms.is_none() && t.call.is_none();
            t.peer != Some(peer) || !only_told || named.contains(&t.address)
        });
        self.add_told(now, peer, named);
    }

    /// Somebody else tells addresses of a peer. They are added: nobody makes us forget what others know.
    pub(crate) fn heard_of(&mut self, now: Instant, peer: AuthorKey, addresses: &[Multiaddr]) {
        let Some(id) = peer_id(&peer) else { return };
        self.add_told(now, peer, addresses.iter().filter_map(|address| naming(address.clone(), id)).collect());
    }

    fn add_told(&mut self, now: Instant, peer: AuthorKey, named: Vec<Multiaddr>) {
        self.hopeless.retain(|_, until| now < *until);
        for address in named {
            let of_peer = self.targets.iter().filter(|target| target.peer == Some(peer)).count();
            let hopeless = self.hopeless.contains_key(&address);
            let known = self.targets.iter().any(|target| target.address == address);
            if !hopeless && !known && of_peer < limits::ADDRESSES_PER_PEER_MAX && self.has_room_for(&peer) {
                self.add_target(now, address, Origin::Told);
            }
        }
    }

    fn has_room_for(&self, peer: &AuthorKey) -> bool {
        let mut peers: Vec<AuthorKey> = self.targets.iter().filter_map(|target| target.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        peers.len() < limits::REMEMBERED_PEERS_MAX || peers.contains(peer)
    }

    fn add_target(&mut self, now: Instant, address: Multiaddr, origin: Origin) -> &mut Target {
        let place = self.targets.iter().position(|target| target.address == address).unwrap_or_else(|| {
            self.targets.push(Target::new(now, address, origin));
            self.targets.len() - 1
        });
        let target = &mut self.targets[place];
        if target.origin != Origin::Configured {
            target.origin = origin;
        }
        target.next_dial = target.next_dial.min(now + limits::REDIAL_MIN);
        target
    }

    /// Takes in what an earlier run remembered.
    pub(crate) fn remember(&mut self, now: Instant, remembered: Vec<Remembered>) {
        for peer in remembered.into_iter().take(limits::REMEMBERED_PEERS_MAX) {
            self.note(peer.key).last_heard_unix_ms = peer.last_heard_unix_ms;
            for (address, proven_unix_ms) in peer.addresses.into_iter().take(limits::ADDRESSES_PER_PEER_MAX) {
                let bare = unnamed(&address);
                for configured in self.targets.iter_mut().filter(|target| target.address == bare) {
                    configured.peer = Some(peer.key);
                }
                let target = self.add_target(now, address, Origin::Told);
                target.proven_unix_ms = Some(proven_unix_ms);
                // A street that wakes up at once does not call at once.
                target.next_dial = now + limits::HURRY_WITHIN.mul_f64(share());
            }
        }
        self.changed = false;
    }

    /// What a later run is to remember.
    pub(crate) fn remembered(&self) -> Vec<Remembered> {
        let of_peer = |(key, note): (&AuthorKey, &Note)| {
            let proven = self.targets.iter().filter(|target| target.peer == Some(*key) && target.is_named());
            let addresses = proven.filter_map(|t| t.proven_unix_ms.map(|ms| (t.address.clone(), ms)));
            let addresses: Vec<_> = addresses.take(limits::ADDRESSES_PER_PEER_MAX).collect();
            Remembered { key: *key, last_heard_unix_ms: note.last_heard_unix_ms, addresses }
        };
        let all = self.notes.iter().map(of_peer);
        all.filter(|peer| !peer.addresses.is_empty() || peer.last_heard_unix_ms.is_some()).collect()
    }

    /// Where members have proven themselves, or are expected by whoever wrote down where.
    pub(crate) fn proven_places(&self) -> impl Iterator<Item = IpAddr> {
        let sure = |target: &&Target| target.origin == Origin::Configured || target.proven_unix_ms.is_some();
        self.targets.iter().filter(sure).filter_map(|target| ip(&target.address))
    }

    /// Whether an address was proven or given up, or a peer came or went, since the last time this was asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whom to call now: configured ones first, then whoever waits longest; per peer the way that failed least, and
    /// through a relay only where no direct way led there in time.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        own: AuthorKey,
        unix_ms: u64,
        tie: impl Fn(&AuthorKey) -> Tie,
        enough: Enough,
    ) -> Vec<Due> {
        self.forget(now, unix_ms);
        let callable = |t: &&Target| self.is_callable(t, now, own, &tie, enough);
        let mut waiting: BTreeMap<Result<AuthorKey, &Multiaddr>, Vec<&Target>> = BTreeMap::new();
        for target in self.targets.iter().filter(callable) {
            waiting.entry(target.peer.ok_or(&target.address)).or_default().push(target);
        }
        let mut turns: Vec<Vec<&Target>> = waiting.into_values().collect();
        turns.sort_by_key(|turn| {
            let configured = turn.iter().any(|target| target.origin == Origin::Configured);
            (!configured, turn.iter().map(|target| target.next_dial).min())
        });
        turns.truncate(limits::CALLS_AT_ONCE_MAX);
        turns.into_iter().filter_map(|turn| one_call(&turn)).collect()
    }

    fn is_callable(
        &self,
        target: &Target,
        now: Instant,
        own: AuthorKey,
        tie: &impl Fn(&AuthorKey) -> Tie,
        enough: Enough,
    ) -> bool {
        let tie = target.peer.as_ref().map_or(Tie::None, tie);
        let is_old = |call: &Call| call.answered && now.duration_since(call.since) > limits::DOUBTED_AFTER;
        let blocks = |call: &&Call| tie != Tie::Doubtful || !is_old(call);
        if target.call.as_ref().filter(blocks).is_some() || now < target.next_dial {
            return false;
        }
        let Some(peer) = target.peer else { return true };
        if peer == own || self.is_shunned(now, &peer) {
            return false;
        }
        let wanted = matches!(target.origin, Origin::Configured | Origin::Lan(_));
        if tie == Tie::Direct || (tie == Tie::None && enough.neighbours && !wanted) {
            return false;
        }
        let of_peer = || self.targets.iter().filter(|other| other.peer == Some(peer));
        let mut calls = of_peer().filter_map(|other| other.call.as_ref().filter(blocks).map(|call| (other.way, call)));
        if target.way == Way::Relayed {
            let direct_takes_long = |(way, call): (Way, &Call)| {
                way != Way::Relayed && !call.answered && now.duration_since(call.since) >= limits::RELAYED_CALL_AFTER
            };
            let through_us = relay(&target.address).and_then(|relay| author_key(&relay)) == Some(own);
            let soon = now + limits::RELAYED_CALL_AFTER;
            let untried =
                |t: &Target| t.way != Way::Relayed && t.call.is_none() && t.failures == 0 && t.next_dial < soon;
            let has_direct = of_peer().any(untried);
            return tie != Tie::Relayed
                && !enough.relayed
                && !through_us
                && !has_direct
                && calls.all(direct_takes_long);
        }
        // The same place without a name is called instead, for whoever answers there.
        let bare = || unnamed(&target.address);
        let twin = target.is_named() && of_peer().any(|other| !other.is_named() && other.address == bare());
        !twin && calls.all(|(way, _)| way == Way::Relayed)
    }

    fn forget(&mut self, now: Instant, unix_ms: u64) {
        let before = self.targets.len();
        for target in &self.targets {
            if !target.is_believed(now, unix_ms) && self.hopeless.len() < limits::HOPELESS_ADDRESSES_MAX {
                self.hopeless.insert(target.address.clone(), now + limits::HOPELESS_FOR);
            }
        }
        self.targets.retain(|target| target.is_believed(now, unix_ms));
        self.changed |= self.targets.len() != before;
        self.shunned.retain(|_, shun| now < shun.until + shun.pause);
        self.visits.retain(|_, visits| now < visits.since + limits::VISITS_INTERVAL);
    }

    /// Everybody is to be called soon: this node's own place in the network has changed.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.hopeless.clear();
        for target in &mut self.targets {
            target.failures = 0;
            target.next_dial = target.next_dial.min(now + limits::HURRY_WITHIN.mul_f64(share()));
        }
    }

    /// Addresses are being called.
    pub(crate) fn dialled(&mut self, now: Instant, due: &Due, connection: ConnectionId) {
        for target in self.targets.iter_mut().filter(|target| due.addresses.contains(&target.address)) {
            target.call = Some(Call { connection, since: now, answered: false });
        }
    }

    /// Somebody answered at one of the addresses that were called.
    pub(crate) fn answered(&mut self, now: Instant, connection: ConnectionId, peer: AuthorKey, address: &Multiaddr) {
        for target in self.targets.iter_mut().filter(|target| target.is_at(connection)) {
            if unnamed(&target.address) == unnamed(address) {
                target.peer = Some(peer);
                target.call.iter_mut().for_each(|call| call.answered = true);
            } else {
                // Another one was faster.
                target.call = None;
                target.next_dial = now + jittered(limits::REDIAL_MAX);
            }
        }
        self.note(peer).address = Some(address.clone());
    }

    /// An address that was called has led to a completed hello: it is worth remembering.
    pub(crate) fn proven(&mut self, now: Instant, connection: ConnectionId, peer: AuthorKey, unix_ms: u64) {
        let called = self.targets.iter().find(|target| target.is_at(connection)).map(|target| target.address.clone());
        let Some(named) = called.zip(peer_id(&peer)).and_then(|(address, id)| naming(address, id)) else { return };
        let known = self.targets.iter().position(|target| target.address == named);
        let target = match known {
            Some(place) => &mut self.targets[place],
            None => self.add_target(now, named, Origin::Told),
        };
        target.proven_unix_ms = Some(unix_ms);
        self.changed = true;
    }

    /// A call failed, or its connection is over. One that led to replication is called again soon.
    pub(crate) fn over(&mut self, now: Instant, connection: ConnectionId, replicated: bool) {
        for target in self.targets.iter_mut().filter(|target| target.is_at(connection)) {
            target.call = None;
            target.failures = if replicated { 0 } else { target.failures.saturating_add(1) };
            let pause = limits::REDIAL_MIN.saturating_mul(1 << target.failures.min(8)).min(limits::REDIAL_MAX);
            target.next_dial = now + jittered(pause);
        }
    }

    /// At an address lives somebody else than it says. It is forgotten, unless a person wrote it down.
    pub(crate) fn misled(&mut self, address: &Multiaddr) {
        self.targets.retain(|target| {
            target.origin == Origin::Configured || !target.is_named() || unnamed(&target.address) != unnamed(address)
        });
        self.changed = true;
    }

    /// A call could not even be tried.
    pub(crate) fn undialable(&mut self, now: Instant, due: &Due) {
        for target in self.targets.iter_mut().filter(|target| due.addresses.contains(&target.address)) {
            target.failures = target.failures.saturating_add(1);
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

    /// Until when a peer is not to be spoken to, past moments included.
    pub(crate) fn shunned_until(&self, peer: &AuthorKey) -> Option<Instant> {
        self.shunned.get(peer).map(|shun| shun.until)
    }

    /// What is remembered of a peer, to be changed. Forgets another one when there are too many.
    pub(crate) fn note(&mut self, peer: AuthorKey) -> &mut Note {
        if self.notes.len() >= limits::REMEMBERED_PEERS_MAX && !self.notes.contains_key(&peer) {
            let oldest = self.notes.iter().min_by_key(|(_, note)| note.last_heard_unix_ms).map(|(key, _)| *key);
            oldest.and_then(|key| self.notes.remove(&key));
        }
        self.notes.entry(peer).or_default()
    }

    /// Replication with a peer began or ended, and it was heard then: that is worth writing down, for whoever looks after a
    /// crash wants to know who was heard last.
    pub(crate) fn heard(&mut self, peer: AuthorKey, unix_ms: u64) {
        self.note(peer).last_heard_unix_ms = Some(unix_ms);
        self.changed = true;
    }

    /// What is remembered, by peer.
    pub(crate) fn notes(&self) -> &BTreeMap<AuthorKey, Note> {
        &self.notes
    }

    /// Peers that are expected at some address.
    pub(crate) fn expected(&self) -> impl Iterator<Item = AuthorKey> {
        self.targets.iter().filter_map(|target| target.peer)
    }

    /// Whether a person wrote down where a peer is.
    pub(crate) fn is_configured(&self, peer: &AuthorKey) -> bool {
        self.targets.iter().any(|target| target.peer == Some(*peer) && target.origin == Origin::Configured)
    }

    /// Addresses at which a peer is expected, without its name at their end: some were told with it, some configured
    /// without. Each once.
    pub(crate) fn addresses(&self, peer: &AuthorKey) -> Vec<Multiaddr> {
        let expected = self.targets.iter().filter(|target| target.peer == Some(*peer)).map(|target| &target.address);
        let met = self.notes.get(peer).and_then(|note| note.address.as_ref());
        let mut addresses: Vec<Multiaddr> = vec![];
        for address in expected.chain(met).map(unnamed) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// The best way to a peer, with other addresses of the same kind beside it. One that names nobody is called alone, for
/// whoever answers there.
fn one_call(turn: &[&Target]) -> Option<Due> {
    let best = turn.iter().min_by_key(|target| (target.failures, target.way))?;
    let peer = destination(&best.address);
    let mut addresses = vec![best.address.clone()];
    if peer.is_some() {
        let beside = turn.iter().filter(|t| t.is_named() && t.way == best.way && t.address != best.address);
        addresses.extend(beside.map(|target| target.address.clone()).take(limits::ADDRESSES_AT_ONCE_MAX - 1));
    }
    Some(Due { peer, addresses, way: best.way })
}

#[cfg(test)]
mod tests;
