//! Personal payloads that come after their events.

use std::sync::Mutex;

use linli_core::event::Payload;
use linli_core::id::RecordId;

use super::*;
use crate::append::PayloadNews;
use crate::error::FillError;

/// A log whose events 2, 4, 6 … have personal payloads, whole and as a node gets it that may not have them.
fn personal_log(len: u64) -> (LogId, Vec<ReceivedEvent>, Vec<ReceivedEvent>) {
    let mut author = Author::new(1, "320508005", None);
    let draft = |n: u64| Draft {
        op: Some(vec![0xa0]),
        pii: n.is_multiple_of(2).then(|| vec![n as u8; 50]),
        ..Draft::new(Stream::COMMUNITY, "listed", Some(record(n)))
    };
    let whole: Vec<_> = (1..=len).map(|n| author.write(draft(n))).collect();
    let withheld = whole.iter().map(|event| event.clone().without_pii()).collect();
    (author.log_id(Stream::COMMUNITY), whole, withheld)
}

fn payloads(events: &[ReceivedEvent], seqs: &[u64]) -> Vec<(u64, Payload)> {
    let payload = |seq: u64| events[seq as usize - 1].payload(Slot::Pii).unwrap().clone();
    seqs.iter().map(|seq| (*seq, payload(*seq))).collect()
}

/// What listeners are told from now on.
fn news_of(store: &Store) -> Arc<Mutex<Vec<PayloadNews>>> {
    let told: Arc<Mutex<Vec<PayloadNews>>> = Arc::default();
    let telling = Arc::clone(&told);
    store.on_payloads(Box::new(move |news| telling.lock().unwrap().push(news.clone())));
    told
}

#[test]
fn what_is_lacking_is_known_until_it_comes_or_is_erased() {
    both_backends(|store| {
        // Given events without their personal payloads, and others with them or without any,
        let (log, whole, withheld) = personal_log(10);
        let told = news_of(&store);
        store.append(vec![proven(&withheld[..6])]).unwrap();
        store.append(vec![proven(&whole[6..])]).unwrap();
        assert_eq!(store.lacking(&log, 0, 10).unwrap(), [2, 4, 6]);
        assert_eq!(store.lacking(&log, 2, 1).unwrap(), [4]);
        assert_eq!((store.lacking(&log, 6, 10).unwrap(), store.lacking(&log, u64::MAX, 9).unwrap()), (vec![], vec![]));
        assert_eq!(store.logs_lacking().unwrap(), std::slice::from_ref(&log));
        let lacking = PayloadNews { lacking: [log.clone()].into(), ..PayloadNews::default() };
        assert_eq!(told.lock().unwrap().split_off(0), [lacking]);
        // when some come, also such as are there, or are of events that are not here,
        let mut come = payloads(&whole, &[4, 8]);
        come.push((12, come[0].1.clone()));
        assert_eq!(store.fill(&log, &come).unwrap(), 1);
        // then they are there, and whoever shows the record hears of it,
        assert_eq!(store.event(&log, 4).unwrap().unwrap().into_event(), whole[3]);
        assert_eq!(store.lacking(&log, 0, 10).unwrap(), [2, 6]);
        let filled: std::collections::BTreeSet<RecordId> = [record(4)].into();
        assert_eq!(told.lock().unwrap().split_off(0), [PayloadNews { filled, ..PayloadNews::default() }]);
        // and what is erased here is lacking no longer and never comes back.
        store.erase(&log, 2, Slot::Pii).unwrap();
        assert_eq!(store.fill(&log, &payloads(&whole, &[2])).unwrap(), 0);
        assert!(store.is_erased(&log, 2, Slot::Pii).unwrap());
        assert_eq!(store.append(vec![proven(&whole)]).unwrap().known, 10);
        assert!(store.lacking(&log, 0, 10).unwrap().is_empty() && store.logs_lacking().unwrap().is_empty());
        assert!(store.event(&log, 2).unwrap().unwrap().event().lacks_pii());
        assert_eq!(store.event(&log, 6).unwrap().unwrap().into_event(), whole[5]);
    });
}

#[test]
fn a_payload_that_is_not_the_one_committed_to_is_refused_with_all_that_came_along() {
    both_backends(|store| {
        let (log, whole, withheld) = personal_log(6);
        store.append(vec![proven(&withheld)]).unwrap();
        let mut wrong = payloads(&whole, &[2, 4]);
        wrong[1].1.bytes[0] ^= 1;
        let error = store.fill(&log, &wrong).unwrap_err();
        assert!(matches!(error, FillError::WrongPayload { seq: 4 }), "{error}");
        // Right by itself, but of another event; of an event that has none; with another salt.
        for (seq, of, salt) in [(4, 2, None), (3, 2, None), (4, 4, Some([0; 16]))] {
            let mut payload = payloads(&whole, &[of]).remove(0).1;
            payload.salt = salt.unwrap_or(payload.salt);
            let filled = store.fill(&log, &[(seq, payload)]);
            assert!(matches!(filled, Err(FillError::WrongPayload { .. }) | Ok(0)), "{seq} {of}: {filled:?}");
        }
        assert_eq!(store.lacking(&log, 0, 10).unwrap(), [2, 4, 6]);
        assert!(store.personal_payloads(&log, &[2, 4, 6], 1 << 20).unwrap().is_empty());
    });
}

#[test]
fn payloads_are_given_that_are_here_and_not_erased_and_within_bounds_but_for_a_first() {
    both_backends(|store| {
        let (log, whole, withheld) = personal_log(10);
        store.append(vec![proven(&withheld[..2])]).unwrap();
        store.append(vec![proven(&whole[2..])]).unwrap();
        store.erase(&log, 8, Slot::Pii).unwrap();
        let given = |bytes| store.personal_payloads(&log, &[1, 2, 4, 6, 8, 10, 99], bytes).unwrap();
        assert_eq!(given(1 << 20), payloads(&whole, &[4, 6, 10]));
        assert_eq!(given(170), payloads(&whole, &[4, 6]));
        assert_eq!(given(1), payloads(&whole, &[4]));
    });
}

#[test]
fn a_store_of_the_first_format_learns_what_it_lacks_and_can_be_read_before() {
    // Given a store that an earlier version wrote: without the index, and with its own number,
    let dir = tempfile::tempdir().unwrap();
    let (log, whole, withheld) = personal_log(8);
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    store.append(vec![proven(&withheld[..4])]).unwrap();
    store.append(vec![proven(&whole[4..])]).unwrap();
    store.erase(&log, 2, Slot::Pii).unwrap();
    store.close();
    let mut db = rocksdb::DB::open_cf(
        &rocksdb::Options::default(),
        dir.path(),
        Family::ALL.map(Family::name).iter().chain(&["default"]),
    )
    .unwrap();
    db.drop_cf(Family::Lacking.name()).unwrap();
    db.put_cf(db.cf_handle(Family::Meta.name()).unwrap(), META_FORMAT, 1u32.to_be_bytes()).unwrap();
    drop(db);
    // when it is only read, then all of it is there;
    let read_only = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(read_only.head(&log), Some(whole[7].head()));
    read_only.close();
    // when it is opened for writing, then it knows what is lacking.
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    assert_eq!(store.lacking(&log, 0, 10).unwrap(), [4]);
    assert_eq!(store.fill(&log, &payloads(&whole, &[4])).unwrap(), 1);
    store.close();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    assert!(store.logs_lacking().unwrap().is_empty());
}
