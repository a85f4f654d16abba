//! Which content must stay in the store (design §5.3, findings 5, 39): told to the host before anything relies on it.

use std::collections::BTreeSet;

use super::operation::Operation;
use super::{Core, Durable, Entity, saved};
use crate::effect::Output;
use crate::hash::Hash;
use crate::state::State;

impl Entity {
    /// Every root whose content must stay, in order: in force, kept for rollback, promised, captured or being fetched.
    fn kept_roots(&self, core: &Core) -> Vec<Hash> {
        let mine = self.state.applications.iter().filter(|(name, _)| self.has_part(core, name));
        let revisions = mine.flat_map(|(_, application)| &application.revisions);
        let locals = self.locals.values().flat_map(|local| {
            let fetching = local.plan.as_ref().map(|plan| plan.root);
            local.held.keys().chain(local.saving.keys()).copied().chain(fetching)
        });
        let all = revisions.map(|revision| revision.root).chain(locals).chain(self.orders.roots());
        let mut roots: Vec<Hash> = all.collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// Tells the host when that has changed. Runs when it is known what will be fetched and before it is asked for,
    /// so that no collection begins between the two.
    pub(super) fn attend_keeping(&mut self, core: &mut Core) {
        let roots = self.kept_roots(core);
        if self.kept.as_ref() != Some(&roots) {
            core.out.push(Output::Keep(roots.clone()));
            self.kept = Some(roots);
        }
    }

    /// The head moved: forgets what the new state does not name any more. A promise lasts until the basis of its
    /// application moves, and longer while a window is open: what is staged there may be staged again. What a request has
    /// captured stays until the window is open that it is to be staged in.
    pub(super) fn release_roots(&mut self, core: &mut Core, before: &State) {
        let mut writes = Vec::new();
        let captured = self.operations.values().filter_map(Operation::captured_root);
        let needed: BTreeSet<Hash> = self.orders.roots().chain(captured).collect();
        for (name, application) in &self.state.applications {
            let Some(local) = self.locals.get_mut(name) else { continue };
            let stands = before.applications.get(name).is_some_and(|old| old.basis == application.basis);
            if stands || application.window.is_some() {
                continue;
            }
            local.held.retain(|root, _| {
                let stays = application.knows(root) || needed.contains(root);
                if !stays {
                    writes.push(saved::drop_held(name, root));
                }
                stays
            });
        }
        if !writes.is_empty() {
            core.persist(writes, Durable::Nothing);
        }
    }
}
