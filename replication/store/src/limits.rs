//! The bounds of the store, each with its reason.

use std::time::Duration;

/// Most logs in a store: a district of a thousand authors has some ten thousand, and each costs some 300 bytes of memory
/// here and as much in the engine. What is beyond is refused when it is written, never left out when it is read.
pub const LOGS_MAX: usize = 2_000_000;

/// How often somebody looks after an open store: whether its directory is still there, whether a write failed, whether the
/// heads file is old. A directory that was deleted is noticed within a second, and a look costs two system calls.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How old the heads file gets while events are written. After a crash, what was written before it is known to have been
/// here; a few seconds of work are what RocksDB's own log is trusted with alone.
pub const HEADS_EVERY: Duration = Duration::from_secs(10);

/// The heads file is left alone for so many times as long as its last writing took: with a million logs it has 100 MB,
/// and keeping it must not cost more than a hundredth of the disk's time.
pub const HEADS_REST: u32 = 100;

/// Most logs of which a peer's word that it has later events is kept: a node signs a handful of logs, and a peer that makes
/// heads up must not fill memory or a page.
pub const TOLD_LOGS_MAX: usize = 64;

/// Most peers whose word is kept: more than speak with a node in one run in most districts.
pub const TOLD_PEERS_MAX: usize = 64;

/// How long a peer's word that it has events of this node is believed while it brings none of them. An honest peer sends
/// them within seconds, over the slowest line a first piece within this; each piece gives it as long again. So somebody who
/// makes heads up keeps a node from being ready for so long, once in a run of its process.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether files were deleted under an open database: some hundred look-ups by name, which cost
/// less than a millisecond.
pub const FILES_EVERY: Duration = Duration::from_secs(5);

/// Most folders with damaged files that are kept: they hold disk space until a person removes them, and a disk that damages
/// files at each start must not be filled by that.
pub const KEPT_FOLDERS_MAX: usize = 3;

/// Free bytes without which a store is not opened for writing: RocksDB reserves 18 MB for its log of writes and 4 MB for its
/// list of files, and must be able to write what is in memory into a file.
pub const ROOM_BYTES_MIN: u64 = 32 << 20;

/// Bytes that are written to see whether a disk that refused a write takes one again: more than a file system finds in a
/// block that is already its own.
pub const PROBE_BYTES: usize = 1 << 20;

/// How long reads that began may go on before a database is not reopened this time. A read takes milliseconds.
pub const READERS_WAIT: Duration = Duration::from_secs(5);

/// How often it is looked whether they are over.
pub const READERS_WAIT_STEP: Duration = Duration::from_millis(2);

/// The first pause before a store is reopened after a failed write, and the longest: a disk that was freed is used again
/// within seconds, and one that stays broken costs next to nothing.
pub const REOPEN_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Rows that are read at each look, until all have been read once after a start: 20,000 a second find a damaged place in a
/// store of five million events within five minutes, for some hundredths of a core.
pub const ROWS_AT_A_LOOK: usize = 10_000;
