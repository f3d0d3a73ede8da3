//! Given a district's logs, when they are exported, then the file says exactly that, and nothing else passes for it.

use super::*;
use crate::event::ReceivedEvent;
use crate::frame::PiiScope;
use crate::frontier::Frontier;
use crate::id::{Head, LogId, Stream};
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
        assert!(whole.agrees_with_known_heads() && whole.is_fully_authorised());
        assert_eq!((whole.events, whole.bytes), (events.len() as u64, file.len() as u64));
        for size in [1, 7, 100, 1000] {
            let (mut reader, mut ids) = (ExportReader::new(heads(&events)), vec![]);
            for piece in file.chunks(size) {
                reader.push(piece, &mut |e| ids.push(e.event().id())).unwrap();
            }
            assert_eq!(reader.finish(&mut |e| ids.push(e.event().id())).unwrap(), whole);
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
    assert!(!report.is_fully_authorised());
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
fn a_refusal_says_where() {
    let (district, events) = logs();
    let mut file = export(&district, &events, Signatures::All);
    let at = file.windows(8).position(|w| w == b"reported").unwrap();
    file[at] = b'X';
    let error = verify_export(&file, Frontier::new()).unwrap_err();
    assert_eq!((error.seq, error.problem.code()), (Some(1), "out-of-range"));
    assert!(error.to_string().starts_with(&format!("at byte {}, log 320508005/incidents/", at - 1)), "{error}");
}
