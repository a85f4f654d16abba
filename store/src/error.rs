//! Errors, one type per kind of operation; each variant says whether anything was changed.

use std::io;
use std::path::PathBuf;

use althing_protocol::hash::Hash;

/// Why a store was not opened. Nothing that was ever acknowledged has been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error("{} is in use by another process{}", path.display(), pid.map_or(String::new(), |pid| format!(" (pid {pid})")))]
    InUse {
        /// The store.
        path: PathBuf,
        /// Who, if the lock file tells.
        pid: Option<u32>,
    },
    /// There is none, and none was to be made.
    #[error("there is no store in {}", path.display())]
    Absent {
        /// Where.
        path: PathBuf,
    },
    /// Written by a newer program; this one would not understand everything in it.
    #[error("{} has store format {found}, and this program reads up to {supported}: install a newer althing", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// What it has.
        found: u32,
        /// What this program reads.
        supported: u32,
    },
    /// Votes or settled records are damaged. A member that forgot a vote could contradict itself, so nothing is
    /// opened, not even the part before the damage.
    #[error(
        "the votes in {} are damaged: {detail}. Do not repair or restore them: move `votes`, `acknowledged` and \
         `format` aside together, keep the rest, start, `althing join` with an invitation of another member, and have \
         this one re-admitted there: `althing member readmit NAME`",
        path.display()
    )]
    Corrupt {
        /// The damaged part.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Manifests, events or local records are damaged. No vote is among them.
    #[error(
        "the index in {} is damaged: {detail}. Move that directory aside and start again: manifests are fetched from \
         the others; events and the list of the trash are lost",
        path.display()
    )]
    CorruptIndex {
        /// The damaged part.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk is full, and even the reserve is used. It opens when there is room.
    #[error("no room on the disk for {}: some MiB must be free before it can be opened", path.display())]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// The file system.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The caller asked for something that cannot be kept. Nothing was changed.
    #[error("not kept: {0}")]
    Refused(String),
    /// The disk is full, or cannot be asked. Nothing was changed, and the same may be tried again.
    #[error("no room on the disk in {}: {source}", path.display())]
    Full {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing or syncing failed, so **it is not known what is on disk**, and a second try could succeed without
    /// being durable. The process must end; the next start reads what there is. Every later commit fails as well.
    #[error("the store could not write to the disk: {0}. The process has to end")]
    Fatal(String),
    /// Reading what is there, before writing, failed. Nothing was changed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A cache was not updated. What counts is not affected.
    #[error("a cache was not updated: {0}")]
    Cache(String),
}

impl CommitError {
    /// Whether the process has to end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal(_))
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why something was not read. Nothing was changed. Of votes, either variant means that the member must not vote:
/// it does not know what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What is on disk is not what was written.
    #[error("{what} in the store is damaged: {detail}")]
    Damaged {
        /// A value of what kind, and which.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The database could not read.
    #[error("the store could not be read: {0}")]
    Failed(String),
}

/// Why a collection ended early. What was removed was needed by nobody.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Reading what must stay. Nothing was removed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Removing directories of manifests.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Removing file bytes.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl CollectError {
    /// Whether the process has to end.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Read(_) => false,
            Self::Commit(error) => error.is_fatal(),
            Self::Content(error) => error.is_fatal(),
        }
    }
}

/// Why content was not stored or read. Unless a variant says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The bytes are not those that were asked for. They were thrown away.
    #[error("got content {found}, and expected {expected}")]
    WrongHash {
        /// What was asked for.
        expected: Hash,
        /// What came.
        found: Hash,
    },
    /// More or fewer bytes than were asked for. They were thrown away.
    #[error("content {name}: got {found} bytes{}, and expected {expected}", if *found > *expected { " or more" } else { "" })]
    WrongSize {
        /// The content.
        name: Hash,
        /// What was asked for.
        expected: u64,
        /// What came; reading stops at the first byte too many.
        found: u64,
    },
    /// Where the bytes come from failed.
    #[error("reading the content to store: {0}")]
    Source(#[source] io::Error),
    /// The disk is full. The batch may go on when there is room.
    #[error("no room on the disk for content in {}", path.display())]
    Full {
        /// The file that was written.
        path: PathBuf,
    },
    /// The file system.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Contents were put in place, but whether they are durable is not known. The process must end; the next start
    /// settles it.
    #[error("could not make content durable in {}: {source}. The process has to end", path.display())]
    Fatal {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ContentError {
    /// Whether the process has to end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal { .. })
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
