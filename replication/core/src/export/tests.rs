//! Given a district's logs, when they are exported, then the file says exactly that, and nothing else passes for it.

use super::*;
use crate::event::{ReceivedEvent, Slot};
use crate::frame::PiiScope;
use crate::frontier::Frontier;
use crate::id::{EventId, Head, LogId, Stream};
use crate::testkit::{District, Draft};

fn logs() -> (District, Vec<ReceivedEvent>) {
    let mut district = District::with_nodes(&["320508005"]);
    let mut events = district.charter_events();
    events.extend(district.nodes[0].write_many(Stream::INCIDENTS, 5, 40));
    let mut draft = Draft::new(Stream::SUPPLIES, "issued", None);
    (draft.op, draft.pii) = (Some(vec![0xa0]), Some(vec![0xa1, 0x61, b'n', 0x61, b'a']));
    events.push(district.nodes[0].write(draft));
    (district, events)
}

fn heads(events: &[ReceivedEvent]) -> Frontier {
    events.iter().map(|e| (e.header().log_id(), e.head())).collect()
}

fn export(district: &District, events: &[ReceivedEvent], signatures: Signatures) -> Vec<u8> {
    let manifest = Manifest::of(district.federation(), 1_790_000_000_000, &heads(events));
    let (mut writer, mut file) = ExportWriter::start(manifest, signatures).unwrap();
    for event in events {
        file.extend(writer.event(event, PiiScope::Covered).unwrap());
    }
    file.extend(writer.finish().unwrap());
    file
}

