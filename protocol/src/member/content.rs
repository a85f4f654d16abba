//! Content: what is settled, what is here, and what follows from the difference (design §5.3).

use std::collections::BTreeSet;

use super::local::{Local, Observed};
use super::{Core, Durable, Entity, saved};
use crate::effect::{Applied, Captured, Depth, Fetched, NotCaptured, Output, Scan, Source};
use crate::event::{Event, Severity};
use crate::fetch::Plan;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::manifest::Extent;
use crate::record::{Change, Policy};
use crate::state::{Application, State};
use crate::statement::{ContentList, Holding, Slot, Statement};
use crate::time::{Instant, Millis};

/// Drift is looked at for so long before it is repaired, in case the others show the same.
const REPAIR_DELAY: Millis = Millis(150);
/// More than half must show the same for so long before it is adopted.
const SETTLE_DELAY: Millis = Millis(3_000);
/// First pause after a failure; doubles.
const RETRY: Millis = Millis(1_000);
/// Longest pause after failures.
const RETRY_MAX: Millis = Millis(60_000);

impl Entity {
    // --- facts of others ---------------------------------------------------------------------------------------

    /// A member's newest list of an application.
    pub(super) fn list_of(&self, member: &MemberId, application: &str) -> Option<&ContentList> {
        match self.board.get(member, &Slot::List(application.to_owned()))?.statement() {
            Statement::List(list) => Some(list),
            _ => None,
        }
    }

    /// A member's newest Holding of an application, under the present basis.
    pub(super) fn holding_of(&self, member: &MemberId, application: &str) -> Option<&Holding> {
        match self.board.get(member, &Slot::Holding(application.to_owned()))?.statement() {
            Statement::Holding(holding) => Some(holding),
            _ => None,
        }
    }

    /// Voters whose list says that they applied the present basis and now see `root` instead of what is settled.
    pub(super) fn holders_of_drift(&self, application: &str, root: &Hash) -> usize {
        let Some(basis) = self.state.applications.get(application).map(|application| application.basis)
        else {
            return 0;
        };
        let shows = |id: &MemberId| {
            self.list_of(id, application).is_some_and(|list| {
                list.basis == basis && list.applied == Some(basis) && list.observed == Some(*root)
            })
        };
        self.state.voters().filter(|voter| shows(&voter.id)).count()
    }

