//! File bytes as plain files, each named by the BLAKE3 of its bytes.
//!
//! Files and not RocksDB: 2–4 times faster, a tenth of the CPU, reflinks, and nothing to compact (measured, see
//! `docs/decisions`). A file appears under its name only when it is complete and durable ([`ContentBatch`]).

mod batch;
mod outline;
mod partial;
mod sweep;
mod verify;

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use althing_protocol::hash::Hash;

pub use self::batch::{Added, ContentBatch};
pub use self::outline::Outlined;
use self::outline::Outlines;
use self::partial::Partials;
pub use self::partial::{Came, Put, is_hole};
pub use self::verify::Verdict;
use crate::collect::{Young, lock};
use crate::error::{ContentError, OpenError};
use crate::layout::{make_directory, sync_directory};
use crate::lock::Lock;
use crate::room::{Purpose, Room};

/// Files are spread over as many directories as a byte has values.
const DIRECTORIES: u16 = 256;
/// Bytes read at once, while hashing or copying.
const BUFFER_BYTES: usize = 256 << 10;

/// The content of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Content {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    content: PathBuf,
    staging: PathBuf,
    damaged: PathBuf,
    /// Large files that are being gathered; kept over restarts.
    partial: PathBuf,
    partials: Partials,
    outlines: Outlines,
    /// Number of the next batch.
    next: AtomicU64,
    /// Held while names in `content` appear, disappear or are relied upon; says which of them may not go.
    names: Arc<Mutex<Young>>,
    room: Room,
    /// A batch may outlive its store; the lock must not end before it.
    _lock: Arc<Lock>,
}

impl Content {
    /// Opens and removes what was not finished.
    pub(crate) fn start(dir: &Path, lock: Arc<Lock>, room: Room) -> Result<Self, OpenError> {
        let inner = Inner {
            content: dir.join("content"),
            staging: dir.join("staging"),
            damaged: dir.join("damaged"),
            partial: dir.join("partial"),
            partials: Partials::default(),
            outlines: Outlines::default(),
            next: AtomicU64::new(0),
            names: Arc::default(),
            room,
            _lock: lock,
        };
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { doing, path, source }
        };
        for path in [&inner.content, &inner.staging, &inner.damaged, &inner.partial] {
            make_directory(path).map_err(io("create", path))?;
        }
        for index in 0..DIRECTORIES {
            let path = inner.content.join(format!("{index:02x}"));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(io("create", &path))?,
            }
        }
        inner.recover().map_err(io("recover", &inner.staging))?;
        sync_directory(&inner.content).and_then(|()| sync_directory(dir)).map_err(io("sync", dir))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether it is here, complete and durable. Waits for a batch that is being put in place.
    pub fn has(&self, hash: &Hash) -> bool {
        self.size(hash).is_some()
    }

    /// Its length, if it is here, as [`Content::has`] says.
    pub fn size(&self, hash: &Hash) -> Option<u64> {
        let _durable = lock(&self.inner.names);
        self.inner.held(hash).map(|metadata| metadata.len())
    }

    /// Whether it is here with this length; if so it stays until the collection after next, by when its user must
    /// have said that it is needed.
    pub fn rely_on(&self, hash: &Hash, size: u64) -> bool {
        self.inner.rely_on(hash, size)
    }

    pub(crate) fn young(&self) -> Arc<Mutex<Young>> {
        Arc::clone(&self.inner.names)
    }

    /// Opens it for reading. It is not read here: [`Content::verify`] does that.
    pub fn open(&self, hash: &Hash) -> Result<Option<File>, ContentError> {
        let path = self.inner.path(hash);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ContentError::Io { doing: "open", path, source }),
        }
    }

    /// A batch of content to add.
    pub fn batch(&self) -> ContentBatch {
        ContentBatch::new(Arc::clone(&self.inner), self.inner.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Inner {
    fn path(&self, hash: &Hash) -> PathBuf {
        let hex = hash.hex();
        self.directory(hash).join(hex)
    }

    /// Says whether so many bytes may be written to `path`.
    fn admit(&self, path: &Path, bytes: u64) -> Result<(), ContentError> {
        self.room.admit(Purpose::Content, bytes).map_err(|source| writing("write", path, source))
    }

    fn directory(&self, hash: &Hash) -> PathBuf {
        self.content.join(format!("{:02x}", hash.0[0]))
    }

    fn held(&self, hash: &Hash) -> Option<Metadata> {
        fs::symlink_metadata(self.path(hash)).ok().filter(Metadata::is_file)
    }

    /// A batch that was cut off may have put files in place without making their names durable: this does, so that
    /// [`Content::has`] never answers for something that the next power cut takes away.
    fn recover(&self) -> io::Result<()> {
        let leftovers: Vec<_> = fs::read_dir(&self.staging)?.collect::<io::Result<_>>()?;
        if leftovers.is_empty() {
            return Ok(());
        }
        for index in 0..DIRECTORIES {
            sync_directory(&self.content.join(format!("{index:02x}")))?;
        }
        for leftover in &leftovers {
            if leftover.file_type()?.is_dir() {
                fs::remove_dir_all(leftover.path())?;
            } else {
                fs::remove_file(leftover.path())?;
            }
        }
        tracing::info!(
            batches = leftovers.len(),
            "removed content that was not complete when the process ended"
        );
        Ok(())
    }
}

/// Maps an error of writing, of which a full disk is one that people can do something about.
fn writing(doing: &'static str, path: &Path, source: io::Error) -> ContentError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ContentError::Full { path },
        _ => ContentError::Io { doing, path, source },
    }
}
