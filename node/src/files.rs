//! The `files` driver: one application's directory tree on this member, scanned, captured, repaired (design §6).
//!
//! * [`Files::scan`]: the tree as a manifest; costs one `statx` per file that did not change.
//! * [`Files::capture`]: the complete content of a tree into the store, so that this member can serve and repair it.
//! * [`Files::apply`]: makes the tree equal to a settled manifest, from the store alone.
//! * [`Files::recover`]: at start, finishes what an apply left undone when the process or the machine died.
//! * [`Files::trash`], [`Files::restore`], [`Files::prune`]: what apply replaced or removed, kept for a while.
//! * [`watch`](watch::watch): hints that something changed, so that the next scan need not wait for its time.
//!
//! # What always holds
//!
//! 1. Nothing that apply replaces or removes is gone: it is in the trash, or still in the tree.
//! 2. An item that is replaced is never missing on the way: the old one or the new one, complete, is there.
//! 3. An apply that began goes forward, whatever happened; it is never undone (settlement-review 27).
//! 4. No operation leaves the root, whatever the tree or a manifest says.
//! 5. There is a complete list of the tree or none, never a part.
//!
//! All methods block and are meant for worker threads. Operations on one application exclude each other: a scan
//! waits for an apply to end.

mod apply;
mod asked;
mod beneath;
mod cache;
mod capture;
mod carry_out;
mod clear;
mod giving;
mod ground;
mod hashing;
mod job;
mod journal;
mod leftovers;
mod lend;
mod modes;
mod names;
mod neighbours;
mod place;
mod release;
mod restore;
mod scan;
mod stamp;
mod swap;
mod trash;
mod unmanaged;
mod walk;
pub mod watch;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use althing_protocol::handling::{Handling, Switching};
use althing_protocol::limits;
use althing_protocol::path::{ItemPath, check_name};
use althing_store::{CommitError, ContentError, ReadError, Store};

pub use self::apply::{Applied, ApplyError};
pub use self::capture::{CaptureError, Captured, Source};
pub(crate) use self::clear::retired;
pub use self::job::{Job, Progress, Stage};
pub(crate) use self::journal::journal_roots;
pub use self::neighbours::Neighbours;
pub use self::restore::RestoreError;
pub use self::scan::{Scan, ScanError};
pub(crate) use self::trash::TrashClock;
pub use self::trash::{Pruned, TRASH_BYTES, TRASH_KEPT, TrashError, TrashId, Trashed, TrashedKind};
pub use self::unmanaged::Patterns;
pub use self::walk::{Special, Unmanaged};

use self::asked::Scope;
use self::cache::Cache;

/// Whether a scan may believe stamps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanMode {
    /// What did not change by its stamp is not read.
    Trust,
    /// Everything is read from the disk: finds what left no stamp.
    ReadAll,
}

/// The driver of one application.
#[derive(Debug)]
pub struct Files {
    application: String,
    root: PathBuf,
    /// The daemon's own directory.
    directory: PathBuf,
    store: Arc<Store>,
    /// The other applications of this member.
    neighbours: Arc<Neighbours>,
    ticket: neighbours::Ticket,
    /// Bytes that the trash may hold, if not what follows from its disk.
    trash_bytes: Option<u64>,
    patterns: Patterns,
    handling: Handling,
    /// What the kernel refused in the last apply.
    refused: Mutex<giving::Refused>,
    /// Held by every operation on the tree, so that none sees another's half-done work. The stat cache is empty
    /// until the first scan.
    cache: Mutex<Option<Cache>>,
}

/// Why there can be no driver for an application. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The application's name is no file name.
    #[error("{0:?} is not the name of an application")]
    Name(String),
    /// A root that is relative, contains `..`, or is `/`.
    #[error("{} cannot be the root of an application: give an absolute path without .., other than /", .0.display())]
    Root(PathBuf),
    /// The root and the daemon's own directory contain one another.
    #[error("{} and the daemon's own directory {} may not contain one another", root.display(), directory.display())]
    Overlap {
        /// The root.
        root: PathBuf,
        /// The daemon's own directory.
        directory: PathBuf,
    },
}

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// A record, manifest or cache could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record, manifest or cache could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Content could not be written or read.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl StoreFault {
    /// Whether the process has to end.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_fatal(),
            Self::Content(error) => error.is_fatal(),
            Self::Read(_) => false,
        }
    }

    /// Whether there was no room on the disk of the store.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_full(),
            Self::Content(error) => error.is_full(),
            Self::Read(_) => false,
        }
    }
}

