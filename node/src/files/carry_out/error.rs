//! Why an action was not carried out.

use std::io;

use althing_protocol::hash::Hash;
use rustix::io::Errno;

use crate::files::job::Cancelled;
use crate::files::trash::BinError;
use crate::files::{StoreFault, beneath};

/// Why an action was not carried out. What it is about is as it was.
#[derive(Debug)]
pub(crate) enum StepError {
    /// The quota of the trash.
    TrashFull,
    /// The disk of the tree or of the trash.
    Full,
    /// The content in the store is not what its name says.
    Corrupt(Hash),
    /// The content is not in the store any more.
    Missing(Hash),
    Cancelled,
    Store(StoreFault),
    Io(io::Error),
}

impl From<Cancelled> for StepError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<BinError> for StepError {
    fn from(error: BinError) -> Self {
        match error {
            BinError::Quota => Self::TrashFull,
            BinError::Full => Self::Full,
            BinError::Io(error) => Self::Io(error),
            BinError::Store(fault) => Self::Store(fault),
        }
    }
}

impl<E: Into<io::Error>> From<E> for StepError {
    fn from(error: E) -> Self {
        let error = error.into();
        match Errno::from_io_error(&error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl StepError {
    /// Whether the tree was changed by others meanwhile, so that another look may help.
    pub(crate) fn is_by_others(&self) -> bool {
        matches!(self, Self::Io(error) if beneath::has_moved(error)
            || matches!(Errno::from_io_error(error), Some(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY | Errno::AGAIN)))
    }
}
