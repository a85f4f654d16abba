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
    roots: Mutex<BTreeMap<String, Vec<PathBuf>>>,
}

impl Neighbours {
    /// The root comes first; whatever else is the application's lies beside it.
    pub(crate) fn enter(&self, application: &str, places: Vec<PathBuf>) {
        self.roots().insert(application.to_owned(), places);
    }

    /// Unless its successor with another root is here already.
    pub(crate) fn leave(&self, application: &str, root: &Path) {
        let mut roots = self.roots();
        if roots.get(application).is_some_and(|entered| entered.first().is_some_and(|it| it == root)) {
            roots.remove(application);
        }
    }

    /// Whether an application's tree is apart from all others, with the links there are now.
    pub(crate) fn check(&self, application: &str, root: &Path) -> Result<(), ScanError> {
        let roots = self.roots().clone();
        let own = roots.get(application).cloned().unwrap_or_else(|| vec![root.to_owned()]);
        for (other, theirs) in roots.into_iter().filter(|(other, _)| other != application) {
            let meets =
                |theirs: &PathBuf| own.iter().any(|own| is_within(own, theirs) || is_within(theirs, own));
            if let Some(theirs) = theirs.into_iter().find(meets) {
                return Err(ScanError::Shared { root: root.to_owned(), other, theirs });
            }
        }
        Ok(())
    }

    fn roots(&self) -> MutexGuard<'_, BTreeMap<String, Vec<PathBuf>>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
