//! Durable records of the node itself, under names that it chooses: the index of the trash, the journal of applying.

use rocksdb::WriteBatch;

use crate::Store;
use crate::database::{KEY_BYTES, check_bounds};
use crate::error::{CommitError, ReadError};
use crate::room::Purpose;

pub(crate) const FAMILY: &str = "records";

impl Store {
    /// Sets (`Some`) or removes (`None`) a record, durably.
    pub fn put_record(&self, key: &str, value: Option<&[u8]>) -> Result<(), CommitError> {
        self.put_records(&[(key, value)])
    }

    /// Sets and removes records, all or none, durably.
    pub fn put_records(&self, records: &[(&str, Option<&[u8]>)]) -> Result<(), CommitError> {
        let mut batch = WriteBatch::default();
        for (key, value) in records {
            check_bounds(key.as_bytes(), *value, KEY_BYTES)?;
            match value {
                Some(value) => batch.put_cf(self.index.family(FAMILY), key, value),
                None => batch.delete_cf(self.index.family(FAMILY), key),
            }
        }
        // To forget something must be possible on a full disk.
        let forgets = records.iter().all(|(_, value)| value.is_none());
        let purpose = if forgets { Purpose::Settlement } else { Purpose::Content };
        self.write_index(purpose, batch)
    }

    /// One record.
    pub fn record(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.index.get(FAMILY, key.as_bytes())
    }

    /// Every record whose key begins with `prefix`, ordered by key.
    pub fn records_below(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, ReadError> {
        let mut records = Vec::new();
        let mut wrong = None;
        self.index.visit(FAMILY, prefix.as_bytes(), |key, value| {
            if !key.starts_with(prefix.as_bytes()) {
                return false;
            }
            match String::from_utf8(key.into_vec()) {
                Ok(key) => records.push((key, value.into_vec())),
                Err(error) => wrong = Some(error.to_string()),
            }
            wrong.is_none()
        })?;
        match wrong {
            Some(detail) => Err(ReadError::Damaged { what: "the key of a record".into(), detail }),
            None => Ok(records),
        }
    }
}
