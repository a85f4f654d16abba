//! The capture: the complete content of a tree into the store, or nothing that counts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Extent, Item, Manifest, ManifestError};
use althing_protocol::path::ItemPath;
use althing_protocol::repair;
use althing_store::{ContentBatch, ContentError};

use super::beneath::{self, Beneath};
use super::cache::Cache;
use super::job::{Cancelled, Job, Stage};
use super::scan::{self, ScanError};
use super::{Files, ScanMode, StoreFault, is_within, resolved};

/// Files between two reports of progress.
const REPORT_EVERY: usize = 64;

/// What to capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The application's tree on this member.
    Live,
    /// A directory of the administrator's, apart from the tree.
    Directory(PathBuf),
}

/// What was captured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Captured {
    /// Name of the tree.
    pub root: Hash,
    /// How much it is.
    pub extent: Extent,
}

/// Why nothing was captured. Contents that were read may stay in the store, where nothing names them; the tree is
/// never changed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Something was changed while it was captured.
    #[error("{path:?} changes while it is captured; try again when it is quiet")]
    Changing {
        /// What.
        path: ItemPath,
    },
    /// Not a directory that may be captured.
    #[error("cannot capture {}: {reason}", path.display())]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// It cannot be listed.
    #[error(transparent)]
    Scan(ScanError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<ScanError> for CaptureError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Unstable { path } => Self::Changing { path },
            ScanError::Cancelled => Self::Cancelled,
            ScanError::Store(fault) => Self::Store(fault),
            error => Self::Scan(error),
        }
    }
}

impl From<Cancelled> for CaptureError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<ManifestError> for CaptureError {
    fn from(error: ManifestError) -> Self {
        Self::Scan(ScanError::Manifest(error))
    }
}

impl Files {
    /// Copies the complete content of a tree into the store. When this returns, all of it is durable, and the tree
    /// was seen equal before and after.
    pub fn capture(&self, source: &Source, job: Job<'_>) -> Result<Captured, CaptureError> {
        match source {
            Source::Live => {
                let mut guard = self.exclusive();
                let beneath = self.open_on_ground()?;
                let cache = self.cache(&mut guard)?;
                let captured = self.capture_tree(&beneath, cache, job);
                cache.save(&self.store, &self.application)?;
                captured
            }
            Source::Directory(path) => {
                let path = resolved(path);
                if let Some(reason) = self.reason_against(&path) {
                    return Err(CaptureError::Refused { path, reason });
                }
                let beneath = Beneath::open(&path).map_err(|source| match source.kind() {
                    io::ErrorKind::NotFound => CaptureError::Refused { path, reason: "it does not exist" },
                    io::ErrorKind::NotADirectory => {
                        CaptureError::Refused { path, reason: "it is not a directory" }
                    }
                    _ => CaptureError::Scan(ScanError::Unreadable { path: ItemPath::root(), source }),
                })?;
                self.capture_tree(&beneath, &mut Cache::default(), job)
            }
        }
    }

    fn reason_against(&self, path: &std::path::Path) -> Option<&'static str> {
        if is_within(path, &self.directory) || is_within(&self.directory, path) {
            return Some("it is, lies in, or contains the daemon's own directory");
        }
        if self.has_releases() && is_within(path, &super::release::releases_of(&self.root)) {
            return Some(
                "it is or lies in one of the application's releases; roll back to that revision instead",
            );
        }
        is_within(path, &self.root)
            .then_some("it is or lies in the application's own tree; capture that one live")
    }

    fn capture_tree(
        &self,
        beneath: &Beneath,
        cache: &mut Cache,
        job: Job<'_>,
    ) -> Result<Captured, CaptureError> {
        let (before, _) = scan::scan_tree(beneath, cache, self.scope(), ScanMode::Trust, job)?;
        let mut batch = self.store.content().batch();
        let items = before.manifest.items()?;
        let mut seen = BTreeSet::new();
        for (at, (path, item)) in items.iter().enumerate() {
            job.check()?;
            if at.is_multiple_of(REPORT_EVERY) {
                job.report(Stage::Capture, at, items.len());
            }
            if let Item::File { size, content, .. } = item
                && seen.insert(*content)
            {
                add(beneath, &mut batch, path, (content, *size))?;
            }
        }
        batch.finish().map_err(StoreFault::from)?;
        let (after, _) = scan::scan_tree(beneath, cache, self.scope(), ScanMode::Trust, job)?;
        check_equal(&before.manifest, &after.manifest)?;
        self.store.put_directories(before.manifest.directories.iter()).map_err(StoreFault::from)?;
        Ok(Captured { root: before.manifest.root, extent: before.manifest.extent()? })
    }
}

fn add(
    beneath: &Beneath,
    batch: &mut ContentBatch,
    path: &ItemPath,
    (content, size): (&Hash, u64),
) -> Result<(), CaptureError> {
    let changing = || CaptureError::Changing { path: path.clone() };
    let unreadable = |source| CaptureError::Scan(ScanError::Unreadable { path: path.clone(), source });
    let file = match beneath.file(path) {
        Ok(file) => file,
        Err(error) if beneath::has_moved(&error) => return Err(changing()),
        Err(source) => return Err(unreadable(source)),
    };
    match batch.add(content, size, &mut File::from(file)) {
        Ok(_) => Ok(()),
        Err(ContentError::WrongHash { .. } | ContentError::WrongSize { .. }) => Err(changing()),
        Err(ContentError::Source(source)) => Err(unreadable(source)),
        Err(error) => Err(CaptureError::Store(error.into())),
    }
}

fn check_equal(before: &Manifest, after: &Manifest) -> Result<(), CaptureError> {
    match repair::diff(before, after)?.into_iter().next() {
        None => Ok(()),
        Some(difference) => Err(CaptureError::Changing { path: difference.path }),
    }
}
