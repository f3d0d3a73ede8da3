//! The backend on disk: RocksDB, tuned for appends, small memory and one WAL sync per group of writes.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, IteratorMode,
    Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::backend::{Backend, Batch, Pairs, prefix_end};
use crate::catalogue::{BLOCK_CACHE_BYTES, Family};
use crate::error::StoreError;

/// An open database.
pub struct Rocks {
    db: DB,
    read_only: bool,
}

impl Rocks {
    /// Opens or creates.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it, or what RocksDB says.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, StoreError> {
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families: Vec<_> =
            Family::ALL.iter().map(|f| ColumnFamilyDescriptor::new(f.name(), family_options(*f, &cache))).collect();
        let mut options = Options::default();
        options.create_if_missing(!read_only);
        options.create_missing_column_families(!read_only);
        options.set_max_open_files(256);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(2);
        options.set_max_total_wal_size(64 << 20);
        let opened = if read_only {
            DB::open_cf_descriptors_read_only(&options, path, families, false)
        } else {
            DB::open_cf_descriptors(&options, path, families)
        };
        let db = opened.map_err(|error| match error.to_string() {
            text if text.contains("lock") && !read_only => StoreError::InUse,
            text => StoreError::Backend(text),
        })?;
        Ok(Self { db, read_only })
    }

    fn family(&self, family: Family) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(family.name())
            .ok_or_else(|| StoreError::Damaged(format!("family {} is missing", family.name())))
    }
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(family.write_buffer_bytes());
    options.set_max_write_buffer_number(2);
    options.set_target_file_size_base(32 << 20);
    options.set_compression_type(DBCompressionType::None);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

fn failed(error: rocksdb::Error) -> StoreError {
    StoreError::Backend(error.to_string())
}

impl Backend for Rocks {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(family)?, key).map_err(failed)
    }

    fn range(&self, family: Family, from: &[u8], to: &[u8], limit: usize) -> Result<Pairs, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mode = IteratorMode::From(from, Direction::Forward);
        let pairs = self.db.iterator_cf_opt(self.family(family)?, options, mode).take(limit);
        pairs.map(|pair| pair.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(failed)).collect()
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

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let mut writes = WriteBatch::default();
        for (family, key, value) in batch.writes {
            match value {
                Some(value) => writes.put_cf(self.family(family)?, key, value),
                None => writes.delete_cf(self.family(family)?, key),
            }
        }
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
        self.db.flush_wal(true).map_err(failed)
    }

    fn clear(&self, family: Family) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.family(family)?, vec![], prefix_end(&[0xff]));
        self.db.write(batch).map_err(failed)
    }
}
