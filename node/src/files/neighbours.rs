//! [`Neighbours`]: where the applications of one member lie. Their roots are apart by name, as the settled state sees
//! to; a link on the disk can bring them together all the same. Then each would remove what the other put there, so
//! neither is looked at or repaired.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::is_within;
use super::scan::ScanError;

/// Roots by application.
#[derive(Debug, Default)]
pub struct Neighbours {
    roots: Mutex<BTreeMap<String, PathBuf>>,
}

impl Neighbours {
    pub(crate) fn enter(&self, application: &str, root: &Path) {
        self.roots().insert(application.to_owned(), root.to_owned());
    }

    /// Unless its successor with another root is here already.
    pub(crate) fn leave(&self, application: &str, root: &Path) {
        let mut roots = self.roots();
        if roots.get(application).is_some_and(|entered| entered == root) {
            roots.remove(application);
        }
    }

    /// Whether an application's tree is apart from all others, with the links there are now.
    pub(crate) fn check(&self, application: &str, root: &Path) -> Result<(), ScanError> {
        let roots = self.roots().clone();
        let clash = roots.into_iter().find(|(other, theirs)| {
            other != application && (is_within(root, theirs) || is_within(theirs, root))
        });
        clash
            .map_or(Ok(()), |(other, theirs)| Err(ScanError::Shared { root: root.to_owned(), other, theirs }))
    }

    fn roots(&self) -> MutexGuard<'_, BTreeMap<String, PathBuf>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
