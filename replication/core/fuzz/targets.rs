//! What must hold for any bytes: no panic, one encoding per meaning, nothing proven that was not signed. Run by
//! libFuzzer and, bounded, by `tests/fuzz_smoke.rs`.

use std::sync::OnceLock;
use std::time::Duration;

use linli_core::carry::{CarryError, Item, Standing, VolumeReader};
use linli_core::cbor::Value;
use linli_core::chain::{Join, verify_run};
use linli_core::charter::Charter;
use linli_core::event::{Header, ReceivedEvent};
use linli_core::export::{ExportReader, verify_export};
use linli_core::frame::{PiiScope, decode_frame, encode_frame};
use linli_core::frontier::Frontier;
use linli_core::id::{EventId, Head, Stream};
use linli_core::limits;
use linli_core::payloads::{PayloadFrame, decode_payloads, encode_payloads};
use linli_core::sign::KeyCache;
use linli_core::sync::{AppendFailure, Engine, Greeting, Input, Message, Output, admit_payloads};
use linli_core::testkit::{Author, key};

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

/// A frame that decodes gives events that stand by themselves, and encodes to a frame of the same events. A frame of
/// payloads that decodes encodes to the same bytes.
pub fn frame(data: &[u8]) {
    if let Ok(PayloadFrame { log, payloads }) = decode_payloads(data) {
        assert_eq!(encode_payloads(&log, &payloads), data, "a payload frame has two encodings");
    }
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
    let mut count = |_, _: &Charter| handed_out += 1;
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

/// A sync message that decodes encodes to the same bytes, unless its number is not known: then nothing of it is kept.
pub fn message(data: &[u8]) {
    match Message::decode(data) {
        Ok(Message::Unknown { .. }) | Err(_) => {}
        Ok(message) => assert_eq!(message.encode(), data, "a message has two encodings"),
    }
}

/// Most that one message may make an engine do. It asks for as many logs as it may, answers in one message of ranges,
/// tells heads and hangs up.
const OUTPUTS_MAX: usize = limits::SYNC_WANTS_PER_PEER + limits::SYNC_URGENT_WANTS_PER_PEER + 20;

/// Logs that the engine of [`conversation`] holds: so many that heads are compared by ranges.
fn logs_held() -> &'static Frontier {
    static HELD: OnceLock<Frontier> = OnceLock::new();
    HELD.get_or_init(|| {
        let head = |n: u16| Head { seq: u64::from(n), id: EventId::from_bytes([n as u8; 32]) };
        (1..=90).map(|n| (Author::new(n, "320508005", None).log_id(Stream::TEAMS), head(n))).collect()
    })
}

/// Whatever a peer says, message after message (each with its length before it, two bytes), the engine answers in
/// bounded measure and in messages that others can read, and hangs up rather than compare without end.
pub fn conversation(data: &[u8]) {
    let (own, peer) = (key(1).public(), key(2).public());
    let mut engine = Engine::new(own, logs_held().clone());
    let mut now = Duration::ZERO;
    let pii_areas = vec!["320508".parse().unwrap()];
    let lacks = Author::new(3, "320508005", None).log_id(Stream::TEAMS);
    let mut inputs =
        vec![Input::PeerConnected { peer, pii_areas, greeting: Greeting::Near }, Input::Lacks { log: lacks }];
    let mut rest = data;
    while let Some((len, more)) = rest.split_first_chunk::<2>() {
        let (bytes, after) = more.split_at(usize::from(u16::from_be_bytes(*len)).min(more.len()));
        rest = after;
        inputs.extend(Message::decode(bytes).ok().map(|message| Input::Message { peer, message }));
        inputs.push(Input::Tick);
        for input in inputs.drain(..) {
            now += Duration::from_millis(100);
            let mut outputs = engine.handle(now, input);
            assert!(outputs.len() <= OUTPUTS_MAX, "{} answers to one message", outputs.len());
            while let Some(output) = outputs.pop() {
                let answer = match output {
                    Output::Send { peer, message } => {
                        let again = Message::decode(&message.encode());
                        assert_eq!(again.as_ref(), Ok(&message), "the engine says what nobody can read");
                        Input::Written { peer }
                    }
                    Output::Read { peer, token, .. } | Output::ReadPayloads { peer, token, .. } => {
                        Input::ReadDone { peer, token, frame: None }
                    }
                    Output::ListLacking { token, after, .. } => {
                        Input::Lacking { token, seqs: (after + 1..=3).collect() }
                    }
                    Output::Fill { token, log, seqs, frame } => match admit_payloads(&log, &seqs, &frame) {
                        Ok(payloads) => Input::Filled { token, payloads: payloads.len() as u64 },
                        Err(failure) => Input::AppendFailed { token, failure },
                    },
                    Output::Append { token, .. } => {
                        Input::AppendFailed { token, failure: AppendFailure::BadPeer("unproven".to_owned()) }
                    }
                    Output::Disconnect { .. } => return,
                    Output::PeerReportsOurHead { .. } | Output::Forked { .. } | Output::Introduced(_) => continue,
                };
                let more = engine.handle(now, answer);
                assert!(more.len() <= OUTPUTS_MAX, "{} answers to one answer", more.len());
                outputs.extend(more);
            }
        }
    }
    assert_eq!(engine.frontier().len(), logs_held().len(), "nothing was proven, and yet a log was taken");
}
