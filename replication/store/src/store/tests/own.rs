//! Own events: one history under one key, whatever becomes of the directory and the clock.

use super::*;
use crate::error::WriteError;

#[test]
fn an_orderly_restart_goes_on_in_the_same_log_and_a_crash_opens_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    write(&w, 1);
    w.close().unwrap();
    drop((store, w));
    let (store, w) = writer(dir.path(), 2);
    let second = write(&w, 2);
    assert_eq!((second.header().incarnation, second.header().seq), (1, 2));
    // then the process ends without closing
    drop((store, w));
    let (_store, w) = writer(dir.path(), 3);
    let third = write(&w, 3);
    assert_eq!((third.header().incarnation, third.header().seq, third.header().prev), (3, 1, Some(second.id())));
    assert!(third.header().time > second.header().time);
}

#[test]
fn a_copy_knows_that_it_is_one_and_a_restart_or_a_crash_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    write(&w, 1);
    // given an orderly stop, and then a crash
    w.close().unwrap();
    drop((store, w));
    let (store, w) = writer(dir.path(), 2);
    assert!(!w.was_copied());
    write(&w, 2);
    drop((store, w));
    let (store, w) = writer(dir.path(), 3);
    assert!(!w.was_copied());
    w.close().unwrap();
    drop((store, w));
    // when the directory is copied, then the copy knows it until it has written for itself
    let other = tempfile::tempdir().unwrap();
    copy(&dir.path().join("store"), &other.path().join("store"));
    let (store, w) = writer(other.path(), 4);
    assert!(w.was_copied());
    write(&w, 4);
    drop((store, w));
    assert!(!writer(other.path(), 5).1.was_copied());
}

#[test]
fn a_directory_that_was_copied_run_on_and_put_back_does_not_fork() {
    // given a node that stopped in order, and a copy of its directory
    let dir = tempfile::tempdir().unwrap();
    let (home, backup) = (dir.path().join("home"), dir.path().join("backup"));
    let (store, w) = writer(&home, 1);
    write(&w, 1);
    w.close().unwrap();
    drop((store, w));
    copy(&home, &backup);
    // when it runs on, and the copy is put back
    let (store, w) = writer(&home, 2);
    let lost = write(&w, 2);
    w.close().unwrap();
    drop((store, w));
    std::fs::remove_dir_all(&home).unwrap();
    copy(&backup, &home);
    // then the next event does not stand where the lost one stood
    let (store, w) = writer(&home, 3);
    let next = write(&w, 3);
    assert_eq!(next.header().incarnation, 3);
    // and the lost tail is taken back from whoever has it
    store.append(vec![proven(&[lost])]).unwrap();
    assert!(store.forks().unwrap().is_empty());
}

#[test]
fn a_peer_that_shows_later_events_of_ours_opens_a_new_incarnation_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, w) = writer(dir.path(), 1);
    let first = write(&w, 1);
    let log = first.header().log_id();
    assert!(!w.reported_by_peer(None, &log, first.head(), &mut || 9));
    assert!(w.reported_by_peer(None, &log, Head { seq: 5, id: first.id() }, &mut || 9));
    let second = write(&w, 2);
    assert_eq!(second.header().incarnation, 9);
    // Nobody else can have written there: a peer that says so makes it up.
    let log = second.header().log_id();
    assert!(!w.reported_by_peer(None, &log, Head { seq: 7, id: first.id() }, &mut || 10));
    assert_eq!(write(&w, 3).header().incarnation, 9);
}

#[test]
fn a_position_taken_by_a_copy_of_this_store_moves_the_writer_to_a_new_incarnation() {
    // given a node, and a copy of it that writes on in the same incarnation
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    let copy = LocalWriter::open(Store::in_memory(), None, key(1), &mut || 1).unwrap();
    let (first, theirs) = (write(&w, 1), (write(&copy, 1), write(&copy, 2)));
    assert_eq!(first, theirs.0);
    // when the copy's next event arrives before ours is written
    store.append(vec![proven(std::slice::from_ref(&theirs.1))]).unwrap();
    let refused = w.write(draft(3), 1, &mut || [7; 16]).unwrap_err();
    // then ours is refused without evidence against ourselves, and the next attempt starts a new log
    assert!(matches!(refused, crate::WriteError::Append(AppendError::Fork { .. })), "{refused}");
    assert!(store.forks().unwrap().is_empty());
    let next = w.write(draft(3), 1, &mut || [7; 16]).unwrap();
    assert_eq!((next.header().incarnation, next.header().seq), (0x0707_0707_0707_0707, 1));
    assert_eq!(next.header().prev, Some(theirs.1.id()));
    assert_eq!(write(&w, 4).header().seq, 2);
}

