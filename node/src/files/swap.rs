//! Putting one item into the place of another without a moment in which neither is there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use althing_protocol::hash::{Hash, hex};
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::walk::OURS;

/// How often an item may appear and vanish while it is swapped.
const SWAPS: u32 = 16;
/// Hexadecimal digits of the random part of a temporary name, and of the hash of the name it stands for.
const DIGITS: usize = 16;

/// Our name of something temporary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Temporary {
    /// Not complete. It is a copy of something that is kept elsewhere.
    Unfinished,
    /// Complete: about to be swapped in, or swapped out and not in the trash yet. The number is [`Temporary::mark`]
    /// of the name it was or will be.
    Aside(u64),
}

impl Temporary {
    /// What in a temporary name tells the name that it stands for.
    pub(crate) fn mark(name: &[u8]) -> u64 {
        Hash::of(name).low()
    }

    /// A new name in this directory or any other.
    pub(crate) fn name(self) -> io::Result<Vec<u8>> {
        let mut random = [0; DIGITS / 2];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let text = match self {
            Self::Unfinished => format!("new-{}", hex(&random)),
            Self::Aside(mark) => format!("swap-{mark:016x}-{}", hex(&random)),
        };
        Ok([OURS, text.as_bytes()].concat())
    }

    /// What a name says, if it is one of ours.
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name.strip_prefix(OURS)?).ok()?;
        let is_number =
            |text: &str| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(random) = text.strip_prefix("new-") {
            return is_number(random).then_some(Self::Unfinished);
        }
        let (mark, random) = text.strip_prefix("swap-")?.split_once('-')?;
        if !is_number(random) || !is_number(mark) {
            return None;
        }
        u64::from_str_radix(mark, 16).ok().map(Self::Aside)
    }
}

/// Puts `fresh` under `name`, both in `parent`. What was there, if anything, is then under the name that is
/// returned.
pub(crate) fn swap_in(parent: &OwnedFd, fresh: &[u8], name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    for _ in 0..SWAPS {
        match rustix::fs::renameat_with(parent, fresh, parent, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(None),
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS) => return swap_by_link(parent, fresh, name),
            Err(error) => return Err(error.into()),
        }
        match rustix::fs::renameat_with(parent, fresh, parent, name, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(Some(fresh.to_vec())),
            Err(Errno::NOENT) => {}
            Err(Errno::INVAL | Errno::NOSYS) => return swap_by_link(parent, fresh, name),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

/// For file systems without an exchange: what is there gets a second name, then the first is taken over.
fn swap_by_link(parent: &OwnedFd, fresh: &[u8], name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let aside = Temporary::Aside(Temporary::mark(name)).name()?;
    match rustix::fs::linkat(parent, name, parent, &aside[..], AtFlags::empty()) {
        Ok(()) => {
            rustix::fs::renameat(parent, fresh, parent, name)?;
            Ok(Some(aside))
        }
        // Nothing is there. (A race with somebody who makes it now is lost on such a file system only.)
        Err(Errno::NOENT) => Ok(rustix::fs::renameat(parent, fresh, parent, name).map(|()| None)?),
        Err(error) => Err(error.into()),
    }
}

/// Renames without ever replacing anything, also where the file system has no flag for that.
pub(crate) fn move_to_free(from: (impl AsFd, &[u8]), to: (impl AsFd, &[u8])) -> Result<(), Errno> {
    match rustix::fs::renameat_with(&from.0, from.1, &to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            match rustix::fs::statat(&to.0, to.1, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(&from.0, from.1, &to.0, to.1),
                Err(error) => Err(error),
                Ok(_) => Err(Errno::EXIST),
            }
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn temporary_names_say_what_they_are() {
        for kind in [Temporary::Unfinished, Temporary::Aside(Temporary::mark(b"index.html"))] {
            assert_eq!(Temporary::parse(&kind.name().unwrap()), Some(kind));
        }
        for other in [
            &b".althing-"[..],
            b".althing-new-",
            b".althing-new-xyz",
            b"new-0123456789abcdef",
            b".althing-swap-1-2",
        ] {
            assert_eq!(Temporary::parse(other), None);
        }
    }

    #[test]
    fn both_ways_to_swap_leave_the_old_item_under_the_name_they_say() {
        for by_link in [false, true] {
            let tree = tempfile::tempdir().unwrap();
            let parent = OwnedFd::from(fs::File::open(tree.path()).unwrap());
            let swap = if by_link { swap_by_link } else { swap_in };
            fs::write(tree.path().join("fresh"), "1").unwrap();
            assert_eq!(swap(&parent, b"fresh", b"item").unwrap(), None);
            fs::write(tree.path().join("fresh"), "2").unwrap();
            let aside = swap(&parent, b"fresh", b"item").unwrap().expect("something was there");
            assert_eq!(fs::read(tree.path().join("item")).unwrap(), b"2");
            assert_eq!(fs::read(tree.path().join(String::from_utf8(aside).unwrap())).unwrap(), b"1");
            assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 2);
        }
    }
}
