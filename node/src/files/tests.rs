//! The driver on real trees in temporary directories.

mod applying;
mod attacks;
mod capturing;
mod full;
mod hostile;
mod killed;
mod managing;
mod measured;
mod mounts;
mod owning;
mod releasing;
mod scanning;
mod trashing;
mod trees;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use althing_protocol::hash::Hash;
use althing_protocol::path::ItemPath;
use althing_store::Store;
use tempfile::TempDir;

use super::*;

/// One application on one member, in a directory that goes when the test ends.
struct World {
    files: Files,
    _directory: Option<TempDir>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Self::files(directory.path());
        fs::create_dir(files.root()).unwrap();
        Self { files, _directory: Some(directory) }
    }

    /// The driver of what is, or will be, in `directory`.
    fn files(directory: &Path) -> Files {
        let store = Store::open(&directory.join("daemon/store")).unwrap();
        Files::new("shop", &directory.join("root"), &directory.join("daemon"), Arc::new(store)).unwrap()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.files.root().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        if let Some(parent) = self.at(path).parent() {
            fs::create_dir_all(parent).unwrap();
        }
        fs::write(self.at(path), content).unwrap();
    }

    fn scan(&self) -> Scan {
        self.files.scan(ScanMode::Trust, Job::unattended()).unwrap()
    }

    fn capture(&self) -> Hash {
        self.files.capture(&Source::Live, Job::unattended()).unwrap().root
    }

    fn apply(&self, root: Hash) -> Applied {
        self.files.apply(root, 7, "test", Job::unattended()).unwrap()
    }
}

fn path(text: &str) -> ItemPath {
    ItemPath::new(text.as_bytes()).unwrap()
}

/// Waits until what was written is older than the clock's grain.
fn let_stamps_age() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}
