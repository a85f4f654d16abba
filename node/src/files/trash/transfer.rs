//! Moving things into the trash: what a rename cannot do, and what is to be known of them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use crate::files::beneath;
use crate::files::place;
use crate::files::stamp::Stamp;
use crate::files::swap::{self, Temporary};

/// To another file system: what is to go is set aside first, so that what is copied is exactly what goes.
pub(super) fn carry_over(parent: &OwnedFd, name: &[u8], to: &OwnedFd, last: &[u8]) -> io::Result<()> {
    let aside = match Temporary::parse(name) {
        Some(Temporary::Aside(_)) => name.to_vec(),
        _ => {
            let aside = Temporary::Aside(Temporary::mark(name)).name()?;
            swap::move_to_free((parent, name), (parent, &aside))?;
            aside
        }
    };
    let copied = place::copy_item((parent, &aside), (to, last)).and_then(|_| Ok(rustix::fs::fsync(to)?));
    match copied {
        Ok(()) => place::remove_item(parent, &aside),
        Err(error) => {
            if aside != name {
                // If somebody has put something else there by now, recovery finds this one under its own name.
                let _ = swap::move_to_free((parent, &aside), (parent, name));
            }
            Err(error)
        }
    }
}

/// Writes back what was moved. Best effort: it is no less safe in the trash than it was in the tree.
pub(super) fn sync_item(directory: &OwnedFd, name: &[u8]) {
    let is_file = Stamp::of_entry(directory, name).is_ok_and(|stamp| stamp.kind() == FileType::RegularFile);
    if is_file && let Ok(file) = beneath::read_in(directory, name) {
        let _ = rustix::fs::fsync(file);
    }
}

/// Makes a directory unless there is one; whether it was made.
pub(super) fn ensure_directory(parent: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) if Stamp::of_entry(parent, name)?.kind() == FileType::Directory => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn is_conflict(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::EXIST | Errno::NOTDIR | Errno::LOOP))
}

/// Bytes of an item and everything in it, as far as it can be seen.
pub(super) fn weigh(parent: &OwnedFd, name: &[u8], stamp: &Stamp, depth: usize) -> u64 {
    if stamp.kind() == FileType::RegularFile {
        return stamp.size;
    }
    if stamp.kind() != FileType::Directory || depth == 0 {
        return 0;
    }
    let Ok(directory) = beneath::enter(parent, name) else { return 0 };
    let weigh_inner = |inner: &Vec<u8>| {
        Stamp::of_entry(&directory, inner).map_or(0, |stamp| weigh(&directory, inner, &stamp, depth - 1))
    };
    place::names_in(&directory).unwrap_or_default().iter().map(weigh_inner).sum()
}
