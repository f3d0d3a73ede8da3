//! What must hold for any bytes: no panic, one encoding per meaning, nothing proven that was not signed. Run by
//! libFuzzer and, bounded, by `tests/fuzz_smoke.rs`.

use linli_core::carry::{CarryError, Item, Standing, VolumeReader};
use linli_core::cbor::Value;
use linli_core::chain::{Join, verify_run};
use linli_core::event::{Header, ReceivedEvent};
use linli_core::export::{ExportReader, verify_export};
use linli_core::frame::{PiiScope, decode_frame, encode_frame};
use linli_core::frontier::Frontier;
use linli_core::id::EventId;
use linli_core::sign::KeyCache;

/// A value that decodes encodes to the same bytes.
pub fn value(data: &[u8]) {
    if let Ok(value) = Value::decode(data) {
        assert_eq!(value.encode(), data, "a value has two encodings");
        assert_eq!(value.clone().canonical(), value, "a decoded value is not in canonical order");
    }
}

/// A header that decodes encodes to the same bytes.
pub fn header(data: &[u8]) {
    if let Ok(header) = Header::decode(data) {
        assert_eq!(header.encode(), data, "a header has two encodings");
    }
}

/// A frame that decodes gives events that stand by themselves, and encodes to a frame of the same events.
pub fn frame(data: &[u8]) {
    let Ok(run) = decode_frame(data) else { return };
    for event in &run {
        let again = Header::decode(event.header_bytes());
        assert_eq!(again.as_ref(), Ok(event.header()), "a frame made a header that does not decode");
    }
    if run.is_empty() {
        return;
    }
    let ids: Vec<_> = run.iter().map(ReceivedEvent::id).collect();
    if let Ok(again) = decode_frame(&encode_frame(&run, PiiScope::Covered)) {
        assert_eq!(again, run, "a frame does not survive its encoding");
    }
    if let Ok(proven) = verify_run(Join::Anywhere, run, &mut KeyCache::default()) {
        assert!(proven.last().is_some_and(|last| last.event().signature().is_some()));
        assert!(proven.iter().map(|e| e.event().id()).eq(ids));
    }
}

/// A file is judged alike in one piece and in many, and hands out no event without a proof.
pub fn export(data: &[u8]) {
    let whole = verify_export(data, Frontier::new());
    let mut reader = ExportReader::new(Frontier::new());
    let mut handed_out = 0;
    let mut count = |_| handed_out += 1;
    let early = data.chunks(data.len() / 7 + 1).find_map(|piece| reader.push(piece, &mut count).err());
    let pieces = reader.finish(&mut count);
    assert_eq!(whole, pieces, "pieces are judged otherwise than the whole");
    assert!(early.is_none() || early == pieces.as_ref().err().cloned());
    if let Ok(report) = whole {
        assert_eq!(report.events, handed_out);
    }
}

/// A carried volume is judged alike in one piece and in many, and nothing of it comes before its header; the same
/// bytes are no standing that survives otherwise than as it was read.
pub fn carry(data: &[u8], federation: EventId) {
    let (whole, pieces) = (items(data, data.len() + 1, federation), items(data, data.len() / 7 + 1, federation));
    assert_eq!(whole, pieces, "pieces are judged otherwise than the whole");
    if let Some(first) = whole.0.first() {
        assert!(matches!(first, Item::Header(header) if header.federation == federation));
    }
    assert!(whole.1.is_err() || matches!(whole.0.last(), Some(Item::End { .. })));
    if let Ok(standing) = Standing::decode(data, federation) {
        assert_eq!(standing.federation, federation);
    }
}

fn items(data: &[u8], piece: usize, federation: EventId) -> (Vec<Item>, Result<(), CarryError>) {
    let (mut reader, mut items) = (VolumeReader::new(federation), vec![]);
    for piece in data.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, reader.finish())
}
