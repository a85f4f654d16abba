//! Content: what is settled, what is here, and what follows from the difference (design §5.3).

use super::adopting::SETTLE_DELAY;
use super::contested::TIMES;
use super::local::{Applying, Local, Observed};
use super::{Core, Durable, Entity, Sabotage, saved};
use crate::effect::{Applied, Captured, Depth, Fetched, NotApplied, NotCaptured, Order, Output, Scan};
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::manifest::Extent;
use crate::path::ItemPath;
use crate::record::Policy;
use crate::rollout::{AS_BEFORE, Course};
use crate::state::{Application, Revision, Role, State};
use crate::statement::{ContentList, Holding, Slot, Statement};
use crate::time::{Instant, Millis};
use crate::trouble::{Trouble, Troubled};

/// What was looked at when nothing more followed for content.
pub(super) struct Quiet {
    /// Lists and Holdings on the board.
    board: u64,
    /// Until then nothing follows by itself.
    until: Option<Instant>,
    /// This member had to keep to itself what it would have said.
    silent: bool,
    /// Whom a roll-out under way waits for; `None` while there is none.
    waited_for: Option<Vec<bool>>,
}

/// First pause after a failure; doubles.
const RETRY: Millis = Millis(1_000);
/// Longest pause after failures.
const RETRY_MAX: Millis = Millis(60_000);

impl Entity {
    // --- facts of others ---------------------------------------------------------------------------------------

    /// A member's newest list of an application.
    pub(super) fn list_of(&self, member: &MemberId, application: &str) -> Option<&ContentList> {
        self.board.list(member, application)
    }

    /// A member's newest Holding of an application, under the present basis.
    pub(super) fn holding_of(&self, member: &MemberId, application: &str) -> Option<&Holding> {
        self.board.holding(member, application)
    }

    /// Signed Holdings of a root under the present basis, by those whose word is evidence.
    pub(super) fn evidence(&self, application: &str, root: &Hash) -> Vec<crate::statement::Signed> {
        let slot = Slot::Holding(application.to_owned());
        let basis = self.state.applications.get(application).map(|application| application.basis);
        let good = |id: &MemberId| {
            let holding = self.holding_of(id, application)?;
            let about = Some(holding.basis) == basis && holding.root == *root;
            about.then(|| self.board.get(id, &slot).map(|checked| checked.signed().clone())).flatten()
        };
        self.holders_of(application).iter().filter_map(good).collect()
    }

    // --- what the host reports ---------------------------------------------------------------------------------

