//! What a member keeps on disk. The only crate that knows RocksDB.
//!
//! [`Store`] is one directory, open in one process. In it: what settlement must not forget (`votes`), what is
//! local or can be fetched again (`manifests`, `scan`, `events`, `records`), and file bytes ([`Content`]). A change
//! counts when the call that made it returns; see `layout` for the files.
//!
//! Invariants: an acknowledged commit is there at the next start, or there is no next start
//! ([`OpenError::Corrupt`]); content under a name has that hash, unless the disk changed it, and what is found
//! damaged is never served.

mod collect;
mod content;
mod database;
mod error;
mod events;
mod layout;
mod lock;
mod log;
mod manifests;
mod mark;
mod records;
mod scan;
mod votes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use althing_protocol::effect::{Family, Write};

pub use crate::collect::{Collection, Freed, Unnamed};
pub use crate::content::{Added, Content, ContentBatch, Verdict};
use crate::database::{Creation, Database, Failure};
pub use crate::error::{CollectError, CommitError, ContentError, OpenError, ReadError};
pub use crate::events::EVENTS_KEPT;
use crate::layout::Origin;
use crate::lock::Lock;
use crate::votes::Votes;

/// A key with its value, as every listing of the store gives them.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An open store. Shared between threads behind an `Arc`; closed when dropped.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    votes: Votes,
    index: Database,
    /// Numbers of events in use. Held while appending.
    events: Mutex<events::Range>,
    /// Held while directories of manifests are added, removed or relied upon; says which of them may not go.
    directories: Mutex<collect::Young>,
    /// Bytes of the scan cache that are only in memory.
    unwritten_scan: Mutex<usize>,
    content: Content,
    /// Last: others may open the store when everything else is closed.
    _lock: Arc<Lock>,
}

impl Store {
    /// Opens the store in a directory, or makes one. Nothing that was acknowledged is missing from what it returns.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        layout::prepare(dir)?;
        let lock = Arc::new(Lock::take(dir)?);
        let origin = layout::origin(dir)?;
        let cache = database::cache();
        let votes = Votes::open(dir, &cache, origin)?;
        let index = open_index(&dir.join("index"), &cache)?;
        let events = events::Range::read(&index).map_err(|error| OpenError::CorruptIndex {
            path: dir.join("index"),
            detail: error.to_string(),
        })?;
        let content = Content::start(dir, Arc::clone(&lock))?;
        if origin == Origin::Fresh {
            layout::complete(dir)?;
        }
        Ok(Self {
            path: dir.to_owned(),
            votes,
            index,
            events: Mutex::new(events),
            directories: Mutex::default(),
            unwritten_scan: Mutex::new(0),
            content,
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all of these changes, or none, durably. After [`CommitError::Fatal`] the process must end.
    pub fn commit(&self, writes: &[Write]) -> Result<(), CommitError> {
        self.votes.commit(writes)
    }

    /// One value of settlement.
    pub fn read(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.votes.read(family, key)
    }

    /// Every pair of a family, ordered by key.
    pub fn read_all(&self, family: Family) -> Result<Vec<Pair>, ReadError> {
        self.votes.read_from(family, &[], usize::MAX)
    }

    /// At most `limit` pairs of a family, ordered by key, from `from` on (itself included).
    pub fn read_from(&self, family: Family, from: &[u8], limit: usize) -> Result<Vec<Pair>, ReadError> {
        self.votes.read_from(family, from, limit)
    }

    /// File bytes.
    pub fn content(&self) -> &Content {
        &self.content
    }
}

/// The index may lose an end of its log, but not without a word. It is made anew if it is missing.
fn open_index(path: &Path, cache: &rocksdb::Cache) -> Result<Database, OpenError> {
    if let Err(failure) = log::check(path) {
        tracing::warn!(path = %path.display(), ?failure, "the newest events and records of this member may be lost");
    }
    let families = [manifests::FAMILY, scan::FAMILY, events::FAMILY, records::FAMILY];
    Database::open(path, &families, cache, Creation::IfMissing).map_err(|failure| {
        let path = path.to_owned();
        match failure {
            Failure::System(source) => OpenError::Io { doing: "open", path, source },
            Failure::Damaged(detail) => OpenError::CorruptIndex { path, detail },
        }
    })
}
