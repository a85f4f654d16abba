//! Content that the store lacks and the live tree has, copied into the store, hash-checked on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use althing_protocol::hash::Hash;
use althing_store::ContentError;

use super::{Files, StoreFault};

impl Files {
    /// Takes these contents, by hash and length, from the tree into the store, as far as the last scan knows where
    /// they lie and they still are what it found. Returns what is in the store then, durable.
    pub(crate) fn lend(&self, wanted: &BTreeMap<Hash, u64>) -> Result<BTreeSet<Hash>, StoreFault> {
        let mut lent = BTreeSet::new();
        if wanted.is_empty() {
            return Ok(lent);
        }
        let mut guard = self.exclusive();
        // Nothing to lend without a tree.
        let Ok(beneath) = self.open_tree() else { return Ok(lent) };
        let cache = self.cache(&mut guard)?;
        let mut batch = self.store.content().batch();
        for (path, content) in cache.contents() {
            let Some(size) = wanted.get(content).filter(|_| !lent.contains(content)) else { continue };
            let Ok(file) = beneath.file(path) else { continue };
            match batch.add(content, *size, &mut File::from(file)) {
                Ok(_) => drop(lent.insert(*content)),
                // It was changed since, or cannot be read: somebody else has it.
                Err(
                    ContentError::WrongHash { .. } | ContentError::WrongSize { .. } | ContentError::Source(_),
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        batch.finish()?;
        Ok(lent)
    }
}
