//! Programs of an application's own settled content that members run around a revision (finding 21): checks of what
//! is staged, before it is promised; and what is to be done after an apply. Which ones there are is settled, and the
//! bytes that are run are settled ones: nobody can have a member run what was not decided. Checks are forgotten by a
//! crash, and run again; that after hooks are owed is durable before anything is changed, so they run at least once
//! for whatever an apply did.

use super::{Core, Durable, Entity, saved};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::limits::TEXT_BYTES;
use crate::rollout::{Course, Failed, Hook, Kind, Ran};
use crate::state::{Application, State};
use crate::time::{Instant, Millis};

/// First pause after a hook that failed; doubles.
const RETRY: Millis = Millis(1_000);
/// Longest pause. Whoever put right what failed does not wait for longer.
const RETRY_MAX: Millis = Millis(30_000);

/// The hooks of one application on this member.
#[derive(Default)]
pub(super) struct Hooks {
    /// One runs at a time.
    running: Option<Running>,
    /// The staged root on which all checks ended well.
    passed: Option<Hash>,
    /// The staged root on which one failed.
    refused: Option<Failed>,
    /// Something was applied for which the after hooks have still to end well.
    pub(super) owed: bool,
    /// The disk says so. It does before an apply begins, which may be one that finds nothing to do.
    pub(super) noted: bool,
    /// An apply that failed may have changed something.
    pub(super) touched: bool,
    /// An apply has ended since the start: nothing that a crash has interrupted is still being gone on with.
    pub(super) fresh: bool,
    /// One of them failed.
    failed: Option<Failed>,
    /// Their end is on its way to the disk.
    writing: bool,
    checks: Tries,
    afters: Tries,
    /// What was told of a hook that could not be run.
    told: Option<Ran>,
}

/// Failures in a row, and when it is tried again.
#[derive(Default)]
struct Tries {
    failures: u32,
    retry: Option<Instant>,
}

impl Tries {
    fn may_begin(&self, now: Instant) -> bool {
        self.retry.is_none_or(|at| now >= at)
    }

    fn failed(&mut self, now: Instant) {
        self.failures += 1;
        let pause = RETRY.0.saturating_mul(1 << (self.failures - 1).min(10)).min(RETRY_MAX.0);
        self.retry = Some(now + Millis(pause));
    }
}

/// A hook that was asked for, and of what it is the answer.
#[derive(Clone, PartialEq, Eq)]
struct Running {
    id: u64,
    kind: Kind,
    root: Hash,
    from: Hash,
    index: usize,
    /// All hooks of the kind, as they were when it began.
    hooks: Vec<Hook>,
    /// An apply began while it ran: it may have seen the tree of before.
    overtaken: bool,
}

impl Running {
    /// Whether its end still says something: of a check, that the same program would look at the same content; of an
    /// after hook, that the same is to be done for the revision in force.
    fn counts(&self, application: &Application) -> bool {
        let in_force = application.root_hash();
        let about = match self.kind {
            Kind::Check => in_force == Some(self.from) && self.root != self.from,
            Kind::After => in_force == Some(self.root),
        };
        let stale = self.kind == Kind::After && self.overtaken;
        about && !stale && application.rollout().hooks(self.kind) == self.hooks
    }
}

impl Hooks {
    /// What is said of them by a member that is at an apply, or has applied the root in force.
    pub(super) fn course(&self, applies: bool, has_applied: bool) -> Course {
        let owes = has_applied && self.owed && self.failed.is_none();
        Course {
            busy: applies || owes,
            refuses: self.refused.clone(),
            fails: self.failed.clone(),
            ends: false,
        }
    }

    /// An apply begins.
    pub(super) fn overtake(&mut self) {
        if let Some(running) = &mut self.running {
            running.overtaken = true;
        }
    }

    fn tries(&mut self, kind: Kind) -> &mut Tries {
        match kind {
            Kind::Check => &mut self.checks,
            Kind::After => &mut self.afters,
        }
    }

    /// When one that failed is run again.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let after = self.afters.retry.filter(|_| self.owed);
        let check = self.checks.retry.filter(|_| self.refused.is_some());
        after.into_iter().chain(check).filter(|at| *at > now).min()
    }
}

impl Entity {
    /// Whether this root may be promised: it was settled before, or its checks ended well here, or this is none of the
    /// members that it goes to. Those that are have the program.
    pub(super) fn is_checked(&self, core: &Core, name: &str, root: &Hash) -> bool {
        let Some(application) = self.state.applications.get(name) else { return false };
        let passed = || self.local(name).is_some_and(|local| local.hooks.passed == Some(*root));
        !needs_check(application, root) || !self.is_here(core, name) || passed()
    }

