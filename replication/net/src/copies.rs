//! Two processes with one key: a copy of a node that runs beside it.
//!
//! A machine was cloned, or one disk was started twice. Both processes are honest, and whoever takes the newest connection
//! for the living one has them throw each other out without end. So when a second process greets with the key of one that
//! replicates, the standing connection is probed. If it lives it stays, the second process is refused by name, and all three
//! tell people to stop one. If it does not, the node came back, and the new connection takes over as any other does.
//! The same process on a second connection, after it moved or when both sides called at once, is no copy.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use linli_core::id::AuthorKey;

use crate::config::NodeCopy;
use crate::driver::Driver;
use crate::hello::Instance;
use crate::limits;
use crate::link::Protocol;
use crate::trouble::Reason;

/// Copies that were met or told of.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    of_peers: BTreeMap<AuthorKey, Met>,
    /// Copies of this node, by the peer that replicates with one.
    of_us: BTreeMap<AuthorKey, Told>,
    /// Connections that wait for the standing one to be probed.
    held: BTreeMap<ConnectionId, Held>,
}

#[derive(Debug)]
struct Met {
    /// The processes that were refused, the latest last.
    instances: VecDeque<Instance>,
    address: Multiaddr,
    last: Instant,
}

#[derive(Debug)]
struct Told {
    address: Multiaddr,
    /// None while whoever told it is connected and would take it back.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    peer: AuthorKey,
    standing: ConnectionId,
    since: Instant,
    until: Instant,
}

impl Copies {
    /// A second process with a peer's key was met at an address, and is not spoken with.
    fn met(&mut self, now: Instant, peer: AuthorKey, instance: Option<Instance>, address: Multiaddr) {
        if self.of_peers.len() >= limits::REMEMBERED_PEERS_MAX && !self.of_peers.contains_key(&peer) {
            return;
        }
        let new = || Met { instances: VecDeque::new(), address: address.clone(), last: now };
        let met = self.of_peers.entry(peer).or_insert_with(new);
        (met.address, met.last) = (address, now);
        if let Some(instance) = instance.filter(|instance| !met.instances.contains(instance)) {
            met.instances.push_back(instance);
            if met.instances.len() > limits::COPIES_PER_PEER_MAX {
                met.instances.pop_front();
            }
        }
    }

    /// A peer says where a copy of this node is, or that there is none any more.
    pub(crate) fn told_of_us(&mut self, peer: AuthorKey, address: Option<Multiaddr>, until: Option<Instant>) {
        match address {
            Some(_) if self.of_us.len() >= limits::REMEMBERED_PEERS_MAX && !self.of_us.contains_key(&peer) => {}
            Some(address) => drop(self.of_us.insert(peer, Told { address, until })),
            None => drop(self.of_us.remove(&peer)),
        }
    }

    /// Replication with a peer is over: nobody takes back what it told.
    pub(crate) fn gone(&mut self, now: Instant, peer: &AuthorKey) {
        if let Some(told) = self.of_us.get_mut(peer) {
            told.until = Some(now + limits::COPY_TOLD_FOR);
        }
    }

    /// Where a copy of a peer was met lately.
    pub(crate) fn of(&self, peer: &AuthorKey) -> Option<&Multiaddr> {
        self.of_peers.get(peer).map(|met| &met.address)
    }

    /// Forgets what is long ago. True if something was.
    fn forget(&mut self, now: Instant) -> bool {
        let before = self.of_peers.len() + self.of_us.len();
        self.of_peers.retain(|_, met| now.duration_since(met.last) < limits::COPY_TOLD_FOR);
        self.of_us.retain(|_, told| told.until.is_none_or(|until| now < until));
        before != self.of_peers.len() + self.of_us.len()
    }
}

impl Driver {
    /// Holds a greeted connection back while another process with the same key replicates with us and is being probed.
    pub(crate) fn hold_back(&mut self, connection: ConnectionId) -> bool {
        let Some(state) = self.connections.get(&connection) else { return false };
        let standing = self.sessions.get(&state.peer).map(|session| session.connection);
        let Some((id, standing)) = standing.and_then(|id| Some((id, self.connections.get(&id)?))) else { return false };
        let is_another = standing.instance.zip(state.instance).is_some_and(|(one, other)| one != other);
        if id == connection || !is_another {
            return false;
        }
        let wait = limits::PROBE_WAIT_MIN + standing.round_trip.unwrap_or_default() * limits::PROBE_ROUND_TRIPS;
        let (now, peer, peer_id) = (Instant::now(), state.peer, standing.peer_id);
        let until = now + wait.min(limits::PROBE_WAIT_MAX);
        tracing::info!(peer = %peer.short(), "another process with its key has come: probing the connection that stands");
        self.copies.held.insert(connection, Held { peer, standing: id, since: now, until });
        self.swarm.behaviour_mut().links.open(peer_id, id, Protocol::Probe);
        true
    }

    /// A connection has shown that its peer is there: what waits for it to be dead is a copy.
    pub(crate) fn shows_life(&mut self, standing: ConnectionId) {
        let held = self.copies.held.iter().filter(|(_, held)| held.standing == standing);
        let held: Vec<ConnectionId> = held.map(|(connection, _)| *connection).collect();
        for connection in held {
            self.refuse_copy(connection);
        }
    }