    pub(super) fn scanned(&mut self, core: &mut Core, name: &str, scan: Scan) {
        if !self.is_here(core, name) || self.is_leaving(name) {
            return;
        }
        let now = core.now.mono;
        let local = self.locals.entry(name.to_owned()).or_default();
        let busy = local.applying.is_some();
        match scan {
            // What was seen while it was being changed by ourselves says nothing.
            Scan::Tree { .. } | Scan::Absent if busy => return,
            Scan::Tree { root, extent, beyond } => {
                local.observed = Some(Observed { root: Some(root), extent, ends: beyond.is_some() });
                self.reaches(core, name, beyond);
            }
            Scan::Absent => {
                local.observed = Some(Observed { root: None, extent: Extent::default(), ends: false });
                self.reaches(core, name, None);
            }
            Scan::Unstable(_) => return,
            Scan::Unreadable(why) => {
                return self.unseen(core, name, Troubled::new(Trouble::TreeUnreadable, why));
            }
            Scan::Vanished(why) => {
                return self.unseen(core, name, Troubled::new(Trouble::RootVanished, why));
            }
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        if local.unseen.take().is_some() {
            core.event(Event::new(Severity::Info, "content.readable", "can be read again").about(name));
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
            local.half = false;
            if local.drifting.take().is_some() {
                let text = format!("the same as revision {} again", settled.number);
                core.event(Event::new(Severity::Info, "content.agrees", text).about(name));
            }
            (local.failures, local.retry, local.error) = (0, None, None);
        } else if applied && local.observed.is_some_and(|observed| observed.ends) {
            // As near as it can be.
            (local.seen, local.half) = (true, false);
            (local.drifting, local.failures, local.retry, local.error) = (None, 0, None, None);
        } else if applied && !own_window && local.drifting.is_none() {
            local.drifting = Some((seen, now));
            let what =
                seen.map_or_else(|| "nothing is there".to_owned(), |root| format!("it is {}", root.short()));
            let policy = match application.policy {
                Policy::Majority => "",
                Policy::Certified => "; its policy is certified: it is put back at once",
            };
            let text =
                format!("differs from revision {} {}: {what}{policy}", settled.number, settled.root.short());
            core.event(Event::new(Severity::Warning, "content.differs", text).about(name));
        }
    }

    pub(super) fn captured(&mut self, core: &mut Core, capture: u64, result: Result<Captured, NotCaptured>) {
        let is_it = |local: &Local| local.capturing.is_some_and(|capturing| capturing.id == capture);
        let adopting = self.locals.iter_mut().find(|(_, local)| is_it(local));
        let Some((name, local)) = adopting else {
            self.operation_captured(core, capture, result);
            return;
        };
        let shaken = local.capturing.take().is_some_and(|capturing| capturing.shaken);
        match result {
            Ok(_) if shaken => {}
            Ok(captured) => {
                let name = name.clone();
                self.hold(core, &name, captured.root, captured.extent);
            }
            Err(NotCaptured::NoRoom(why)) => {
                local.retry = Some(core.now.mono + RETRY);
                local.error = Some(Troubled::new(Trouble::DiskFull, why));
            }
            Err(NotCaptured::Changing(why) | NotCaptured::Refused(why) | NotCaptured::Failed(why)) => {
                local.retry = Some(core.now.mono + RETRY);
                local.error = Some(Troubled::new(Trouble::ApplyFails, why));
            }
        }
    }

    /// A root is complete and synced in the store: remember that durably, then promise it.
    pub(super) fn hold(&mut self, core: &mut Core, name: &str, root: Hash, extent: Extent) {
        let write = saved::put_held(name, &root, extent);
        let local = self.locals.entry(name.to_owned()).or_default();
        local.writing = true;
        *local.saving.entry(root).or_default() += 1;
        local.suspect.remove(&root);
        local.barren.remove(&root);
        core.persist(vec![write], Durable::Held { application: name.to_owned(), root, extent });
    }

    pub(super) fn is_held(&mut self, core: &mut Core, name: &str, root: Hash, extent: Extent) {
        let Some(local) = self.locals.get_mut(name) else {
            return self.came_too_late(core, saved::drop_held(name, &root));
        };
        match local.saving.remove(&root) {
            Some(more @ 2..) => {
                local.saving.insert(root, more - 1);
                return;
            }
            Some(_) => {}
            // Written for the entity before, or for an application of that name before: it is looked through.
            None => {
                local.held.insert(root, extent);
                local.suspect.insert(root);
            }
        }
        local.writing = false;
        if local.suspect.contains(&root) && !local.held.contains_key(&root) {
            // What rotted while this was being written may be of it: it is not held, and had anew.
            local.suspect.remove(&root);
            return core.persist(vec![saved::drop_held(name, &root)], Durable::Nothing);
        }
        local.held.insert(root, extent);
        // What was lacking may be what an apply failed for.
        local.retry = None;
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
            if let Some(again) = plan.again() {
                *plan = again;
                return;
            }
            let (root, bytes, done, extent) = (plan.root, plan.bytes, plan.done, plan.extent());
            local.plan = None;
            let Some(extent) = extent else { return self.refuse_root(core, &name, root) };
            if bytes > 0 {
                let text = format!("{} complete: {done} pieces, {bytes} bytes from peers", root.short());
                core.event(Event::new(Severity::Info, "content.fetched", text).about(&name));
            }
            if self.is_whole_again(&name, &root) {
                return;
            }
            self.hold(core, &name, root, extent);
        }
    }

