//! The fuzz targets of `fuzz/` on the stable toolchain: valid inputs, mutated by a generator with a printed seed.
//!
//! About twenty seconds together; `LINLI_TEST_FUZZ_SECONDS` sets the time of each target, `LINLI_TEST_FUZZ_SEED` repeats a failure.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types)] // A test with a time limit.

mod golden;
#[path = "../fuzz/targets.rs"]
mod targets;
mod verifier;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use golden::judge::bytes;
use linli_core::carry::{Standing, VolumeHeader, VolumeWriter};
use linli_core::event::Payload;
use linli_core::frame::{PiiScope, encode_frame};
use linli_core::id::{BundleId, EventId, Head, LogId, Stream};
use linli_core::payloads::encode_payloads;
use linli_core::sync::ranges::{Item, Range};
use linli_core::sync::{Coverage, List, Message, Sums};
use linli_core::testkit::{Author, District};

/// SplitMix64: small, seedable, good enough to choose mutations.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Heads of CBOR items that are most likely to upset a reader.
const SPICE: [&[u8]; 10] = [
    &[0xf6],
    &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xbf],
    &[0x58, 0x20],
    &[0x80],
    &[0x81, 0x81, 0x81, 0x81],
    &[0x00],
];

/// One to four changes: a bit, a byte, a cut, a repetition, a piece of another input, a hostile head.
fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len());
        match random.below(7) {
            _ if data.is_empty() => data.push(random.next() as u8),
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 => drop(data.drain(at..(at + 1 + random.below(40)).min(data.len()))),
            4 => {
                let piece = data[at..(at + 1 + random.below(80)).min(data.len())].to_vec();
                data.splice(at..at, piece);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len());
                let piece = other[from..(from + random.below(80)).min(other.len())].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let head = SPICE[random.below(SPICE.len())];
                let end = (at + random.below(head.len() + 1)).min(data.len());
                data.splice(at..end, head.iter().copied());
            }
        }
    }
    data
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn fuzz(kind: &str, field: &str, target: impl Fn(&[u8])) {
    let path = verifier::repository().join(format!("replication/core/vectors/{kind}.json"));
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let corpus: Vec<Vec<u8>> = cases.iter().map(|case| bytes(&case["input"][field])).collect();
    fuzz_from(kind, &corpus, target);
}

fn fuzz_from(kind: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    corpus.iter().for_each(|input| target(input));
    let seed = number("LINLI_TEST_FUZZ_SEED");
    let first = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    let time = Duration::from_millis(number("LINLI_TEST_FUZZ_SECONDS").map_or(2_500, |seconds| seconds * 1000));
    let start = Instant::now();
    for round in 0u64.. {
        let input = mutate(&mut Random(first.wrapping_add(round)), corpus);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let at = first.wrapping_add(round);
            panic!("{kind}: repeat with LINLI_TEST_FUZZ_SEED={at}; input {}", golden::judge::hex(&input));
        }
        if start.elapsed() > time || seed.is_some() {
            eprintln!("{kind}: {} inputs from seed {first}", round + 1);
            break;
        }
    }
}

#[test]
fn any_value_has_one_encoding() {
    fuzz("cbor", "bytes", targets::value);
}

#[test]
fn any_header_has_one_encoding() {
    fuzz("headers", "header", targets::header);
}

#[test]
fn any_frame_is_refused_or_stands_by_itself() {
    fuzz("frames", "frame", targets::frame);
}

#[test]
fn any_frame_of_payloads_has_one_encoding() {
    let corpus = [payload_frame(&Author::new(3, "320508005", None).log_id(Stream::COMMUNITY))];
    fuzz_from("payloads", &corpus, targets::frame);
}

#[test]
fn any_export_file_is_judged_alike_in_one_piece_and_in_many() {
    fuzz("exports", "file", targets::export);
}

