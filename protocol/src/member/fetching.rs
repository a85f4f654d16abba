//! Which content is had from others, in which order, and from whom (design §5.3).

use std::collections::BTreeSet;

use super::local::{Local, Vain};
use super::operation::Operation;
use super::{Core, Entity};
use crate::effect::Output;
use crate::fetch::Plan;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::state::Application;
use crate::time::{Instant, Millis};

/// What nobody gives makes room for so long, if there is something else to get.
const BARREN: Millis = Millis::seconds(30);

impl Entity {
    /// Roots that must be in this member's store, most urgent first.
    fn wanted_roots(&self, core: &Core, name: &str) -> Vec<Hash> {
        let known = self.state.applications.get(name).filter(|_| self.has_part(core, name));
        // Whoever has no part in it gets what it is asked here to go back to.
        let Some(application) = known else { return self.asked_to_go_back(name).into_iter().collect() };
        let mut roots: Vec<Hash> = application.root_hash().into_iter().collect();
        if let Some(window) = application.window.as_ref().filter(|window| window.author != core.me())
            && let Some(staged) = self.holding_of(&window.author, name)
            && staged.basis == application.basis
        {
            roots.push(staged.root);
        }
        // What more than half show may need holders that do not show it themselves: of three members, all.
        let adopting = self.locals.get(name).and_then(|local| local.adopting).map(|(root, _)| root);
        let promised = |root: &Hash| {
            let mut voters = self.state.placed_voters(application);
            voters.any(|voter| self.holding_of(&voter.id, name).is_some_and(|holding| holding.root == *root))
        };
        roots.extend(adopting.filter(promised));
        // Kept for rollback: the newest first.
        roots.extend(application.revisions.iter().rev().map(|revision| revision.root));
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(*root));
        roots
    }

    /// Begins, goes on with, or gives up getting a root. What nobody can give keeps nothing else waiting: a revision that
    /// is lost is followed by one that is not.
    pub(super) fn choose_fetch(&mut self, core: &Core, name: &str) {
        let (wanted, now) = (self.wanted_roots(core, name), core.now.mono);
        self.set_holders(core, name);
        self.drop_vain(core, name);
        let Some(local) = self.locals.get(name).filter(|local| !local.writing) else { return };
        let lacks = |root: &&Hash| !local.held.contains_key(root) && !local.refused.contains(root);
        let possible =
            |root: &&Hash| !local.is_barren(root, now) && !self.holders(core, name, root).is_empty();
        // A revision that is only kept for rollback waits until somebody can give it.
        let urgent = || wanted.iter().take(2).find(lacks);
        let given = |most: usize| wanted.iter().take(most).filter(lacks).find(possible).copied();
        let in_doubt = |root: &Hash| {
            local.suspect.contains(root) && local.held.contains_key(root) && !local.is_in_vain(root, now)
        };
        // What somebody waits for is looked through before what is only kept is had.
        let awaited = || self.awaited_roots(core, name).into_iter().find(in_doubt);
        let awaited = if local.suspect.is_empty() { None } else { awaited() };
        let next = given(2).or(awaited).or_else(|| given(usize::MAX));
        // What is held as far as anybody knows is looked through again when nothing else is to be done.
        let next = next.or_else(|| local.next_in_turn(urgent().copied(), now));
        let Some(local) = self.locals.get_mut(name) else { return };
        if local.plan.as_ref().map(|plan| plan.root) != next {
            let before = std::mem::replace(&mut local.plan, next.map(Plan::new));
            local.barren.retain(|_, vain| now < vain.until);
            let alone = |plan: &Plan| plan.is_stuck() && local.suspect.contains(&plan.root);
            let in_vain = before.filter(|plan| plan.is_barren() || alone(plan));
            let until = now + BARREN;
            local.barren.extend(in_vain.map(|plan| (plan.root, Vain { until, asked: !plan.is_stuck() })));
        }
    }

    /// Roots that are to be promised, to be settled, or that the checks of what is staged are of.
    fn awaited_roots(&self, core: &Core, name: &str) -> Vec<Hash> {
        let about = self.operations.values().filter(|operation| operation.application() == Some(name));
        let asked = about.filter_map(Operation::captured_root);
        let checks = self.check_due(core, name).and_then(|_| self.state.applications.get(name)?.root_hash());
        self.to_promise(core, name).into_iter().chain(asked).chain(checks).collect()
    }

    /// What nobody could be asked for, and somebody can now.
    fn drop_vain(&mut self, core: &Core, name: &str) {
        let Some(local) = self.locals.get(name).filter(|local| !local.barren.is_empty()) else { return };
        let alone = local.barren.iter().filter(|(_, vain)| !vain.asked).map(|(root, _)| *root);
        let given: Vec<Hash> = alone.filter(|root| !self.holders(core, name, root).is_empty()).collect();
        if let Some(local) = self.locals.get_mut(name) {
            local.barren.retain(|root, _| !given.contains(root));
        }
    }

    /// Who can be asked for what is being had, as of now.
    fn set_holders(&mut self, core: &Core, name: &str) {
        let plan = self.local(name).and_then(|local| local.plan.as_ref());
        let Some(holders) = plan.map(|plan| self.holders(core, name, &plan.root)) else { return };
        let plan = self.locals.get_mut(name).and_then(|local| local.plan.as_mut());
        plan.into_iter().for_each(|plan| plan.set_holders(holders.clone()));
    }

    pub(super) fn attend_fetch(&mut self, core: &mut Core, name: &str) {
        if self.local(name).is_none_or(|local| local.writing) {
            return;
        }
        self.set_holders(core, name);
        let in_parts = self.state.protocol >= 2;
        let Some(plan) = self.locals.get_mut(name).and_then(|local| local.plan.as_mut()) else { return };
        plan.set_in_parts(in_parts);
        while let Some(ask) = plan.next(core.now.mono) {
            let fetch = core.id();
            plan.asked(fetch, &ask);
            let (from, wants) = (ask.from, ask.wants);
            core.out.push(Output::Fetch { fetch, application: name.to_owned(), from, wants });
        }
    }

    /// Who can be asked for a root: whoever is reachable and says to hold, show or have applied it.
    fn holders(&self, core: &Core, name: &str, root: &Hash) -> BTreeSet<MemberId> {
        let settled = self.state.applications.get(name).and_then(Application::root_hash) == Some(*root);
        let basis = self.state.applications.get(name).map(|application| application.basis);
        // Nobody says that it keeps an earlier revision, and everybody that had it does.
        let kept = !settled && self.state.applications.get(name).is_some_and(|known| known.knows(root));
        let has = |id: &MemberId| {
            let held = self.holding_of(id, name).is_some_and(|holding| holding.root == *root);
            let listed = self.list_of(id, name).is_some_and(|list| {
                list.observed == Some(*root) || (settled && list.applied.is_some() && list.applied == basis)
            });
            // Keepers show nothing; what is in force is all that they are for.
            let keeps = settled && self.is_keeper(id, name);
            held || listed || keeps || (kept && self.is_holder(id, name))
        };
        let reachable = |id: &MemberId| *id != core.me() && self.overlay.peers().contains(id);
        let mut holders: BTreeSet<MemberId> =
            self.state.members.iter().map(|member| member.id).filter(|id| reachable(id) && has(id)).collect();
        if let Some(revision) = self.state.applications.get(name).and_then(Application::settled) {
            // Its author had it, whatever its list says by now.
            let has_part = self.is_placed(&revision.from, name) || self.is_keeper(&revision.from, name);
            if settled && reachable(&revision.from) && has_part {
                holders.insert(revision.from);
            }
        }
        if holders.is_empty() {
            holders.extend(self.left_behind(core, name, root));
        }
        holders
    }

    /// Members of the entity before that are connected: they go on holding what was settled there, and whoever began
    /// this entity may never have had it (PROTOCOL.md J8). What they give is what was settled, or is not taken.
    fn left_behind<'a>(
        &'a self,
        core: &'a Core,
        name: &str,
        root: &Hash,
    ) -> impl Iterator<Item = MemberId> + 'a {
        let last = self.state.origin.as_ref().map(|origin| origin.epoch);
        let known = self.state.applications.get(name);
        let mut revisions = known.into_iter().flat_map(|known| &known.revisions);
        let inherited = revisions.any(|known| known.root == *root && Some(known.epoch) <= last);
        let past = self.state.past.iter().filter(move |past| inherited && Some(past.until) == last);
        past.map(|past| past.id).filter(|id| core.connected.contains(id))
    }

    /// Why this member does not get what is in force of an application, if nobody that is heard can give it.
    pub(super) fn why_missing(&self, core: &Core, name: &str) -> Option<String> {
        let revision = self.state.applications.get(name)?.settled()?;
        let wanted = self.has_part(core, name) && !self.local(name)?.refused.contains(&revision.root);
        // Whoever has just started, or joined, has not had the time to hear anybody.
        let settled_in = core.now.mono > self.since + crate::liveness::SILENCE;
        (wanted && settled_in && self.nobody_gives(core, name, &revision.root)).then(|| {
            format!("revision {} is not here, and no member that is heard gives it", revision.number)
        })
    }

    /// How many bytes of a root came from others, as far as it is on its way.
    pub(super) fn arrived(&self, name: &str, root: &Hash) -> u64 {
        let plan = self.local(name).and_then(|local| local.plan.as_ref());
        plan.filter(|plan| plan.root == *root).map_or(0, |plan| plan.bytes)
    }

    /// Whether a root is not all here, as far as is known, and nobody that is heard gives what it lacks.
    pub(super) fn is_lost(&self, core: &Core, name: &str, root: &Hash) -> bool {
        let Some(local) = self.local(name) else { return false };
        let is_planned = local.plan.as_ref().is_some_and(|plan| plan.root == *root);
        let in_vain = local.is_in_vain(root, core.now.mono);
        if local.held.contains_key(root) {
            return local.suspect.contains(root) && in_vain;
        }
        // It may be in the live tree.
        self.nobody_gives(core, name, root) && (in_vain || !is_planned)
    }

    /// Whether a root is not here, and nobody that is heard gives it, as far as was tried lately.
    pub(super) fn nobody_gives(&self, core: &Core, name: &str, root: &Hash) -> bool {
        let lacks = |local: &Local| !local.held.contains_key(root) && !local.saving.contains_key(root);
        let is_barren = |local: &Local| local.is_barren(root, core.now.mono);
        self.local(name).is_some_and(|local| {
            lacks(local) && (is_barren(local) || self.holders(core, name, root).is_empty())
        })
    }
}

impl Local {
    /// Whether nobody gives this root, as far as was tried lately.
    pub(super) fn is_barren(&self, root: &Hash, now: Instant) -> bool {
        let plan = self.plan.as_ref().is_some_and(|plan| plan.root == *root && plan.is_barren());
        plan || self.barren.get(root).is_some_and(|vain| now < vain.until)
    }

    /// Whether it was looked for in vain: nobody gives it, or nobody can be asked.
    pub(super) fn is_in_vain(&self, root: &Hash, now: Instant) -> bool {
        match self.plan.as_ref().filter(|plan| plan.root == *root) {
            Some(plan) => plan.is_barren() || plan.is_stuck(),
            None => self.is_barren(root, now),
        }
    }

    /// When somebody may be asked again, or for something else.
    pub(super) fn fetch_deadline(&self, now: Instant) -> Option<Instant> {
        let plan = self.plan.as_ref().and_then(|plan| plan.deadline(now));
        let barren = self.barren.values().map(|vain| vain.until).filter(|until| *until > now);
        plan.into_iter().chain(barren).min()
    }
}
