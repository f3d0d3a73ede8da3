//! Catch-up of an empty node from a full one: two processes, real sockets on loopback, the receiver durable in RocksDB.
//!
//! Printed beside floors measured in the same run on the same bytes: raw TCP, SHA-256 of each event, synced RocksDB
//! batches. Payloads do not compress, so bytes on the wire are a worst case.
//!
//! ```text
//! cargo bench --workspace --bench catch_up            # 20 k and 100 k events of 300 B, 50 authors
//! cargo bench --workspace --bench catch_up -- --quick # 2 k
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use linli_core::chain::{Join, verify_run, verify_single};
use linli_core::charter::Charter;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::Stream;
use linli_core::sign::KeyCache;
use linli_core::testkit::network::Numbers;
use linli_core::testkit::{Author, District, Draft, record};
use linli_net::{Mesh, MeshConfig, MeshNode};
use linli_store::{OpenOptions, Store};
use prometheus::Registry;
use sha2::{Digest, Sha256};

const AUTHORS: usize = 50;
const PAYLOAD_BYTES: usize = 300;
const TRANSPORTS: [(&str, &str); 2] = [("tcp", "/ip4/127.0.0.1/tcp/0"), ("quic", "/ip4/127.0.0.1/udp/0/quic-v1")];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--receive") {
        return receive(&args[at + 1], args[at + 2].parse().unwrap());
    }
    let sizes: &[usize] = if args.iter().any(|arg| arg == "--quick") { &[2_000] } else { &[20_000, 100_000] };
    for &events in sizes {
        let logs = write_logs(events);
        let floor = Floor::measure(&logs);
        println!("\n{events} events of {PAYLOAD_BYTES} B, {AUTHORS} authors, {:.1} MB stored", mb(stored_bytes(&logs)));
        println!(
            "  floor  {:>6.0} ms = TCP {:.0} + SHA-256 {:.0} + RocksDB synced {:.0}",
            ms(floor.sum()),
            ms(floor.tcp),
            ms(floor.sha256),
            ms(floor.rocksdb)
        );
        for (name, listen) in TRANSPORTS {
            let result = catch_up(&logs, events, listen);
            println!(
                "  {name:<5}  {:>6.0} ms = {:.2} x floor, {:.0} k events/s, {:.0} B/event on the wire ({:.2} x payload), receiver peak RSS {:.0} MB",
                ms(result.elapsed),
                result.elapsed.as_secs_f64() / floor.sum().as_secs_f64(),
                events as f64 / result.elapsed.as_secs_f64() / 1000.0,
                result.wire_bytes as f64 / events as f64,
                result.wire_bytes as f64 / (events * PAYLOAD_BYTES) as f64,
                result.peak_rss_bytes as f64 / 1e6,
            );
        }
    }
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// One log per author, in the streams that carry most.
fn write_logs(events: usize) -> Vec<Vec<ReceivedEvent>> {
    let streams = [Stream::INCIDENTS, Stream::TEAMS, Stream::SUPPLIES, Stream::DRILLS, Stream::COMMUNITY];
    let mut numbers = Numbers::new(1);
    let mut write = |n: usize| {
        let mut author = Author::new(1000 + n as u16, "320508005", Some(district().grants[0].id()));
        let stream = streams[n % streams.len()];
        let mut payload = || {
            let filler: Vec<u8> = (0..PAYLOAD_BYTES - 6).map(|_| numbers.below(256) as u8).collect();
            let mut w = linli_core::cbor::Writer::new();
            w.map(1).text("x").bytes(&filler);
            w.into_bytes()
        };
        (0..events / AUTHORS)
            .map(|i| {
                author
                    .write(Draft { op: Some(payload()), ..Draft::new(stream, "reported", Some(record(i as u64 / 4))) })
            })
            .collect()
    };
    (0..AUTHORS).map(&mut write).collect()
}

fn district() -> District {
    District::with_nodes(&["320508005", "320508006"])
}

fn stored_bytes(logs: &[Vec<ReceivedEvent>]) -> usize {
    logs.iter().flatten().map(|event| bytes_of(event).len()).sum()
}

fn bytes_of(event: &ReceivedEvent) -> Vec<u8> {
    let op = event.payload(Slot::Op).map(|op| [&op.salt[..], &op.bytes].concat()).unwrap_or_default();
    [event.header_bytes(), &op].concat()
}

struct Floor {
    tcp: Duration,
    sha256: Duration,
    rocksdb: Duration,
}

impl Floor {
    fn sum(&self) -> Duration {
        self.tcp + self.sha256 + self.rocksdb
    }

