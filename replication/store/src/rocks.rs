//! The backend on disk: RocksDB, tuned for appends, small memory and one WAL sync per group of writes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRawIterator,
    DBRecoveryMode, Direction, ErrorKind, FlushOptions, IteratorMode, LruCacheOptions, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use crate::backend::{Backend, Batch, Visit, Walk, prefix_end};
use crate::catalogue::{BLOCK_CACHE_BYTES, COMPRESSION_LEVEL, DISK_FORMAT, Family, META_FORMAT};
use crate::error::StoreError;

/// Bits of a filter for each key: one look-up in a hundred of what is not there reads a block in vain.
const FILTER_BITS_A_KEY: f64 = 10.0;
/// The block cache is in four parts. What is larger than a part is never kept: left to itself RocksDB makes parts of half a
/// megabyte, and the filter of a file of 32 MB is larger, so that each look-up of an act would read it anew.
const CACHE_SHARD_BITS: i32 = 2;
/// How often a read-only open is tried beside a process that writes.
const READ_ONLY_ATTEMPTS: u32 = 100;
/// How long a writer that is flushing is given before the next attempt.
const READ_ONLY_PAUSE: Duration = Duration::from_millis(20);

/// Threads that open files, for each family anew. RocksDB's own default is 16, which starts 150 threads for a store of a
/// few files.
const OPENING_THREADS: i32 = 1;

/// The family that RocksDB makes by itself; nothing is in it.
const DEFAULT_FAMILY: &str = "default";

/// RocksDB's own default; zstd does not look at it.
const ZSTD_WINDOW_BITS: i32 = -14;

/// An open database.
pub struct Rocks {
    db: DB,
    read_only: bool,
    cache: Cache,
    /// What was found damaged in its write-ahead logs: what stood behind that place is not here.
    pub damage: Option<String>,
    /// Whether derived families were thrown away, because their files could not be opened.
    pub has_renewed: bool,
}

/// A database that was opened for writing, and what was found on the way.
struct Opened {
    db: DB,
    damage: Option<String>,
    has_renewed: bool,
}

impl Rocks {
    /// Opens or creates.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, or what RocksDB says.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        refuse_unknown_families(path)?;
        let cache = block_cache();
        let Opened { db, damage, has_renewed } = match read_only {
            true => Opened { db: open_beside_a_writer(path, &cache)?, damage: None, has_renewed: false },
            false => open_for_writing(path, &cache)?,
        };
        Ok(Self { db, read_only, cache, damage, has_renewed })
    }

    /// Throws a family away with all its files, readable or not, and begins it anew.
    ///
    /// # Errors
    /// When it was opened for reading only, or RocksDB refuses.
    pub fn renew(&mut self, family: Family) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        // It is missing if the last attempt ended between the two steps.
        if self.db.cf_handle(family.name()).is_some() {
            self.db.drop_cf(family.name()).map_err(failed)?;
        }
        self.db.create_cf(family.name(), &family_options(family, &self.cache)).map_err(failed)
    }

    /// The tables in force and the families that they are of.
    ///
    /// # Errors
    /// When RocksDB does not say.
    pub fn tables(&self) -> Result<Vec<(String, Option<Family>)>, StoreError> {
        let files = self.db.live_files().map_err(failed)?.into_iter();
        let named = |name: &str| name.trim_start_matches('/').to_owned();
        Ok(files.map(|file| (named(&file.name), Family::named(&file.column_family_name))).collect())
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| StoreError::Damaged(format!("family {} is missing", family.name())))
    }
}

/// What both ways to open have in common. At most so many files are held open, or all of them for -1.
fn opening(files_max: i32) -> Options {
    let mut options = Options::default();
    options.set_max_open_files(files_max);
    options.set_max_file_opening_threads(OPENING_THREADS);
    options
}

/// Gives the database, and what was found damaged in its write-ahead logs.
///
/// First in the mode in which RocksDB refuses anything but an unfinished last write, as a power cut leaves it. Its default
/// would open and be silent. Where it refuses, what stands before the damage is still opened, for a node that shows most
/// of what it had and fetches the rest from others helps more than one that does not start; but then somebody knows.
fn open_for_writing(path: &Path, cache: &Cache) -> Result<Opened, StoreError> {
    let attempt = |mode| {
        let mut options = opening(256);
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(2);
        options.set_max_total_wal_size(64 << 20);
        options.set_wal_recovery_mode(mode);
        DB::open_cf_descriptors(&options, path, described(families(cache)))
    };
    let mut attempted = attempt(DBRecoveryMode::TolerateCorruptedTailRecords);
    let mut has_renewed = false;
    if let Err(error) = &attempted
        && may_be_of_a_table(error)
        && is_whole_without_derived(path, cache)
    {
        tracing::warn!(%error, "files of what is derived from the logs cannot be opened: they are thrown away");
        throw_derived_away(path, cache)?;
        has_renewed = true;
        attempted = attempt(DBRecoveryMode::TolerateCorruptedTailRecords);
    }
    match attempted {
        Ok(db) => Ok(Opened { db, damage: None, has_renewed }),
        Err(error) if error.kind() == ErrorKind::Corruption => {
            let damage = error.to_string();
            let db = attempt(DBRecoveryMode::PointInTime).map_err(failed)?;
            Ok(Opened { db, damage: Some(damage), has_renewed })
        }
        Err(error) => Err(failed(error)),
    }
}

