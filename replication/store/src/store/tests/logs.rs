//! Very many logs: none is left out, none takes the place of another, and one too many is refused.

use super::*;
use crate::catalogue::META_NEXT_LOG;
use crate::codec::log_key;

fn one_event_log(n: u16) -> (LogId, Vec<ReceivedEvent>) {
    let mut author = Author::new(n, "320508005", None);
    let events = author.write_many(Stream::TEAMS, 1, 30);
    (author.log_id(Stream::TEAMS), events)
}

#[test]
fn a_store_with_more_than_a_million_logs_holds_all_of_them_and_gives_each_its_own_number() {
    // given a store with 1,000,001 logs, the last of which has an event
    let backend: Arc<dyn Backend> = Arc::new(Memory::default());
    let (last, events) = one_event_log(1);
    let mut batch = Batch::default();
    for n in 0..1_000_000u64 {
        let log = LogId { incarnation: n + 10, ..last.clone() };
        batch.put(Family::Logs, &log_key(&log), &[&(n as u32).to_be_bytes()]);
        if n % 50_000 == 0 {
            backend.write(std::mem::take(&mut batch), false).unwrap();
        }
    }
    backend.write(batch, false).unwrap();
    let store = Store::over(backend.clone(), false).unwrap();
    store.append(vec![proven(&events)]).unwrap();
    let number = store.inner.shared.number(&last);
    assert_eq!((number, store.inner.shared.logs()), (Some(1_000_000), 1_000_001));
    store.close();
    // when it is opened again and another log comes, then neither takes the other's place
    let store = Store::over(backend, false).unwrap();
    let (next, theirs) = one_event_log(2);
    store.append(vec![proven(&theirs)]).unwrap();
    assert_eq!((store.inner.shared.number(&last), store.inner.shared.number(&next)), (number, Some(1_000_001)));
    assert_eq!(store.event(&last, 1).unwrap().unwrap().into_event(), events[0]);
    assert_eq!(store.event(&next, 1).unwrap().unwrap().into_event(), theirs[0]);
}

#[test]
fn a_number_is_not_used_again_although_the_row_that_named_its_log_is_gone() {
    for with_counter in [true, false] {
        let backend: Arc<dyn Backend> = Arc::new(Memory::default());
        let store = Store::over(backend.clone(), false).unwrap();
        let (lost, events) = one_event_log(1);
        store.append(vec![proven(&events)]).unwrap();
        store.close();
        let mut batch = Batch::default();
        batch.delete(Family::Logs, &log_key(&lost));
        if !with_counter {
            batch.delete(Family::Meta, META_NEXT_LOG);
        }
        backend.write(batch, true).unwrap();
        let store = Store::over(backend, false).unwrap();
        let (next, theirs) = one_event_log(2);
        store.append(vec![proven(&theirs)]).unwrap();
        assert_eq!(store.inner.shared.number(&next), Some(1));
        assert_eq!(store.event(&next, 1).unwrap().unwrap().into_event(), theirs[0]);
    }
}

#[test]
fn a_log_too_many_is_refused_when_it_is_written_and_blames_nobody() {
    let backend: Arc<dyn Backend> = Arc::new(Memory::default());
    let store = Store::over_at_most(backend, 2).unwrap();
    let logs: Vec<_> = (1..5).map(one_event_log).collect();
    store.append(logs[..2].iter().map(|(_, events)| proven(events)).collect()).unwrap();
    // A request with a log too many is refused as a whole, also together with what is known.
    let refused = store.append(vec![proven(&logs[0].1), proven(&logs[2].1)]).unwrap_err();
    assert!(matches!(refused, AppendError::TooManyLogs { most: 2 }), "{refused}");
    assert!(store.head(&logs[2].0).is_none() && store.inner.shared.number(&logs[2].0).is_none());
    assert!(store.write_trouble().is_none());
    // What is here goes on.
    let mut author = Author::new(1, "320508005", None);
    store.append(vec![proven(&author.write_many(Stream::TEAMS, 3, 30))]).unwrap();
}
