//! The scan cache: what the last scan knew of each path of an application, opaque to the store.
//!
//! Written past the log. After a kill the newest entries may be missing or old ones back, so an entry must only be
//! trusted together with what it was taken from (inode, times, size), never because it is there.

use std::sync::PoisonError;

use althing_protocol::limits;
use rocksdb::WriteBatch;

use crate::database::{KEY_BYTES, check_bounds};
use crate::error::{CommitError, ReadError};
use crate::room::Purpose;
use crate::{Pair, Store};

pub(crate) const FAMILY: &str = "scan";
/// Cache in memory that a kill may lose before it is written out.
const UNWRITTEN_BYTES: usize = 512 << 10;
/// Written at once: a first scan changes every path, and must not need its size in memory twice more.
const BATCH_BYTES: usize = 128 << 10;

impl Store {
    /// Every path of an application with its value, ordered by path.
    pub fn scan_cache(&self, application: &str) -> Result<Vec<Pair>, ReadError> {
        let mut pairs = Vec::new();
        let Ok(prefix) = prefix(application) else { return Ok(pairs) };
        self.index.visit(FAMILY, &prefix, |key, value| match key.strip_prefix(&prefix[..]) {
            Some(path) => {
                pairs.push((path.to_vec(), value.into_vec()));
                true
            }
            None => false,
        })?;
        Ok(pairs)
    }

    /// Sets (`Some`) or forgets (`None`) values of paths. Not synced, and not atomic: a lost cache only makes the next
    /// scan slower.
    pub fn update_scan_cache(
        &self,
        application: &str,
        changed: &[(Vec<u8>, Option<Vec<u8>>)],
    ) -> Result<(), CommitError> {
        let prefix = prefix(application)?;
        let mut batch = WriteBatch::default();
        for (path, value) in changed {
            let key = [&prefix[..], path].concat();
            check_bounds(&key, value.as_deref(), KEY_BYTES)?;
            match value {
                Some(value) => batch.put_cf(self.index.family(FAMILY), key, value),
                None => batch.delete_cf(self.index.family(FAMILY), key),
            }
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.write_scan(std::mem::take(&mut batch))?;
            }
        }
        self.write_scan(batch)
    }

    /// Forgets all of an application.
    pub fn forget_scan_cache(&self, application: &str) -> Result<(), CommitError> {
        let from = prefix(application)?;
        let mut to = from.clone();
        if let Some(last) = to.last_mut() {
            *last = 1; // The end of the prefix was 0.
        }
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.index.family(FAMILY), from, to);
        self.write_scan(batch)
    }

    fn write_scan(&self, batch: WriteBatch) -> Result<(), CommitError> {
        let bytes = batch.size_in_bytes();
        crate::admit(&self.room, Purpose::Content, &batch)?;
        self.index.write_unlogged(batch)?;
        let mut unwritten = self.unwritten_scan.lock().unwrap_or_else(PoisonError::into_inner);
        *unwritten += bytes;
        if *unwritten >= UNWRITTEN_BYTES {
            *unwritten = 0;
            self.index.write_out(FAMILY)?;
        }
        Ok(())
    }
}

/// The application's name and a zero, so that no name is the beginning of another.
fn prefix(application: &str) -> Result<Vec<u8>, CommitError> {
    if application.is_empty() || application.len() > limits::LABEL_BYTES || application.contains('\0') {
        return Err(CommitError::Refused(format!("{application:?} is not the name of an application")));
    }
    Ok([application.as_bytes(), &[0]].concat())
}