    /// Decides about connections that have waited for long enough, and forgets copies that are long gone.
    pub(crate) fn settle_copies(&mut self) {
        let now = Instant::now();
        if self.copies.forget(now) {
            self.places.changed();
        }
        let open = |id: &ConnectionId| self.connections.contains_key(id);
        self.copies.held.retain(|connection, _| open(connection));
        let mut decided = vec![];
        for (connection, held) in &self.copies.held {
            let session = self.sessions.get(&held.peer).filter(|session| session.connection == held.standing);
            let waited = now.duration_since(held.since);
            match session {
                None => decided.push((*connection, false)),
                Some(_) if now < held.until => {}
                // What was on its way when it came is no sign of life; what came since half of the time is.
                Some(session) => decided.push((*connection, session.traffic.silent_for() < waited / 2)),
            }
        }
        for (connection, is_copy) in decided {
            if is_copy {
                self.refuse_copy(connection);
            } else {
                self.make_way(connection);
            }
        }
    }

    /// What stood in the way is gone, or shows no life: the node came back.
    fn make_way(&mut self, connection: ConnectionId) {
        let Some(held) = self.copies.held.remove(&connection) else { return };
        if self.sessions.get(&held.peer).is_some_and(|session| session.connection == held.standing) {
            self.end_session(held.peer, Reason::Lost, "it came back, and this connection does not answer".to_owned());
        }
        self.welcome(connection);
    }

    fn refuse_copy(&mut self, connection: ConnectionId) {
        self.copies.held.remove(&connection);
        let Some(state) = self.connections.get(&connection) else { return };
        let (peer, instance, address) = (state.peer, state.instance, state.remote.clone());
        self.metrics.refused_hellos.with_label_values(&["copy"]).inc();
        self.note_copy(peer, instance, address);
        self.hang_up(connection, false);
    }

    /// A second process with a peer's key is at an address.
    pub(crate) fn note_copy(&mut self, peer: AuthorKey, instance: Option<Instance>, address: Multiaddr) {
        if self.copies.of(&peer) != Some(&address) {
            tracing::warn!(peer = %peer.short(), %address, "a copy of it runs there: one of the two must be stopped");
            self.places.changed();
        }
        self.copies.met(Instant::now(), peer, instance, address);
        self.tell_state();
    }

    /// Which processes with a peer's key are not spoken with, and where the one is with which we replicate.
    pub(crate) fn refused_copies(&self, peer: &AuthorKey) -> Option<(Vec<Instance>, Multiaddr)> {
        let session = self.sessions.get(peer)?;
        let standing = self.connections.get(&session.connection)?;
        let met = self.copies.of_peers.get(peer)?;
        let others = met.instances.iter().filter(|instance| Some(**instance) != standing.instance);
        Some((others.copied().collect(), standing.remote.clone()))
    }

    /// A process replicates with us: it is not the one that is refused, whatever it was before.
    pub(crate) fn note_standing(&mut self, peer: &AuthorKey, instance: Option<Instance>) {
        if let Some(met) = self.copies.of_peers.get_mut(peer) {
            met.instances.retain(|known| Some(*known) != instance);
            if met.instances.is_empty() {
                self.copies.of_peers.remove(peer);
                self.places.changed();
            }
        }
    }

    /// All copies that people should hear of.
    pub(crate) fn copies_told(&self) -> Vec<NodeCopy> {
        let of_peers = self.copies.of_peers.iter().map(|(peer, met)| NodeCopy {
            of: *peer,
            address: met.address.clone(),
            told_by: None,
        });
        let of_us = self.copies.of_us.iter().map(|(peer, told)| NodeCopy {
            of: self.own_key,
            address: told.address.clone(),
            told_by: Some(*peer),
        });
        of_us.chain(of_peers).collect()
    }
}

/// How long from now somebody hears of a copy that is not met again.
pub(crate) fn told_until(now: Instant) -> Option<Instant> {
    now.checked_add(limits::COPY_TOLD_FOR)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linli_core::testkit::key;

    use super::*;

    fn at(n: u8) -> Multiaddr {
        format!("/ip4/10.0.0.{n}/tcp/1").parse().unwrap()
    }

    #[test]
    fn a_copy_is_told_until_it_was_not_met_for_a_while_and_copies_without_end_fill_nothing() {
        let (mut copies, now, peer) = (Copies::default(), Instant::now(), key(2).public());
        for n in 0..100 {
            copies.met(now, peer, Some(n), at(n as u8));
        }
        assert_eq!(
            (copies.of_peers[&peer].instances.len(), copies.of(&peer)),
            (limits::COPIES_PER_PEER_MAX, Some(&at(99)))
        );
        assert!(!copies.forget(now + limits::COPY_TOLD_FOR - Duration::from_secs(1)));
        assert!(copies.forget(now + limits::COPY_TOLD_FOR));
        assert_eq!(copies.of(&peer), None);
        for n in 0..1_000 {
            copies.met(now, key(n).public(), Some(1), at(1));
            copies.told_of_us(key(n).public(), Some(at(1)), None);
        }
        let most = limits::REMEMBERED_PEERS_MAX;
        assert_eq!((copies.of_peers.len(), copies.of_us.len()), (most, most));
    }

    #[test]
    fn what_a_peer_says_of_our_copy_holds_while_it_is_connected_and_is_taken_back_by_it() {
        let (mut copies, now, [one, other]) = (Copies::default(), Instant::now(), [2, 3].map(|n| key(n).public()));
        copies.told_of_us(one, Some(at(1)), None);
        copies.told_of_us(other, Some(at(2)), told_until(now));
        let later = now + limits::COPY_TOLD_FOR;
        assert!(copies.forget(later) && copies.of_us.contains_key(&one) && !copies.of_us.contains_key(&other));
        copies.gone(later, &one);
        assert!(copies.forget(later + limits::COPY_TOLD_FOR) && copies.of_us.is_empty());
        copies.told_of_us(one, Some(at(1)), None);
        copies.told_of_us(one, None, None);
        assert!(copies.of_us.is_empty());
    }
}
