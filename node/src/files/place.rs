//! Making one item under a temporary name, complete and durable, ready to be swapped in.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use althing_protocol::attributes::Attributes;
use althing_protocol::hash::Hash;
use althing_protocol::path::ItemPath;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};

use super::asked;
use super::beneath;
use super::giving::Giving;
use super::hashing::{self, BUFFER, HashError};
use super::job::Job;
use super::modes;
use super::stamp::Stamp;
use super::swap::Temporary;
use super::walk::is_dots;

/// Directories in one another that are copied or removed: more would only serve to exhaust the stack.
const DEPTH: usize = 512;

/// How often what was appended to a file while it was copied is copied after it.
const APPENDS: u32 = 4;

/// Why a file was not made. No trace of it is left.
#[derive(Debug)]
pub(crate) enum PlaceError {
    /// The content is not what its name says.
    Corrupt,
    Cancelled,
    Io(io::Error),
}

impl<E: Into<io::Error>> From<E> for PlaceError {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

/// A file to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFile<'a> {
    /// What it will be called.
    pub(crate) name: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) content: &'a Hash,
    /// Where it will lie in the tree.
    pub(crate) path: &'a ItemPath,
    pub(crate) attributes: &'a Attributes,
}

/// Writes a file from `source` under a temporary name in `parent`, checked against its hash and synced.
pub(crate) fn write_file(
    parent: &OwnedFd,
    source: File,
    new: NewFile<'_>,
    (giving, job): (&mut Giving<'_>, Job<'_>),
) -> Result<Vec<u8>, PlaceError> {
    let name = new.name;
    let (file, unfinished) = write_unfinished(parent, source, new, (giving, job))?;
    let finished =
        rustix::fs::fsync(&file).map_err(io::Error::from).and_then(|()| finish(parent, &unfinished, name));
    if finished.is_err() {
        let _ = rustix::fs::unlinkat(parent, &unfinished[..], AtFlags::empty());
    }
    Ok(finished?)
}

/// The same, not durable yet: the caller syncs, then calls [`finish`] with the name that this returns.
pub(crate) fn write_unfinished(
    parent: &OwnedFd,
    source: File,
    new: NewFile<'_>,
    (giving, job): (&mut Giving<'_>, Job<'_>),
) -> Result<(File, Vec<u8>), PlaceError> {
    let unfinished = Temporary::Unfinished.name()?;
    let file = create(parent, &unfinished)?;
    let result = fill(file, source, new, job).and_then(|file| {
        // Whoever it belonged to for a moment could have it open when it is given rights of somebody else.
        let is_nobodys = giving.is_nobodys_first(new.mode, new.attributes);
        if !is_nobodys {
            own(parent, new.name, &file)?;
        }
        let is_right = giving.give(&file, new.path, (Some(new.mode), new.attributes))?;
        if is_nobodys && !is_right {
            own(parent, new.name, &file)?;
        }
        Ok(file)
    });
    if result.is_err() {
        let _ = rustix::fs::unlinkat(parent, &unfinished[..], AtFlags::empty());
    }
    Ok((result?, unfinished))
}

/// Gives a file to whoever it belongs to where no owner is settled.
fn own(parent: &OwnedFd, name: &[u8], file: &File) -> io::Result<()> {
    if let Some((user, group)) = modes::owner_for(parent, name)? {
        rustix::fs::fchown(file, Some(user), Some(group))?;
    }
    Ok(())
}

/// Names a file that is complete and durable as such: from here on recovery keeps it.
pub(crate) fn finish(parent: &OwnedFd, unfinished: &[u8], name: &[u8]) -> io::Result<Vec<u8>> {
    let aside = Temporary::Aside(Temporary::mark(name)).name()?;
    rustix::fs::renameat(parent, unfinished, parent, &aside[..])?;
    Ok(aside)
}

fn create(parent: impl AsFd, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?))
}

fn fill(mut file: File, mut source: File, new: NewFile<'_>, job: Job<'_>) -> Result<File, PlaceError> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(new.size).unwrap_or(BUFFER)).max(1)];
    let found = if rustix::fs::ioctl_ficlone(&file, &source).is_ok() {
        file.rewind()?;
        hashing::hash_content(&mut file, job, &mut buffer)
    } else {
        let found = hashing::hash_content(&mut Tee { from: &mut source, to: &mut file }, job, &mut buffer);
        // A hole at the end has no byte that would make the file so long.
        if let Ok((_, size)) = &found {
            file.set_len(*size)?;
        }
        found
    };
    match found {
        Ok((content, size)) if content == *new.content && size == new.size => Ok(file),
        Ok(_) => Err(PlaceError::Corrupt),
        Err(HashError::Cancelled) => Err(PlaceError::Cancelled),
        Err(HashError::Read(error)) => Err(PlaceError::Io(error)),
    }
}

/// Reads, and writes what it reads.
struct Tee<'a> {
    from: &'a mut File,
    to: &'a mut File,
}

impl io::Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        // Holes stay holes: a sparse file must not become a full disk.
        if buffer[..read].iter().all(|byte| *byte == 0) {
            self.to.seek_relative(read as i64)?;
        } else {
            self.to.write_all(&buffer[..read])?;
        }
        Ok(read)
    }
}

