//! Directories of manifests, each under its hash, which is checked in both directions.

use std::collections::BTreeMap;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Directory, Manifest, Node};
use rocksdb::WriteBatch;

use crate::Store;
use crate::collect::lock;
use crate::database::check_bounds;
use crate::error::{CommitError, ReadError};

pub(crate) const FAMILY: &str = "manifests";
/// Directories written at once: a large manifest must not need its size in memory again.
const BATCH_BYTES: usize = 1 << 20;

impl Store {
    /// Keeps directories under their hashes; those that are there are not written again. They are synced when this
    /// returns. On an error some of them may have been kept, each complete.
    pub fn put_directories<'a>(
        &self,
        directories: impl Iterator<Item = (&'a Hash, &'a Directory)>,
    ) -> Result<(), CommitError> {
        let mut young = lock(&self.directories);
        let mut batch = WriteBatch::default();
        for (name, directory) in directories {
            let bytes = directory.encode();
            let found = Hash::of(&bytes);
            if found != *name {
                return Err(CommitError::Refused(format!("directory {name} has the bytes of {found}")));
            }
            check_bounds(&name.0, Some(&bytes), name.0.len())?;
            young.add(name);
            if self.index.get(FAMILY, &name.0)?.is_some_and(|held| held == bytes) {
                continue;
            }
            batch.put_cf(self.index.family(FAMILY), name.0, bytes);
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.index.write_synced(std::mem::take(&mut batch))?;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.index.write_synced(batch) }
    }

    /// The canonical bytes of a directory.
    pub fn directory_bytes(&self, name: &Hash) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(bytes) = self.index.get(FAMILY, &name.0)? else { return Ok(None) };
        let found = Hash::of(&bytes);
        if found != *name {
            return Err(damaged(name, format!("its bytes are those of {found}")));
        }
        Ok(Some(bytes))
    }

    /// A directory.
    pub fn directory(&self, name: &Hash) -> Result<Option<Directory>, ReadError> {
        let Some(bytes) = self.directory_bytes(name)? else { return Ok(None) };
        Directory::decode(&bytes).map(Some).map_err(|error| damaged(name, error.to_string()))
    }

    /// The same for who goes on to rely on it: it stays until the collection after next, by when a kept root must
    /// lead to it.
    pub fn rely_on_directory(&self, name: &Hash) -> Result<Option<Directory>, ReadError> {
        let mut young = lock(&self.directories);
        let found = self.directory(name)?;
        if found.is_some() {
            young.add(name);
        }
        Ok(found)
    }

    /// A whole tree; nothing if any directory of it is not here.
    pub fn manifest(&self, root: &Hash) -> Result<Option<Manifest>, ReadError> {
        let mut directories = BTreeMap::new();
        let mut open = vec![*root];
        while let Some(name) = open.pop() {
            if directories.contains_key(&name) {
                continue;
            }
            let Some(directory) = self.directory(&name)? else { return Ok(None) };
            for entry in &directory.entries {
                if let Node::Directory(_, below) = entry.node {
                    open.push(below);
                }
            }
            directories.insert(name, directory);
        }
        Ok(Some(Manifest { root: *root, directories }))
    }

    /// Forgets directories that `keep` does not name and that are not young, looking at `most` from a name on. Says
    /// how many, and where to go on; nowhere at the end.
    pub(crate) fn sweep_directories(
        &self,
        from: &[u8],
        most: usize,
        keep: &dyn Fn(&Hash) -> bool,
    ) -> Result<(u64, Option<Vec<u8>>), CommitError> {
        let young = lock(&self.directories);
        let mut batch = WriteBatch::default();
        let (mut seen, mut removed, mut next) = (0, 0, None);
        self.index.visit(FAMILY, from, |key, _| {
            if seen == most {
                next = Some(key.into_vec());
                return false;
            }
            seen += 1;
            let kept = <[u8; 32]>::try_from(&key[..]).is_ok_and(|name| {
                let name = Hash(name);
                keep(&name) || young.has(&name)
            });
            if !kept {
                batch.delete_cf(self.index.family(FAMILY), &key);
                removed += 1;
            }
            true
        })?;
        if removed > 0 {
            self.index.write_synced(batch)?;
        }
        Ok((removed, next))
    }
}

fn damaged(name: &Hash, detail: String) -> ReadError {
    ReadError::Damaged { what: format!("directory {name}"), detail }
}
