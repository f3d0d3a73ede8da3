//! What must hold for any bytes: no panic, one encoding per meaning, nothing proven that was not signed. Run by
//! libFuzzer and, bounded, by `tests/fuzz_smoke.rs`.

use linli_core::cbor::Value;
use linli_core::chain::{Join, verify_run};
use linli_core::event::{Header, ReceivedEvent};
use linli_core::export::{ExportReader, verify_export};
use linli_core::frame::{PiiScope, decode_frame, encode_frame};
use linli_core::frontier::Frontier;
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