    /// Signed Holdings of a root under the present basis, by voters.
    pub(super) fn evidence(&self, application: &str, root: &Hash) -> Vec<crate::statement::Signed> {
        let slot = Slot::Holding(application.to_owned());
        let basis = self.state.applications.get(application).map(|application| application.basis);
        let good = |id: &MemberId| {
            let holding = self.holding_of(id, application)?;
            let about = Some(holding.basis) == basis && holding.root == *root;
            about.then(|| self.board.get(id, &slot).map(|checked| checked.signed().clone())).flatten()
        };
        self.state.voters().filter_map(|voter| good(&voter.id)).collect()
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
            held || listed || (kept && self.state.is_voter(id))
        };
        let reachable = |id: &MemberId| *id != core.me() && self.overlay.peers().contains(id);
        let mut holders: BTreeSet<MemberId> =
            self.state.members.iter().map(|member| member.id).filter(|id| reachable(id) && has(id)).collect();
        if let Some(revision) = self.state.applications.get(name).and_then(Application::settled) {
            // Its author had it, whatever its list says by now.
            if settled && reachable(&revision.from) && self.state.member(&revision.from).is_some() {
                holders.insert(revision.from);
            }
        }
        holders
    }

    /// Every root whose content must stay: in force, kept for rollback, or promised.
    pub(super) fn kept_roots(&self) -> Vec<Hash> {
        let revisions = self.state.applications.values().flat_map(|application| &application.revisions);
        let held = self.locals.values().flat_map(|local| local.held.keys().copied());
        let fetching = self.locals.values().filter_map(|local| local.plan.as_ref().map(|plan| plan.root));
        let roots: BTreeSet<Hash> =
            revisions.map(|revision| revision.root).chain(held).chain(fetching).collect();
        roots.into_iter().collect()
    }

    // --- what the host reports ---------------------------------------------------------------------------------

    pub(super) fn scanned(&mut self, core: &mut Core, name: &str, scan: Scan) {
        if !self.state.applications.contains_key(name) {
            return;
        }
        let now = core.now.mono;
        let local = self.locals.entry(name.to_owned()).or_default();
        let busy = local.applying.is_some();
        let was_unreadable = local.unreadable.take().is_some();
        match scan {
            // What was seen while it was being changed by ourselves says nothing.
            Scan::Tree { .. } | Scan::Absent if busy => return,
            Scan::Tree { root, extent } => local.observed = Some(Observed { root: Some(root), extent }),
            Scan::Absent => local.observed = Some(Observed { root: None, extent: Extent::default() }),
            Scan::Unstable(_) => return,
            Scan::Unreadable(why) => {
                local.observed = None;
                local.unreadable = Some(why.clone());
                if !was_unreadable {
                    core.event(Event::new(Severity::Critical, "content.unreadable", why).about(name));
                }
                return;
            }
        }
        let seen = local.observed.and_then(|observed| observed.root);
        if local.drifting.is_some_and(|(root, _)| root != seen) {
            local.drifting = None;
        }
        self.note_drift(core, name, seen, now);
        self.looked(name);
    }

    fn note_drift(&mut self, core: &mut Core, name: &str, seen: Option<Hash>, now: Instant) {
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(settled) = application.settled() else { return };
        let own_window = application.window.as_ref().is_some_and(|window| window.author == core.me());
        let Some(local) = self.locals.get_mut(name) else { return };
        let applied = local.applied.is_some_and(|(_, root)| root == settled.root);
        if seen == Some(settled.root) {
            local.seen |= applied;
            if local.drifting.take().is_some() {
                let text = format!("the same as revision {} again", settled.number);
                core.event(Event::new(Severity::Info, "content.agrees", text).about(name));
            }
            (local.failures, local.retry, local.error) = (0, None, None);
        } else if applied && !own_window && local.drifting.is_none() {
            local.drifting = Some((seen, now));
            let what =
                seen.map_or_else(|| "nothing is there".to_owned(), |root| format!("it is {}", root.short()));
            let text = format!("differs from revision {} {}: {what}", settled.number, settled.root.short());
            core.event(Event::new(Severity::Warning, "content.differs", text).about(name));
        }
    }

    pub(super) fn captured(&mut self, core: &mut Core, capture: u64, result: Result<Captured, NotCaptured>) {
        let adopting = self.locals.iter_mut().find(|(_, local)| local.capturing == Some(capture));
        let Some((name, local)) = adopting else {
            self.operation_captured(core, capture, result);
            return;
        };
        local.capturing = None;
        match result {
            Ok(captured) => {
                let name = name.clone();
                self.hold(core, &name, captured.root, captured.extent);
            }
            Err(NotCaptured::Changing(why) | NotCaptured::Refused(why) | NotCaptured::Failed(why)) => {
                local.retry = Some(core.now.mono + RETRY);
                local.error = Some(why);
            }
        }
    }

    /// A root is complete and synced in the store: remember that durably, then promise it.
    pub(super) fn hold(&mut self, core: &mut Core, name: &str, root: Hash, extent: Extent) {
        let write = saved::put_held(name, &root, extent);
        self.locals.entry(name.to_owned()).or_default().writing = true;
        core.persist(vec![write], Durable::Held { application: name.to_owned(), root, extent });
    }

    pub(super) fn is_held(&mut self, core: &mut Core, name: &str, root: Hash, extent: Extent) {
        let Some(local) = self.locals.get_mut(name) else { return };
        local.writing = false;
        local.held.insert(root, extent);
        // What was lacking may be what an apply failed for.
        local.retry = None;
        core.out.push(Output::Keep(self.kept_roots()));
    }

    pub(super) fn fetched(&mut self, core: &mut Core, fetch: u64, result: &Fetched) {
        let owner = self.locals.iter_mut().find_map(|(name, local)| {
            let owns = local.plan.as_ref().is_some_and(|plan| plan.owns(fetch));
            owns.then_some((name.clone(), local))
        });
        let Some((name, local)) = owner else { return };
        let Some(plan) = &mut local.plan else { return };
        plan.fetched(fetch, result, core.now.mono);
        if plan.is_complete() {
            let (root, bytes, done, extent) = (plan.root, plan.bytes, plan.done, plan.extent());
            local.plan = None;
            let Some(extent) = extent else { return self.refuse_root(core, &name, root) };
            if bytes > 0 {
                let text = format!("{} complete: {done} pieces, {bytes} bytes from peers", root.short());
                core.event(Event::new(Severity::Info, "content.fetched", text).about(&name));
            }
            self.hold(core, &name, root, extent);
        }
    }

    /// A root that stands for more than an application may be: it is neither promised nor applied.
    fn refuse_root(&mut self, core: &mut Core, name: &str, root: Hash) {
        let text = format!("{} names more items than an application may have: it is not taken", root.short());
        if let Some(local) = self.locals.get_mut(name) {
            local.refused.insert(root);
            local.error = Some(text.clone());
        }
        core.event(Event::new(Severity::Warning, "content.refused", text).about(name));
    }

    fn extent_of(&self, name: &str, root: &Hash) -> Extent {
        let revisions =
            self.state.applications.get(name).into_iter().flat_map(|application| &application.revisions);
        let settled =
            revisions.filter(|revision| revision.root == *root).map(|revision| revision.extent).next();
        let promised = || {
            let holdings = self.state.members.iter().filter_map(|member| self.holding_of(&member.id, name));
            holdings.filter(|holding| holding.root == *root).map(|holding| holding.extent).next()
        };
        settled.or_else(promised).unwrap_or_default()
    }

    pub(super) fn applied(&mut self, core: &mut Core, apply: u64, result: Result<Applied, String>) {
        let found =
            self.locals.iter_mut().find(|(_, local)| local.applying.is_some_and(|(id, ..)| id == apply));
        let Some((name, local)) = found else { return };
        let Some((_, basis, root)) = local.applying.take() else { return };
        // What was observed before says nothing any more; the host scans now.
        local.observed = None;
        let name = name.clone();
        match result {
            Ok(result) => {
                local.writing = true;
                let applied = (basis, root);
                let then = Durable::Applied { application: name.clone(), applied, result: Some(result) };
                core.persist(vec![saved::put_applied(&name, applied)], then);
            }
            Err(why) => {
                local.failures += 1;
                let pause = RETRY.0.saturating_mul(1 << (local.failures - 1).min(10)).min(RETRY_MAX.0);
                local.retry = Some(core.now.mono + Millis(pause));
                // Perhaps the store lost something: it is looked for again.
                let extent = local.held.remove(&root);
                let first = local.error.as_ref() != Some(&why);
                local.error = Some(why.clone());
                if extent.is_some() {
                    core.persist(vec![saved::drop_held(&name, &root)], Durable::Nothing);
                }
                if first {
                    core.event(Event::new(Severity::Critical, "apply.failed", why).about(&name));
                }
            }
        }
    }

    pub(super) fn is_applied(
        &mut self,
        core: &mut Core,
        name: &str,
        applied: (u64, Hash),
        result: Option<Applied>,
    ) {
        let Some(local) = self.locals.get_mut(name) else { return };
        local.writing = false;
        let repair = local.applied.is_some_and(|(_, root)| root == applied.1);
        local.applied = Some(applied);
        local.forced = false;
        local.seen &= result.is_none();
        let Some(result) = result.filter(|result| result.changed > 0) else { return };
        let kind = if repair { "repair.done" } else { "revision.applied" };
        let mut text = format!("{} items changed, {} to the trash", result.changed, result.trashed);
        if !result.detail.is_empty() {
            text = format!("{text}: {}", result.detail);
        }
        core.event(Event::new(Severity::Info, kind, text).about(name));
    }

    // --- what follows ------------------------------------------------------------------------------------------

    pub(super) fn attend_content(&mut self, core: &mut Core) {
        let names: Vec<String> = self.state.applications.keys().cloned().collect();
        for name in names {
            self.locals.entry(name.clone()).or_default();
            self.carry_basis(core, &name);
            self.attend_fetch(core, &name);
            self.attend_adoption(core, &name);
            self.attend_apply(core, &name);
            self.publish_holding(core, &name);
            self.publish_list(core, &name);
        }
        self.attend_windows(core);
    }

    /// The same root under a new basis is applied already.
    fn carry_basis(&mut self, core: &mut Core, name: &str) {
        let Some(application) = self.state.applications.get(name) else { return };
        let (basis, root) = (application.basis, application.root_hash());
        let Some(local) = self.locals.get_mut(name) else { return };
        let Some((old, applied)) = local.applied else { return };
        if old != basis && Some(applied) == root && local.applying.is_none() && !local.writing {
            local.writing = true;
            let applied = (basis, applied);
            let then = Durable::Applied { application: name.to_owned(), applied, result: None };
            core.persist(vec![saved::put_applied(name, applied)], then);
        }
    }

    /// Roots that must be in this member's store, most urgent first.
    fn wanted_roots(&self, core: &Core, name: &str) -> Vec<Hash> {
        let Some(application) = self.state.applications.get(name) else { return Vec::new() };
        let mut roots: Vec<Hash> = application.root_hash().into_iter().collect();
        if let Some(window) = application.window.as_ref().filter(|window| window.author != core.me())
            && let Some(staged) = self.holding_of(&window.author, name)
            && staged.basis == application.basis
        {
            roots.push(staged.root);
        }
        // What more than half show may need holders that do not show it themselves: of three members, all.
        let contested = self.locals.get(name).and_then(|local| local.contested).map(|(root, _)| root);
        let promised = |root: &Hash| {
            let mut voters = self.state.voters();
            voters.any(|voter| self.holding_of(&voter.id, name).is_some_and(|holding| holding.root == *root))
        };
        roots.extend(contested.filter(promised));
        // Kept for rollback: the newest first.
        roots.extend(application.revisions.iter().rev().map(|revision| revision.root));
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(*root));
        roots
    }

    fn attend_fetch(&mut self, core: &mut Core, name: &str) {
        let wanted = self.wanted_roots(core, name);
        let Some(local) = self.locals.get(name) else { return };
        if local.writing {
            return;
        }
        let lacking: Vec<Hash> = wanted
            .iter()
            .filter(|root| !local.held.contains_key(root) && !local.refused.contains(root))
            .copied()
            .collect();
        // A revision that is only kept for rollback waits until somebody can give it.
        let urgent = wanted.len().min(2);
        let possible =
            |root: &Hash| wanted[..urgent].contains(root) || !self.holders(core, name, root).is_empty();
        let next = lacking.into_iter().find(possible);
        let current = local.plan.as_ref().map(|plan| plan.root);
        let Some(root) = next else {
            if let Some(local) = self.locals.get_mut(name) {
                local.plan = None;
            }
            return;
        };
        let holders = self.holders(core, name, &root);
        let Some(local) = self.locals.get_mut(name) else { return };
        if current != Some(root) {
            local.plan = Some(Plan::new(root));
        }
        let Some(plan) = &mut local.plan else { return };
        plan.set_holders(holders);
        while let Some(ask) = plan.next(core.now.mono) {
            let fetch = core.id();
            plan.asked(fetch, &ask);
            let (from, wants) = (ask.from, ask.wants);
            core.out.push(Output::Fetch { fetch, application: name.to_owned(), from, wants });
        }
    }

    fn attend_apply(&mut self, core: &mut Core, name: &str) {
        let now = core.now.mono;
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(settled) = application.settled().cloned() else { return };
        let basis = application.basis;
        let own_window = application.window.as_ref().is_some_and(|window| window.author == core.me());
        let paused = application.paused.is_some_and(|until| core.now.wall < until);
        let Some(local) = self.locals.get_mut(name) else { return };
        let busy = local.applying.is_some() || local.capturing.is_some() || local.writing;
        let waits = local.retry.is_some_and(|at| now < at);
        if busy || waits || own_window || paused || !local.held.contains_key(&settled.root) {
            return;
        }
        let is_new = local.applied.is_none_or(|(_, root)| root != settled.root);
        if !is_new && !local.forced {
            let Some(observed) = local.observed else { return };
            if observed.root == Some(settled.root) {
                return;
            }
            let since = local.drifting.get_or_insert((observed.root, now)).1;
            if now < since + REPAIR_DELAY || self.is_majority_drift(name) {
                return;
            }
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        let apply = core.id();
        local.applying = Some((apply, basis, settled.root));
        local.forced = false;
        if !is_new {
            let text = format!("back to revision {} {}", settled.number, settled.root.short());
            core.event(Event::new(Severity::Info, "repair.started", text).about(name));
        }
        core.out.push(Output::Apply {
            apply,
            application: name.to_owned(),
            root: settled.root,
            epoch: basis,
        });
    }

    // --- adoption ----------------------------------------------------------------------------------------------

    /// The root that more than half of the placed voters show instead of the settled one, if the policy adopts it.
    pub(super) fn majority_drift(&self, name: &str) -> Option<Hash> {
        let application = self.state.applications.get(name)?;
        let placed = self.state.voters().count();
        if application.policy != Policy::Majority || placed < 3 || application.window.is_some() {
            return None;
        }
        let settled = application.root_hash()?;
        let mut shown: Vec<Hash> =
            self.state.voters().filter_map(|voter| self.list_of(&voter.id, name)?.observed).collect();
        shown.sort();
        shown.dedup();
        let more_than_half = |root: &Hash| self.holders_of_drift(name, root) * 2 > placed;
        shown.into_iter().find(|root| *root != settled && !application.knows(root) && more_than_half(root))
    }

    /// Whether what this member shows is what more than half show.
    fn is_majority_drift(&self, name: &str) -> bool {
        let mine = self.locals.get(name).and_then(|local| local.observed).and_then(|observed| observed.root);
        mine.is_some() && self.majority_drift(name) == mine
    }

    fn attend_adoption(&mut self, core: &mut Core, name: &str) {
        let now = core.now.mono;
        let drift = self.majority_drift(name);
        let mine = self.is_majority_drift(name);
        let Some(local) = self.locals.get_mut(name) else { return };
        let Some(root) = drift else {
            local.contested = None;
            return;
        };
        if local.contested.is_none_or(|(other, _)| other != root) {
            local.contested = Some((root, now));
        }
        let since = local.contested.map_or(now, |(_, since)| since);
        if now < since + SETTLE_DELAY {
            return;
        }
        if !local.held.contains_key(&root) {
            let waits = local.retry.is_some_and(|at| now < at);
            if mine && local.capturing.is_none() && !local.writing && !waits {
                let capture = core.id();
                local.capturing = Some(capture);
                let application = name.to_owned();
                core.out.push(Output::Capture { capture, application, source: Source::Live });
            }
            return;
        }
        let evidence = self.evidence(name, &root);
        let first = self.state.voters().find(|voter| {
            self.holding_of(&voter.id, name).is_some_and(|holding| holding.root == root)
                && (voter.id == core.me() || self.liveness.is_reachable(&voter.id, now))
        });
        let proposer = first.is_some_and(|voter| voter.id == core.me());
        if proposer && evidence.len() >= self.state.content_quorum() {
            let extent = self.extent_of(name, &root);
            let application = name.to_owned();
            self.originate_once(core, Change::Adopt { application, root, extent, evidence });
        }
    }

    // --- what this member says ---------------------------------------------------------------------------------

    fn publish_list(&mut self, core: &mut Core, name: &str) {
        let Some(basis) = self.state.applications.get(name).map(|application| application.basis) else {
            return;
        };
        let Some(local) = self.locals.get(name) else { return };
        let Some(observed) = local.observed else { return };
        let list = ContentList {
            application: name.to_owned(),
            basis,
            applied: local.applied.filter(|_| local.seen).map(|(basis, _)| basis),
            observed: observed.root,
            extent: observed.extent,
        };
        if self.list_of(&core.me(), name) != Some(&list) && self.me(core).is_some() {
            self.publish(core, Statement::List(list));
        }
    }

    /// What this member promises to hold: its own staged content, the author's, or what is to be adopted.
    pub(super) fn publish_holding(&mut self, core: &mut Core, name: &str) {
        let Some(application) = self.state.applications.get(name) else { return };
        let basis = application.basis;
        let Some(local) = self.locals.get(name) else { return };
        let staged = match &application.window {
            Some(window) if window.author == core.me() => local.staged,
            Some(window) => {
                self.holding_of(&window.author, name).filter(|h| h.basis == basis).map(|h| h.root)
            }
            None => local.contested.map(|(root, _)| root),
        };
        let Some(root) = staged else { return };
        let Some(extent) = local.held.get(&root).copied() else { return };
        let holding = Holding { application: name.to_owned(), basis, root, extent };
        if self.holding_of(&core.me(), name) != Some(&holding) && self.state.is_voter(&core.me()) {
            self.publish(core, Statement::Holding(holding));
        }
    }

    // --- the head moved ----------------------------------------------------------------------------------------

    /// Forgets what the new state does not name any more.
    pub(super) fn roots_changed(&mut self, core: &mut Core, before: &State) {
        let mut writes = Vec::new();
        self.locals.retain(|name, _| self.state.applications.contains_key(name));
        for (name, application) in &self.state.applications {
            let Some(local) = self.locals.get_mut(name) else { continue };
            let closed = before
                .applications
                .get(name)
                .is_some_and(|old| old.window.is_some() && application.window.is_none());
            if closed {
                local.staged = None;
            }
            if application.root_hash() != before.applications.get(name).and_then(Application::root_hash) {
                (local.retry, local.failures, local.error, local.drifting) = (None, 0, None, None);
            }
            if application.window.is_some() {
                continue;
            }
            let gone: Vec<Hash> =
                local.held.keys().filter(|root| !application.knows(root)).copied().collect();
            for root in gone {
                local.held.remove(&root);
                writes.push(saved::drop_held(name, &root));
            }
        }
        if !writes.is_empty() {
            core.persist(writes, Durable::Nothing);
        }
    }

    /// Looks at an application's tree again.
    pub(super) fn look(&self, core: &mut Core, name: &str, depth: Depth) {
        core.out.push(Output::Scan { application: name.to_owned(), depth });
    }

    pub(super) fn content_deadline(&self, core: &Core, name: &str) -> Option<Instant> {
        let now = core.now.mono;
        let local = self.locals.get(name)?;
        let repair = local.drifting.map(|(_, since)| since + REPAIR_DELAY);
        let adopt = local.contested.map(|(_, since)| since + SETTLE_DELAY);
        let fetch = local.plan.as_ref().and_then(|plan| plan.deadline(now));
        [repair, adopt, local.retry, fetch].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// The local facts of an application.
    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        self.locals.get(name)
    }
}
