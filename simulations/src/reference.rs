//! The entity as it must be: one chain of settled records, kept apart from every member.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::state::State;

/// A settled record.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// Its hash.
    pub(crate) record: Hash,
    /// The state it leads to.
    pub(crate) state: State,
}

/// The content in force of an application.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// Which root.
    pub(crate) root: Hash,
    /// Whose promises settled it.
    pub(crate) holders: BTreeSet<MemberId>,
}

/// The reference entity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    /// By epoch, from the genesis on.
    pub(crate) chain: BTreeMap<u64, Settled>,
    /// By application.
    pub(crate) content: BTreeMap<String, Content>,
    /// Every root that was ever settled, by application.
    pub(crate) roots: BTreeMap<String, BTreeSet<Hash>>,
    /// Revisions settled.
    pub(crate) revisions: u64,
}

impl Reference {
    /// The newest settled record.
    pub(crate) fn head(&self) -> Option<&Settled> {
        self.chain.values().next_back()
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Option<&State> {
        self.head().map(|settled| &settled.state)
    }

    /// Whether this root was ever settled for this application.
    pub(crate) fn knows(&self, application: &str, root: &Hash) -> bool {
        self.roots.get(application).is_some_and(|roots| roots.contains(root))
    }
}
