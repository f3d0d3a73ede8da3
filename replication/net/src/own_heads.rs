//! Later heads of this node's own logs, as peers tell them.
//!
//! A peer that knows a later event of ours than our store holds shows that the store was rolled back: what is written next
//! in that incarnation would be a second history. So this is state, the latest head of each log, merged from whoever tells
//! it. It cannot overflow or be missed, and whoever heeds it may be as slow as it likes.

use std::collections::BTreeMap;

use linli_core::id::{AuthorKey, Head, LogId};
use tokio::sync::watch;

use crate::limits;

/// The latest heads that were told, by log. All are of the incarnation that the writer was opened in.
pub type OwnHeadsTold = BTreeMap<LogId, Head>;

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
    pub(crate) fn report(&self, log: LogId, head: Head) {
        if log.author != self.own || log.incarnation != self.incarnation {
            return;
        }
        self.told.send_if_modified(|told| {
            let is_later = told.get(&log).is_none_or(|known| known.seq < head.seq);
            let has_room = told.len() < limits::OWN_HEADS_MAX || told.contains_key(&log);
            if is_later && has_room {
                told.insert(log, head);
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
    fn the_latest_head_of_each_log_is_kept_whoever_tells_it_and_in_whatever_order() {
        let heads = OwnHeads::new(key(1).public(), 7);
        let mut heard = heads.subscribe();
        for (area, seq) in [(1, 5), (2, 3), (1, 9), (1, 6)] {
            heads.report(log(7, area), head(seq));
        }
        assert!(heard.has_changed().unwrap());
        assert_eq!(*heard.borrow_and_update(), BTreeMap::from([(log(7, 1), head(9)), (log(7, 2), head(3))]));
        heads.report(log(7, 1), head(9));
        assert!(!heard.has_changed().unwrap(), "nothing new");
    }

    #[test]
    fn invented_logs_take_no_room_from_the_ones_that_matter_and_the_rest_is_bounded() {
        let heads = OwnHeads::new(key(1).public(), 7);
        let heard = heads.subscribe();
        for n in 0..10_000 {
            heads.report(log(1_000 + n, 1), head(1_000_000));
            heads.report(LogId { author: key(2).public(), ..log(7, 1) }, head(1));
        }
        assert!(heard.borrow().is_empty());
        heads.report(log(7, 1), head(5));
        assert_eq!(heard.borrow().len(), 1);
        for area in 0..3_000 {
            heads.report(log(7, area), head(8));
        }
        assert_eq!(heard.borrow().len(), limits::OWN_HEADS_MAX);
        assert_eq!(heard.borrow().get(&log(7, 1)), Some(&head(8)), "a known one still rises");
    }
}
