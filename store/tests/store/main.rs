//! The store as its users see it, in one binary: linking RocksDB takes longer than all of the tests.

#![expect(clippy::unwrap_used, reason = "all of this is a test, also its helpers")]

mod collecting;
mod content;
mod damage;
mod families;
mod full;
mod gathering;
mod glimpse;
mod kill;
mod limits;
mod opening;

use std::path::Path;

use althing_protocol::effect::{Family, Write};
use althing_store::Store;

/// Opens a store that must open.
fn open(dir: &Path) -> Store {
    Store::open(dir).unwrap()
}

/// A change that sets a value.
fn put(family: Family, key: &[u8], value: &[u8]) -> Write {
    Write { family, key: key.to_vec(), value: Some(value.to_vec()) }
}

/// A directory in memory if there is such a file system: most tests are not about how fast a disk syncs.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
