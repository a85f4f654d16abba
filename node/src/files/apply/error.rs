//! Why a tree was not made equal to a manifest.

use std::io;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::ManifestError;
use althing_protocol::path::ItemPath;

use crate::files::StoreFault;
use crate::files::carry_out::StepError;
use crate::files::scan::ScanError;

/// Why a tree was not made equal to a manifest. The variants of the first group are found before anything is
/// changed. After those of the second, `done` actions have been carried out, each completely, nothing is lost, and
/// the journal stays: [`super::Files::recover`], or another apply, goes forward.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no list of the tree. Nothing was changed.
    #[error(transparent)]
    Scan(ScanError),
    /// The store lacks these: directories of the manifest, or contents. Nothing was changed.
    #[error("the store lacks {} of what is to be applied", .0.len())]
    Missing(Vec<Hash>),
    /// The manifest names an item as this program names its temporary files. Nothing was changed.
    #[error("the manifest has {path:?}, and names that begin with .althing- are reserved")]
    Reserved {
        /// Which.
        path: ItemPath,
    },
    /// The manifest says of an item what the application does not ask for, or does not say what it asks for. Nothing
    /// was changed.
    #[error(
        "the manifest says other things of {path:?} than the application settles: owners or extended attributes"
    )]
    Unasked {
        /// Which.
        path: ItemPath,
    },
    /// Something that is mounted in the tree lies where the manifest wants something else. Nothing was changed.
    #[error("{path:?} is a mount point and in the way")]
    InTheWay {
        /// The mount.
        path: ItemPath,
    },
    /// The disk of the tree lacks room. Nothing was changed.
    #[error("needs {need} bytes on the disk of the tree, and {free} are free")]
    NoRoom {
        /// Bytes to be written.
        need: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The root could not be made. Nothing was changed.
    #[error("cannot make the root: {0}")]
    Root(io::Error),
    /// The manifest in the store is damaged. Nothing was changed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),

    /// The trash cannot take what is to be replaced or removed: nothing is overwritten. `done` actions were.
    #[error("the trash is full; {path:?} was not touched ({done} actions done before)")]
    TrashFull {
        /// What would have gone to the trash next.
        path: ItemPath,
        /// Actions carried out before.
        done: usize,
    },
    /// The content in the store is not what its name says, or vanished. The item was not touched; `done` actions
    /// were carried out.
    #[error(
        "content {content} in the store is damaged or gone; {path:?} was not touched ({done} actions done)"
    )]
    Damaged {
        /// The item.
        path: ItemPath,
        /// The content.
        content: Hash,
        /// Actions carried out before.
        done: usize,
    },
    /// The disk of the tree or of the trash is full. The item is as it was; `done` actions were carried out.
    #[error("no room on the disk for {path:?} or what it replaces ({done} actions done before)")]
    DiskFull {
        /// The item.
        path: ItemPath,
        /// Actions carried out before.
        done: usize,
    },
    /// An action failed; its item is as it was. `done` actions were carried out.
    #[error("{path:?}: {source} ({done} actions done before)")]
    Stopped {
        /// The item.
        path: ItemPath,
        /// Why.
        source: io::Error,
        /// Actions carried out before.
        done: usize,
    },
    /// The caller asked to stop. `done` actions were carried out.
    #[error("cancelled after {done} actions")]
    Cancelled {
        /// Actions carried out before.
        done: usize,
    },
    /// The store failed. Actions may have been carried out.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl From<ScanError> for ApplyError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Cancelled => Self::Cancelled { done: 0 },
            ScanError::Store(fault) => Self::Store(fault),
            error => Self::Scan(error),
        }
    }
}

impl ApplyError {
    /// Whether there was no room on a disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::NoRoom { .. } | Self::DiskFull { .. } => true,
            Self::Root(error) => error.kind() == io::ErrorKind::StorageFull,
            Self::Store(fault) => fault.is_full(),
            _ => false,
        }
    }

    pub(crate) fn at(path: ItemPath, error: StepError, done: usize) -> Self {
        match error {
            StepError::TrashFull => Self::TrashFull { path, done },
            StepError::Full => Self::DiskFull { path, done },
            StepError::Corrupt(content) | StepError::Missing(content) => {
                Self::Damaged { path, content, done }
            }
            StepError::Cancelled => Self::Cancelled { done },
            StepError::Store(fault) => Self::Store(fault),
            StepError::Io(source) => Self::Stopped { path, source, done },
        }
    }
}
