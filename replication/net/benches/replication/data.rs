//! Signed logs as a district writes them, and stores that hold them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linli_core::cbor::Writer;
use linli_core::chain::{Join, verify_run, verify_single};
use linli_core::event::{Header, Payload, ReceivedEvent, Slot, VerifiedEvent};
use linli_core::frame::{PiiScope, encode_frame};
use linli_core::id::{EventId, Head, LogId, Stream};
use linli_core::limits::SIGNATURE_INTERVAL;
use linli_core::sign::{KeyCache, SecretKey};
use linli_core::testkit::network::Numbers;
use linli_core::testkit::{District, EPOCH_MS, area, key, record};
use linli_core::time::Hlc;
use linli_store::{OpenOptions, Store};

/// Bytes of an event's operational payload, its CBOR envelope included and its salt not.
pub const PAYLOAD_BYTES: usize = 300;
/// Events of one durable append while a store is written, and of one frame of the floor.
pub const RUN: usize = 640;

/// The streams that carry most.
const STREAMS: [Stream; 5] = [Stream::INCIDENTS, Stream::TEAMS, Stream::SUPPLIES, Stream::DRILLS, Stream::COMMUNITY];
/// A database that has not touched its tables for so long is done with merging them.
const QUIET: Duration = Duration::from_millis(300);
/// Keys of the testkit that are not those of the district's root and nodes.
const FIRST_AUTHOR: usize = 1000;
/// How many authors there are. Where there are more logs, each author has several, of one incarnation each.
const AUTHORS: usize = 50;

/// The district of both nodes, and of the authors: logs of authors without a grant are handed on to nobody.
pub fn district() -> District {
    let mut district = District::with_nodes(&["320508005", "320508006"]);
    let granted: Vec<_> = (0..AUTHORS).map(|n| district.grant_writer(&author(n), "320508005")).collect();
    district.grants.extend(granted);
    district
}

fn author(n: usize) -> SecretKey {
    key((FIRST_AUTHOR + n % AUTHORS) as u16)
}

/// Whoever writes one log, and how far the log has come.
#[derive(Clone)]
struct LogWriter {
    key: SecretKey,
    log: LogId,
    grant: EventId,
    head: Option<Head>,
    numbers: Numbers,
}

impl LogWriter {
    fn new(n: usize, grant: EventId) -> Self {
        let key = author(n);
        let stream = STREAMS[n % STREAMS.len()];
        let incarnation = 1 + (n / AUTHORS) as u64;
        let log = LogId { stream, author: key.public(), incarnation, area: area("320508005") };
        Self { key, log, grant, head: None, numbers: Numbers::new(n as u64) }
    }

    /// The next events. Signed where a store keeps signatures: at the end and at every 64th position; signing every one
    /// would take longer than all that is measured.
    fn write(&mut self, count: usize) -> Vec<VerifiedEvent> {
        let join = self.head.map_or(Join::Start, Join::After);
        let run = (1..=count).map(|n| self.event(n == count)).collect();
        verify_run(join, run, &mut KeyCache::default()).unwrap()
    }

    fn event(&mut self, last: bool) -> ReceivedEvent {
        let seq = self.head.map_or(1, |head| head.seq + 1);
        let payload = self.payload();
        let header = Header {
            author: self.log.author,
            incarnation: self.log.incarnation,
            area: self.log.area.clone(),
            stream: self.log.stream,
            seq,
            prev: self.head.map(|head| head.id),
            parents: vec![],
            record: Some(record(seq / 4)),
            kind: "reported".parse().unwrap(),
            time: Hlc::from_unix_ms(EPOCH_MS + seq * 1000),
            grant: Some(self.grant),
            op: Some(payload.slot_ref(Slot::Op)),
            pii: None,
        };
        let event = if last || seq.is_multiple_of(SIGNATURE_INTERVAL) {
            ReceivedEvent::sign(header, Some(payload), None, &self.key)
        } else {
            ReceivedEvent::new(header.encode(), None, Some(payload), None).unwrap()
        };
        self.head = Some(event.head());
        event
    }

    fn payload(&mut self) -> Payload {
        let mut random = vec![0; PAYLOAD_BYTES - 6];
        random.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.number()[..part.len()]));
        let mut w = Writer::new();
        w.map(1).text("x").bytes(&random);
        let mut salt = [0; 16];
        salt.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.number()));
        Payload { salt, bytes: w.into_bytes() }
    }

    fn number(&mut self) -> [u8; 8] {
        self.numbers.below(u64::MAX).to_le_bytes()
    }
}

/// Events as bytes, for floors.
pub struct Bytes {
    /// Header, salt and payload of each event, one event after another.
    pub rows: Vec<u8>,
    /// Where the header and the row of each event end.
    pub ends: Vec<[usize; 2]>,
    /// A file with the same events in frames: what has to cross the line.
    pub frames: PathBuf,
}