/// A table that cannot be opened is called damaged, or a file that is not there.
fn may_be_of_a_table(error: &rocksdb::Error) -> bool {
    let is_damage = error.kind() == ErrorKind::Corruption;
    is_damage || (error.kind() == ErrorKind::IOError && error.to_string().contains(".sst"))
}

/// Whether everything opens but what is derived. Looks as strictly as an opening for writing does, and changes nothing.
fn is_whole_without_derived(path: &Path, cache: &Cache) -> bool {
    let mut options = opening(256);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let is_kept = |(name, _): &(&str, Options)| !Family::named(name).is_some_and(Family::is_derived);
    let kept = families(cache).into_iter().filter(is_kept);
    DB::open_cf_descriptors_read_only(&options, path, described(kept), false).is_ok()
}

/// Opens a database although tables of it are damaged, and throws the derived families away with theirs. To be called only
/// where everything else is known to be whole, for this way of opening looks at nothing closely.
fn throw_derived_away(path: &Path, cache: &Cache) -> Result<(), StoreError> {
    let mut options = opening(256);
    options.set_paranoid_checks(false);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let resting = families(cache).into_iter().map(|(name, mut family)| {
        family.set_disable_auto_compactions(true);
        (name, family)
    });
    let mut db = DB::open_cf_descriptors(&options, path, described(resting)).map_err(failed)?;
    let mut derived = Family::ALL.into_iter().filter(|family| family.is_derived());
    derived.try_for_each(|family| db.drop_cf(family.name()).map_err(failed))
}

/// RocksDB reads the manifest first and the write-ahead logs after it. If a writer flushes in between, the log with the
/// flushed writes is gone and they are missing in the middle of what we see, without any error. So an attempt counts
/// only if neither the manifest nor the set of logs has changed meanwhile. Once open, every file is held open, and
/// deleted ones stay readable.
fn open_beside_a_writer(path: &Path, cache: &Cache) -> Result<DB, StoreError> {
    let options = opening(-1);
    let mut refused = StoreError::Backend("a process writes too busily to be read beside; try again".into());
    for _ in 0..READ_ONLY_ATTEMPTS {
        let before = files_in_force(path);
        // An earlier version of this program has not made every family; whoever only reads does not need those.
        let made = DB::list_cf(&options, path).ok();
        let is_made =
            |(family, _): &(&str, Options)| made.as_ref().is_none_or(|made| made.iter().any(|name| name == family));
        let families = families(cache).into_iter().filter(is_made);
        match DB::open_cf_descriptors_read_only(&options, path, described(families), false) {
            Ok(db) if before.is_some() && before == files_in_force(path) => return Ok(db),
            Ok(_) => {}
            Err(error) => refused = failed(error),
        }
        std::thread::sleep(READ_ONLY_PAUSE);
    }
    Err(refused)
}

/// The manifest, its length, and the write-ahead logs: they change with every flush and merge.
fn files_in_force(path: &Path) -> Option<(String, u64, BTreeSet<OsString>)> {
    let manifest = std::fs::read_to_string(path.join("CURRENT")).ok()?;
    let len = std::fs::metadata(path.join(manifest.trim_end())).ok()?.len();
    let names = std::fs::read_dir(path).ok()?.map(|entry| entry.map(|entry| entry.file_name()));
    let names: Vec<OsString> = names.collect::<Result<_, _>>().ok()?;
    let logs = names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|ext| ext == "log"));
    Some((manifest, len, logs.collect()))
}

fn block_cache() -> Cache {
    let mut shared = LruCacheOptions::default();
    shared.set_capacity(BLOCK_CACHE_BYTES);
    shared.set_num_shard_bits(CACHE_SHARD_BITS);
    Cache::new_lru_cache_opts(&shared)
}

fn families(cache: &Cache) -> Vec<(&'static str, Options)> {
    let ours = Family::ALL.iter().map(|f| (f.name(), family_options(*f, cache)));
    // RocksDB always has this one, and reserves room on disk by the largest buffer of all families: with its own options
    // that were 64 MB at each start.
    ours.chain([(DEFAULT_FAMILY, family_options(Family::Meta, cache))]).collect()
}

