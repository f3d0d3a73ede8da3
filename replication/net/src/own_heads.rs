//! Later heads of this node's own logs, as peers tell them.
//!
//! A peer that knows a later event of ours than our store holds shows that the store was rolled back: what is written next
//! in that incarnation would be a second history. So this is state, the latest head of each log from each peer: what one
//! makes up hides nothing that another knows. It cannot overflow or be missed, and whoever heeds it may be as slow as it
//! likes.

use std::collections::BTreeMap;

use linli_core::id::{AuthorKey, Head, LogId};
use tokio::sync::watch;

use crate::limits;

/// The latest heads that were told, by peer and log. All are of the incarnation that the writer was opened in. Nothing proves
/// them: a peer may make them up.
pub type OwnHeadsTold = BTreeMap<(AuthorKey, LogId), Head>;

/// Takes in what peers tell.
#[derive(Debug)]
pub(crate) struct OwnHeads {
    own: AuthorKey,
    incarnation: u64,
    told: watch::Sender<OwnHeadsTold>,
}

impl OwnHeads {
    /// Nothing was told yet.
    pub(crate) fn new(own: AuthorKey, incarnation: u64) -> Self {
        Self { own, incarnation, told: watch::Sender::default() }
    }

    /// Where it is heard.
    pub(crate) fn subscribe(&self) -> watch::Receiver<OwnHeadsTold> {
        self.told.subscribe()
    }

    /// A peer knows a head of ours that this store does not have. Other incarnations are ignored: nothing is written in
    /// those that ended, and nobody can know later events of one that was drawn since. So invented ones take no room.
    pub(crate) fn report(&self, peer: AuthorKey, log: LogId, head: Head) {
        if log.author != self.own || log.incarnation != self.incarnation {
            return;
        }
        self.told.send_if_modified(|told| {
            let key = (peer, log);
            let is_later = told.get(&key).is_none_or(|known| known.seq < head.seq);
            let of_peer = || told.keys().filter(|(teller, _)| *teller == peer).count();
            let has_room = told.contains_key(&key)
                || (told.len() < limits::OWN_HEADS_MAX && of_peer() < limits::OWN_HEADS_OF_PEER_MAX);
            if is_later && has_room {
                told.insert(key, head);
            }
            is_later && has_room
        });
    }
}

#[cfg(test)]
mod tests {
    use linli_core::id::{EventId, Stream};
    use linli_core::testkit::key;

    use super::*;

    fn log(incarnation: u64, area: u32) -> LogId {
        let area = format!("320508{area:06}").parse().unwrap();
        LogId { stream: Stream::TEAMS, author: key(1).public(), incarnation, area }
    }

    fn head(seq: u64) -> Head {
        Head { seq, id: EventId::from_bytes([seq as u8; 32]) }
    }

    #[test]
    fn the_latest_head_of_each_log_is_kept_from_each_peer_and_in_whatever_order() {
        let heads = OwnHeads::new(key(1).public(), 7);
        let mut heard = heads.subscribe();
        let [one, other] = [8, 9].map(|n| key(n).public());
        for (peer, area, seq) in [(one, 1, 5), (one, 2, 3), (one, 1, 9), (one, 1, 6), (other, 1, 4)] {
            heads.report(peer, log(7, area), head(seq));
        }
        assert!(heard.has_changed().unwrap());
        let told = [((one, log(7, 1)), head(9)), ((one, log(7, 2)), head(3)), ((other, log(7, 1)), head(4))];
        assert_eq!(*heard.borrow_and_update(), BTreeMap::from(told));
        heads.report(one, log(7, 1), head(9));
        assert!(!heard.has_changed().unwrap(), "nothing new");
    }

    #[test]
    fn invented_logs_take_no_room_from_the_ones_that_matter_and_the_rest_is_bounded() {
        let heads = OwnHeads::new(key(1).public(), 7);
        let heard = heads.subscribe();
        let [hostile, honest] = [8, 9].map(|n| key(n).public());
        for n in 0..10_000 {
            heads.report(hostile, log(1_000 + n, 1), head(1_000_000));
            heads.report(hostile, LogId { author: key(2).public(), ..log(7, 1) }, head(1));
        }
        assert!(heard.borrow().is_empty());
        for area in 0..3_000 {
            heads.report(hostile, log(7, area), head(200));
        }
        assert_eq!(heard.borrow().len(), limits::OWN_HEADS_OF_PEER_MAX);
        heads.report(honest, log(7, 1), head(5));
        heads.report(honest, log(7, 1), head(8));
        let known = (honest, log(7, 1));
        assert_eq!(heard.borrow().get(&known), Some(&head(8)), "what another makes up hides nothing");
        for n in 10..200 {
            let made_up = |area| heads.report(key(n).public(), log(7, area), head(8));
            (0..limits::OWN_HEADS_OF_PEER_MAX as u32).for_each(made_up);
        }
        assert_eq!(heard.borrow().len(), limits::OWN_HEADS_MAX);
    }
}
