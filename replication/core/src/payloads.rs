//! Payload frames: personal payloads of events that the receiver holds already, without the events.
//!
//! Who got an event from somebody who may not have its personal payload holds the commitment only. What it is sent
//! later is this; the header that it holds proves each payload.

use crate::cbor::{CborError, Problem, Reader, Writer};
use crate::event::Payload;
use crate::frame::{read_log_id, write_log_id};
use crate::id::LogId;
use crate::limits;

/// A decoded payload frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFrame {
    /// The log of all its events.
    pub log: LogId,
    /// Personal payloads with the positions of their events, ascending; at least one.
    pub payloads: Vec<(u64, Payload)>,
}

/// Encodes personal payloads of events of one log. The caller gives them in ascending order of seq, at least one.
pub fn encode_payloads(log: &LogId, payloads: &[(u64, Payload)]) -> Vec<u8> {
    let bytes: usize = payloads.iter().map(|(_, payload)| payload_bytes(payload)).sum();
    let mut w = Writer::with_capacity(bytes + 128);
    w.array(2);
    write_log_id(&mut w, log);
    w.array(payloads.len());
    for (seq, payload) in payloads {
        w.array(3).uint(*seq).bytes(&payload.salt).bytes(&payload.bytes);
    }
    w.into_bytes()
}

/// How long a payload is in a payload frame, at most.
pub const fn payload_bytes(payload: &Payload) -> usize {
    payload.bytes.len() + 32
}

/// Decodes one payload frame that fills `bytes`. The payloads prove nothing by themselves.
///
/// # Errors
/// Says what is wrong and at which byte; bounds of [`limits`] included.
pub fn decode_payloads(bytes: &[u8]) -> Result<PayloadFrame, CborError> {
    if bytes.len() > limits::FRAME_BYTES_MAX {
        return Err(Reader::error(0, Problem::OutOfRange("length of a payload frame")));
    }
    let mut r = Reader::new(bytes);
    r.array_of(2, "a log and payloads")?;
    let log = read_log_id(&mut r)?;
    let start = r.offset();
    let len = r.array_of_at_most(limits::FILL_EVENTS_MAX, "number of payloads in a frame")?;
    let mut payloads: Vec<(u64, Payload)> = Vec::new();
    for _ in 0..len {
        r.array_of(3, "a seq, a salt and a payload")?;
        let at = r.offset();
        let seq = r.uint()?;
        let before = payloads.last().map_or(0, |(seq, _)| *seq);
        if seq <= before || seq == u64::MAX {
            return Err(Reader::error(at, Problem::OutOfRange("seq of a payload (strictly ascending)")));
        }
        let salt = r.byte_array()?;
        let bytes = r.bytes_of_at_most(limits::PAYLOAD_BYTES_MAX, "size of a payload")?.to_vec();
        payloads.push((seq, Payload { salt, bytes }));
    }
    if payloads.is_empty() {
        return Err(Reader::error(start, Problem::OutOfRange("number of payloads in a frame")));
    }
    r.finish()?;
    Ok(PayloadFrame { log, payloads })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Stream;
    use crate::testkit::Author;

    fn log() -> LogId {
        Author::new(1, "320508005", None).log_id(Stream::COMMUNITY)
    }

    fn payloads(seqs: &[u64]) -> Vec<(u64, Payload)> {
        seqs.iter()
            .map(|seq| (*seq, Payload { salt: [*seq as u8; 16], bytes: vec![0xa0; *seq as usize % 70] }))
            .collect()
    }

    #[test]
    fn a_payload_frame_survives_its_encoding_and_is_no_longer_than_reckoned() {
        let payloads = payloads(&[1, 2, 9, 400]);
        let bytes = encode_payloads(&log(), &payloads);
        assert!(bytes.len() <= payloads.iter().map(|(_, payload)| payload_bytes(payload)).sum::<usize>() + 128);
        assert_eq!(decode_payloads(&bytes), Ok(PayloadFrame { log: log(), payloads }));
    }

    #[test]
    fn a_payload_frame_is_encoded_as_it_always_was() {
        let log = LogId { author: crate::id::AuthorKey::from_bytes([7; 32]), ..log() };
        let bytes = encode_payloads(&log, &[(24, Payload { salt: [5; 16], bytes: vec![0xa0] })]);
        let expected = format!("8284075820{}01693332303530383030358183181850{}41a0", "07".repeat(32), "05".repeat(16));
        assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }

    #[test]
    fn payloads_that_are_none_or_doubled_or_out_of_order_or_too_many_or_too_long_are_refused() {
        let refused = |payloads: &[(u64, Payload)]| decode_payloads(&encode_payloads(&log(), payloads)).is_err();
        for seqs in [&[][..], &[0], &[u64::MAX], &[3, 3], &[4, 3]] {
            assert!(refused(&payloads(seqs)), "{seqs:?}");
        }
        let many: Vec<u64> = (1..=limits::FILL_EVENTS_MAX as u64).collect();
        assert!(!refused(&payloads(&many)) && refused(&payloads(&[&many[..], &[1000]].concat())));
        let of = |len| [(1, Payload { salt: [1; 16], bytes: vec![0; len] })];
        assert!(!refused(&of(limits::PAYLOAD_BYTES_MAX)) && refused(&of(limits::PAYLOAD_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn what_decodes_is_the_one_encoding(
            at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()
        ) {
            let mut bytes = encode_payloads(&log(), &payloads(&[1, 7, 300]));
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = with }
            if let Ok(frame) = decode_payloads(&bytes) {
                prop_assert_eq!(encode_payloads(&frame.log, &frame.payloads), bytes);
            }
        }
    }
}
