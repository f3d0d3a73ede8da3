//! What the same bytes cost without us: their frames over TCP, SHA-256 of each event, RocksDB batches with a sync each,
//! one after another.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Add;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::data::{Bytes, RUN};
use crate::host::Lab;

/// Events in one RocksDB batch: what a large frame holds, about 320 kB. Each frame durable before the next is what an
/// implementer would choose who wants to lose little at a cut; larger batches would save syncs and nothing else.
const BATCH: usize = RUN;
/// Events in one batch of about 4 MiB, the most that our own door puts into one: on a disk where a sync takes long, syncs
/// that we save would otherwise look like speed.
const LARGE_BATCH: usize = 8_192;
/// How much is given to a socket at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// From the connection to the receiver's word that all has arrived.
    pub tcp: Duration,
    /// Header and payload of each event.
    pub sha256: Duration,
    /// All rows in batches, a sync after each.
    pub rocksdb: Duration,
    /// How many of them.
    pub syncs: usize,
    /// As `rocksdb`, in batches of 4 MiB. Not in the sum.
    pub rocksdb_large: Duration,
}

impl Floor {
    /// Measures all three; the database lies in `dir`, which must not exist.
    pub fn measure(lab: &Lab, bytes: &Bytes, dir: &Path) -> Self {
        let [(rocksdb, syncs), (rocksdb_large, _)] = [BATCH, LARGE_BATCH].map(|batch| {
            let written = rocksdb(bytes, batch, dir);
            std::fs::remove_dir_all(dir).unwrap();
            written
        });
        Self { tcp: tcp(lab, &bytes.frames), sha256: sha256(bytes), rocksdb, syncs, rocksdb_large }
    }

    /// The floor.
    pub fn sum(&self) -> Duration {
        self.tcp + self.sha256 + self.rocksdb
    }

    /// The floor of somebody who syncs as rarely as we do at most.
    pub fn sum_of_large_batches(&self) -> Duration {
        self.tcp + self.sha256 + self.rocksdb_large
    }
}

impl Add for Floor {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tcp: self.tcp + other.tcp,
            sha256: self.sha256 + other.sha256,
            rocksdb: self.rocksdb + other.rocksdb,
            syncs: self.syncs + other.syncs,
            rocksdb_large: self.rocksdb_large + other.rocksdb_large,
        }
    }
}

fn tcp(lab: &Lab, frames: &Path) -> Duration {
    let (mut receiver, mut sender) = (lab.b.start(), lab.a.start());
    let address = receiver.ask(&format!("receive {}", lab.b.address)).text("address").to_owned();
    Duration::from_micros(sender.ask(&format!("send {address} {}", frames.display())).number("micros"))
}

/// In the receiving process: takes everything from one connection, says so on it, and is done.
pub fn receive(address: &str) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let local = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        stream.write_all(b"!").unwrap();
    });
    local
}

/// In the sending process: how long until the receiver has said that it has everything.
pub fn send(address: &str, frames: &str) -> Duration {
    let bytes = std::fs::read(frames).unwrap();
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    bytes.chunks(CHUNK_BYTES).for_each(|chunk| stream.write_all(chunk).unwrap());
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    begun.elapsed()
}

fn sha256(bytes: &Bytes) -> Duration {
    let begun = Instant::now();
    let (mut from, mut odd) = (0, 0);
    for [header_end, end] in &bytes.ends {
        let (header, payload) = (&bytes.rows[from..*header_end], &bytes.rows[*header_end..*end]);
        odd += u32::from((Sha256::digest(header)[0] ^ Sha256::digest(payload)[0]) & 1);
        from = *end;
    }
    // So that nothing of it can be left out.
    assert!(std::hint::black_box(odd) as usize <= bytes.events());
    begun.elapsed()
}

fn rocksdb(bytes: &Bytes, batch_events: usize, dir: &Path) -> (Duration, usize) {
    let db = rocksdb::DB::open_default(dir).unwrap();
    let mut synced = rocksdb::WriteOptions::default();
    synced.set_sync(true);
    let begun = Instant::now();
    let (mut from, mut syncs) = (0, 0);
    for (n, ends) in bytes.ends.chunks(batch_events).enumerate() {
        let mut batch = rocksdb::WriteBatch::default();
        for (i, [_, end]) in ends.iter().enumerate() {
            batch.put(((n * batch_events + i) as u64).to_be_bytes(), &bytes.rows[from..*end]);
            from = *end;
        }
        db.write_opt(batch, &synced).unwrap();
        syncs += 1;
    }
    (begun.elapsed(), syncs)
}