#[test]
fn any_carried_volume_is_judged_alike_in_one_piece_and_in_many() {
    let district = District::with_nodes(&["320508005"]);
    let (federation, node) = (district.federation(), &district.nodes[0].key);
    let credentials = district.charter_events();
    let volume = |number, frames: &[&[u8]], last| {
        let (bundle, sender) = (BundleId::from_bytes([9; 16]), node.public());
        let credentials = credentials.clone();
        let header = VolumeHeader { federation, bundle, number, sender, created_ms: 1_790_000_000_000, credentials };
        let (mut writer, mut bytes) = VolumeWriter::start(&header, node);
        frames.iter().for_each(|frame| bytes.extend(writer.frame(frame)));
        bytes.extend(writer.finish(last, node));
        bytes
    };
    let run = Author::new(1, "320508005", None).write_many(Stream::TEAMS, 3, 40);
    let frontier = run.iter().map(|event| (event.header().log_id(), event.head())).collect();
    let standing =
        Standing { federation, node: node.public(), created_ms: 1, credentials: credentials.clone(), frontier };
    let corpus = [
        volume(1, &[], true),
        volume(1, &[b"\0one", b"\0two and more"], false),
        volume(7, &[&[1; 300]], true),
        standing.encode(node),
    ];
    fuzz_from("carry", &corpus, |data| targets::carry(data, federation));
}

fn payload_frame(log: &LogId) -> Vec<u8> {
    let payload = |seq: u64| (seq, Payload { salt: [seq as u8; 16], bytes: vec![0xa0; 40] });
    encode_payloads(log, &[1, 2, 3].map(payload))
}

/// One message of each kind, about logs that the engine of the target holds and about others.
fn messages() -> Vec<Message> {
    let log = |n: u16| Author::new(n, "320508005", None).log_id(Stream::TEAMS);
    let head = |seq: u64, byte: u8| Head { seq, id: EventId::from_bytes([byte; 32]) };
    let entries = vec![(log(3), head(3, 3)), (log(5), head(9, 9)), (log(200), head(40, 1))];
    let frame = encode_frame(&Author::new(200, "320508005", None).write_many(Stream::TEAMS, 3, 40), PiiScope::Covered);
    let range = |depth, prefix| Range::new(depth, prefix).unwrap();
    let sums = vec![Sums { first: range(3, 0), fingerprints: (0..8).collect() }];
    let lists = vec![List { range: range(6, 9), items: vec![Item { key: 9 << 58, head: 1 }] }];
    vec![
        Message::Digest { digest: [7; 32], logs: 90 },
        Message::Heads { coverage: Coverage::Hint, entries: entries.clone() },
        Message::Heads { coverage: Coverage::End, entries },
        Message::Want { want: 1, log: log(5), from_seq: 1, credit: 1 << 20 },
        Message::Credit { want: 1, bytes: 1_000 },
        Message::Frame { want: 2, last: true, frame },
        Message::Unavailable { want: 2 },
        Message::Ranges { sums: sums.clone(), lists: vec![] },
        Message::Ranges { sums, lists },
        Message::Tell { keys: vec![1, 2, 3] },
        Message::Tell { keys: vec![] },
        Message::Fill { want: 3, log: log(5), seqs: vec![1, 2, 400], credit: 1 << 16 },
        Message::Frame { want: 2, last: true, frame: payload_frame(&log(3)) },
    ]
}

#[test]
fn any_sync_message_has_one_encoding() {
    let corpus: Vec<Vec<u8>> = messages().iter().map(Message::encode).collect();
    fuzz_from("message", &corpus, targets::message);
}

#[test]
fn an_engine_answers_whatever_a_peer_says_in_bounded_measure() {
    let said = |messages: &[Message]| -> Vec<u8> {
        let part = |message: &Message| {
            let bytes = message.encode();
            [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()
        };
        messages.iter().flat_map(part).collect()
    };
    let all = messages();
    let endless = vec![all[7].clone(); 20];
    let corpus = [said(&all), said(&all[..4]), said(&[&all[..1], &endless].concat()), said(&all[4..])];
    fuzz_from("conversation", &corpus, targets::conversation);
}

#[test]
fn every_target_of_the_fuzzer_runs_here_as_well() {
    let folder = verifier::repository().join("replication/core/fuzz/fuzz_targets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let here = include_str!("fuzz_smoke.rs");
    let mut count = 0;
    for name in files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()) {
        assert!(here.contains(&format!("targets::{name}")), "{name} is not run on stable");
        count += 1;
    }
    assert!(count >= 7);
}
