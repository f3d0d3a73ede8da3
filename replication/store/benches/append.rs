//! Durable appends by 1 and by 64 clients, beside raw RocksDB that syncs the same bytes; then a store with many events:
//! how long it takes to open, and in how much memory.
//!
//! Rounds of ours and of the floors alternate, so that a disk whose mood changes changes them alike.
//!
//! ```text
//! cargo bench --workspace --bench append            # 5 rounds, then 1 M events
//! cargo bench --workspace --bench append -- --quick # 1 short round, then 20 k events
//! cargo bench --workspace --bench append -- --large # only the 1 M events
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use linli_core::chain::verify_single;
use linli_core::event::{ReceivedEvent, Slot, VerifiedEvent};
use linli_core::id::Stream;
use linli_core::sign::KeyCache;
use linli_core::testkit::Author;
use linli_store::{OpenOptions, Store};
use rocksdb::{ColumnFamilyDescriptor, DB, DBCompressionType, Options, WriteBatch, WriteOptions};

const PAYLOAD_BYTES: usize = 300;
const AUTHORS: usize = 50;
/// Events of one append while the large store is filled: what a frame holds.
const RUN: usize = 250;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--open") {
        return open_and_report(Path::new(&args[at + 1]));
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let (rounds, events) = if quick { (1, 20_000) } else { (5, 1_000_000) };
    if args.iter().any(|arg| arg == "--large") {
        return fill_and_open(events);
    }
    println!("\ndurable appends of one event of {PAYLOAD_BYTES} B, medians of {rounds} rounds");
    println!("{:<34} {:>11} {:>11} {:>9}", "", "events/s", "us/event", "of floor");
    for (clients, each) in [(1, if quick { 50 } else { 400 }), (64, if quick { 10 } else { 200 })] {
        compare(clients, each, rounds);
    }
    fill_and_open(events);
}

/// One client's events, one to an append, and the rows that they become.
struct Client {
    events: Vec<VerifiedEvent>,
    rows: Vec<Rows>,
}

/// Key, entry and payload as they stand on disk.
type Rows = (Vec<u8>, Vec<u8>, Vec<u8>);

fn clients(count: usize, each: usize) -> Vec<Client> {
    let mut keys = KeyCache::default();
    let mut client = |n: usize| {
        let events = Author::new(n as u16 + 1, "320508005", None).write_many(Stream::INCIDENTS, each, PAYLOAD_BYTES);
        let rows = events.iter().map(|event| rows(n as u32, event)).collect();
        Client { events: events.into_iter().map(|e| verify_single(e, &mut keys).unwrap()).collect(), rows }
    };
    (0..count).map(&mut client).collect()
}

fn rows(log: u32, event: &ReceivedEvent) -> Rows {
    let key = [&log.to_be_bytes()[..], &event.header().seq.to_be_bytes()].concat();
    let entry = [&[1], &event.signature().unwrap().as_bytes()[..], event.header_bytes()].concat();
    let payload = event.payload(Slot::Op).unwrap();
    (key, entry, [&payload.salt[..], &payload.bytes].concat())
}

fn compare(count: usize, each: usize, rounds: usize) {
    let clients = clients(count, each);
    let mut results = [vec![], vec![], vec![]];
    for _ in 0..rounds {
        results[0].push(ours(&clients));
        results[1].push(if count == 1 { every_client_syncs(&clients) } else { one_thread_syncs(&clients) });
        if count > 1 {
            results[2].push(every_client_syncs(&clients));
        }
    }
    let events = (count * each) as f64;
    let [ours, floor, own_groups] = results.map(median);
    let line = |name: String, span: Duration, ratio: Option<f64>| {
        let (per_second, micros) = (events / span.as_secs_f64(), span.as_secs_f64() * 1e6 / events);
        let ratio = ratio.map_or_else(|| "floor".into(), |r| format!("{:.0} %", r * 100.0));
        println!("{name:<34} {per_second:>11.0} {micros:>11.1} {ratio:>9}");
    };
    line(format!("{count} clients, Linli"), ours, Some(floor.as_secs_f64() / ours.as_secs_f64()));
    line(format!("{count} clients, raw RocksDB"), floor, None);
    if count > 1 {
        let ratio = floor.as_secs_f64() / own_groups.as_secs_f64();
        line(format!("{count} clients, RocksDB's own groups"), own_groups, Some(ratio));
    }
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// Every client on a thread of its own, each waiting for its event to be durable before it appends the next.
fn ours(clients: &[Client]) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    let events: Vec<_> = clients.iter().map(|client| client.events.clone()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in events {
            scope.spawn(|| {
                for event in client {
                    store.append(vec![vec![event]]).unwrap();
                }
            });
        }
    });
    begun.elapsed()
}

