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
mod faults;
mod glimpse;
mod layout;
mod lock;
mod log;
mod manifests;
mod mark;
mod records;
mod room;
mod scan;
mod votes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use althing_protocol::effect::{Family, Write};
use rocksdb::WriteBatch;

pub use crate::collect::{Collection, Freed, Unnamed};
pub use crate::content::{Added, Came, Content, ContentBatch, Outlined, Put, Verdict, is_hole};
use crate::database::{Creation, Database, Failure};
pub use crate::error::{CollectError, CommitError, ContentError, OpenError, ReadError};
pub use crate::events::EVENTS_KEPT;
pub use crate::faults::Faults;
pub use crate::glimpse::Glimpse;
use crate::layout::Origin;
pub use crate::lock::LastRun;
use crate::lock::Lock;
pub use crate::room::{CONTENT_MARGIN, Purpose, RESERVE_BYTES, Room, Space};
use crate::votes::Votes;

/// A small file takes a block.
const FORMAT_BYTES: u64 = 4096;

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
    room: Room,
    /// Last: others may open the store when everything else is closed.
    lock: Arc<Lock>,
}

impl Store {
    /// Opens the store in a directory, or makes one. Nothing that was acknowledged is missing from what it returns.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_up_to(dir, layout::FORMAT)
    }

    /// The same, as a program does that reads no format beyond this one.
    pub fn open_up_to(dir: &Path, newest: u32) -> Result<Self, OpenError> {
        layout::prepare(dir)?;
        let lock = Arc::new(Lock::take(dir)?);
        let room = open_room(dir)?;
        let origin = layout::origin(dir, newest.min(layout::FORMAT))?;
        let cache = database::cache();
        let votes = Votes::open(dir, &cache, origin, room.clone())?;
        let index = open_index(&dir.join("index"), &cache)?;
        let events = events::Range::read(&index).map_err(|error| OpenError::CorruptIndex {
            path: dir.join("index"),
            detail: error.to_string(),
        })?;
        let content = Content::start(dir, Arc::clone(&lock), room.clone())?;
        if origin == Origin::Fresh {
            layout::complete(dir)?;
        }
        room.tend();
        Ok(Self {
            path: dir.to_owned(),
            votes,
            index,
            events: Mutex::new(events),
            directories: Mutex::default(),
            unwritten_scan: Mutex::new(0),
            content,
            room,
            lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the run before this one ended.
    pub fn last_run(&self) -> &LastRun {
        self.lock.last_run()
    }

    /// This run ends in order: whoever opens the store next does not take it for interrupted.
    pub fn end_in_order(&self) -> std::io::Result<()> {
        self.lock.end_in_order()
    }

    /// Makes all of these changes, or none, durably. After [`CommitError::Fatal`] the process must end.
    pub fn commit(&self, writes: &[Write]) -> Result<(), CommitError> {
        self.votes.commit(writes)
    }

    /// What a program must read to open this store.
    pub fn format(&self) -> Result<u32, ReadError> {
        layout::format(&self.path).map_err(|error| ReadError::Failed(error.to_string()))
    }

    /// From now on only programs that read this format open the store. Durable when it returns; it never goes back.
    /// After [`CommitError::Fatal`] the process must end.
    pub fn raise_format(&self, to: u32) -> Result<(), CommitError> {
        let full = |source| CommitError::Full { path: self.path.clone(), source };
        self.room.admit(Purpose::Settlement, FORMAT_BYTES).map_err(full)?;
        layout::raise(&self.path, to).map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => full(error),
            _ => CommitError::Fatal(format!("the store's format was not raised to {to}: {error}")),
        })
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

    /// What may still be written.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// One synced change of the index, if there is room for it.
    fn write_index(&self, purpose: Purpose, batch: WriteBatch) -> Result<(), CommitError> {
        admit(&self.room, purpose, &batch)?;
        self.index.write_synced(batch)
    }
}

/// Opening writes a little: without room for it nothing is begun.
fn open_room(dir: &Path) -> Result<Room, OpenError> {
    let failed = |source| OpenError::Io { doing: "look for room in", path: dir.to_owned(), source };
    let room = Room::open(dir).map_err(failed)?;
    if room.free().map_err(failed)? < CONTENT_MARGIN {
        return Err(OpenError::Full { path: dir.to_owned() });
    }
    Ok(room)
}

/// Refuses what there is no room for, before anything is written.
fn admit(room: &Room, purpose: Purpose, batch: &WriteBatch) -> Result<(), CommitError> {
    let admitted = room.admit(purpose, batch.size_in_bytes() as u64);
    admitted.map_err(|source| CommitError::Full { path: room.directory().to_owned(), source })
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
