//! Programs of an application's own settled content that members run around a revision (finding 21): checks of what
//! is staged, before it is promised; and what is to be done after an apply. Which ones there are is settled, and the
//! bytes that are run are settled ones: nobody can have a member run what was not decided.

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
    /// The applied root for which the after hooks have still to end well; durable.
    pub(super) owed: Option<Hash>,
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

#[derive(Clone, PartialEq, Eq)]
struct Running {
    id: u64,
    kind: Kind,
    root: Hash,
    index: usize,
}

impl Hooks {
    /// What is said of them, `settled` being the root in force.
    pub(super) fn course(&self, settled: Option<Hash>, applies: bool) -> Course {
        let owes = settled.is_some() && self.owed == settled && self.failed.is_none();
        Course { busy: applies || owes, refuses: self.refused.clone(), fails: self.failed.clone() }
    }

    fn tries(&mut self, kind: Kind) -> &mut Tries {
        match kind {
            Kind::Check => &mut self.checks,
            Kind::After => &mut self.afters,
        }
    }

    /// When one that failed is run again.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let after = self.afters.retry.filter(|_| self.owed.is_some());
        let check = self.checks.retry.filter(|_| self.refused.is_some());
        after.into_iter().chain(check).filter(|at| *at > now).min()
    }
}

/// What is to be run next.
struct Next {
    kind: Kind,
    index: usize,
    /// The content that it is about.
    root: Hash,
    /// The content that it comes from.
    from: Hash,
    hook: Hook,
    revision: u64,
}

impl Entity {
    /// Whether this root may be promised: it was settled before, or its checks ended well here.
    pub(super) fn is_checked(&self, name: &str, root: &Hash) -> bool {
        let Some(application) = self.state.applications.get(name) else { return false };
        let passed = || self.local(name).is_some_and(|local| local.hooks.passed == Some(*root));
        !needs_check(application, root) || passed()
    }

    /// Runs what is to be run next.
    pub(super) fn attend_hooks(&mut self, core: &mut Core, name: &str) {
        if !self.local(name).is_some_and(|local| local.hooks.running.is_none() && !local.hooks.writing) {
            return;
        }
        let next = self.after_due(core, name).or_else(|| self.check_due(core, name));
        let Some(next) = next else { return self.nothing_owed(core, name) };
        let Some(local) = self.locals.get_mut(name) else { return };
        let run = core.id();
        let Next { kind, index, root, from, hook, revision } = next;
        local.hooks.running = Some(Running { id: run, kind, root, index });
        let application = name.to_owned();
        core.out.push(Output::Hook { run, application, kind, hook, from, root, revision });
    }

    fn after_due(&self, core: &Core, name: &str) -> Option<Next> {
        let (application, local) = (self.state.applications.get(name)?, self.local(name)?);
        let settled = application.settled()?;
        let root = settled.root;
        let applied = local.applied.is_some_and(|(_, applied)| applied == root);
        let quiet = local.applying.is_none() && !local.writing;
        let hook = application.rollout().after.first()?.clone();
        let due =
            local.hooks.owed == Some(root) && applied && quiet && local.hooks.afters.may_begin(core.now.mono);
        due.then_some(Next { kind: Kind::After, index: 0, root, from: root, hook, revision: settled.number })
    }

    fn check_due(&self, core: &Core, name: &str) -> Option<Next> {
        let (application, local) = (self.state.applications.get(name)?, self.local(name)?);
        let settled = application.settled()?;
        let root = self.to_promise(core, name)?;
        let due = local.held.contains_key(&root)
            && needs_check(application, &root)
            && local.hooks.passed != Some(root)
            && local.hooks.checks.may_begin(core.now.mono);
        let hook = application.rollout().check.first()?.clone();
        let revision = settled.number + 1;
        due.then_some(Next { kind: Kind::Check, index: 0, root, from: settled.root, hook, revision })
    }

    /// What the definition does not ask for any more is not owed.
    fn nothing_owed(&mut self, core: &mut Core, name: &str) {
        let none = self.state.applications.get(name).is_none_or(|app| app.rollout().after.is_empty());
        let owes = self.local(name).is_some_and(|local| local.hooks.owed.is_some());
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
        let Some(Running { kind, root, index, .. }) = local.hooks.running.take() else { return };
        let Some(application) = self.state.applications.get(&name) else { return };
        let settled = application.root_hash() == Some(root);
        let hook = application.rollout().hooks(kind).get(index).cloned();
        // What was asked of a revision that is not in force any more says nothing of the one that is.
        let (Some(hook), true) = (hook, settled == (kind == Kind::After)) else { return };
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
        let next = application.rollout().hooks(kind).get(index + 1).cloned();
        let settled = application.settled().map(|revision| (revision.number, revision.root));
        let Some(local) = self.locals.get_mut(name) else { return };
        if let (Some(hook), Some((number, in_force))) = (next, settled) {
            let run = core.id();
            local.hooks.running = Some(Running { id: run, kind, root, index: index + 1 });
            let from = if kind == Kind::Check { in_force } else { root };
            let revision = if kind == Kind::Check { number + 1 } else { number };
            let application = name.to_owned();
            core.out.push(Output::Hook { run, application, kind, hook, from, root, revision });
            return;
        }
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
        let then = Durable::Hooked { application: name.to_owned(), root: local.hooks.owed };
        core.persist(vec![saved::drop_owed(name)], then);
    }

    /// It is durable that the after hooks ended well for this root.
    pub(super) fn is_hooked(&mut self, core: &mut Core, name: &str, root: Option<Hash>) {
        let Some(local) = self.locals.get_mut(name) else { return };
        local.hooks.writing = false;
        if local.hooks.owed == root {
            local.hooks.owed = None;
        } else if let Some(owed) = local.hooks.owed {
            // Something newer was applied while that was written.
            core.persist(vec![saved::put_owed(name, &owed)], Durable::Nothing);
        }
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
