//! Outlines of large files that are whole: all of a file is read for one, so those that were asked for lately are
//! remembered, and nobody reads a file for one while somebody else does.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use althing_protocol::hash::Hash;
use althing_protocol::parts::{Division, Outline};

use super::partial::hash_range;
use super::{Content, Inner, writing};
use crate::collect::lock;
use crate::error::ContentError;

/// Bytes of outlines that are remembered: of 256 GiB of content, and of more where files are large.
const REMEMBERED_BYTES: usize = 2 << 20;
/// Who asks for an outline for which somebody else is reading the file waits for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Outlines that are known, and those that somebody is just finding.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    known: Mutex<Known>,
    /// Somebody found one, or did not.
    found: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    /// The one that was asked for last comes last.
    outlines: Vec<(Hash, Arc<[u8]>)>,
    reading: BTreeSet<Hash>,
}

/// What is known of the outline of a file that is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outlined {
    /// It is this.
    Is(Arc<[u8]>),
    /// There is no such file here, or it has another size, or somebody has been reading it for long.
    NotHere,
    /// The file is not what its name says.
    Damaged,
}

impl Content {
    /// The outline of a file that is whole: it is read, unless that was done lately.
    pub fn outline(&self, name: &Hash, size: u64) -> Result<Outlined, ContentError> {
        // Before anything is read: a wrong size costs its asker more than it costs us.
        if self.size(name) != Some(size) || Division::of(size).is_none() {
            return Ok(Outlined::NotHere);
        }
        let outlines = &self.inner.outlines;
        {
            let is_read = |known: &mut Known| known.reading.contains(name);
            let waited = outlines.found.wait_timeout_while(lock(&outlines.known), PATIENCE, is_read);
            let (mut known, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(bytes) = known.recall(name) {
                return Ok(Outlined::Is(bytes));
            }
            if !known.reading.insert(*name) {
                return Ok(Outlined::NotHere);
            }
        }
        let read = self.inner.read_outline(name, size);
        lock(&outlines.known).reading.remove(name);
        let outlined = read.map(|read| match read {
            Ok(outline) => Outlined::Is(outlines.remember(name, &outline)),
            Err(instead) => instead,
        });
        outlines.found.notify_all();
        outlined
    }
}

impl Inner {
    fn read_outline(&self, name: &Hash, size: u64) -> Result<Result<Outline, Outlined>, ContentError> {
        let path = self.path(name);
        let (Some(division), Ok(file)) = (Division::of(size), std::fs::File::open(&path)) else {
            return Ok(Err(Outlined::NotHere));
        };
        let mut values = Vec::new();
        for (begins, length) in (0..division.count()).filter_map(|index| division.range(index)) {
            let hasher =
                hash_range(&file, begins, length).map_err(|source| writing("read", &path, source))?;
            let Some(hasher) = hasher else { return Ok(Err(Outlined::Damaged)) };
            values.push(hasher.value());
        }
        Ok(Outline::proved(values, name, size).ok_or(Outlined::Damaged))
    }
}

impl Outlines {
    pub(super) fn remember(&self, name: &Hash, outline: &Outline) -> Arc<[u8]> {
        let bytes: Arc<[u8]> = outline.bytes().into();
        lock(&self.known).put_last(*name, Arc::clone(&bytes));
        bytes
    }
}

impl Known {
    fn recall(&mut self, name: &Hash) -> Option<Arc<[u8]>> {
        let at = self.outlines.iter().position(|(known, _)| known == name)?;
        let found = self.outlines.remove(at);
        let bytes = Arc::clone(&found.1);
        self.outlines.push(found);
        Some(bytes)
    }

    /// The oldest go.
    fn put_last(&mut self, name: Hash, bytes: Arc<[u8]>) {
        self.outlines.retain(|(known, _)| *known != name);
        self.outlines.push((name, bytes));
        let mut all: usize = self.outlines.iter().map(|(_, bytes)| bytes.len()).sum();
        while all > REMEMBERED_BYTES && self.outlines.len() > 1 {
            all -= self.outlines.remove(0).1.len();
        }
    }
}