    /// Runs what is to be run next.
    pub(super) fn attend_hooks(&mut self, core: &mut Core, name: &str) {
        if !self.local(name).is_some_and(|local| local.hooks.running.is_none() && !local.hooks.writing) {
            return;
        }
        match self.after_due(core, name).or_else(|| self.check_due(core, name)) {
            Some((kind, root)) => self.run_hook(core, name, (kind, 0), root),
            None => self.nothing_owed(core, name),
        }
    }

    /// Has the host run one of the hooks of a kind for this root, if its content is here.
    fn run_hook(&mut self, core: &mut Core, name: &str, (kind, index): (Kind, usize), root: Hash) {
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(settled) = application.settled() else { return };
        let hooks = application.rollout().hooks(kind).to_vec();
        let Some(local) = self.locals.get_mut(name) else { return };
        let (from, revision) = match kind {
            Kind::Check => (settled.root, settled.number + 1),
            Kind::After => (root, settled.number),
        };
        let held = |root| local.held.contains_key(root) && !local.suspect.contains(root);
        let Some(hook) = hooks.get(index).cloned().filter(|_| held(&from) && held(&root)) else { return };
        let run = core.id();
        local.hooks.running = Some(Running { id: run, kind, root, from, index, hooks, overtaken: false });
        let application = name.to_owned();
        core.out.push(Output::Hook { run, application, kind, hook, from, root, revision });
    }

    /// The applied root for which after hooks are to be run now.
    fn after_due(&self, core: &Core, name: &str) -> Option<(Kind, Hash)> {
        let (application, local) = (self.state.applications.get(name)?, self.local(name)?);
        let root = application.root_hash()?;
        let applied = local.applied.is_some_and(|(_, applied)| applied == root);
        let quiet = local.applying.is_none() && !local.writing;
        // After a start the host may still go on with what was interrupted; it looks at the tree when it has.
        let whole = local.hooks.fresh || local.observed.is_some();
        let may_begin = local.hooks.afters.may_begin(core.now.mono);
        let due = local.hooks.owed && applied && quiet && whole && may_begin;
        (due && !application.rollout().after.is_empty()).then_some((Kind::After, root))
    }

    /// The staged root that is to be checked now.
    pub(super) fn check_due(&self, core: &Core, name: &str) -> Option<(Kind, Hash)> {
        let (application, local) = (self.state.applications.get(name)?, self.local(name)?);
        let root = self.to_promise(core, name)?;
        // Only what failed waits until it is tried again.
        let refused = local.hooks.refused.as_ref().is_some_and(|failed| failed.root == root);
        let due = needs_check(application, &root)
            && self.is_here(core, name)
            && local.hooks.passed != Some(root)
            && (!refused || local.hooks.checks.may_begin(core.now.mono));
        due.then_some((Kind::Check, root))
    }

    /// What the definition does not ask for any more is not owed.
    fn nothing_owed(&mut self, core: &mut Core, name: &str) {
        let none = self.state.applications.get(name).is_none_or(|app| app.rollout().after.is_empty());
        let owes = self.local(name).is_some_and(|local| local.hooks.owed);
        if none && owes {
            self.after_is_over(core, name);
        }
    }

    /// A hook ended.
    pub(super) fn hook_ran(&mut self, core: &mut Core, run: u64, ran: &Ran) {
        let of = |local: &super::local::Local| local.hooks.running.as_ref().is_some_and(|it| it.id == run);
        let Some(name) = self.locals.iter().find(|(_, local)| of(local)).map(|(name, _)| name.clone()) else {
            return;
        };
        let Some(local) = self.locals.get_mut(&name) else { return };
        let Some(running) = local.hooks.running.take() else { return };
        let counts = self.state.applications.get(&name).is_some_and(|known| running.counts(known));
        let Running { kind, root, index, hooks, .. } = running;
        let Some(hook) = hooks.into_iter().nth(index).filter(|_| counts) else { return };
        let text = match ran {
            Ran::Badly(text) => format!("{} {text}", hook.shown()),
            // The first revision with a check brings the program that checks the next one.
            Ran::Absent if kind == Kind::After => format!("{} is not in the content", hook.shown()),
            Ran::Absent | Ran::Forbidden => {
                self.told_not_run(core, &name, (kind, &hook), ran);
                return self.hook_passed(core, &name, (kind, index), root);
            }
            Ran::Well => return self.hook_passed(core, &name, (kind, index), root),
        };
        self.hook_failed(core, &name, kind, Failed { root, text: within_bounds(&text) });
    }

