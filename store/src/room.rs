//! Room on the disk of the store: who may still write, and the reserve that keeps votes going (finding 38).
//!
//! RocksDB does not recover well from a disk that fills under a write, so it is not asked to write when the disk is
//! nearly full. What is not settlement stops first, while [`CONTENT_MARGIN`] is left. Then the reserve, a file that
//! was allocated before, is given up for votes and settled records. When even that is used, commits wait. The
//! reserve is made again when there is room.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::faults::Faults;
use crate::layout::sync_directory;

/// Kept allocated for votes.
pub const RESERVE_BYTES: u64 = 16 << 20;
/// Left free by everything but settlement: more than what RocksDB writes out behind a commit.
pub const CONTENT_MARGIN: u64 = 6 << 20;
/// Left free by settlement: a commit is far smaller.
const VOTES_MARGIN: u64 = 2 << 20;
/// The reserve is made when so much stays free beside it.
const EASE: u64 = 2 * CONTENT_MARGIN;

const NAME: &str = "reserve";

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Votes, settled records and events: they may use the reserve.
    Settlement,
    /// Everything else.
    Content,
}

/// How much may be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Space {
    /// Everything.
    Enough,
    /// Settlement only, from the reserve.
    Settlement {
        /// Bytes that are free.
        free: u64,
    },
    /// Nothing.
    Nothing {
        /// Bytes that are free.
        free: u64,
    },
}

/// The room of one store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// Whether the reserve is there.
    reserve: Mutex<bool>,
    /// Writes that were refused since anybody looked.
    refused: AtomicU64,
    refused_settlement: AtomicU64,
    faults: Faults,
}

impl Room {
    /// Looks at the directory. A disk without room for opening the databases gets the reserve at once.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let there = fs::symlink_metadata(dir.join(NAME)).is_ok();
        let inner = Inner {
            dir: dir.to_owned(),
            reserve: Mutex::new(there),
            refused: AtomicU64::new(0),
            refused_settlement: AtomicU64::new(0),
            faults: Faults::default(),
        };
        let room = Self { inner: Arc::new(inner) };
        if room.free()? < CONTENT_MARGIN {
            room.inner.give_up(&mut room.inner.reserve())?;
        }
        Ok(room)
    }

    /// Where the store is.
    pub fn directory(&self) -> &Path {
        &self.inner.dir
    }

    /// The full disk of tests.
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Says whether so many bytes may be written, giving up the reserve for settlement. The error is that of a full
    /// disk, or of a disk that cannot be asked.
    pub fn admit(&self, purpose: Purpose, bytes: u64) -> io::Result<()> {
        let admitted = self.inner.faults.point().and_then(|()| self.admit_now(purpose, bytes));
        if admitted.is_err() {
            let count = match purpose {
                Purpose::Settlement => &self.inner.refused_settlement,
                Purpose::Content => &self.inner.refused,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn admit_now(&self, purpose: Purpose, bytes: u64) -> io::Result<()> {
        let free = self.free()?;
        let mut there = self.inner.reserve();
        if free >= self.floor(purpose, *there).saturating_add(bytes) {
            return Ok(());
        }
        if purpose == Purpose::Settlement && *there {
            self.inner.give_up(&mut there)?;
            if self.free()? >= VOTES_MARGIN.saturating_add(bytes) {
                return Ok(());
            }
        }
        Err(Errno::NOSPC.into())
    }

    /// What must stay free. Room that is there because the reserve was given up is not for content.
    fn floor(&self, purpose: Purpose, reserve: bool) -> u64 {
        match purpose {
            Purpose::Settlement => VOTES_MARGIN,
            Purpose::Content if reserve => CONTENT_MARGIN,
            Purpose::Content => CONTENT_MARGIN + RESERVE_BYTES,
        }
    }

    /// Makes the reserve if there is room for it, and says how it stands. To be called now and then.
    pub fn tend(&self) -> Space {
        let refused = self.inner.refused.swap(0, Ordering::Relaxed) > 0;
        let refused_settlement = self.inner.refused_settlement.swap(0, Ordering::Relaxed) > 0;
        let mut there = self.inner.reserve();
        let free = self.free().unwrap_or_default();
        if !*there && free >= RESERVE_BYTES + EASE {
            match self.inner.make() {
                Ok(()) => *there = true,
                Err(error) => tracing::debug!(%error, "the reserve was not made"),
            }
        }
        let available = free.saturating_add(if *there { RESERVE_BYTES } else { 0 });
        if available < VOTES_MARGIN || refused_settlement || self.inner.faults.is_full() {
            return Space::Nothing { free };
        }
        let floor = self.floor(Purpose::Content, *there || free >= RESERVE_BYTES + EASE);
        if free < floor || refused { Space::Settlement { free } } else { Space::Enough }
    }

    /// Bytes that this process may use on the disk.
    pub fn free(&self) -> io::Result<u64> {
        if self.inner.faults.is_full() {
            return Ok(0);
        }
        let found = rustix::fs::statvfs(&self.inner.dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl Inner {
    fn reserve(&self) -> MutexGuard<'_, bool> {
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self, there: &mut bool) -> io::Result<()> {
        if !*there {
            return Ok(());
        }
        match fs::remove_file(self.dir.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => *there = false,
        }
        tracing::warn!(dir = %self.dir.display(), "the disk is nearly full: the reserve is given up for votes");
        Ok(())
    }

    fn make(&self) -> io::Result<()> {
        let path = self.dir.join(NAME);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let made = allocate(&file).and_then(|()| file.sync_all()).and_then(|()| sync_directory(&self.dir));
        if made.is_err() {
            // What is half allocated is of no use.
            let _ = fs::remove_file(&path);
        }
        made
    }
}

/// Blocks of the file's own, also where the file system cannot allocate without writing.
fn allocate(file: &File) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Err(Errno::OPNOTSUPP) => {
            io::copy(&mut io::Read::take(io::repeat(0x5a), RESERVE_BYTES), &mut &*file).map(|_| ())
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_reserve_is_made_with_room_and_given_up_without() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::open(dir.path()).unwrap();
        assert_eq!(room.tend(), Space::Enough);
        let reserve = dir.path().join(NAME);
        assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVE_BYTES);
        assert!(room.admit(Purpose::Content, 1).is_ok());
        room.faults().fill_after(0, Duration::from_millis(200));
        assert!(room.admit(Purpose::Content, 1).is_err());
        assert!(room.admit(Purpose::Settlement, 1).is_err());
        assert!(matches!(room.tend(), Space::Nothing { free: 0 }));
        std::thread::sleep(Duration::from_millis(220));
        assert!(room.admit(Purpose::Settlement, 1).is_ok());
        assert_eq!(room.tend(), Space::Enough);
    }

    #[test]
    fn a_write_that_is_larger_than_the_disk_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::open(dir.path()).unwrap();
        let error = room.admit(Purpose::Content, u64::MAX / 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(matches!(room.tend(), Space::Settlement { .. }), "it was refused since");
        assert_eq!(room.tend(), Space::Enough);
    }
}
