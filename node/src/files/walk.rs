//! The walk: lists a tree with one `statx` per item, reading no content, following no link, entering no mount.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use althing_protocol::path::ItemPath;
use rustix::fs::{Dir, FileType};
use serde::Serialize;

use super::beneath::{self, Beneath};
use super::job::{Job, Stage};
use super::scan::ScanError;
use super::stamp::{self, Stamp};
use super::unmanaged::Patterns;

/// Names that begin so are this program's temporary files, never items.
pub(crate) const OURS: &[u8] = b".althing-";

/// How often a directory that changes while it is listed is listed again.
const LISTINGS: u32 = 6;
/// How often it is looked at whether a directory that changed just now is old enough to be listed: 30 ms in all.
const WAITS: u32 = 4;
/// Pause before listing or looking again; doubles.
const PAUSE: Duration = Duration::from_millis(2);
/// Items between two reports of progress.
const REPORT_EVERY: usize = 512;

/// What an unmanaged thing is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Special {
    /// A block or character device.
    Device,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// Another file system (or part of one) is mounted here; what is in it is not looked at.
    Mount,
}

/// Something in the tree that no manifest can name: listed, never repaired.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Unmanaged {
    /// Where.
    pub path: ItemPath,
    /// What.
    pub what: Special,
}

/// The kind of an item that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
}

/// An item that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: ItemPath,
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
}

/// A whole tree, listed.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// The root directory, as it was listed.
    pub(crate) top: Option<Stamp>,
    pub(crate) found: Vec<Found>,
    pub(crate) unmanaged: Vec<Unmanaged>,
    /// Things whose names begin with [`OURS`].
    pub(crate) ours: Vec<ItemPath>,
    /// One path in each directory that has some that are not managed.
    pub(crate) sheltered: Vec<ItemPath>,
}

/// Lists everything below `beneath`.
pub(crate) fn walk(beneath: &Beneath, patterns: &Patterns, job: Job<'_>) -> Result<Walked, ScanError> {
    let root = ItemPath::root();
    let directory = beneath.directory(&root).map_err(|source| unreadable(&root, source))?;
    let mut walk = Walk { out: Walked::default(), patterns, job };
    walk.out.top = Some(walk.enter(&directory, &root)?);
    Ok(walk.out)
}

struct Walk<'a> {
    out: Walked,
    patterns: &'a Patterns,
    job: Job<'a>,
}

struct Listed {
    name: Vec<u8>,
    stamp: Stamp,
    target: Vec<u8>,
}

impl Walk<'_> {
    /// What is in a directory; how that was when it was listed.
    fn enter(&mut self, directory: &OwnedFd, path: &ItemPath) -> Result<Stamp, ScanError> {
        self.job.check()?;
        let mut sheltered = None;
        let (stamp, listing) = list_stable(directory, path)?;
        for listed in listing {
            let path = path.join(&listed.name).map_err(|reason| ScanError::Unnameable {
                path: format!("{}/{}", path.lossy(), String::from_utf8_lossy(&listed.name)),
                reason,
            })?;
            if self.patterns.matches(&path) {
                sheltered = Some(path);
                continue;
            }
            self.note(directory, path, listed)?;
            if self.out.found.len().is_multiple_of(REPORT_EVERY) {
                self.job.report(Stage::Walk, self.out.found.len(), 0);
            }
        }
        self.out.sheltered.extend(sheltered);
        Ok(stamp)
    }

    fn note(&mut self, directory: &OwnedFd, path: ItemPath, listed: Listed) -> Result<(), ScanError> {
        let Listed { name, stamp, target } = listed;
        if name.starts_with(OURS) {
            self.out.ours.push(path);
            return Ok(());
        }
        let special = match stamp.kind() {
            _ if stamp.mount => Special::Mount,
            FileType::RegularFile => {
                self.out.found.push(Found { path, kind: Kind::File, stamp });
                return Ok(());
            }
            FileType::Symlink => {
                self.out.found.push(Found { path, kind: Kind::Symlink(target), stamp });
                return Ok(());
            }
            FileType::Directory => return self.note_directory(directory, path, &name, stamp),
            FileType::Fifo => Special::Fifo,
            FileType::Socket => Special::Socket,
            _ => Special::Device,
        };
        self.out.unmanaged.push(Unmanaged { path, what: special });
        Ok(())
    }

    fn note_directory(
        &mut self,
        parent: &OwnedFd,
        path: ItemPath,
        name: &[u8],
        stamp: Stamp,
    ) -> Result<(), ScanError> {
        match beneath::enter(parent, name) {
            Ok(directory) => {
                let at = self.out.found.len();
                self.out.found.push(Found { path: path.clone(), kind: Kind::Directory, stamp });
                self.out.found[at].stamp = self.enter(&directory, &path)?;
                Ok(())
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => {
                self.out.unmanaged.push(Unmanaged { path, what: Special::Mount });
                Ok(())
            }
            Err(error) if beneath::has_moved(&error) => Err(ScanError::Unstable { path }),
            Err(source) => Err(unreadable(&path, source)),
        }
    }
}

/// Lists a directory that did not change meanwhile, as far as its stamps tell, and says which stamp it had.
fn list_stable(directory: &OwnedFd, path: &ItemPath) -> Result<(Stamp, Vec<Listed>), ScanError> {
    let failed = |source| unreadable(path, source);
    let_age(directory).map_err(failed)?;
    let mut pause = PAUSE;
    for _ in 0..LISTINGS {
        let before = Stamp::of(directory).map_err(failed)?;
        let listing = list(directory).map_err(failed)?;
        let after = Stamp::of(directory).map_err(failed)?;
        if let Some(mut listing) = listing
            && before.is_unchanged(&after)
        {
            listing.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok((before, listing));
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    Err(ScanError::Unstable { path: path.clone() })
}

/// What changed just now may change again and leave the same stamp, on kernels before 6.13, which move it once a tick:
/// waits until that is over. Where something changes all the time there is no such moment.
fn let_age(directory: &OwnedFd) -> std::io::Result<()> {
    let mut pause = PAUSE;
    for _ in 0..WAITS {
        if !Stamp::of(directory)?.is_of_this_moment(stamp::now()) {
            break;
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    Ok(())
}

/// One listing; `None` if something vanished before it was looked at.
fn list(directory: &OwnedFd) -> std::io::Result<Option<Vec<Listed>>> {
    let mut listing = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        match look(directory, name.to_bytes()) {
            Ok(listed) => listing.push(listed),
            Err(error) if beneath::has_moved(&error) => return Ok(None),
            // What was a link is none any more.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(listing))
}

fn look(directory: impl AsFd, name: &[u8]) -> std::io::Result<Listed> {
    let stamp = Stamp::of_entry(&directory, name)?;
    let target = if stamp.kind() == FileType::Symlink {
        rustix::fs::readlinkat(&directory, name, Vec::new())?.into_bytes()
    } else {
        Vec::new()
    };
    Ok(Listed { name: name.to_vec(), stamp, target })
}

/// Whether a name is that of the directory itself or its parent.
pub(crate) fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

pub(crate) fn unreadable(path: &ItemPath, source: std::io::Error) -> ScanError {
    ScanError::Unreadable { path: path.clone(), source }
}
