//! Where the demo keeps everything: a directory that is gone when the demo ends well, or one that was named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Result, usage};

/// The directory.
pub(super) enum Place {
    /// Removed at the end.
    Passing(TempDir),
    /// Kept.
    Kept(PathBuf),
}

impl Place {
    /// A directory that was named, or a new one of our own.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(keep) = keep else {
            return Ok(Self::Passing(
                tempfile::Builder::new().prefix("althing-demo-").rand_bytes(4).tempdir()?,
            ));
        };
        let keep = std::path::absolute(keep)?;
        fs::create_dir_all(&keep)?;
        if fs::read_dir(&keep)?.next().is_some() {
            return Err(
                usage(format!("{} is not empty: name a new directory with --keep", keep.display())).into()
            );
        }
        Ok(Self::Kept(keep))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Passing(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }

    /// What happens to it, for people.
    pub(super) fn fate(&self) -> &'static str {
        match self {
            Self::Passing(_) => "removed when you quit",
            Self::Kept(_) => "kept",
        }
    }

    /// Leaves everything where it is, to be looked at.
    pub(super) fn keep(self) -> PathBuf {
        match self {
            Self::Passing(directory) => directory.keep(),
            Self::Kept(path) => path,
        }
    }

    /// Removes it, unless it is kept. Says what was done.
    pub(super) fn close(self) -> io::Result<String> {
        let path = self.path().display().to_string();
        match self {
            Self::Passing(directory) => {
                empty(directory.path());
                directory.close().map(|()| format!("{path} removed"))
            }
            Self::Kept(_) => Ok(format!("data and logs are in {path}")),
        }
    }
}

/// Removes what is in a directory, all parts at once: on a busy disk one after the other takes ten times as long.
/// What cannot be removed is left to whoever removes the directory itself, and says why.
fn empty(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    std::thread::scope(|scope| {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            scope.spawn(move || fs::remove_dir_all(entry.path()));
        }
    });
}
