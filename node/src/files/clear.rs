//! Clearing away: the application is gone, its tree goes to the trash, and nothing is remembered of it but that.

use std::io;

use althing_protocol::manifest::Manifest;
use althing_store::{ReadError, Store};

use super::cache::Cache;
use super::job::Job;
use super::{ApplyError, Files, StoreFault};

/// What the keys of all applications begin with that have nothing left but their trash.
const RETIRED: &str = "files/retired/";

/// Names and roots of removed applications whose trash is still kept.
pub(crate) fn retired(store: &Store) -> Result<Vec<(String, String)>, ReadError> {
    let records = store.records_below(RETIRED)?;
    let named = records.into_iter().filter_map(|(key, root)| {
        Some((key.strip_prefix(RETIRED)?.to_owned(), String::from_utf8(root).ok()?))
    });
    Ok(named.collect())
}

impl Files {
    /// Moves everything at the root to the trash, but for what is not managed, and removes the root if it is empty
    /// then; returns how many items that were.
    pub fn clear(&self, job: Job<'_>) -> Result<usize, ApplyError> {
        if self.has_releases() {
            return self.clear_releases(job);
        }
        match std::fs::symlink_metadata(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(ApplyError::Root(error)),
            Ok(_) => {}
        }
        let nothing = Manifest::empty();
        self.store.put_directories(nothing.directories.iter()).map_err(StoreFault::from)?;
        let reason = format!("{} was removed", self.application);
        let trashed = self.apply(nothing.root, 0, &reason, job)?.trashed.len();
        match std::fs::remove_dir(&self.root) {
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) =>
            {
                // It may be a mount, or lie where this process may not remove anything: it is empty, and harmless.
                tracing::info!(root = %self.root.display(), %error, "the empty root stays");
            }
            _ => {}
        }
        Ok(trashed)
    }

    /// Forgets what was known of the tree. Its trash stays until it is too old, also without the application.
    pub(crate) fn retire(&self) -> Result<(), StoreFault> {
        {
            let mut guard = self.exclusive();
            let cache: &mut Cache = self.cache(&mut guard)?;
            cache.retain(|_| false);
            cache.save(&self.store, &self.application)?;
        }
        self.forget_applies()?;
        self.forget_order()?;
        let root = self.root.to_string_lossy().into_owned();
        let value = if self.trash()?.is_empty() { None } else { Some(root.as_bytes()) };
        Ok(self.store.put_record(&self.retired_key(), value)?)
    }

    /// There is an application of this name again, or nothing left of the one there was.
    pub(crate) fn unretire(&self) -> Result<(), StoreFault> {
        if self.store.record(&self.retired_key())?.is_some() {
            self.store.put_record(&self.retired_key(), None)?;
        }
        Ok(())
    }

    fn retired_key(&self) -> String {
        format!("{RETIRED}{}", self.application)
    }
}