impl Bytes {
    fn begin(frames: PathBuf) -> Self {
        std::fs::write(&frames, []).unwrap();
        Self { rows: vec![], ends: vec![], frames }
    }

    fn add(&mut self, run: &[VerifiedEvent]) {
        for event in run.iter().map(VerifiedEvent::event) {
            let payload = event.payload(Slot::Op).unwrap();
            self.rows.extend_from_slice(event.header_bytes());
            let header_end = self.rows.len();
            self.rows.extend_from_slice(&payload.salt);
            self.rows.extend_from_slice(&payload.bytes);
            self.ends.push([header_end, self.rows.len()]);
        }
        let events: Vec<ReceivedEvent> = run.iter().map(|event| event.event().clone()).collect();
        let mut frames = std::fs::File::options().append(true).open(&self.frames).unwrap();
        frames.write_all(&encode_frame(&events, PiiScope::Covered)).unwrap();
    }

    /// How many events.
    pub fn events(&self) -> usize {
        self.ends.len()
    }
}

/// A store on disk that no process has open.
pub struct Stock {
    /// Its directory.
    pub path: PathBuf,
    /// Events in it, those of the charter included.
    pub events: u64,
    /// The events that were written last: all of them, or what [`Stock::extended`] added.
    pub bytes: Bytes,
    writers: Vec<LogWriter>,
}

impl Stock {
    /// The charter, and `events` events in `logs` logs of fifty authors, or of as many as there are logs.
    pub fn write(path: PathBuf, logs: usize, events: usize) -> Self {
        let store = Store::open(&path, OpenOptions::default()).unwrap();
        let (mut keys, district) = (KeyCache::default(), district());
        let charter = district.charter_events();
        let held = charter.len() as u64;
        store.append(vec![charter.into_iter().map(|e| verify_single(e, &mut keys).unwrap()).collect()]).unwrap();
        let writers = (0..logs).map(|n| LogWriter::new(n, district.grants[0].id())).collect();
        let bytes = Bytes::begin(path.with_extension("frames"));
        let mut stock = Self { path, events: held, bytes, writers };
        stock.grow(&store, 0..logs, events / logs);
        stock.settle(store);
        stock
    }

    /// A copy in which each of some logs has `each` more events.
    pub fn extended(&self, path: PathBuf, logs: std::ops::Range<usize>, each: usize) -> Self {
        copy(&self.path, &path);
        let store = Store::open(&path, OpenOptions::default()).unwrap();
        let bytes = Bytes::begin(path.with_extension("frames"));
        let mut stock = Self { path, events: self.events, bytes, writers: self.writers.clone() };
        stock.grow(&store, logs, each);
        stock.settle(store);
        stock
    }

    /// Logs grow in turn, as they do when people write side by side. A few small logs share an append.
    fn grow(&mut self, store: &Store, logs: std::ops::Range<usize>, each: usize) {
        let mut left: Vec<(usize, usize)> = logs.map(|log| (log, each)).collect();
        while !left.is_empty() {
            let logs_at_once = (RUN / left[0].1.min(RUN)).max(1);
            for group in left.chunks_mut(logs_at_once) {
                let mut runs = vec![];
                for (log, left) in group {
                    let run = self.writers[*log].write(RUN.min(*left));
                    *left -= run.len();
                    self.events += run.len() as u64;
                    self.bytes.add(&run);
                    runs.push(run);
                }
                store.append(runs).unwrap();
            }
            left.retain(|(_, left)| *left > 0);
        }
    }

    /// Opens the store once more, which moves what stands in its write-ahead log to where it stays, and waits until
    /// nothing is merged any more: from then on each opening finds the same, and serving is all that a server does.
    fn settle(&self, store: Store) {
        store.close();
        let store = Store::open(&self.path, OpenOptions::default()).unwrap();
        let (mut before, mut quiet_since) = (tables(&self.path), Instant::now());
        while quiet_since.elapsed() < QUIET {
            std::thread::sleep(QUIET / 10);
            let now = tables(&self.path);
            if now != before {
                (before, quiet_since) = (now, Instant::now());
            }
        }
        store.close();
    }

    /// The same store for a process that may write to it.
    pub fn lend(&self, path: &Path) {
        copy(&self.path, path);
    }
}

/// The table files of a store and their lengths: they change while the database merges them.
fn tables(path: &Path) -> BTreeMap<OsString, u64> {
    let files = std::fs::read_dir(path).unwrap().flatten();
    let tables = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "sst"));
    // One that was merged away meanwhile is as good as one that is not listed.
    tables.map(|file| (file.file_name(), file.metadata().map_or(0, |data| data.len()))).collect()
}

/// Copies a store. Its table files never change, so they are shared: copying them would leave the disk busy with
/// writing them out while something is measured.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.extension().is_some_and(|ending| ending == "sst") {
            std::fs::hard_link(from, to).unwrap();
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}
