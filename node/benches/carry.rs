//! A bundle of everything, carried out of one node and into an empty one, each a process of its own, beside what the
//! same bytes cost without Linli: the file written and read, SHA-256 of each event, synced RocksDB batches.
//!
//! ```text
//! cargo bench --workspace --bench carry            # 100 k events of 300 B, 50 authors, 3 rounds
//! cargo bench --workspace --bench carry -- --quick # 2 k, 1 round
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use linli::carry::{incoming, outgoing, standing};
use linli::config::Config;
use linli::data_dir::DataDir;
use linli::enrolment::Enrolment;
use linli_core::chain::{Join, verify_run};
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::Stream;
use linli_core::sign::KeyCache;
use linli_core::testkit::network::Numbers;
use linli_core::testkit::{Author, District, Draft, record};
use linli_store::{OpenOptions, Store};
use sha2::{Digest, Sha256};

const AUTHORS: usize = 50;
const PAYLOAD_BYTES: usize = 300;
const VOLUME_BYTES: u64 = 16 << 20;
/// Any time: only the order matters here.
const NOW_MS: u64 = 1_780_000_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--step") {
        return step(&args[at + 1], &args[at + 2..]);
    }
    let (events, rounds) = if args.iter().any(|arg| arg == "--quick") { (2_000, 1) } else { (100_000, 3) };
    let home = tempfile::tempdir().unwrap();
    let logs = write_logs(events);
    let from = node_at(home.path(), 0);
    fill(&from, &logs);
    println!("\n{events} events of {PAYLOAD_BYTES} B, {AUTHORS} authors, {rounds} rounds, medians");
    let (mut floors, mut ratios, mut outs, mut ins, mut peaks) = (vec![], vec![], vec![], vec![], (0, 0));
    let mut stick_bytes = 0;
    for round in 0..rounds {
        let place = home.path().join(format!("round-{round}"));
        std::fs::create_dir_all(place.join("stick")).unwrap();
        let floor = Floor::measure(&logs, &place);
        let to = node_at(&place, 1);
        let request = place.join("request");
        standing::write(&to, &request, NOW_MS).unwrap();
        let (out, out_peak) = run_step("out", &[from.path(), &place.join("stick"), &request]);
        let volumes: Vec<PathBuf> =
            std::fs::read_dir(place.join("stick")).unwrap().map(|entry| entry.unwrap().path()).collect();
        stick_bytes = volumes.iter().map(|volume| volume.metadata().unwrap().len()).sum();
        let paths: Vec<&Path> = [to.path()].into_iter().chain(volumes.iter().map(PathBuf::as_path)).collect();
        let (taken, in_peak) = run_step("in", &paths);
        let (before, after) = (frontier(&from), frontier(&to));
        assert_eq!(before, after, "the receiver lacks something");
        ratios.push((out + taken).as_secs_f64() / floor.sum().as_secs_f64());
        floors.push(floor);
        outs.push(out);
        ins.push(taken);
        peaks = (peaks.0.max(out_peak), peaks.1.max(in_peak));
    }
    floors.sort_by_key(Floor::sum);
    ratios.sort_by(f64::total_cmp);
    let floor = &floors[rounds / 2];
    println!(
        "  floor {:>6.0} ms = file written {:.0} + read {:.0} + SHA-256 {:.0} + RocksDB synced {:.0}",
        ms(floor.sum()),
        ms(floor.written),
        ms(floor.read),
        ms(floor.sha256),
        ms(floor.rocksdb)
    );
    println!("  out   {:>6.0} ms, peak RSS {:.0} MB", ms(median(outs)), peaks.0 as f64 / 1e6);
    println!("  in    {:>6.0} ms, peak RSS {:.0} MB", ms(median(ins)), peaks.1 as f64 / 1e6);
    println!(
        "  ratio {:>6.2} x floor ({:.2} to {:.2}), {:.0} B/event on the stick ({:.2} x payload)",
        ratios[rounds / 2],
        ratios[0],
        ratios[rounds - 1],
        stick_bytes as f64 / events as f64,
        stick_bytes as f64 / (events * PAYLOAD_BYTES) as f64,
    );
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    spans[spans.len() / 2]
}

fn district() -> District {
    District::with_nodes(&["320508005", "320508006"])
}

/// The data directory of one of the district's nodes.
fn node_at(home: &Path, n: usize) -> DataDir {
    let (dir, district) = (DataDir::new(home.join(format!("node-{n}"))), district());
    dir.create().unwrap();
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(dir.path().join("keys/node.key"));
    file.unwrap().write_all(HEXLOWER.encode(&*district.nodes[n].key.to_seed()).as_bytes()).unwrap();
    Enrolment::establish(&dir, district.federation(), &district.charter_events(), &[]).unwrap();
    dir.api_token().unwrap();
    dir
}

