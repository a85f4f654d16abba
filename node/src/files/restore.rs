//! Bringing something back out of the trash, never over anything that is there.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use althing_protocol::path::ItemPath;
use rustix::fs::{AtFlags, Mode};

use super::beneath::{Beneath, enter, has_moved};
use super::trash::{Trashed, TrashedKind};
use super::{Files, StoreFault, TrashId, place};

/// Why nothing was restored. Nothing was changed; the trash never is.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No such thing in the trash of this application.
    #[error("{0} is not in the trash")]
    Unknown(TrashId),
    /// Something is there.
    #[error("{} is there already: give another place with --to", .0.display())]
    Exists(PathBuf),
    /// The directory it would go into is not there.
    #[error("the directory of {} is not there: give another place with --to", .0.display())]
    NoParent(PathBuf),
    /// The records of the trash.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The file system.
    #[error("cannot restore to {}: {source}", path.display())]
    Io {
        /// To where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Files {
    /// Copies an item out of the trash: to where it was, or to `to`. Neither may be there yet. Of a directory, what
    /// was taken away with it comes along. Returns where it is now. In the tree it is drift until it is settled.
    pub fn restore(&self, id: &TrashId, to: Option<&Path>) -> Result<PathBuf, RestoreError> {
        let _exclusive = self.exclusive();
        let trashed = self.trashed(id)?.ok_or_else(|| RestoreError::Unknown(id.clone()))?;
        let target = match to {
            Some(to) => to.to_owned(),
            None => self.root.join(std::ffi::OsStr::from_bytes(trashed.path.as_bytes())),
        };
        let (parent, name) = match to {
            None => self.place_in_tree(&trashed.path),
            Some(to) => open_outside(to),
        }
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RestoreError::NoParent(target.clone()),
            _ => RestoreError::Io { path: target.clone(), source },
        })?;
        self.copy_out(&trashed, &parent, &name).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => RestoreError::Exists(target.clone()),
            _ => RestoreError::Io { path: target.clone(), source },
        })?;
        Ok(target)
    }

    fn place_in_tree(&self, path: &ItemPath) -> io::Result<(OwnedFd, Vec<u8>)> {
        let (parent, name) = path.split().ok_or(io::ErrorKind::InvalidInput)?;
        let root = self.open_on_ground().map_err(io::Error::other)?;
        Ok((root.directory(&parent)?, name.to_vec()))
    }

    fn copy_out(&self, trashed: &Trashed, parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
        if rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let layer = Beneath::open(&self.trash_directory().join(trashed.layer_name()))?;
        let (above, last) = trashed.path.split().ok_or(io::ErrorKind::InvalidInput)?;
        place::copy_item((&layer.directory(&above)?, last), (parent, name))?;
        if trashed.kind == TrashedKind::Directory {
            self.set_modes_again(trashed, parent, name)?;
        }
        Ok(rustix::fs::fsync(parent)?)
    }
}

/// In the trash, directories that hold other items are ours; the records have what they were.
impl Files {
    fn set_modes_again(&self, top: &Trashed, parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let mut directories = self.trash().map_err(io::Error::other)?;
        directories.retain(|trashed| {
            trashed.kind == TrashedKind::Directory && trashed.layer_name() == top.layer_name()
        });
        // Those furthest down first: a directory that is closed lets nobody through.
        directories.sort_by(|a, b| b.path.cmp(&a.path));
        let restored = enter(parent, name)?;
        for trashed in &directories {
            let Some(rest) = trashed.path.as_bytes().strip_prefix(top.path.as_bytes()) else { continue };
            let mode = Mode::from_raw_mode(trashed.mode);
            match rest {
                [] => rustix::fs::fchmod(&restored, mode)?,
                [b'/', below @ ..] => {
                    let path = ItemPath::new(below).map_err(io::Error::other)?;
                    match Beneath::of(&restored)?.directory(&path) {
                        Ok(directory) => rustix::fs::fchmod(directory, mode)?,
                        // It lies in another layer, so it did not come along.
                        Err(error) if has_moved(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn open_outside(to: &Path) -> io::Result<(OwnedFd, Vec<u8>)> {
    let name = to.file_name().ok_or(io::ErrorKind::InvalidInput)?.as_bytes().to_vec();
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent)?;
    if directory.metadata()?.is_dir() {
        Ok((directory.into(), name))
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}
