//! Releases: the tree of an application that is switched as a whole (decision 0019, finding 27).
//!
//! Beside the root lies `<root>.releases`; in it each revision that was current here is a complete tree under
//! `<hash of its manifest>`, or `<hash>.<number>` where the tree of that name was found damaged. The root itself is a
//! symbolic link to one of them. A revision comes into force by one rename of that link: whoever opens a path below
//! the root sees the old tree or the new one, and whoever has the old one open keeps it.
//!
//! * [`name`]: what releases are called.
//! * [`site`]: the link and the directory beside it, and what can be done to them.
//! * [`switch`]: the apply: build beside, swap the link, let go of what is not kept.
//! * [`parting`]: how a tree that is not wanted any more goes: what is not as it was settled goes to the trash.

mod name;
mod parting;
mod site;
mod switch;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use althing_protocol::handling::Switching;
use rustix::io::Errno;

use self::name::Name;
use super::beneath::{self, Beneath};
use super::{Files, StoreFault};

/// What is at the root of an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Nothing, or a link to a release that is gone.
    Nothing,
    /// A directory: the tree itself.
    Directory,
    /// A link to this release.
    Release(Name),
    /// Something else: a file, or a link to somewhere.
    Other,
}

/// Where the releases of an application lie whose root is `root`.
pub(crate) fn releases_of(root: &Path) -> PathBuf {
    let mut name: OsString = root.as_os_str().to_owned();
    name.push(althing_protocol::handling::RELEASES);
    PathBuf::from(name)
}

/// What is at `root`, where an application that is switched by releases lies.
pub(crate) fn standing(root: &Path) -> io::Result<Standing> {
    let found = match std::fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Nothing),
        result => result?,
    };
    if found.is_dir() {
        return Ok(Standing::Directory);
    }
    if !found.is_symlink() {
        return Ok(Standing::Other);
    }
    let target = match std::fs::read_link(root) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::INVAL)) => {
            return Ok(Standing::Nothing);
        }
        result => result?,
    };
    let Some(name) = Name::of_target(root, target.as_os_str().as_bytes()) else { return Ok(Standing::Other) };
    match std::fs::symlink_metadata(releases_of(root).join(name.text())) {
        Ok(found) if found.is_dir() => Ok(Standing::Release(name)),
        Ok(_) => Ok(Standing::Nothing),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Nothing),
        Err(error) => Err(error),
    }
}

impl Files {
    /// Whether the tree is switched as a whole.
    pub(crate) fn has_releases(&self) -> bool {
        self.handling.switching == Switching::Release
    }

    /// Opens the tree: what is at the root, or the release that the root is a link to. No other link is followed.
    pub(crate) fn open_tree(&self) -> io::Result<Beneath> {
        if !self.has_releases() {
            return Beneath::open(&self.root);
        }
        match standing(&self.root)? {
            Standing::Directory => Beneath::open(&self.root),
            Standing::Release(name) => open_release(&self.root, &name),
            Standing::Nothing => Err(io::ErrorKind::NotFound.into()),
            Standing::Other => Err(io::Error::other(format!(
                "it is neither a directory nor a link to a release in {}",
                releases_of(&self.root).display()
            ))),
        }
    }

    /// Whether what is at the root has a form that no apply leaves behind: a directory of the content that was
    /// applied last, where a link belongs.
    pub(crate) fn is_out_of_form(&self, seen: &althing_protocol::hash::Hash) -> Result<bool, StoreFault> {
        if !self.has_releases() || !matches!(standing(&self.root), Ok(Standing::Directory)) {
            return Ok(false);
        }
        Ok(self.applied_root()?.as_ref() == Some(seen))
    }
}

/// Opens a release, without following a link at either of the two names.
fn open_release(root: &Path, name: &Name) -> io::Result<Beneath> {
    let releases = Beneath::open(&releases_of(root))?;
    let releases = releases.directory(&althing_protocol::path::ItemPath::root())?;
    Beneath::of(&beneath::enter(&releases, name.text().as_bytes())?)
}