/// Makes a link under a temporary name in `parent`.
pub(crate) fn make_link(
    parent: &OwnedFd,
    (path, target): (&ItemPath, &[u8]),
    attributes: &Attributes,
    giving: &mut Giving<'_>,
) -> io::Result<Vec<u8>> {
    let (_, name) = path.split().ok_or(io::ErrorKind::InvalidInput)?;
    let aside = Temporary::Aside(Temporary::mark(name)).name()?;
    rustix::fs::symlinkat(target, parent, &aside[..])?;
    if let Some((user, group)) = modes::owner_for(parent, name)? {
        rustix::fs::chownat(parent, &aside[..], Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    giving.give(beneath::pin_in(parent, &aside)?, path, (None, attributes))?;
    Ok(aside)
}

/// Copies an item of any kind to `to`, where nothing may be yet; durable when this returns, but for the name in
/// `to` itself. It appears there complete. Returns what the item looked like before it was read.
pub(crate) fn copy_item(from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8])) -> io::Result<Stamp> {
    let unfinished = Temporary::Unfinished.name()?;
    let result = copy_to(from, (to.0, &unfinished), DEPTH).and_then(|stamp| {
        super::swap::move_to_free((to.0, &unfinished), to)?;
        Ok(stamp)
    });
    if result.is_err() {
        let _ = remove_item(to.0, &unfinished);
    }
    result
}

fn copy_to(from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8]), depth: usize) -> io::Result<Stamp> {
    let deeper = depth.checked_sub(1).ok_or_else(too_deep)?;
    let stamp = Stamp::of_entry(from.0, from.1)?;
    match stamp.kind() {
        FileType::RegularFile => {
            let mut source = File::from(beneath::read_in(from.0, from.1)?);
            let mut file = create(to.0, to.1)?;
            if rustix::fs::ioctl_ficlone(&file, &source).is_err() {
                copy_growing(&mut source, &mut file)?;
            }
            keep_owner_and_times(&file, &stamp)?;
            keep_extended(&source, &file);
            rustix::fs::fchmod(&file, Mode::from_raw_mode(stamp.permissions()))?;
            rustix::fs::fsync(&file)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from.0, from.1, Vec::new())?;
            rustix::fs::symlinkat(&target, to.0, to.1)?;
            if modes::may_give() {
                let (user, group) = owners_of(&stamp);
                rustix::fs::chownat(to.0, to.1, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        FileType::Directory => {
            rustix::fs::mkdirat(to.0, to.1, Mode::RWXU)?;
            let (source, copy) = (beneath::enter(from.0, from.1)?, beneath::enter(to.0, to.1)?);
            for name in names_in(&source)? {
                copy_to((&source, &name), (&copy, &name), deeper)?;
            }
            keep_owner_and_times(&copy, &stamp)?;
            keep_extended(&source, &copy);
            rustix::fs::fchmod(&copy, Mode::from_raw_mode(stamp.permissions()))?;
            rustix::fs::fsync(&copy)?;
        }
        kind => {
            let device = rustix::fs::statat(from.0, from.1, AtFlags::SYMLINK_NOFOLLOW)?.st_rdev;
            rustix::fs::mknodat(to.0, to.1, kind, Mode::from_raw_mode(stamp.permissions()), device)?;
        }
    }
    Ok(stamp)
}

/// Copies a file that somebody may still append to: what it grew by meanwhile, too, but not for ever.
fn copy_growing(source: &mut File, file: &mut File) -> io::Result<()> {
    let mut copied = 0;
    for _ in 0..APPENDS {
        let left = source.metadata()?.len().saturating_sub(copied);
        if left == 0 {
            break;
        }
        copied += io::copy(&mut source.take(left), file)?;
    }
    Ok(())
}

fn owners_of(stamp: &Stamp) -> (Uid, Gid) {
    (Uid::from_raw(stamp.user), Gid::from_raw(stamp.group))
}

/// As far as the other file system takes them. After the owner, whose change takes capabilities away.
fn keep_extended(from: impl AsFd, to: impl AsFd) {
    let at = asked::path_of(&to);
    for (name, value) in asked::all_of(from).unwrap_or_default() {
        let _ = rustix::fs::setxattr(&at[..], &name[..], &value, XattrFlags::empty());
    }
}

fn keep_owner_and_times(file: impl AsFd, stamp: &Stamp) -> io::Result<()> {
    if modes::may_give() {
        let (user, group) = owners_of(stamp);
        rustix::fs::fchown(&file, Some(user), Some(group))?;
    }
    let second = 1_000_000_000;
    let time = Timespec {
        tv_sec: i64::try_from(stamp.mtime.div_euclid(second)).unwrap_or_default(),
        tv_nsec: i64::try_from(stamp.mtime.rem_euclid(second)).unwrap_or_default(),
    };
    Ok(rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?)
}

/// Removes an item of ours, with everything below it; enters no link and no other mount.
pub(crate) fn remove_item(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    remove_to(parent, name, DEPTH)
}

fn remove_to(parent: &OwnedFd, name: &[u8], depth: usize) -> io::Result<()> {
    let deeper = depth.checked_sub(1).ok_or_else(too_deep)?;
    if Stamp::of_entry(parent, name)?.kind() != FileType::Directory {
        return Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?);
    }
    let directory = enter_own(parent, name)?;
    for inner in names_in(&directory)? {
        remove_to(&directory, &inner, deeper)?;
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Enters a directory of ours whatever its mode, which it loses.
fn enter_own(parent: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    if !modes::is_root() {
        modes::make_passable(parent, name)?;
    }
    beneath::enter(parent, name)
}

fn too_deep() -> io::Error {
    io::Error::other("directories nested too deep")
}

/// The names in a directory.
pub(crate) fn names_in(directory: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !is_dots(entry.file_name()) {
            names.push(entry.file_name().to_bytes().to_vec());
        }
    }
    Ok(names)
}