    /// A root that stands for more than an application may be: it is neither promised nor applied.
    fn refuse_root(&mut self, core: &mut Core, name: &str, root: Hash) {
        let text = format!("{} names more items than an application may have: it is not taken", root.short());
        if let Some(local) = self.locals.get_mut(name) {
            local.refused.insert(root);
            local.error = Some(Troubled::new(Trouble::ApplyFails, text.clone()));
        }
        core.event(Event::new(Severity::Warning, "content.refused", text).about(name));
    }

    pub(super) fn extent_of(&self, name: &str, root: &Hash) -> Extent {
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

    pub(super) fn applied(&mut self, core: &mut Core, apply: u64, result: Result<Applied, NotApplied>) {
        let found = self.locals.iter_mut().find(|(_, local)| local.applying.is_some_and(|it| it.id == apply));
        let Some((name, local)) = found else { return };
        let Some(Applying { basis, root, seen, leaves, is_new, .. }) = local.applying.take() else { return };
        // What was observed before says nothing any more; the host scans now.
        local.observed = None;
        let name = name.clone();
        match result {
            Ok(result) => {
                local.writing = true;
                if result.changed == 0 && result.left > 0 && seen.is_some() {
                    local.contested.nothing_else(seen, leaves);
                }
                let owes = is_new || result.changed > 0 || std::mem::take(&mut local.hooks.touched);
                local.hooks.fresh = true;
                self.write_applied(core, &name, (basis, root), Some(result), owes);
            }
            Err(not_applied) => {
                // What is there now may be half of it.
                local.half = true;
                local.hooks.touched = true;
                local.failures += 1;
                let pause = RETRY.0.saturating_mul(1 << (local.failures - 1).min(10)).min(RETRY_MAX.0);
                local.retry = Some(core.now.mono + Millis(pause));
                self.not_applied(core, &name, &root, not_applied);
            }
        }
    }

    /// Remembers durably what was applied, and what is left for the after hooks.
    fn write_applied(
        &mut self,
        core: &mut Core,
        name: &str,
        applied: (u64, Hash),
        result: Option<Applied>,
        owes: bool,
    ) {
        let mut writes = vec![saved::put_applied(name, applied)];
        let owes = owes && self.owes_after(name);
        let hooks = &mut self.locals.entry(name.to_owned()).or_default().hooks;
        if owes {
            (hooks.owed, hooks.noted) = (true, true);
            writes.push(saved::put_owed(name));
        } else if hooks.noted && !hooks.owed {
            hooks.noted = false;
            writes.push(saved::drop_owed(name));
        }
        core.persist(writes, Durable::Applied { application: name.to_owned(), applied, result });
    }

    pub(super) fn is_applied(
        &mut self,
        core: &mut Core,
        name: &str,
        applied: (u64, Hash),
        result: Option<Applied>,
    ) {
        let placed = self.is_here(core, name);
        let Some(local) = self.locals.get_mut(name) else {
            return self.was_applied_too_late(core, name);
        };
        local.writing = false;
        if !placed {
            return self.was_applied_too_late(core, name);
        }
        let repair = local.applied.is_some_and(|(_, root)| root == applied.1);
        local.applied = Some(applied);
        local.seen &= result.is_none();
        local.half &= result.is_none();
        // What was seen since the apply ended, while this was being written, is not seen again unless it changes.
        if let Some(observed) = local.observed.filter(|_| result.is_some()) {
            self.note_drift(core, name, observed.root, core.now.mono);
        }
        let Some(result) = result.filter(|result| result.changed > 0) else { return };
        let kind = if repair { "repair.done" } else { "revision.applied" };
        let mut text = format!("{} items changed, {} to the trash", result.changed, result.trashed);
        if !result.detail.is_empty() {
            text = format!("{text}: {}", result.detail);
        }
        core.event(Event::new(Severity::Info, kind, text).about(name));
        if repair {
            self.count_repairs(core, name, &result.paths);
        }
    }

    fn was_applied_too_late(&self, core: &mut Core, name: &str) {
        self.came_too_late(core, saved::drop_applied(name));
        self.came_too_late(core, saved::drop_owed(name));
    }

    /// Whatever is repaired too often is left alone from now on.
    fn count_repairs(&mut self, core: &mut Core, name: &str, paths: &[ItemPath]) {
        let Some(local) = self.locals.get_mut(name) else { return };
        let left = local.contested.repaired(paths, core.now.mono);
        if left.is_empty() {
            return;
        }
        let text = format!(
            "{} repaired {TIMES} times within an hour: left alone for an hour, or until `althing app repair {name}`",
            few(&left)
        );
        core.event(Event::new(Severity::Warning, "content.contested", text).about(name));
    }

    // --- what follows ------------------------------------------------------------------------------------------

    pub(super) fn attend_content(&mut self, core: &mut Core) {
        if self.is_on_its_way() {
            return;
        }
        if !self.is_quiet(core) {
            let (board, said) = (self.board.content(), core.out.len());
            self.unsaid = false;
            self.attend_trees(core);
            let rests = !self.unsaid && core.out.len() == said && self.board.content() == board;
            self.quiet = if rests && self.is_idle(core) { Some(self.quiet_from_now(core)) } else { None };
        }
        self.attend_windows(core);
    }

    /// Whether nothing has changed since nothing followed for content: then nothing does now. Most inputs are votes,
    /// reports and heartbeats, which change nothing of it.
    pub(super) fn is_quiet(&self, core: &Core) -> bool {
        let rests = |quiet: &Quiet| {
            let same = quiet.board == self.board.content() && quiet.silent == self.is_silent(core);
            let waits =
                || quiet.waited_for.as_ref().is_none_or(|before| *before == self.all_waited_for(core));
            same && quiet.until.is_none_or(|until| core.now.mono < until) && waits()
        };
        let idle = self.orders.is_empty() && !core.breaks(Sabotage::Restless);
        idle && self.quiet.as_ref().is_some_and(rests)
    }

    fn quiet_from_now(&self, core: &Core) -> Quiet {
        let rolls = self.state.applications.keys().any(|name| self.is_rolling(core, name));
        let waited_for = rolls.then(|| self.all_waited_for(core));
        let (board, until) = (self.board.content(), self.content_deadlines(core));
        Quiet { board, until, silent: self.is_silent(core), waited_for }
    }

    fn content_deadlines(&self, core: &Core) -> Option<Instant> {
        self.locals.keys().filter_map(|name| self.content_deadline(core, name)).min()
    }

    /// When something follows for content without any input.
    pub(super) fn next_content(&self, core: &Core) -> Option<Instant> {
        match &self.quiet {
            Some(quiet)
                if quiet.until.is_none_or(|until| core.now.mono < until)
                    && !core.breaks(Sabotage::Restless) =>
            {
                quiet.until
            }
            _ => self.content_deadlines(core),
        }
    }

    /// Nothing is under way that depends on more than [`Quiet`] looks at: on the wall clock, on who can be asked.
    fn is_idle(&self, core: &Core) -> bool {
        self.state.applications.keys().all(|name| self.is_at_rest(core, name))
    }

    fn is_at_rest(&self, core: &Core, name: &str) -> bool {
        let Some((application, local)) = self.state.applications.get(name).zip(self.locals.get(name)) else {
            return false;
        };
        let fetches = local.plan.is_some() || local.parting.is_some();
        let differs = local.adopting.is_some() || local.drifting.is_some() || local.forced;
        // While repair is paused nobody's time runs, and what differs need not have been noted: the wall clock ends it.
        let shown = local.observed.is_some_and(|observed| observed.root == application.root_hash());
        let pauses = application.paused.is_some() && (self.is_rolling(core, name) || !shown);
        // Edits of this member's own that settle by themselves are looked at elsewhere, after this.
        let auto = self.own_window(core, name).is_some_and(|window| window.auto().is_some());
        let edits = auto || local.quiet.is_some();
        !(fetches || differs || pauses || edits || local.hooks.owed || self.may_be_undone(name))
    }

    /// Whether this member or others have still to apply the revision in force, as far as it knows.
    fn is_rolling(&self, core: &Core, name: &str) -> bool {
        let Some((application, local)) = self.state.applications.get(name).zip(self.locals.get(name)) else {
            return false;
        };
        let settled = application.settled().filter(|_| self.is_here(core, name));
        settled.is_some_and(|settled| !local.turns.is_over(settled.number) || is_new(settled, local.applied))
    }

    fn attend_trees(&mut self, core: &mut Core) {
        let names: Vec<(String, bool)> =
            self.state.applications.keys().map(|name| (name.clone(), self.is_here(core, name))).collect();
        // Where the tree of another one of its name is being cleared away, it has no tree yet.
        let names: Vec<(String, bool)> =
            names.into_iter().filter(|(name, placed)| !(*placed && self.is_leaving(name))).collect();
        for (name, placed) in &names {
            self.locals.entry(name.clone()).or_default();
            self.let_go(core, name);
            if *placed {
                self.carry_basis(core, name);
            }
            self.choose_fetch(core, name);
        }
        self.attend_keeping(core);
        for (name, placed) in &names {
            self.attend_fetch(core, name);
            if *placed {
                self.attend_adoption(core, name);
                self.attend_turns(core, name);
                self.attend_apply(core, name);
            }
            self.attend_hooks(core, name);
            self.attend_probation(core, name);
            self.publish_holding(core, name);
            if *placed {
                self.publish_list(core, name);
            }
        }
    }

    /// The same root under a new basis is applied already.
    fn carry_basis(&mut self, core: &mut Core, name: &str) {
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(settled) = application.settled() else { return };
        let (basis, root) = (application.basis, settled.root);
        let Some(local) = self.locals.get_mut(name) else { return };
        let (applied, idle) = (local.applied, local.applying.is_none() && !local.writing);
        if !idle || applied.is_some_and(|(old, _)| old == basis) {
            return;
        }
        let carried = applied.is_some() && !is_new(settled, applied);
        if carried {
            local.writing = true;
            self.write_applied(core, name, (basis, root), None, false);
        } else if self.is_own_auto(core, name) && self.is_my_turn(core, name) {
            // What was settled is what its author had: nothing is to be written into its tree.
            self.locals.entry(name.to_owned()).or_default().writing = true;
            self.write_applied(core, name, (basis, root), None, true);
        }
    }

    fn attend_apply(&mut self, core: &mut Core, name: &str) {
        let now = core.now.mono;
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(settled) = application.settled().cloned() else { return };
        let basis = application.basis;
        let own_window = application.window.as_ref().is_some_and(|window| window.author == core.me());
        let paused = application.paused.is_some_and(|until| core.now.wall < until);
        let delay = self.repair_delay(name);
        let Some(local) = self.locals.get_mut(name) else { return };
        let busy = local.applying.is_some() || local.capturing.is_some() || local.writing;
        let waits = local.retry.is_some_and(|at| now < at) || (local.unseen.is_some() && !local.forced);
        if busy || waits || own_window || paused || !local.held.contains_key(&settled.root) {
            return;
        }
        let is_new = is_new(&settled, local.applied);
        let (mut leave, mut seen) = (Vec::new(), None);
        let forced = local.forced;
        let shown = local.observed.is_some_and(|observed| observed.root == Some(settled.root));
        // Where the tree is so already nothing stops, unless a program is to be run.
        let unnoticed = shown && !self.owes_after(name);
        if is_new && !forced && !unnoticed && !self.is_my_turn(core, name) {
            return;
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        if !is_new && !forced {
            let Some(observed) = local.observed else { return };
            let is_done = observed.root == Some(settled.root) || observed.ends;
            if is_done || local.contested.is_all(observed.root, now) {
                return;
            }
            let since = local.drifting.get_or_insert((observed.root, now)).1;
            (leave, seen) = (local.contested.left_alone(now), observed.root);
            if now < since + delay || self.is_majority_drift(name) {
                return;
            }
        }
        if !self.is_noted(core, name) {
            return;
        }
        if !is_new {
            let text = format!("back to revision {} {}", settled.number, settled.root.short());
            core.event(Event::new(Severity::Info, "repair.started", text).about(name));
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        local.forced = false;
        local.hooks.overtake();
        let order = if forced { Order::ByHand } else { Order::Automatic };
        let (apply, root, epoch) = (core.id(), settled.root, basis);
        local.applying = Some(Applying { id: apply, basis, root, seen, is_new, leaves: leave.len() });
        core.out.push(Output::Apply { apply, application: name.to_owned(), root, epoch, leave, order });
    }

    // --- what this member says ---------------------------------------------------------------------------------

    fn publish_list(&mut self, core: &mut Core, name: &str) {
        let Some(application) = self.state.applications.get(name) else { return };
        let (basis, settled) = (application.basis, application.settled());
        let Some(local) = self.locals.get(name) else { return };
        // One of many that apply at once says nothing of it.
        let rolls = settled.is_some_and(|settled| settled.plan.batch != AS_BEFORE);
        let applies = rolls && local.applying.is_some_and(|applying| applying.is_new);
        let has = local.applied.is_some_and(|(_, root)| settled.is_some_and(|settled| settled.root == root));
        let ends = local.observed.is_some_and(|observed| observed.ends);
        let mut course = Course { ends, ..local.hooks.course(applies, has) };
        // What a failed apply left is neither what was applied nor an edit; before version 2 that could not be said so.
        course.busy |= local.half && self.state.protocol >= 2;
        let shown = local.seen && (!local.half || course.busy);
        // A tree that cannot be read gives no list, and takes back the one that was true before.
        if local.observed.is_none() && local.unseen.is_none() {
            return;
        }
        let list = ContentList {
            application: name.to_owned(),
            basis,
            applied: local.applied.filter(|_| shown).map(|(basis, _)| basis),
            seen: local.observed.is_some(),
            observed: local.observed.and_then(|observed| observed.root),
            extent: local.observed.map(|observed| observed.extent).unwrap_or_default(),
            left: local.contested.left_alone(core.now.mono).len() as u64,
            course,
        };
        if self.list_of(&core.me(), name) != Some(&list) && self.me(core).is_some() {
            self.publish(core, Statement::List(list));
        }
    }

    /// What this member promises to hold: its own staged content, the author's, or what is to be adopted. Whoever
    /// shows no list, because it only keeps the content or hands it over, tells by it that it has what is in force.
    pub(super) fn publish_holding(&mut self, core: &mut Core, name: &str) {
        let Some(basis) = self.state.applications.get(name).map(|application| application.basis) else {
            return;
        };
        let Some(root) = self.to_promise(core, name).filter(|root| self.is_checked(core, name, root)) else {
            return;
        };
        let Some(local) = self.locals.get(name) else { return };
        // What rotted may be of it: what was promised before stays so, and nothing more is before it is looked through.
        let Some(extent) = local.held.get(&root).copied().filter(|_| !local.suspect.contains(&root)) else {
            return;
        };
        let holding = Holding { application: name.to_owned(), basis, root, extent };
        // A spare's is no evidence, but tells the others what is staged in a window of its own.
        let counts_or_spare = self.me(core).is_some_and(|me| me.role != Role::Learner);
        if self.holding_of(&core.me(), name) != Some(&holding) && counts_or_spare {
            self.publish(core, Statement::Holding(holding));
        }
    }

    /// The root that this member promises as soon as it has it.
    pub(super) fn to_promise(&self, core: &Core, name: &str) -> Option<Hash> {
        let application = self.state.applications.get(name)?;
        let (basis, local) = (application.basis, self.locals.get(name)?);
        match &application.window {
            Some(window) if window.author == core.me() => local.staged,
            Some(window) => {
                self.holding_of(&window.author, name).filter(|h| h.basis == basis).map(|h| h.root)
            }
            // Keepers have no tree to undo anything in, and keep what is to come.
            None if !self.is_here(core, name) => {
                self.to_undo(core, name).map(|undo| undo.root).or(application.root_hash())
            }
            None => {
                let adopting = local.adopting.map(|(root, _)| root);
                adopting.or_else(|| self.to_undo(core, name).map(|undo| undo.root))
            }
        }
    }

    // --- the head moved ----------------------------------------------------------------------------------------

    /// Forgets what the new state does not name any more.
    pub(super) fn roots_changed(&mut self, core: &mut Core, before: &State) {
        self.locals.retain(|name, _| self.state.applications.contains_key(name));
        for (name, application) in &self.state.applications {
            let Some(local) = self.locals.get_mut(name) else { continue };
            let closed = before
                .applications
                .get(name)
                .is_some_and(|old| old.window.is_some() && application.window.is_none());
            if closed || local.staged == application.root_hash() {
                local.staged = None;
            }
            let old = before.applications.get(name);
            let resumed = application.paused.is_none() && old.is_some_and(|old| old.paused.is_some());
            if application.root_hash() != old.and_then(Application::root_hash) {
                (local.retry, local.failures, local.error, local.drifting) = (None, 0, None, None);
                local.contested.forget();
            } else if resumed {
                local.contested.forget();
            }
        }
        let names: Vec<String> = self.state.applications.keys().cloned().collect();
        names.iter().for_each(|name| self.hooks_changed(name, before));
        self.release_roots(core, before);
    }

    /// Looks at an application's tree again.
    pub(super) fn look(&self, core: &mut Core, name: &str, depth: Depth) {
        core.out.push(Output::Scan { application: name.to_owned(), depth });
    }

    pub(super) fn content_deadline(&self, core: &Core, name: &str) -> Option<Instant> {
        let now = core.now.mono;
        let local = self.locals.get(name)?;
        let repair = local.drifting.map(|(_, since)| since + self.repair_delay(name));
        let adopt = local.adopting.map(|(_, since)| since + SETTLE_DELAY);
        let fetch = local.fetch_deadline(now);
        let (hooks, turns) = (local.hooks.deadline(now), self.turns_deadline(core, name));
        let (quiet, parting) = (self.quiet_deadline(core, name), self.parting_deadline(name));
        [repair, adopt, local.retry, fetch, local.contested.deadline(now), hooks, turns, quiet, parting]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// The local facts of an application.
    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        self.locals.get(name)
    }
}

/// Whether a settled revision is still to be brought here. A root under another basis is the same root, unless an
/// administrator wants it applied once more.
pub(super) fn is_new(settled: &Revision, applied: Option<(u64, Hash)>) -> bool {
    applied.is_none_or(|(basis, root)| root != settled.root || (settled.plan.again && basis < settled.epoch))
}

/// The first few paths, for people.
pub(super) fn few(paths: &[ItemPath]) -> String {
    let named: Vec<String> = paths.iter().take(3).map(ItemPath::lossy).collect();
    let mut text = named.join(", ");
    if paths.len() > 3 {
        text = format!("{text} and {} more", paths.len() - 3);
    }
    let plain = text.chars().filter(|letter| !letter.is_control()).collect();
    if paths.len() == 1 { plain } else { format!("{} paths: {plain}", paths.len()) }
}
