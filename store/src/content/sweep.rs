//! Removing file bytes that nothing leads to, one directory at a time.

use std::fs;
use std::io;
use std::path::Path;

use althing_protocol::hash::{Hash, unhex};

use super::{Content, DIRECTORIES, Inner};
use crate::collect::{Freed, lock};
use crate::error::ContentError;

impl Content {
    /// Removes what `keep` does not name and what is not young from directory number `index`; nothing when there is
    /// no such directory.
    pub(crate) fn sweep(
        &self,
        index: u16,
        keep: &dyn Fn(&Hash) -> bool,
    ) -> Result<Option<Freed>, ContentError> {
        if index >= DIRECTORIES {
            return Ok(None);
        }
        let gathered = if index == 0 { self.inner.sweep_partial(keep) } else { Ok((0, 0)) };
        let gathered = gathered.map_err(|source| {
            let path = self.inner.partial.clone();
            ContentError::Io { doing: "collect in", path, source }
        })?;
        let directory = self.inner.content.join(format!("{index:02x}"));
        let swept = self.inner.sweep_in(&directory, keep);
        let swept = swept.map(|mut freed| {
            freed.files += gathered.0;
            freed.bytes += gathered.1;
            freed
        });
        swept.map(Some).map_err(|source| ContentError::Io { doing: "collect in", path: directory, source })
    }
}

impl Inner {
    fn sweep_in(&self, directory: &Path, keep: &dyn Fn(&Hash) -> bool) -> io::Result<Freed> {
        let mut freed = Freed::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(unhex).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            // What has no hash for a name was not put here by the store, and is not removed by it.
            let Some(hash) = digits.map(Hash) else { continue };
            if keep(&hash) {
                continue;
            }
            // Held from the question to the removal: whoever relies on it later finds that it is gone.
            let young = lock(&self.names);
            if young.has(&hash) {
                continue;
            }
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                fs::remove_file(entry.path())?;
                freed.files += 1;
                freed.bytes += metadata.len();
            }
        }
        Ok(freed)
    }
}
