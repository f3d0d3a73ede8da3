//! What events cost, beside the floors under them: SHA-256 over the same bytes, and bare Ed25519 calls.
//!
//! `cargo bench --workspace --bench crypto [-- --quick]`. Prints the median of several rounds and the ratio to the
//! floor named in the same line.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)] // A benchmark reads a clock and stops on failure.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signer, SigningKey};
use linli_core::chain::{Join, verify_run};
use linli_core::event::{Header, ReceivedEvent, Slot};
use linli_core::export::{ExportWriter, Manifest, Signatures, verify_export};
use linli_core::frame::PiiScope;
use linli_core::frontier::Frontier;
use linli_core::id::{EventId, Stream};
use linli_core::sign::{CheckedKey, KeyCache, SecretKey};
use linli_core::testkit::District;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 5;
const PAYLOAD_BYTES: usize = 120;

/// Median time of one of `count` things, over several rounds.
fn median(count: usize, mut round: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2] / count as u32
}

/// Keeps the optimiser from leaving out what nobody reads.
fn consume<T>(value: T) {
    black_box(value);
}

fn line(what: &str, each: Duration, floor: Option<(&str, Duration)>) {
    let per_second = 1.0 / each.as_secs_f64();
    let ratio = floor.map_or(String::new(), |(name, floor)| {
        format!("  {:5.2} x {name}", each.as_secs_f64() / floor.as_secs_f64().max(1e-12))
    });
    println!("{what:44} {:9.3} us {per_second:12.0} /s{ratio}", each.as_secs_f64() * 1e6);
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (events, signatures) = if quick { (5_000, 100) } else { (100_000, 2_000) };
    let mut district = District::with_nodes(&["320508005"]);
    let log = district.nodes[0].write_many(Stream::INCIDENTS, events, PAYLOAD_BYTES);
    let bytes: usize = log.iter().map(|e| e.header_bytes().len()).sum::<usize>() / log.len();
    println!("events of {bytes} B header and {PAYLOAD_BYTES} B payload; {events} of them");
    signing(&log[..signatures], signatures);
    encoding(&log);
    chains(&log);
    exports(&district, &log);
}

fn signing(log: &[ReceivedEvent], count: usize) {
    let (key, bare) = (SecretKey::from_seed(&[3; 32]), SigningKey::from_bytes(&[3; 32]));
    let messages: Vec<Vec<u8>> = log.iter().map(ReceivedEvent::to_be_signed).collect();
    let floor = median(count, || messages.iter().for_each(|m| consume(bare.sign(m))));
    line("floor: Ed25519 sign", floor, None);
    let each = median(count, || {
        log.iter().for_each(|e| consume(ReceivedEvent::sign(e.header().clone(), None, None, &key)));
    });
    line("sign an event", each, Some(("Ed25519 sign", floor)));

    let public = bare.verifying_key();
    let signatures: Vec<_> = messages.iter().map(|m| bare.sign(m)).collect();
    let pairs = || messages.iter().zip(&signatures);
    let floor = median(count, || pairs().for_each(|(m, s)| public.verify_strict(m, s).unwrap()));
    line("floor: Ed25519 verify_strict", floor, None);
    let checked = CheckedKey::new(&log[0].header().author).unwrap();
    let each =
        median(count, || log.iter().for_each(|e| checked.verify(&e.to_be_signed(), e.signature().unwrap()).unwrap()));
    line("verify an event's own signature", each, Some(("verify_strict", floor)));
}

fn encoding(log: &[ReceivedEvent]) {
    let floor = median(log.len(), || log.iter().for_each(|e| consume(Sha256::digest(e.header_bytes()))));
    line("floor: SHA-256 of a header", floor, None);
    let each = median(log.len(), || log.iter().for_each(|e| consume(e.header().encode())));
    line("encode a header", each, Some(("SHA-256", floor)));
    let each = median(log.len(), || log.iter().for_each(|e| consume(Header::decode(e.header_bytes()).unwrap())));
    line("decode a header", each, Some(("SHA-256", floor)));
    let received = || {
        log.iter()
            .map(|e| ReceivedEvent::new(e.header_bytes().to_vec(), None, e.payload(Slot::Op).cloned(), None).unwrap())
    };
    let each = median(log.len(), || received().for_each(consume));
    line("decode, hash and match with its payload", each, Some(("SHA-256", floor)));
}

fn chains(log: &[ReceivedEvent]) {
    let floor = median(log.len(), || {
        let mut prev = [0u8; 32];
        for event in log {
            prev = Sha256::new().chain_update(prev).chain_update(event.header_bytes()).finalize().into();
        }
        black_box(prev);
    });
    line("floor: SHA-256 chain over the headers", floor, None);
    let frames: Vec<Vec<ReceivedEvent>> = log.chunks(1024).map(unsigned_but_last).collect();
    let each = median(log.len(), || {
        let (mut keys, mut join) = (KeyCache::default(), Join::Start);
        for frame in &frames {
            let run = frame.iter().map(|e| {
                let op = e.payload(Slot::Op).cloned();
                ReceivedEvent::new(e.header_bytes().to_vec(), e.signature().copied(), op, None).unwrap()
            });
            let proven = verify_run(join, run.collect(), &mut keys).unwrap();
            join = Join::After(proven.last().unwrap().event().head());
        }
    });
    line("decode and verify a chain, 1024 a signature", each, Some(("SHA-256 chain", floor)));
}

fn unsigned_but_last(frame: &[ReceivedEvent]) -> Vec<ReceivedEvent> {
    let parts = |(i, e): (usize, &ReceivedEvent)| {
        let signature = e.signature().copied().filter(|_| i + 1 == frame.len());
        ReceivedEvent::new(e.header_bytes().to_vec(), signature, e.payload(Slot::Op).cloned(), None).unwrap()
    };
    frame.iter().enumerate().map(parts).collect()
}

fn exports(district: &District, log: &[ReceivedEvent]) {
    let mut events = district.charter_events();
    events.extend_from_slice(log);
    for (name, signatures, count) in [
        ("needed signatures", Signatures::Needed, events.len()),
        ("all signatures", Signatures::All, events.len() / 20),
    ] {
        let file = export(district.federation(), &events[..count], signatures);
        let floor = median(count, || consume(Sha256::digest(&file)));
        line(&format!("floor: SHA-256 of the file, {name}"), floor, None);
        let each = median(count, || consume(verify_export(&file, Frontier::new()).unwrap()));
        line(&format!("verify an export file, {name}"), each, Some(("SHA-256 of the file", floor)));
    }
}

fn export(federation: EventId, events: &[ReceivedEvent], signatures: Signatures) -> Vec<u8> {
    let heads: Frontier = events.iter().map(|e| (e.header().log_id(), e.head())).collect();
    let (mut writer, mut file) = ExportWriter::start(Manifest::of(federation, 0, &heads), signatures).unwrap();
    for event in events {
        file.extend(writer.event(event, PiiScope::Covered).unwrap());
    }
    file.extend(writer.finish().unwrap());
    file
}
