//! The lock on a store's directory: one process, and one [`Store`](crate::Store) in it. And how the last run ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::OpenError;

const NAME: &str = "lock";
/// Changes whenever the machine starts.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What is in the file after an orderly end.
const ENDED: &str = "-\n";

/// How the run before this one ended, as far as the disk tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LastRun {
    /// There was none, or it ended in order, or its program did not say.
    InOrder,
    /// It was killed, it crashed, or the machine stopped under it.
    Interrupted {
        /// What it was.
        pid: u32,
        /// Whether the machine was started again since.
        rebooted: bool,
    },
}

/// An advisory lock of the kernel, which ends with the process however it ends. The file stays and says who holds it;
/// an orderly end says so in it, so that who is still in it when the next one comes did not have one. It is never
/// removed, since a lock on a removed file excludes nobody.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Holds the lock as long as it is open.
    file: File,
    last: LastRun,
}

impl Lock {
    /// Takes the lock or says who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(NAME);
        let io = |doing| {
            let path = path.clone();
            move |source| OpenError::Io { doing, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open"))?;
        let held = flock(&file, FlockOperation::NonBlockingLockExclusive);
        let mut before = String::new();
        // What cannot be read names nobody.
        let _ = file.read_to_string(&mut before);
        match held {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { path: dir.to_owned(), pid: holder(&before) });
            }
            Err(errno) => return Err(io("lock")(errno.into())),
        }
        let boot = std::fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned();
        let last = last_run(&before, &boot);
        let lock = Self { file, last };
        match lock.say(&format!("{} {boot}\n", std::process::id())) {
            Ok(()) => Ok(lock),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                Err(OpenError::Full { path: dir.to_owned() })
            }
            Err(error) => Err(io("write")(error)),
        }
    }

    /// How the run before ended.
    pub(crate) fn last_run(&self) -> &LastRun {
        &self.last
    }

    /// This run ends in order.
    pub(crate) fn end_in_order(&self) -> io::Result<()> {
        self.say(ENDED)
    }

    /// In place, so that it needs no room on a full disk.
    fn say(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        file.sync_all()
    }
}

fn holder(text: &str) -> Option<u32> {
    text.split_whitespace().next()?.parse().ok()
}

/// A program that wrote only its pid left it there however it ended.
fn last_run(text: &str, boot: &str) -> LastRun {
    let interrupted = |pid| {
        let then = text.split_whitespace().nth(1)?;
        Some(LastRun::Interrupted { pid, rebooted: then != boot })
    };
    holder(text).and_then(interrupted).unwrap_or(LastRun::InOrder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_still_in_the_lock_did_not_end_in_order() {
        for ended in ["", ENDED] {
            assert_eq!(last_run(ended, "b1"), LastRun::InOrder);
        }
        assert_eq!(last_run("41\n", "b1"), LastRun::InOrder);
        assert_eq!(last_run("41 b1\n", "b1"), LastRun::Interrupted { pid: 41, rebooted: false });
        assert_eq!(last_run("41 b0\n", "b1"), LastRun::Interrupted { pid: 41, rebooted: true });
        assert_eq!(last_run("rubbish b0\n", "b1"), LastRun::InOrder);
    }
}