    fn measure(logs: &[Vec<ReceivedEvent>]) -> Self {
        let all: Vec<Vec<u8>> = logs.iter().flatten().map(bytes_of).collect();
        let joined = all.concat();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let start = Instant::now();
        let sender = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            joined.chunks(256 * 1024).for_each(|chunk| stream.write_all(chunk).unwrap());
        });
        std::io::copy(&mut listener.accept().unwrap().0, &mut std::io::sink()).unwrap();
        sender.join().unwrap();
        let tcp = start.elapsed();

        let start = Instant::now();
        let odd = logs.iter().flatten().filter(|event| {
            let op = event.payload(Slot::Op).map_or(&[][..], |op| &op.bytes);
            (Sha256::digest(event.header_bytes())[0] ^ Sha256::digest(op)[0]) & 1 == 1
        });
        assert!(odd.count() > 0);
        let sha256 = start.elapsed();

        let dir = tempfile::tempdir().unwrap();
        let db = rocksdb::DB::open_default(dir.path()).unwrap();
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
        Self { tcp, sha256, rocksdb: start.elapsed() }
    }
}

struct CatchUp {
    elapsed: Duration,
    wire_bytes: u64,
    peak_rss_bytes: u64,
}

/// Serves the logs from this process to a child that starts empty.
fn catch_up(logs: &[Vec<ReceivedEvent>], events: usize, listen: &str) -> CatchUp {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("sender"), OpenOptions::default()).unwrap();
    let mut keys = KeyCache::default();
    let charter =
        district().charter_events().into_iter().map(|event| verify_single(event, &mut keys).unwrap()).collect();
    store.append(vec![charter]).unwrap();
    for log in logs {
        let lean = |event: &ReceivedEvent| {
            let keep = event.header().seq.is_multiple_of(64) || event.header().seq == log.len() as u64;
            if keep { event.clone() } else { event.clone().without_signature() }
        };
        let run = verify_run(Join::Start, log.iter().map(lean).collect(), &mut KeyCache::default()).unwrap();
        store.append(vec![run]).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = MeshConfig { listen: vec![listen.parse().unwrap()], ..MeshConfig::default() };
    let mesh = runtime.block_on(Mesh::spawn(config, node(0, store))).unwrap();
    let address = mesh.listen_addrs()[0].to_string();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--receive", &address, &(events + 3).to_string()])
        .env("LINLI_BENCH_DIR", dir.path().join("receiver"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    runtime.block_on(mesh.shutdown());
    let numbers: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let [micros, wire_bytes, peak_rss_bytes] = numbers[..] else { panic!("{line}") };
    CatchUp { elapsed: Duration::from_micros(micros), wire_bytes, peak_rss_bytes }
}

fn node(n: usize, store: Store) -> MeshNode {
    let district = district();
    let charter = Arc::new(Charter::evaluate(district.federation(), &district.charter_events()));
    let credentials = vec![district.genesis.clone(), district.grants[n].clone()];
    MeshNode {
        key: district.nodes[n].key.clone(),
        store,
        federation: district.federation(),
        charter: Arc::new(move || Arc::clone(&charter)),
        credentials: Arc::new(move || credentials.clone()),
        registry: Registry::new(),
    }
}

/// The child: from the first connection to the last durable event.
fn receive(address: &str, events: u64) {
    let dir = std::env::var("LINLI_BENCH_DIR").unwrap();
    let store = Store::open(Path::new(&dir), OpenOptions::default()).unwrap();
    let (done_sender, done) = std::sync::mpsc::channel();
    let watched = std::sync::Mutex::new(std::collections::BTreeMap::new());
    store.on_append(Box::new(move |heads| {
        let mut watched = watched.lock().unwrap();
        watched.extend(heads.iter().map(|(log, head)| (log.clone(), head.seq)));
        if watched.values().sum::<u64>() >= events {
            let _ = done_sender.send(Instant::now());
        }
    }));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let node = node(1, store);
    let registry = node.registry.clone();
    let (start, finish) = runtime.block_on(async {
        let mesh = Mesh::spawn(MeshConfig::default(), node).await.unwrap();
        let mut told = mesh.events();
        mesh.add_peer(address.parse().unwrap()).await.unwrap();
        told.recv().await.unwrap();
        let start = Instant::now();
        let finish = tokio::task::spawn_blocking(move || done.recv_timeout(Duration::from_secs(300))).await.unwrap();
        let finish = finish.expect("the catch-up ends");
        mesh.shutdown().await;
        (start, finish)
    });
    let families = registry.gather();
    let received = families.iter().find(|family| family.name() == "linli_mesh_received_bytes_total").unwrap();
    let wire_bytes = received.get_metric()[0].get_counter().get_value() as u64;
    println!("{} {wire_bytes} {}", finish.duration_since(start).as_micros(), peak_rss_bytes());
}

/// `VmHWM` of this process.
fn peak_rss_bytes() -> u64 {
    let mut status = String::new();
    std::fs::File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