fn raw(dir: &Path) -> DB {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let family = |name| {
        let mut options = Options::default();
        options.set_write_buffer_size(8 << 20);
        options.set_compression_type(DBCompressionType::None);
        ColumnFamilyDescriptor::new(name, options)
    };
    DB::open_cf_descriptors(&options, dir, [family("entries"), family("op")]).unwrap()
}

fn put(db: &DB, batch: &mut WriteBatch, (key, entry, payload): &Rows) {
    batch.put_cf(db.cf_handle("entries").unwrap(), key, entry);
    batch.put_cf(db.cf_handle("op").unwrap(), key, payload);
}

fn sync(db: &DB, batch: WriteBatch) {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    db.write_opt(batch, &options).unwrap();
}

/// Every client writes and syncs for itself; RocksDB groups those that come together.
fn every_client_syncs(clients: &[Client]) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let db = raw(dir.path());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in clients {
            let db = &db;
            scope.spawn(move || {
                for rows in &client.rows {
                    let mut batch = WriteBatch::default();
                    put(db, &mut batch, rows);
                    sync(db, batch);
                }
            });
        }
    });
    begun.elapsed()
}

/// One thread takes what waits, writes it as one batch with one sync, and answers: group commit and nothing else.
fn one_thread_syncs(clients: &[Client]) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let db = raw(dir.path());
    let (requests, waiting): (Sender<(Rows, SyncSender<()>)>, Receiver<_>) = channel();
    let rows: Vec<_> = clients.iter().map(|client| client.rows.clone()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for client in rows {
            let requests = requests.clone();
            scope.spawn(move || {
                for rows in client {
                    let (answer, answered) = sync_channel(1);
                    requests.send((rows, answer)).unwrap();
                    answered.recv().unwrap();
                }
            });
        }
        drop(requests);
        while let Ok(first) = waiting.recv() {
            let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let mut batch = WriteBatch::default();
            group.iter().for_each(|(rows, _)| put(&db, &mut batch, rows));
            sync(&db, batch);
            group.iter().for_each(|(_, answer)| answer.send(()).unwrap());
        }
    });
    begun.elapsed()
}

/// Fills a store with frames of events that lean on later signatures, as catch-up does, and opens it in a new process.
fn fill_and_open(events: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), OpenOptions::default()).unwrap();
    let mut keys = KeyCache::default();
    let mut authors: Vec<Author> = (0..AUTHORS).map(|n| Author::new(n as u16 + 1, "320508005", None)).collect();
    let (mut appending, mut written) = (Duration::ZERO, 0);
    while written < events {
        for author in &mut authors {
            let run = author.write_many(Stream::INCIDENTS, RUN, PAYLOAD_BYTES);
            let run: Vec<VerifiedEvent> = run.into_iter().map(|e| verify_single(e, &mut keys).unwrap()).collect();
            written += run.len();
            let begun = Instant::now();
            store.append(vec![run]).unwrap();
            appending += begun.elapsed();
        }
    }
    drop(store);
    let per_second = written as f64 / appending.as_secs_f64() / 1000.0;
    println!("\n{written} events of {AUTHORS} authors, {RUN} to a durable append: {per_second:.0} k events/s");
    let status = Command::new(std::env::current_exe().unwrap()).arg("--open").arg(dir.path()).status().unwrap();
    assert!(status.success());
}

fn open_and_report(dir: &Path) {
    let begun = Instant::now();
    let store = Store::open(dir, OpenOptions::default()).unwrap();
    let opened = begun.elapsed();
    let (after_open, frontier) = (resident_mb(), store.frontier());
    let begun = Instant::now();
    let mut bytes = 0;
    for (log, head) in frontier.iter() {
        let mut next = 1;
        while next <= head.seq {
            let run = store.read_run(log, next, 2048, 256 << 10).unwrap();
            next += run.len() as u64;
            bytes += run.lent().map(|event| event.unwrap().op.unwrap().bytes.len()).sum::<usize>();
        }
    }
    let read = frontier.events() as f64 / begun.elapsed().as_secs_f64() / 1000.0;
    println!(
        "opened {} events in {:.0} ms, {after_open:.0} MB resident",
        frontier.events(),
        opened.as_secs_f64() * 1e3
    );
    println!("read all of them in runs for frames: {read:.0} k events/s, {:.0} MB resident", resident_mb());
    assert!(bytes > 0);
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0.0) / 1024.0
}
