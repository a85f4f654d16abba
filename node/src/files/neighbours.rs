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
    entered: Mutex<Entered>,
}

/// Who is here.
#[derive(Debug, Default)]
struct Entered {
    /// How many ever came.
    count: u64,
    /// By application: which one of them it is, and where it lies.
    roots: BTreeMap<String, (Ticket, Vec<PathBuf>)>,
}

/// With what somebody leaves: an application that goes must not take its successor's entry with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ticket(u64);

impl Neighbours {
    /// The root comes first; whatever else is the application's lies beside it.
    pub(crate) fn enter(&self, application: &str, places: Vec<PathBuf>) -> Ticket {
        let mut entered = self.entered();
        entered.count += 1;
        let ticket = Ticket(entered.count);
        entered.roots.insert(application.to_owned(), (ticket, places));
        ticket
    }

    /// Unless its successor is here already.
    pub(crate) fn leave(&self, application: &str, ticket: Ticket) {
        let mut entered = self.entered();
        if entered.roots.get(application).is_some_and(|(holds, _)| *holds == ticket) {
            entered.roots.remove(application);
        }
    }

    /// Whether an application's tree is apart from all others, with the links there are now.
    pub(crate) fn check(&self, application: &str, root: &Path) -> Result<(), ScanError> {
        let roots = self.entered().roots.clone();
        let own = roots.get(application).map_or_else(|| vec![root.to_owned()], |(_, places)| places.clone());
        for (other, (_, theirs)) in roots.into_iter().filter(|(other, _)| other != application) {
            let meets =
                |theirs: &PathBuf| own.iter().any(|own| is_within(own, theirs) || is_within(theirs, own));
            if let Some(theirs) = theirs.into_iter().find(meets) {
                return Err(ScanError::Shared { root: root.to_owned(), other, theirs });
            }
        }
        Ok(())
    }

    fn entered(&self) -> MutexGuard<'_, Entered> {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
