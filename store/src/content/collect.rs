//! Removing content that nobody needs.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use althing_protocol::hash::{Hash, unhex};

use super::{Content, DIRECTORIES, Inner};
use crate::error::ContentError;

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Freed {
    /// Files.
    pub files: u64,
    /// Their bytes; less came free if blocks were shared.
    pub bytes: u64,
}

impl Content {
    /// Removes content that `keep` does not name and that is older than `older_than`. The age protects what was added,
    /// or found to be held, by somebody who has not yet said that it is needed. What a kill brings back is removed the
    /// next time.
    pub fn collect(&self, keep: &dyn Fn(&Hash) -> bool, older_than: Duration) -> Result<Freed, ContentError> {
        let mut freed = Freed::default();
        // A clock that was set back makes files look younger, which is the safe side.
        let Some(before) = SystemTime::now().checked_sub(older_than) else { return Ok(freed) };
        for index in 0..DIRECTORIES {
            let directory = self.inner.content.join(format!("{index:02x}"));
            self.inner
                .collect_in(&directory, keep, before, &mut freed)
                .map_err(|source| ContentError::Io { doing: "collect in", path: directory, source })?;
        }
        Ok(freed)
    }
}

impl Inner {
    fn collect_in(
        &self,
        directory: &Path,
        keep: &dyn Fn(&Hash) -> bool,
        before: SystemTime,
        freed: &mut Freed,
    ) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(unhex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            // What has no hash for a name was not put here by the store, and is not removed by it.
            let Some(hash) = digits.map(Hash) else { continue };
            if keep(&hash) {
                continue;
            }
            let _alone = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() && metadata.modified()? < before {
                fs::remove_file(entry.path())?;
                freed.files += 1;
                freed.bytes += metadata.len();
            }
        }
        Ok(())
    }
}