fn described(families: impl IntoIterator<Item = (&'static str, Options)>) -> Vec<ColumnFamilyDescriptor> {
    families.into_iter().map(|(name, options)| ColumnFamilyDescriptor::new(name, options)).collect()
}

/// RocksDB would refuse families that we do not name with words that help nobody. They come from a newer program, and
/// the on-disk version beside them says which.
fn refuse_unknown_families(path: &Path) -> Result<(), StoreError> {
    let options = Options::default();
    // Where nothing is stored yet there is no list of families, and opening says what is wrong with the path.
    let Ok(names) = DB::list_cf(&options, path) else { return Ok(()) };
    let known = |name: &String| name == DEFAULT_FAMILY || Family::ALL.iter().any(|family| family.name() == name);
    let Some(unknown) = names.iter().find(|name| !known(name)) else { return Ok(()) };
    let db = DB::open_cf_for_read_only(&options, path, [Family::Meta.name()], false).map_err(failed)?;
    let meta = db.cf_handle(Family::Meta.name()).ok_or_else(|| StoreError::Damaged("no family meta".into()))?;
    let version = db.get_cf(meta, META_FORMAT).map_err(failed)?.and_then(|bytes| bytes.try_into().ok());
    match version.map(u32::from_be_bytes) {
        Some(found) if found > DISK_FORMAT => Err(StoreError::NewerFormat { found, known: DISK_FORMAT }),
        _ => Err(StoreError::Damaged(format!("a column family {unknown} that no version of this program writes"))),
    }
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_block_size(family.block_bytes());
    if family.is_asked_for_what_is_not_there() {
        table.set_bloom_filter(FILTER_BITS_A_KEY, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(family.write_buffer_bytes());
    options.set_max_write_buffer_number(2);
    options.set_level_zero_file_num_compaction_trigger(family.files_before_a_merge());
    options.set_target_file_size_base(32 << 20);
    options.set_compression_type(DBCompressionType::None);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_bottommost_compression_options(ZSTD_WINDOW_BITS, COMPRESSION_LEVEL, 0, 0, true);
    options
}

fn failed(error: rocksdb::Error) -> StoreError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Corruption => StoreError::Damaged(text),
        ErrorKind::IOError if is_held(&text) => StoreError::InUse,
        _ => StoreError::Backend(text),
    }
}

/// What RocksDB says when another process, or this one, has the database open. A path may have any words in it, so that
/// its beginning and its end count.
fn is_held(text: &str) -> bool {
    let by_another =
        text.starts_with("IO error: While lock file: ") && text.ends_with("Resource temporarily unavailable");
    by_another || text.starts_with("IO error: lock hold by current process")
}

/// A RocksDB iterator that knows its end.
struct Steps<'d>(DBRawIterator<'d>);

impl Walk for Steps<'_> {
    fn pair(&self) -> Option<(&[u8], &[u8])> {
        self.0.item()
    }

    fn step(&mut self) -> Result<(), StoreError> {
        // Past its end or after an error an iterator must not be moved.
        if self.0.valid() {
            self.0.next();
        }
        self.0.status().map_err(failed)
    }
}

impl Backend for Rocks {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(family)?, key).map_err(failed)
    }

    fn walks(&self, families: &[Family], from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut walks: Vec<Box<dyn Walk + '_>> = vec![];
        for family in families {
            let mut options = ReadOptions::default();
            options.set_iterate_upper_bound(to);
            let mut iterator = self.db.raw_iterator_cf_opt(self.family(*family)?, options);
            iterator.seek(from);
            iterator.status().map_err(failed)?;
            walks.push(Box::new(Steps(iterator)));
        }
        visit(&mut walks)
    }

    fn last(&self, family: Family, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        let mode = IteratorMode::From(to, Direction::Reverse);
        for pair in self.db.iterator_cf_opt(self.family(family)?, options, mode) {
            let (key, _) = pair.map_err(failed)?;
            if *key < *to {
                return Ok(Some(key.into_vec()));
            }
        }
        Ok(None)
    }

    fn write(&self, batch: Batch<'_>, durable: bool) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        // Families are found by name; a group commit would look the same few up thousands of times.
        let mut handles: [Option<&ColumnFamily>; Family::ALL.len()] = [None; Family::ALL.len()];
        let mut writes = WriteBatch::with_capacity_bytes(batch.size_bytes());
        batch.each(|family, key, value| {
            let handle = match handles[family as usize] {
                Some(handle) => handle,
                None => *handles[family as usize].insert(self.family(family)?),
            };
            match value {
                Some(value) => writes.put_cf(handle, key, value),
                None => writes.delete_cf(handle, key),
            }
            Ok::<(), StoreError>(())
        })?;
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        self.db.write_opt(writes, &options).map_err(failed)
    }

    fn purge(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let handle = self.family(family)?;
        self.db.flush_cf(handle).map_err(failed)?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(handle, Some(from), Some(to), &options);
        // The deleted bytes also stood in write-ahead logs; flushing every family lets RocksDB drop those.
        for family in Family::ALL {
            self.db.flush_cf(self.family(family)?).map_err(failed)?;
        }
        // Files that nobody needs any more are deleted in the background; this deletes them before it returns.
        self.db.disable_file_deletions().map_err(failed)?;
        self.db.enable_file_deletions().map_err(failed)
    }

    fn settle(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Ok(());
        }
        let families: Vec<&ColumnFamily> = Family::ALL.iter().map(|f| self.family(*f)).collect::<Result<_, _>>()?;
        self.db.flush_cfs_opt(&families, &FlushOptions::default()).map_err(failed)
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.family(family)?, vec![], prefix_end(&[0xff]));
        self.db.write(batch).map_err(failed)
    }
}
