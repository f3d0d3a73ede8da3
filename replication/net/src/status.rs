//! What the mesh tells people of other nodes, the silent ones included.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use linli_core::charter::Role;
use linli_core::id::{AuthorKey, LogId};
use linli_core::sync::Moved;

use crate::config::{LinkEstimate, NodeCopy, PeerStatus, Reachability, SyncState};
use crate::driver::Driver;
use crate::session::{Session, unix_ms};
use crate::strangers::Strangers;

/// What the mesh last said of itself, for whoever asks without waiting.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<State>);

/// What the mesh says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) peers: Vec<PeerStatus>,
    pub(crate) strangers: Vec<Strangers>,
    pub(crate) listeners: Vec<Multiaddr>,
    pub(crate) reachability: Reachability,
    pub(crate) copies: Vec<NodeCopy>,
}

impl Told {
    /// Replaces what is said.
    pub(crate) fn set(&self, state: State) {
        *self.lock() = state;
    }

    /// All other nodes.
    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        self.lock().peers.clone()
    }

    /// Logs without a grant, by who brought them.
    pub(crate) fn strangers(&self) -> Vec<Strangers> {
        self.lock().strangers.clone()
    }

    /// Addresses that are listened on.
    pub(crate) fn listeners(&self) -> Vec<Multiaddr> {
        self.lock().listeners.clone()
    }

    /// Whether others can call this node.
    pub(crate) fn reachability(&self) -> Reachability {
        self.lock().reachability
    }

    /// Copies of nodes that run beside them.
    pub(crate) fn copies(&self) -> Vec<NodeCopy> {
        self.lock().copies.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Replaced as a whole, so it is whole whatever a panicking thread was doing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver {
    /// Every other node that is known, in order of keys.
    pub(crate) fn peer_statuses(&self) -> Vec<PeerStatus> {
        let charter = (self.node.charter)();
        let enrolled = charter.grants().filter(|(_, grant)| grant.role == Role::Node).map(|(_, grant)| grant.subject);
        let mut keys: BTreeSet<AuthorKey> = enrolled.collect();
        keys.extend(self.sessions.keys());
        keys.extend(self.book.expected());
        keys.extend(self.book.notes().keys());
        keys.remove(&self.own_key);
        keys.into_iter().map(|peer| self.peer_status(peer)).collect()
    }

    /// Connected peers that say they hold all these events durably.
    pub(crate) fn holders(&self, events: &[(LogId, u64)]) -> Vec<AuthorKey> {
        let holds_all = |peer: &&AuthorKey| events.iter().all(|(log, seq)| self.engine.is_held_by(peer, log, *seq));
        self.sessions.keys().filter(holds_all).copied().collect()
    }

    fn peer_status(&self, peer: AuthorKey) -> PeerStatus {
        let now_ms = unix_ms();
        let note = self.book.notes().get(&peer).cloned().unwrap_or_default();
        let session = self.sessions.get(&peer);
        let connection = session.and_then(|session| self.connections.get(&session.connection));
        let view = session.and_then(|_| self.engine.view(&peer));
        let compared = view.as_ref().filter(|view| view.compared);
        let sync = match (session, compared) {
            (None, _) => SyncState::Silent,
            (Some(_), None) => SyncState::Comparing,
            (Some(_), Some(view)) if view.behind_events == 0 && view.ahead_events == 0 && view.forked_logs == 0 => {
                SyncState::UpToDate
            }
            (Some(_), Some(_)) => SyncState::CatchingUp,
        };
        PeerStatus {
            key: peer,
            addresses: self.book.addresses(&peer).iter().map(Multiaddr::to_string).collect(),
            connected: session.is_some(),
            relayed: connection.is_some_and(|connection| connection.relayed),
            since_ms: session.map(|session| session.since_unix_ms),
            rtt_ms: connection.and_then(|connection| connection.round_trip).map(whole_ms),
            last_heard_ms: session.map(heard_unix_ms).or(note.last_heard_unix_ms),
            behind_events: compared.map(|view| view.behind_events),
            ahead_events: compared.map(|view| view.ahead_events),
            forked_logs: view.as_ref().map_or(0, |view| view.forked_logs),
            refused: note.refused.filter(|_| session.is_none()),
            refused_for: note.refused_for.filter(|_| session.is_none()),
            misbehaved: note.misbehaved.filter(|misbehaved| misbehaved.is_told(now_ms)),
            let_back_ms: self.let_back_ms(&peer),
            as_of_ms: now_ms,
            to_peer: view.as_ref().map(|view| {
                let waiting = view.compared.then_some(view.ahead_events);
                LinkEstimate::reckon(waiting, view.sent, view.bytes_per_second)
            }),
            from_peer: view.as_ref().map(|view| {
                let waiting = view.compared.then_some(view.behind_events);
                LinkEstimate::reckon(waiting, view.received, view.received_bytes_per_second)
            }),
            received_bytes: session.map_or(0, |session| session.traffic.received_bytes()),
            sent_bytes: session.map_or(0, |session| session.traffic.sent_bytes()),
            clock_ahead_ms: self.clocks.ahead_ms(Instant::now(), &peer),
            sync,
        }
    }
}

impl LinkEstimate {
    fn reckon(waiting_events: Option<u64>, moved: Moved, bytes_per_second: Option<u64>) -> Self {
        // A line on which nothing gets through has no speed that says when it will be done.
        let bytes_per_second = bytes_per_second.filter(|speed| *speed > 0);
        let waiting_bytes = waiting_events.and_then(|events| moved.bytes_of(events));
        let seconds = match (waiting_bytes, bytes_per_second) {
            (Some(0), _) => Some(0),
            (Some(bytes), Some(speed)) => Some(bytes.div_ceil(speed)),
            _ => None,
        };
        Self { bytes_per_second, waiting_events, waiting_bytes, seconds }
    }
}

pub(crate) fn heard_unix_ms(session: &Session) -> u64 {
    unix_ms().saturating_sub(whole_ms(session.traffic.silent_for()))
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_line_stays_unknown() {
        let moved = Moved { events: 100, bytes: 32_000 };
        let known = LinkEstimate::reckon(Some(4_500), moved, Some(8_000));
        assert_eq!((known.waiting_bytes, known.seconds), (Some(1_440_000), Some(180)));
        for (waiting, moved, speed) in [
            (None, moved, Some(8_000)),
            (Some(5), Moved::default(), Some(8_000)),
            (Some(5), moved, None),
            (Some(5), moved, Some(0)),
        ] {
            assert_eq!(LinkEstimate::reckon(waiting, moved, speed).seconds, None, "{waiting:?} {moved:?} {speed:?}");
        }
        let nothing = LinkEstimate::reckon(Some(0), Moved::default(), None);
        assert_eq!((nothing.waiting_bytes, nothing.seconds, nothing.bytes_per_second), (Some(0), Some(0), None));
    }
}