#[test]
fn whoever_composes_sees_the_incarnation_that_signs_also_after_a_refused_write() {
    // given a writer whose position a copy has taken
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    let copy = LocalWriter::open(Store::in_memory(), None, key(1), &mut || 1).unwrap();
    assert_eq!(write(&w, 1), write(&copy, 1));
    store.append(vec![proven(&[write(&copy, 2)])]).unwrap();
    w.write(draft(3), 1, &mut || [7; 16]).unwrap_err();
    // when the next events are composed, then the incarnation that is promised is the one that stands in them
    for (salt, expected) in [(8, 0x0808_0808_0808_0808), (9, 0x0808_0808_0808_0808)] {
        let mut promised = None;
        let written = w.write_with::<crate::WriteError>(1, &mut || [salt; 16], |signer| {
            promised = Some(signer.incarnation());
            signer.sign(draft(3)).map(drop)
        });
        assert_eq!(promised, Some(written.unwrap()[0].header().incarnation));
        assert_eq!(promised, Some(expected));
    }
}

#[test]
fn an_event_is_dated_after_what_it_stands_on_within_the_bound() {
    let (dir, now_ms) = (tempfile::tempdir().unwrap(), 1_790_000_000_000);
    let (_store, w) = writer(dir.path(), 1);
    let dated = |after: Hlc| w.write(LocalDraft { after, ..draft(1) }, now_ms, &mut || [1; 16]).unwrap().header().time;
    let ten_minutes_ahead = Hlc::from_unix_ms(now_ms + 600_000);
    assert!(dated(ten_minutes_ahead) > ten_minutes_ahead);
    // A time that is wrong beyond the bound is not followed, by this event or a later one.
    let four_years_ahead = Hlc::from_unix_ms(now_ms + 4 * 365 * 86_400_000);
    for after in [four_years_ahead, Hlc::default()] {
        let time = dated(after);
        assert!(time > ten_minutes_ahead && time.unix_ms() < now_ms + 700_000, "{time}");
    }
}

#[test]
fn a_clock_that_was_years_ahead_once_dates_nothing_wrong_after_it_was_put_right() {
    // given events that were written while the clock was four years ahead
    let (dir, now_ms) = (tempfile::tempdir().unwrap(), 1_790_000_000_000);
    let wrong_ms = now_ms + 4 * 365 * 86_400_000;
    let (store, w) = writer(dir.path(), 1);
    w.write(draft(1), wrong_ms, &mut || [1; 16]).unwrap();
    // when the clock is put right, at once and after a restart
    let right = w.write(draft(2), now_ms, &mut || [1; 16]).unwrap();
    w.close().unwrap();
    drop((store, w));
    let (store, w) = writer(dir.path(), 2);
    let later = w.write(draft(3), now_ms + 5, &mut || [1; 16]).unwrap();
    // then what follows has the right time, in the same log, and the log still proves
    assert_eq!((right.header().time.unix_ms(), later.header().time.unix_ms()), (now_ms, now_ms + 5));
    assert_eq!((later.header().incarnation, later.header().seq), (1, 3));
    let run = store.read(&later.header().log_id(), 1, 9, 1 << 20).unwrap();
    assert_eq!(proven(&run.into_iter().map(StoredEvent::into_event).collect::<Vec<_>>()).len(), 3);
}

#[test]
fn concurrent_writers_share_logs_without_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let w = &w;
            scope.spawn(move || (0..25).for_each(|n| drop(write(w, thread * 100 + n))));
        }
    });
    let frontier = store.frontier();
    assert_eq!((frontier.len(), frontier.events()), (1, 200));
}

#[test]
fn a_batch_whose_composition_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    let refused: Result<_, crate::WriteError> = w.write_with(1, &mut || [0; 16], |signer| {
        signer.sign(draft(1))?;
        Err(crate::WriteError::Draft("changed my mind".into()))
    });
    assert!(refused.is_err() && store.frontier().is_empty());
    assert_eq!(write(&w, 2).header().seq, 1);
}

#[test]
fn a_generation_file_that_cannot_be_written_is_a_failed_write_and_the_store_goes_on_by_itself() {
    // given a store whose disk takes no new file, so that nothing may be signed
    let dir = tempfile::tempdir().unwrap();
    let (store, w) = writer(dir.path(), 1);
    let in_the_way = dir.path().join("store/generation.new");
    std::fs::create_dir(&in_the_way).unwrap();
    // when an act is to be written, then it is refused and counted as a write that the disk refused
    let refused = w.write(draft(1), 1_790_000_000_000, &mut || [1; 16]);
    assert!(matches!(refused, Err(WriteError::Generation(_))), "{refused:?}");
    assert_eq!(store.write_failures(), 1);
    // when the disk takes files again, then the store goes on without anybody's help
    std::fs::remove_dir(&in_the_way).unwrap();
    let waiting = std::time::Instant::now();
    while store.write_trouble().is_some() {
        assert!(waiting.elapsed().as_secs() < 30, "{:?}", store.write_trouble());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(write(&w, 1).header().seq, 1);
}