impl Files {
    /// The driver of `application`, whose tree is at `root`, on the member that keeps its own things in `directory`
    /// (the trash is below it). Touches nothing yet.
    pub fn new(
        application: &str,
        root: &Path,
        directory: &Path,
        store: Arc<Store>,
    ) -> Result<Self, SetupError> {
        if check_name(application.as_bytes()).is_err() || application.len() > limits::LABEL_BYTES {
            return Err(SetupError::Name(application.to_owned()));
        }
        let root = plain(root).ok_or_else(|| SetupError::Root(root.to_owned()))?;
        let directory = plain(directory).ok_or_else(|| SetupError::Root(directory.to_owned()))?;
        if is_within(&root, &directory) || is_within(&directory, &root) {
            return Err(SetupError::Overlap { root, directory });
        }
        let application = application.to_owned();
        let (neighbours, patterns) = (Arc::new(Neighbours::default()), Patterns::default());
        let (cache, refused) = (Mutex::new(None), Mutex::default());
        let (trash_bytes, handling) = (None, Handling::default());
        Ok(Self {
            application,
            root,
            directory,
            store,
            neighbours,
            ticket: neighbours::Ticket::default(),
            trash_bytes,
            patterns,
            handling,
            refused,
            cache,
        })
    }

    /// Sets what is not managed.
    #[must_use]
    pub fn with_unmanaged(mut self, patterns: Patterns) -> Self {
        self.patterns = patterns;
        self
    }

    /// Sets how the tree is handled. Releases may not lie in the daemon's own directory either.
    pub fn with_handling(mut self, handling: Handling) -> Result<Self, SetupError> {
        let releases = release::releases_of(&self.root);
        let meets = is_within(&releases, &self.directory) || is_within(&self.directory, &releases);
        if handling.switching == Switching::Release && meets {
            return Err(SetupError::Overlap { root: releases, directory: self.directory.clone() });
        }
        self.handling = handling;
        Ok(self)
    }

    /// Puts this application among others, none of whose trees may lie in another.
    #[must_use]
    pub fn beside(mut self, neighbours: &Arc<Neighbours>) -> Self {
        let mut places = vec![self.root.clone()];
        if self.has_releases() {
            places.push(release::releases_of(&self.root));
        }
        self.ticket = neighbours.enter(&self.application, places);
        self.neighbours = Arc::clone(neighbours);
        self
    }

    /// Is not among others any more: the application is gone from here, and only its trash is looked after.
    pub(crate) fn part(&self) {
        self.neighbours.leave(&self.application, self.ticket);
    }

    /// Sets how many bytes of this application the trash may hold.
    #[must_use]
    pub fn with_trash_bytes(mut self, bytes: u64) -> Self {
        self.trash_bytes = Some(bytes);
        self
    }

    /// The application's name.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Where its tree lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tree as it is now.
    pub fn scan(&self, mode: ScanMode, job: Job<'_>) -> Result<Scan, ScanError> {
        let mut guard = self.exclusive();
        let beneath = self.open_on_ground()?;
        let cache = self.cache(&mut guard)?;
        let scanned = scan::scan_still(&beneath, cache, self.scope(), mode, job);
        // Saved even when the scan failed: what was hashed need not be hashed again.
        cache.save(&self.store, &self.application)?;
        let mut scan = scanned?.0;
        scan.beyond = self.beyond(&scan.manifest)?;
        if self.is_out_of_form(&scan.manifest.root)? {
            return Err(ScanError::NoLink { root: self.root.clone() });
        }
        Ok(scan)
    }

    /// What of the tree is looked at.
    fn scope(&self) -> Scope<'_> {
        Scope { patterns: &self.patterns, handling: &self.handling }
    }

    fn exclusive(&self) -> MutexGuard<'_, Option<Cache>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache<'a>(&self, guard: &'a mut MutexGuard<'_, Option<Cache>>) -> Result<&'a mut Cache, StoreFault> {
        if guard.is_none() {
            **guard = Some(Cache::load(&self.store, &self.application)?);
        }
        let cache = guard.get_or_insert_default();
        cache.set_blind(self.store.room().faults().is_blind());
        Ok(cache)
    }

    /// Why the root was not opened; tells a root that was never there from one that was removed.
    fn unopened(&self, source: io::Error) -> ScanError {
        match self.was_applied() {
            Ok(false) if source.kind() == io::ErrorKind::NotFound => ScanError::Absent,
            Ok(true) if self.has_releases() && is_other(&self.root) => {
                ScanError::NoLink { root: self.root.clone() }
            }
            Ok(_) => ScanError::Unreadable { path: ItemPath::root(), source },
            Err(fault) => ScanError::Store(fault),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.part();
    }
}

/// Whether something is at the root that is neither a tree nor a link to a release.
fn is_other(root: &Path) -> bool {
    matches!(release::standing(root), Ok(release::Standing::Other))
}

/// The path without `.` and double slashes, if it is absolute, has no `..` and is not `/`.
fn plain(path: &Path) -> Option<PathBuf> {
    let within = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    let plain: PathBuf = path.components().collect();
    (within && plain.parent().is_some()).then_some(plain)
}

/// Whether `path` is `directory` or below it, as written and with every link resolved that can be.
fn is_within(path: &Path, directory: &Path) -> bool {
    path.starts_with(directory) || resolved(path).starts_with(resolved(directory))
}

/// The path with its links resolved; what does not exist yet stays as written.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(resolved) = path.canonicalize() {
        return resolved;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}
