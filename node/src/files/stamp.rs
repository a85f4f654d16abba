//! [`Stamp`]: what the file system says about an item without its content being read, and when to believe it.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags};
use rustix::time::{ClockId, clock_gettime};

/// Coarsest step of the clock that stamps files on a local file system: a tick of a 100 Hz kernel, doubled.
/// (The stamping clock lags the precise clock by up to a tick.)
const GRAIN: Duration = Duration::from_millis(20);

/// The same for file systems that keep whole seconds (or two of them).
const COARSE_GRAIN: Duration = Duration::from_secs(2);

/// How long a page that was written through a memory map may stay dirty, so that further writes to it leave no
/// stamp: the kernel's 30 s and 5 s of write-back, with room.
const DIRTY_PAGES: Duration = Duration::from_secs(60);

/// Nanoseconds since 1970.
type Nanos = i128;

/// An item as `statx` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) mtime: Nanos,
    pub(crate) ctime: Nanos,
    /// Kind and permission bits.
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Something else is mounted here.
    pub(crate) mount: bool,
}

impl Stamp {
    /// Of an open file.
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Self> {
        Self::look(fd, b"", AtFlags::EMPTY_PATH)
    }

    /// Of `name` in a directory; a link is looked at, not followed.
    pub(crate) fn of_entry(directory: impl AsFd, name: &[u8]) -> io::Result<Self> {
        Self::look(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
    }

    fn look(fd: impl AsFd, name: &[u8], flags: AtFlags) -> io::Result<Self> {
        let found: Statx = rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS)?;
        let nanos =
            |at: rustix::fs::StatxTimestamp| Nanos::from(at.tv_sec) * 1_000_000_000 + Nanos::from(at.tv_nsec);
        Ok(Self {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            size: found.stx_size,
            mtime: nanos(found.stx_mtime),
            ctime: nanos(found.stx_ctime),
            mode: u32::from(found.stx_mode),
            links: found.stx_nlink,
            user: found.stx_uid,
            group: found.stx_gid,
            mount: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// The bits of the mode that a manifest keeps.
    pub(crate) fn permissions(&self) -> u32 {
        self.mode & althing_protocol::manifest::MODE_MASK
    }

    /// The same with other permission bits.
    pub(crate) fn with_permissions(self, mode: u32) -> Self {
        Self { mode: self.mode & !althing_protocol::manifest::MODE_MASK | mode, ..self }
    }

    /// Whether this is the same item with the same content, as far as stamps can tell.
    pub(crate) fn is_unchanged(&self, other: &Self) -> bool {
        self.without_change_time() == other.without_change_time() && self.ctime == other.ctime
    }

    /// The same across a rename or exchange, which themselves set the ctime.
    pub(crate) fn is_same_but_moved(&self, other: &Self) -> bool {
        self.without_change_time() == other.without_change_time()
    }

    fn without_change_time(&self) -> (u64, u64, u64, Nanos, u32) {
        (self.device, self.inode, self.size, self.mtime, self.mode)
    }

    /// Whether a write after `started` may have left this very stamp, so that it must not be trusted later: it is
    /// not older than `started` by more than the clock's grain. A modification time in the future (somebody's
    /// `touch`) proves nothing and does not count; no one can set a ctime.
    pub(crate) fn is_racy(&self, started: Nanos) -> bool {
        let whole_seconds = self.mtime % 1_000_000_000 == 0 && self.ctime % 1_000_000_000 == 0;
        let grain = if whole_seconds { COARSE_GRAIN } else { GRAIN }.as_nanos().cast_signed();
        let just_modified = self.mtime >= started - grain && self.mtime <= started + grain;
        self.ctime >= started - grain || just_modified
    }

    /// Whether it was stamped at about this time: what happens next may leave the same stamp. A stamp of the future is
    /// that of a clock that was put back, and is left behind by whatever happens next.
    pub(crate) fn is_of_this_moment(&self, now: Nanos) -> bool {
        (self.ctime - now).abs() < GRAIN.as_nanos().cast_signed()
    }

    /// Whether pages of it may be dirty, so that writes through a memory map leave no further stamp.
    pub(crate) fn may_have_dirty_pages(&self, now: Nanos) -> bool {
        self.mtime.max(self.ctime) >= now - DIRTY_PAGES.as_nanos().cast_signed()
    }
}

/// The precise clock of the kernel that stamps files.
pub(crate) fn now() -> Nanos {
    let time = clock_gettime(ClockId::Realtime);
    Nanos::from(time.tv_sec) * 1_000_000_000 + Nanos::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_racy_within_the_clocks_grain() {
        let file = tempfile::tempfile().unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let just_after = stamp.ctime + 1;
        assert!(stamp.is_racy(just_after));
        assert!(!stamp.is_racy(just_after + GRAIN.as_nanos().cast_signed()));
        let future = Stamp { mtime: stamp.mtime + 3_600_000_000_000, ..stamp };
        assert!(!future.is_racy(just_after + GRAIN.as_nanos().cast_signed()));
        let whole = Stamp { mtime: 5_000_000_000, ctime: 5_000_000_000, ..stamp };
        assert!(whole.is_racy(6_900_000_000));
        assert!(!whole.is_racy(7_100_000_000));
    }

    #[test]
    fn a_stamp_is_of_this_moment_for_a_grain() {
        let file = tempfile::tempfile().unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let grain = GRAIN.as_nanos().cast_signed();
        assert!(stamp.is_of_this_moment(stamp.ctime) && stamp.is_of_this_moment(stamp.ctime + grain - 1));
        assert!(!stamp.is_of_this_moment(stamp.ctime + grain));
        assert!(!stamp.is_of_this_moment(stamp.ctime - grain), "the clock was put back");
    }
}
