//! The entity as it must be: one chain of settled records, kept apart from every member; and the chains of entities
//! that were begun anew since.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::hash::Hash;
use althing_protocol::identity::MemberId;
use althing_protocol::state::State;
use althing_protocol::statement::Signed;

/// A settled record.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    /// Its hash.
    pub(crate) record: Hash,
    /// The state it leads to.
    pub(crate) state: State,
    /// Who settled it.
    pub(crate) votes: Vec<Signed>,
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
    /// Which entity it is.
    pub(crate) entity: Hash,
    /// By epoch, from the genesis on.
    pub(crate) chain: BTreeMap<u64, Settled>,
    /// Chains of the entities before it: whoever did not come over is still in one of them.
    former: BTreeMap<Hash, BTreeMap<u64, Settled>>,
    /// By application.
    pub(crate) content: BTreeMap<String, Content>,
    /// Every root that was ever settled, by application.
    pub(crate) roots: BTreeMap<String, BTreeSet<Hash>>,
    /// Roots that were settled in an entity after it was begun anew elsewhere, by entity and application: those who were
    /// left there settle on while they are a majority (PROTOCOL J8), and it binds nobody else.
    left: BTreeMap<(Hash, String), BTreeSet<Hash>>,
    /// Revisions settled.
    pub(crate) revisions: u64,
}

impl Reference {
    /// The chain of an entity.
    pub(crate) fn chain_of(&self, entity: &Hash) -> Option<&BTreeMap<u64, Settled>> {
        if *entity == self.entity { Some(&self.chain) } else { self.former.get(entity) }
    }

    /// The same, to grow.
    pub(crate) fn chain_of_mut(&mut self, entity: &Hash) -> Option<&mut BTreeMap<u64, Settled>> {
        if *entity == self.entity { Some(&mut self.chain) } else { self.former.get_mut(entity) }
    }

    /// An entity begins: the first one, or one that succeeds the present one.
    pub(crate) fn begin(&mut self, first: Settled) {
        let origin = first.state.origin.as_ref().map(|origin| origin.entity);
        let is_next = if self.chain.is_empty() { origin.is_none() } else { origin == Some(self.entity) };
        if !is_next || self.former.contains_key(&first.state.entity) {
            return;
        }
        self.take_over(&first.state);
        let entity = std::mem::replace(&mut self.entity, first.state.entity);
        let chain = BTreeMap::from([(first.state.epoch, first)]);
        let before = std::mem::replace(&mut self.chain, chain);
        if !before.is_empty() {
            self.former.insert(entity, before);
        }
    }

    /// The applications of an entity that was begun anew are as its founder knew them, and the promises made in the one
    /// before bind nobody (PROTOCOL J8, J10).
    fn take_over(&mut self, state: &State) {
        let roots = |name: &String| state.applications.get(name).and_then(|known| known.root_hash());
        self.content.retain(|name, content| {
            let Some(root) = roots(name) else { return false };
            if root != content.root {
                *content = Content { root, holders: BTreeSet::new() };
            }
            true
        });
    }

    /// The newest settled record.
    pub(crate) fn head(&self) -> Option<&Settled> {
        self.chain.values().next_back()
    }

    /// The newest state.
    pub(crate) fn state(&self) -> Option<&State> {
        self.head().map(|settled| &settled.state)
    }

    /// A root is settled in an entity that was begun anew elsewhere.
    pub(crate) fn leave(&mut self, entity: Hash, application: &str, root: Hash) {
        self.left.entry((entity, application.to_owned())).or_default().insert(root);
    }

    /// Whether this root was ever settled for this application, as far as that counts in this entity.
    pub(crate) fn knows(&self, entity: Option<Hash>, application: &str, root: &Hash) -> bool {
        let left = entity.and_then(|entity| self.left.get(&(entity, application.to_owned())));
        self.roots.get(application).into_iter().chain(left).any(|roots| roots.contains(root))
    }
}