#[test]
fn a_file_verifies_in_pieces_of_any_size_and_hands_out_its_events() {
    let (district, events) = logs();
    for signatures in [Signatures::All, Signatures::Needed] {
        let file = export(&district, &events, signatures);
        let whole = verify_export(&file, heads(&events)).unwrap();
        assert!(whole.discrepancies.is_empty() && whole.unauthorised().is_empty());
        assert_eq!((whole.events, whole.bytes), (events.len() as u64, file.len() as u64));
        for size in [1, 7, 100, 1000] {
            let (mut reader, mut ids) = (ExportReader::new(heads(&events)), vec![]);
            for piece in file.chunks(size) {
                reader.push(piece, &mut |e, _| ids.push(e.event().id())).unwrap();
            }
            assert_eq!(reader.finish(&mut |e, _| ids.push(e.event().id())).unwrap(), whole);
            assert_eq!(ids, events.iter().map(ReceivedEvent::id).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_file_that_lacks_the_last_events_is_shorter_than_the_known_head() {
    let (district, events) = logs();
    let known = heads(&events);
    let cut = [&events[..5], &events[7..]].concat();
    let report = verify_export(&export(&district, &cut, Signatures::All), known.clone()).unwrap();
    assert_eq!(report.discrepancies.len(), 1);
    assert!(report.discrepancies[0].to_string().ends_with("is shorter: has seq 3, known head is seq 5"));
    let without = verify_export(&export(&district, &events[..7], Signatures::All), known).unwrap();
    assert!(matches!(without.discrepancies[..], [Discrepancy::Shorter { found: 0, .. }]));
}

#[test]
fn another_event_at_the_known_height_is_a_fork() {
    let (district, events) = logs();
    let log: LogId = events[4].header().log_id();
    let other = Head { seq: 3, id: events[0].id() };
    let known = Frontier::from_iter([(log.clone(), other)]);
    let report = verify_export(&export(&district, &events, Signatures::All), known).unwrap();
    assert_eq!(report.discrepancies, vec![Discrepancy::Forked { log, found: events[4].head(), known: other }]);
}

#[test]
fn what_may_not_count_is_counted_apart() {
    let (district, mut events) = logs();
    let mut stranger = crate::testkit::Author::new(99, "320508005", Some(district.grants[0].id()));
    events.push(stranger.write(Draft::new(Stream::COMMUNITY, "reported", None)));
    let report = verify_export(&export(&district, &events, Signatures::All), Frontier::new()).unwrap();
    assert_eq!((report.verdicts.authorised, report.verdicts.refused), (8, 1));
    let why = report.unauthorised();
    assert!(
        why.len() == 1 && why[0].starts_with("1 events do not count, the first in log 320508005/community/"),
        "{why:?}"
    );
    let first = report.verdicts.first_unauthorised.unwrap();
    assert_eq!((first.log, first.seq, first.reason), (events[8].header().log_id(), 1, "not-the-holder"));
}

#[test]
fn the_writer_refuses_another_order_and_a_missing_end() {
    let (district, events) = logs();
    let manifest = Manifest::of(district.federation(), 0, &heads(&events));
    let (mut writer, _) = ExportWriter::start(manifest, Signatures::All).unwrap();
    let early = writer.event(&events[1], PiiScope::Covered).unwrap_err();
    assert!(matches!(early, ExportWriteError::Event { seq: 1, problem: ExportProblem::Gap { .. }, .. }));
    writer.event(&events[0], PiiScope::Covered).unwrap();
    assert!(matches!(writer.finish(), Err(ExportWriteError::Missing { seq: 2, .. })));
}

#[test]
fn a_reader_by_tails_hands_out_the_same_and_refuses_a_wrong_link_and_a_wrong_last_signature() {
    // Given a long log of which every event is signed,
    let mut district = District::with_nodes(&["320508005"]);
    let mut events = district.charter_events();
    events.extend(district.nodes[0].write_many(Stream::INCIDENTS, 1_300, 24));
    let file = export(&district, &events, Signatures::All);
    let read = |file: &[u8]| {
        let (mut reader, mut ids) = (ExportReader::new(heads(&events)).by_tails(), vec![]);
        for piece in file.chunks(10_000) {
            reader.push(piece, &mut |e, _| ids.push(e.event().id()))?;
        }
        reader.finish(&mut |e, _| ids.push(e.event().id())).map(|report| (report, ids))
    };
    // when it is read by tails, then all come out and the report is that of the judge;
    let (report, ids) = read(&file).unwrap();
    assert_eq!(ids, events.iter().map(ReceivedEvent::id).collect::<Vec<_>>());
    assert_eq!(report, verify_export(&file, heads(&events)).unwrap());
    // a signature in the middle proves nothing and is not looked at, the last one is, and so is every link.
    let with = |at: usize, change: &dyn Fn(&ReceivedEvent) -> ReceivedEvent| {
        let mut changed = events.clone();
        changed[at] = change(&changed[at]);
        export(&district, &changed, Signatures::All)
    };
    let signed_by_another = |event: &ReceivedEvent| {
        let other = events[9].signature().copied();
        ReceivedEvent::new(event.header_bytes().to_vec(), other, event.payload(Slot::Op).cloned(), None).unwrap()
    };
    assert!(read(&with(700, &signed_by_another)).is_ok());
    let last = read(&with(events.len() - 1, &signed_by_another)).unwrap_err();
    assert_eq!(last.problem.code(), "invalid-signature");
    let mut swapped = file.clone();
    let at = swapped.len() / 2;
    swapped[at] ^= 1;
    assert!(read(&swapped).is_err());
}

#[test]
fn a_file_of_another_federation_than_the_one_asked_for_is_called_so() {
    let (district, events) = logs();
    let file = export(&district, &events, Signatures::All);
    let asked =
        |federation| verify_export(&file, Known { federation: Some(federation), heads: heads(&events) }).unwrap();
    assert!(asked(district.federation()).discrepancies.is_empty());
    let other = EventId::from_bytes([7; 32]);
    let found = district.federation();
    assert_eq!(asked(other).discrepancies, vec![Discrepancy::Federation { found, known: other }]);
}

#[test]
fn a_refusal_says_where() {
    let (district, events) = logs();
    let mut file = export(&district, &events, Signatures::All);
    let at = file.windows(8).position(|w| w == b"reported").unwrap();
    file[at] = b'X';
    let error = verify_export(&file, Frontier::new()).unwrap_err();
    assert_eq!((error.seq, error.problem.code()), (Some(1), "out-of-range"));
    assert!(error.to_string().starts_with(&format!("at byte {}, log 320508005/incidents/", at - 1)), "{error}");
}
