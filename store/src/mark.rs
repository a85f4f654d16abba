//! The mark: how many commits were acknowledged, kept apart from the database that holds them.
//!
//! Every recovery of a log has to decide whether a bad end is a write that nobody was told about or one that rotted.
//! A database alone cannot know. So after each synced commit its number is written here, *not* synced: killing the
//! process loses nothing of it, a power cut at most the last half minute. The database holds the same number in the
//! same batch as the commit. A database that is behind the mark has forgotten something that was acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use althing_protocol::hash::Hash;

use crate::layout::sync_directory;

const NAME: &str = "acknowledged";

/// Two slots, written in turn and each in a block of its own, so that one torn or rotten block is no loss.
const SLOT_BYTES: u64 = 4096;
const COUNT_BYTES: usize = 8;
const ENTRY_BYTES: usize = COUNT_BYTES + 32;

/// The file, open.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
}

impl Mark {
    /// Makes the file, with zero.
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(NAME);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mark = Self { file };
        if mark.read()?.is_none() {
            mark.write(0)?;
            mark.write(1)?; // Room for both slots before the disk can be full …
            mark.file.write_all_at(&entry(0), SLOT_BYTES)?; // … but one commit has not happened yet.
        }
        mark.file.sync_all()?;
        sync_directory(dir)?;
        Ok(mark)
    }

    /// Opens the file of an existing store.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().read(true).write(true).open(dir.join(NAME))? })
    }

    /// The highest number in a valid slot; nothing if neither is valid.
    pub(crate) fn read(&self) -> io::Result<Option<u64>> {
        Ok([self.slot(0)?, self.slot(SLOT_BYTES)?].into_iter().flatten().max())
    }

    /// Writes a number. It does not count as durable.
    pub(crate) fn write(&self, count: u64) -> io::Result<()> {
        self.file.write_all_at(&entry(count), count % 2 * SLOT_BYTES)
    }

    /// Makes it durable: at the end of a process, when time does not matter.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn slot(&self, at: u64) -> io::Result<Option<u64>> {
        let mut bytes = [0; ENTRY_BYTES];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut count = [0; COUNT_BYTES];
        count.copy_from_slice(&bytes[..COUNT_BYTES]);
        let count = u64::from_le_bytes(count);
        Ok((entry(count) == bytes).then_some(count))
    }
}

fn entry(count: u64) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..COUNT_BYTES].copy_from_slice(&count.to_le_bytes());
    bytes[COUNT_BYTES..].copy_from_slice(&Hash::in_domain("althing store mark v1", &count.to_le_bytes()).0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_valid_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::create(dir.path()).unwrap();
        assert_eq!(mark.read().unwrap(), Some(0));
        for count in 1..=5 {
            mark.write(count).unwrap();
            assert_eq!(Mark::open(dir.path()).unwrap().read().unwrap(), Some(count));
        }
        mark.file.write_all_at(&[7], SLOT_BYTES).unwrap();
        assert_eq!(mark.read().unwrap(), Some(4), "one rotten slot leaves the other");
        mark.file.write_all_at(&[7], 0).unwrap();
        assert_eq!(mark.read().unwrap(), None);
    }
}
