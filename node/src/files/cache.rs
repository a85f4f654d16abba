//! The stat cache: what each file's content was when its stamp was as it is now.

use std::collections::BTreeMap;

use althing_protocol::hash::Hash;
use althing_protocol::path::ItemPath;
use althing_store::Store;

use super::StoreFault;
use super::stamp::Stamp;

/// Format of a stored entry; the first byte of each.
const FORMAT: u8 = 1;
/// Format, device, inode, size, mtime, ctime, mode, hash.
const ENTRY_BYTES: usize = 1 + 8 + 8 + 8 + 16 + 16 + 4 + 32;

/// An entry: the content of a file that has this stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Known {
    device: u64,
    inode: u64,
    size: u64,
    mtime: i128,
    ctime: i128,
    mode: u32,
    content: Hash,
}

/// The cache of one tree. Entries come only from files whose stamp was old enough when they were read
/// ([`Stamp::is_racy`]).
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: BTreeMap<ItemPath, Known>,
    unsaved: BTreeMap<ItemPath, Option<Known>>,
}

impl Cache {
    /// Reads what earlier runs saved. Entries that do not decode are as if absent.
    pub(crate) fn load(store: &Store, application: &str) -> Result<Self, StoreFault> {
        let mut known = BTreeMap::new();
        for (path, value) in store.scan_cache(application).map_err(StoreFault::from)? {
            if let (Ok(path), Some(entry)) = (ItemPath::new(&path), Known::decode(&value)) {
                known.insert(path, entry);
            }
        }
        Ok(Self { known, unsaved: BTreeMap::new() })
    }

    /// Saves what changed since the last time.
    pub(crate) fn save(&mut self, store: &Store, application: &str) -> Result<(), StoreFault> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = self
            .unsaved
            .iter()
            .map(|(path, entry)| (path.as_bytes().to_vec(), entry.map(|entry| entry.encode())))
            .collect();
        store.update_scan_cache(application, &changes).map_err(StoreFault::from)?;
        self.unsaved.clear();
        Ok(())
    }

    /// The content of the file at `path`, if it is certain from its stamp alone.
    pub(crate) fn content(&self, path: &ItemPath, stamp: &Stamp) -> Option<Hash> {
        self.known
            .get(path)
            .filter(|known| **known == Known::new(stamp, known.content))
            .map(|known| known.content)
    }

    /// Every file with its content, as it was when it was seen last.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&ItemPath, &Hash)> {
        self.known.iter().map(|(path, known)| (path, &known.content))
    }

    /// Remembers content whose stamp can be trusted from now on.
    pub(crate) fn learn(&mut self, path: &ItemPath, stamp: &Stamp, content: Hash) {
        let known = Known::new(stamp, content);
        if self.known.get(path) != Some(&known) {
            self.known.insert(path.clone(), known);
            self.unsaved.insert(path.clone(), Some(known));
        }
    }

    /// Forgets a file that is gone or whose stamp proves nothing.
    pub(crate) fn forget(&mut self, path: &ItemPath) {
        if self.known.remove(path).is_some() {
            self.unsaved.insert(path.clone(), None);
        }
    }

    /// Forgets every file that `is_there` does not confirm.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&ItemPath) -> bool) {
        let gone: Vec<ItemPath> = self.known.keys().filter(|path| !is_there(path)).cloned().collect();
        for path in &gone {
            self.forget(path);
        }
    }
}

impl Known {
    fn new(stamp: &Stamp, content: Hash) -> Self {
        let Stamp { device, inode, size, mtime, ctime, mode, .. } = *stamp;
        Self { device, inode, size, mtime, ctime, mode, content }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        for number in [self.device, self.inode, self.size] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.mtime.to_be_bytes());
        bytes.extend(self.ctime.to_be_bytes());
        bytes.extend(self.mode.to_be_bytes());
        bytes.extend(self.content.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != ENTRY_BYTES || bytes[0] != FORMAT {
            return None;
        }
        let mut rest = &bytes[1..];
        Some(Self {
            device: u64::from_be_bytes(take(&mut rest)?),
            inode: u64::from_be_bytes(take(&mut rest)?),
            size: u64::from_be_bytes(take(&mut rest)?),
            mtime: i128::from_be_bytes(take(&mut rest)?),
            ctime: i128::from_be_bytes(take(&mut rest)?),
            mode: u32::from_be_bytes(take(&mut rest)?),
            content: Hash(take(&mut rest)?),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_bytes_and_bad_ones_are_absent() {
        let file = tempfile::tempfile().unwrap();
        let known = Known::new(&Stamp::of(&file).unwrap(), Hash::of(b"content"));
        let bytes = known.encode();
        assert_eq!(bytes.len(), ENTRY_BYTES);
        assert_eq!(Known::decode(&bytes), Some(known));
        assert_eq!(Known::decode(&bytes[1..]), None);
        assert_eq!(Known::decode(&[&[9], &bytes[1..]].concat()), None);
    }
}