/// One log per author, in the streams that carry most; payloads do not compress.
fn write_logs(events: usize) -> Vec<Vec<ReceivedEvent>> {
    let streams = [Stream::INCIDENTS, Stream::TEAMS, Stream::SUPPLIES, Stream::DRILLS, Stream::COMMUNITY];
    let (mut numbers, grant) = (Numbers::new(1), district().grants[0].id());
    let mut payload = move || {
        let filler: Vec<u8> = (0..PAYLOAD_BYTES - 6).map(|_| numbers.below(256) as u8).collect();
        let mut w = linli_core::cbor::Writer::new();
        w.map(1).text("x").bytes(&filler);
        w.into_bytes()
    };
    let mut write = |n: usize| {
        let mut author = Author::new(1000 + n as u16, "320508005", Some(grant));
        let stream = streams[n % streams.len()];
        let draft = |i| Draft::new(stream, "reported", Some(record(i as u64 / 4)));
        (0..events / AUTHORS).map(|i| author.write(Draft { op: Some(payload()), ..draft(i) })).collect()
    };
    (0..AUTHORS).map(&mut write).collect()
}

fn fill(dir: &DataDir, logs: &[Vec<ReceivedEvent>]) {
    let store = Store::open(&dir.store(), OpenOptions::default()).unwrap();
    for log in logs {
        let lean = |event: &ReceivedEvent| {
            let keep = event.header().seq.is_multiple_of(64) || event.header().seq == log.len() as u64;
            if keep { event.clone() } else { event.clone().without_signature() }
        };
        let run = verify_run(Join::Start, log.iter().map(lean).collect(), &mut KeyCache::default()).unwrap();
        store.append(vec![run]).unwrap();
    }
    store.close();
}

fn frontier(dir: &DataDir) -> [u8; 32] {
    Store::open_read_only(&dir.store()).unwrap().frontier().digest()
}

struct Floor {
    written: Duration,
    read: Duration,
    sha256: Duration,
    rocksdb: Duration,
}

impl Floor {
    fn sum(&self) -> Duration {
        self.written + self.read + self.sha256 + self.rocksdb
    }

    fn measure(logs: &[Vec<ReceivedEvent>], place: &Path) -> Self {
        let all: Vec<Vec<u8>> = logs.iter().flatten().map(bytes_of).collect();
        let joined = all.concat();
        let path = place.join("floor");
        let start = Instant::now();
        let mut file = File::create(&path).unwrap();
        joined.chunks(1 << 20).for_each(|chunk| file.write_all(chunk).unwrap());
        file.sync_all().unwrap();
        let written = start.elapsed();
        let start = Instant::now();
        assert_eq!(std::fs::read(&path).unwrap().len(), joined.len());
        let read = start.elapsed();

        let start = Instant::now();
        let odd = logs.iter().flatten().filter(|event| {
            let op = event.payload(Slot::Op).map_or(&[][..], |op| &op.bytes);
            (Sha256::digest(event.header_bytes())[0] ^ Sha256::digest(op)[0]) & 1 == 1
        });
        assert!(odd.count() > 0);
        let sha256 = start.elapsed();

        let db = rocksdb::DB::open_default(place.join("floor-db")).unwrap();
        let mut synced = rocksdb::WriteOptions::default();
        synced.set_sync(true);
        let start = Instant::now();
        for (n, chunk) in all.chunks(640).enumerate() {
            let mut batch = rocksdb::WriteBatch::default();
            for (i, value) in chunk.iter().enumerate() {
                batch.put(((n * 640 + i) as u64).to_be_bytes(), value);
            }
            db.write_opt(batch, &synced).unwrap();
        }
        Self { written, read, sha256, rocksdb: start.elapsed() }
    }
}

fn bytes_of(event: &ReceivedEvent) -> Vec<u8> {
    let op = event.payload(Slot::Op).map(|op| [&op.salt[..], &op.bytes].concat()).unwrap_or_default();
    [event.header_bytes(), &op].concat()
}

/// Runs one step in a process of its own: how long it took and its peak memory in bytes.
fn run_step(name: &str, paths: &[&Path]) -> (Duration, u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let child = command.args(["--step", name]).args(paths).stdout(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [micros, peak] = numbers[..] else { panic!("{text}") };
    (Duration::from_micros(micros), peak)
}

/// The child: one command from its first look at the directory to its last synced byte.
fn step(name: &str, paths: &[String]) {
    let dir = DataDir::new(paths[0].clone().into());
    let start = Instant::now();
    match name {
        "out" => {
            let (to, requests) = (PathBuf::from(&paths[1]), vec![PathBuf::from(&paths[2])]);
            let order = outgoing::Order { to, requests, volume_bytes: VOLUME_BYTES };
            assert!(outgoing::run(&dir, &order, NOW_MS).unwrap().events > 0);
        }
        _ => {
            let files: Vec<PathBuf> = paths[1..].iter().map(PathBuf::from).collect();
            // Nobody listens on this port: the store is opened directly.
            let config = Config { http: ([127, 0, 0, 1], 9).into(), ..Config::default() };
            let brought = incoming::run(&dir, &config, &files, NOW_MS).unwrap();
            assert!(brought.new > 0 && brought.code().is_none(), "{brought:?}");
        }
    }
    println!("{} {}", start.elapsed().as_micros(), peak_rss_bytes());
}

/// `VmHWM` of this process.
fn peak_rss_bytes() -> u64 {
    let mut status = String::new();
    File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
