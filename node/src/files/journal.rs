//! The intent journal: one record that says an apply began, durable before the first change and removed after the
//! last. Beside it, what was applied last, which tells a root that vanished from one that never was.

use althing_protocol::codec;
use althing_protocol::hash::Hash;
use althing_store::{ReadError, Store};
use serde::{Deserialize, Serialize};

use super::{Files, StoreFault};

/// More than a journal takes.
const RECORD_BYTES: usize = 4096;
/// Format of the records; the first field of each.
const FORMAT: u8 = 1;
/// What the keys of all journals begin with.
const JOURNALS: &str = "files/journal/";

/// An apply that began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    format: u8,
    /// What the tree becomes.
    pub(crate) root: Hash,
    /// By which settled epoch.
    pub(crate) epoch: u64,
    /// Where what it replaces goes in the trash.
    pub(crate) batch: String,
}

impl Journal {
    pub(crate) fn new(root: Hash, epoch: u64, batch: String) -> Self {
        Self { format: FORMAT, root, epoch, batch }
    }
}

/// What the applies that began and did not end make of their trees, of all applications.
pub(crate) fn journal_roots(store: &Store) -> Result<Vec<Hash>, ReadError> {
    let records = store.records_below(JOURNALS)?;
    let journals = records.iter().filter_map(|(_, bytes)| codec::decode::<Journal>(bytes, RECORD_BYTES).ok());
    Ok(journals.map(|journal| journal.root).collect())
}

impl Files {
    /// The apply that did not end, if there is one. A journal that does not decode was written by another version:
    /// the next apply replaces it.
    pub(crate) fn journal(&self) -> Result<Option<Journal>, StoreFault> {
        let bytes = self.store.record(&self.journal_key())?;
        let journal = bytes.and_then(|bytes| codec::decode::<Journal>(&bytes, RECORD_BYTES).ok());
        Ok(journal.filter(|journal| journal.format == FORMAT))
    }

    pub(crate) fn begin(&self, journal: &Journal) -> Result<(), StoreFault> {
        Ok(self.store.put_record(&self.journal_key(), Some(&codec::encode(journal)))?)
    }

    pub(crate) fn end(&self, journal: &Journal) -> Result<(), StoreFault> {
        let applied = codec::encode(journal);
        Ok(self.store.put_records(&[(&self.applied_key(), Some(&applied)), (&self.journal_key(), None)])?)
    }

    /// The application is gone: neither what was applied nor what was being applied means anything any more.
    pub(crate) fn forget_applies(&self) -> Result<(), StoreFault> {
        Ok(self.store.put_records(&[(&self.applied_key(), None), (&self.journal_key(), None)])?)
    }

    /// Whether a tree of this application was ever made here.
    pub(crate) fn was_applied(&self) -> Result<bool, StoreFault> {
        Ok(self.store.record(&self.applied_key())?.is_some()
            || self.store.record(&self.journal_key())?.is_some())
    }

    /// What was applied here last.
    pub(crate) fn applied_root(&self) -> Result<Option<Hash>, StoreFault> {
        let bytes = self.store.record(&self.applied_key())?;
        Ok(bytes.and_then(|bytes| codec::decode::<Journal>(&bytes, RECORD_BYTES).ok()).map(|it| it.root))
    }

    fn journal_key(&self) -> String {
        format!("{JOURNALS}{}", self.application)
    }

    fn applied_key(&self) -> String {
        format!("files/applied/{}", self.application)
    }
}
