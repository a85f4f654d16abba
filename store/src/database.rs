//! One RocksDB: small buffers, no threads or files more than needed, and one place where writing can fail.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    Direction, ErrorKind, InfoLogger, IteratorMode, LogLevel, Options, WriteBatch, WriteOptions,
};

use crate::error::{CommitError, ReadError};

/// Blocks of both databases together.
const CACHE_BYTES: usize = 8 << 20;
/// Changes of one family in memory before they are written as a table. A member writes little.
const WRITE_BUFFER_BYTES: usize = 2 << 20;
/// Log that a start may have to replay.
const LOG_BYTES: u64 = 8 << 20;
/// Table files open at once, of each database.
const OPEN_FILES: i32 = 64;
/// RocksDB's list of its files is rewritten beyond this.
const FILE_LIST_BYTES: usize = 1 << 20;
/// A value; a limit against mistakes. The largest one is the settled state: ten thousand members with all their labels and
/// addresses, and a thousand applications with all their hooks and patterns, are some 150 MB. What is settled must be
/// kept, or every member would end over it, again after each start.
pub(crate) const VALUE_BYTES: usize = 256 << 20;
/// A key: a path with an application's name is the longest.
pub(crate) const KEY_BYTES: usize = 4 << 10;

/// Whether a database may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Creation {
    /// Make it if it is not there.
    IfMissing,
    /// It must be there.
    Never,
}

/// An open database.
pub(crate) struct Database {
    db: DB,
    path: PathBuf,
    /// A write failed: what is on disk is unknown until the next start.
    failed: AtomicBool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.path).finish()
    }
}

/// A database was not opened.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system failed; the files may be good.
    System(std::io::Error),
    /// The files are not good.
    Damaged(String),
}

/// The cache that all databases of a store share.
pub(crate) fn cache() -> Cache {
    Cache::new_lru_cache(CACHE_BYTES)
}

impl Database {
    /// Opens with every check that RocksDB has. Replaying the log stops at the first damage, so who must not lose
    /// anything has to look at the log before ([`log`](crate::log)) and at what is there after.
    pub(crate) fn open(
        path: &Path,
        families: &[&str],
        cache: &Cache,
        creation: Creation,
    ) -> Result<Self, Failure> {
        let mut options = options();
        options.create_if_missing(creation == Creation::IfMissing);
        options.create_missing_column_families(true);
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_max_total_wal_size(LOG_BYTES);
        let descriptors =
            families.iter().map(|name| ColumnFamilyDescriptor::new(*name, family_options(cache)));
        Self::opened(path, DB::open_cf_descriptors(&options, path, descriptors))
    }

    /// Opens without locking or writing anything, also while another process has it open: what is there now.
    pub(crate) fn look(path: &Path, families: &[&str], cache: &Cache) -> Result<Self, Failure> {
        let descriptors =
            families.iter().map(|name| ColumnFamilyDescriptor::new(*name, family_options(cache)));
        Self::opened(path, DB::open_cf_descriptors_read_only(&options(), path, descriptors, false))
    }

    fn opened(path: &Path, db: Result<DB, rocksdb::Error>) -> Result<Self, Failure> {
        match db {
            Ok(db) => Ok(Self { db, path: path.to_owned(), failed: AtomicBool::new(false) }),
            Err(error) if matches!(error.kind(), ErrorKind::IOError | ErrorKind::Busy) => {
                Err(Failure::System(std::io::Error::other(error.into_string())))
            }
            Err(error) => Err(Failure::Damaged(error.into_string())),
        }
    }

    /// Writes durably, all of it or nothing. The first failure is final.
    pub(crate) fn write_synced(&self, batch: WriteBatch) -> Result<(), CommitError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(CommitError::Fatal("an earlier write failed".into()));
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(|error| {
            self.failed.store(true, Ordering::Release);
            CommitError::Fatal(format!("{}: {error}", self.path.display()))
        })
    }

    /// Writes past the log, so that every write in the log is a synced one: lost if the process is killed before
    /// the family's memory is written out, which [`Self::write_out`] asks for.
    pub(crate) fn write_unlogged(&self, batch: WriteBatch) -> Result<(), CommitError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(|error| CommitError::Cache(error.into_string()))
    }

    /// Has a family's memory written to disk, in the background.
    pub(crate) fn write_out(&self, family: &str) -> Result<(), CommitError> {
        let mut options = rocksdb::FlushOptions::default();
        options.set_wait(false);
        self.db
            .flush_cf_opt(self.family(family), &options)
            .map_err(|error| CommitError::Cache(error.into_string()))
    }

    /// One value.
    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.db.get_cf(self.family(family), key).map_err(|error| failed(&error))
    }

    /// Visits pairs from a key on, in order, while `visit` says so.
    pub(crate) fn visit(
        &self,
        family: &str,
        from: &[u8],
        mut visit: impl FnMut(Box<[u8]>, Box<[u8]>) -> bool,
    ) -> Result<(), ReadError> {
        let mode = IteratorMode::From(from, Direction::Forward);
        for pair in self.db.iterator_cf(self.family(family), mode) {
            let (key, value) = pair.map_err(|error| failed(&error))?;
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    /// The last key of a family.
    pub(crate) fn last_key(&self, family: &str) -> Result<Option<Vec<u8>>, ReadError> {
        match self.db.iterator_cf(self.family(family), IteratorMode::End).next() {
            None => Ok(None),
            Some(Ok((key, _))) => Ok(Some(key.into_vec())),
            Some(Err(error)) => Err(failed(&error)),
        }
    }

    /// A family, for a batch.
    pub(crate) fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("every family is opened with the database")
    }
}

/// Refuses what is out of bounds before anything is written.
pub(crate) fn check_bounds(key: &[u8], value: Option<&[u8]>, key_limit: usize) -> Result<(), CommitError> {
    if key.is_empty() || key.len() > key_limit {
        return Err(CommitError::Refused(format!("a key of {} bytes; 1 to {key_limit} are kept", key.len())));
    }
    let length = value.map_or(0, <[u8]>::len);
    if length > VALUE_BYTES {
        return Err(CommitError::Refused(format!(
            "a value of {length} bytes; {VALUE_BYTES} at most are kept"
        )));
    }
    Ok(())
}

/// What every opening has.
fn options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_file_opening_threads(1);
    options.set_max_background_jobs(2);
    options.set_max_manifest_file_size(FILE_LIST_BYTES);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, report));
    options
}

fn family_options(cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_write_buffer_number(2);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn failed(error: &rocksdb::Error) -> ReadError {
    if error.kind() == ErrorKind::Corruption {
        return ReadError::Damaged { what: "a table".into(), detail: error.to_string() };
    }
    ReadError::Failed(error.to_string())
}

/// RocksDB's own messages, warnings and worse.
fn report(level: LogLevel, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "althing_store::rocksdb", "{message}"),
        LogLevel::Warn => tracing::warn!(target: "althing_store::rocksdb", "{message}"),
        LogLevel::Debug | LogLevel::Info | LogLevel::Header => {
            tracing::trace!(target: "althing_store::rocksdb", "{message}");
        }
    }
}