    fn told_not_run(&mut self, core: &mut Core, name: &str, (kind, hook): (Kind, &Hook), ran: &Ran) {
        let Some(local) = self.locals.get_mut(name) else { return };
        if local.hooks.told.as_ref() == Some(ran) {
            return;
        }
        local.hooks.told = Some(ran.clone());
        let why = if *ran == Ran::Forbidden {
            "this machine's configuration forbids hooks"
        } else {
            "the revision in force does not have it; it checks from the revision on that brings it"
        };
        let text = format!("the {kind} hook {} was not run: {why}", hook.shown());
        core.event(Event::new(Severity::Notice, "hook.skipped", text).about(name));
    }

    fn hook_passed(&mut self, core: &mut Core, name: &str, (kind, index): (Kind, usize), root: Hash) {
        let Some(application) = self.state.applications.get(name) else { return };
        if index + 1 < application.rollout().hooks(kind).len() {
            return self.run_hook(core, name, (kind, index + 1), root);
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        *local.hooks.tries(kind) = Tries::default();
        match kind {
            Kind::Check => {
                local.hooks.passed = Some(root);
                local.hooks.refused = None;
            }
            Kind::After => {
                if local.hooks.failed.take().is_some() {
                    let text = "the after hooks end well now";
                    core.event(Event::new(Severity::Info, "hook.recovered", text).about(name));
                }
                self.after_is_over(core, name);
            }
        }
    }

    fn hook_failed(&mut self, core: &mut Core, name: &str, kind: Kind, failed: Failed) {
        let now = core.now.mono;
        let Some(local) = self.locals.get_mut(name) else { return };
        local.hooks.tries(kind).failed(now);
        let slot = if kind == Kind::Check { &mut local.hooks.refused } else { &mut local.hooks.failed };
        let news = slot.as_ref() != Some(&failed);
        let (severity, what) = match kind {
            Kind::Check => (Severity::Warning, "is not promised"),
            Kind::After => (Severity::Critical, "stays; it is tried again"),
        };
        let text = format!("{}; the content {what}", failed.text);
        *slot = Some(failed);
        if news {
            core.event(Event::new(severity, &format!("hook.{kind}-failed"), text).about(name));
        }
    }

    fn after_is_over(&mut self, core: &mut Core, name: &str) {
        let Some(local) = self.locals.get_mut(name) else { return };
        local.hooks.writing = true;
        local.hooks.failed = None;
        (local.hooks.owed, local.hooks.noted) = (false, false);
        core.persist(vec![saved::drop_owed(name)], Durable::Hooked { application: name.to_owned() });
    }

    /// It is durable that nothing is owed any more, or that something is.
    pub(super) fn is_hooked(&mut self, core: &mut Core, name: &str) {
        let here = self.is_here(core, name);
        match self.locals.get_mut(name).filter(|_| here) {
            Some(local) => local.hooks.writing = false,
            None => self.came_too_late(core, saved::drop_owed(name)),
        }
    }

    /// Whether an apply of this root may begin: what it leaves to the after hooks is on the disk before it changes
    /// anything. Sees to that if it is not.
    pub(super) fn is_noted(&mut self, core: &mut Core, name: &str) -> bool {
        if !self.owes_after(name) {
            return true;
        }
        let Some(local) = self.locals.get_mut(name) else { return false };
        if local.hooks.writing || local.hooks.noted {
            return !local.hooks.writing;
        }
        (local.hooks.noted, local.hooks.writing) = (true, true);
        core.persist(vec![saved::put_owed(name)], Durable::Hooked { application: name.to_owned() });
        false
    }

    /// The head moved.
    pub(super) fn hooks_changed(&mut self, name: &str, before: &State) {
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(local) = self.locals.get_mut(name) else { return };
        let old = before.applications.get(name);
        let hooks = &mut local.hooks;
        if old.is_none_or(|old| old.basis != application.basis) {
            // What is staged under a new basis is asked about anew.
            (hooks.passed, hooks.refused) = (None, None);
            hooks.checks = Tries::default();
        }
        let root = application.root_hash();
        hooks.failed = hooks.failed.take().filter(|failed| Some(failed.root) == root);
        let anew = old.is_none_or(|old| old.terms != application.terms || old.root_hash() != root);
        if anew {
            hooks.afters = Tries::default();
            hooks.told = None;
        }
    }

    /// Whether an apply that ended leaves something for the after hooks to do.
    pub(super) fn owes_after(&self, name: &str) -> bool {
        self.state.applications.get(name).is_some_and(|application| !application.rollout().after.is_empty())
    }
}

/// Content that was settled before was checked before.
fn needs_check(application: &Application, root: &Hash) -> bool {
    !application.rollout().check.is_empty() && application.settled().is_some() && !application.knows(root)
}

/// What others may read: one line of a bounded length.
fn within_bounds(text: &str) -> String {
    let mut plain: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let end = (0..=TEXT_BYTES.min(plain.len())).rev().find(|at| plain.is_char_boundary(*at));
    plain.truncate(end.unwrap_or_default());
    plain
}
