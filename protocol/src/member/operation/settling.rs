//! Settling content: it is captured, spread, checked where the application has checks, promised by enough members, and
//! then voted on (design §5.4).

use std::collections::BTreeSet;

use super::super::local::Local;
use super::super::{Core, Entity};
use super::{Content, Goal, IMPLICIT_WINDOW, Next, Operation, PATIENCE, no_application, window_closed};
use crate::control::{Code, Outcome, Refusal};
use crate::effect::{Captured, Source};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::record::Change;
use crate::rollout::Kind;
use crate::state::{Application, Role};
use crate::time::Millis;
use crate::validity::Invalid;

impl Entity {
    pub(super) fn advance_settle(&mut self, core: &mut Core, operation: &mut Operation) -> Next {
        let Goal::Settle { application, content, reason, create, replace, wish } = &operation.goal else {
            return Next::Wait;
        };
        let (name, content, reason, replace, wish) =
            (application.clone(), content.clone(), reason.clone(), *replace, *wish);
        let create = create.clone();
        let Some(state) = self.state.applications.get(&name).cloned() else {
            let Some(change) = create else { return no_application(&name).into() };
            let next = self.go_on(core, operation, change);
            operation.created = operation.intent.is_some();
            return next;
        };
        let next = self.settled_by_now(core, operation, &state, &name);
        if let Some(next) = next.or_else(|| not_kept(&name, &state, &content).map(Next::from)) {
            return next;
        }
        if operation.drafting {
            return self.advance_draft(core, operation, &state);
        }
        if self.own_window(core, &name).is_some() {
            if !operation.opened && self.is_closing(core, &name) {
                // What an earlier request has left behind, not ours.
                return Next::Wait;
            }
            operation.opened = true;
        } else {
            if operation.opened {
                let same = operation.captured.as_ref().is_some_and(|it| state.root_hash() == Some(it.root));
                let revision = self.revision_number(&name);
                let unchanged = Outcome::Unchanged { application: name.clone(), revision };
                return if same { Next::Done(Ok(unchanged)) } else { window_closed(&name).into() };
            }
            let by_hand =
                operation.order.as_ref().is_some_and(|it| matches!(it.order.change, Change::Commit { .. }));
            if content == Content::Staged || by_hand || state.window.is_some() {
                return self.window_in_the_way(core, &name).into();
            }
            let ordered = operation.order.as_ref().map(|waiting| waiting.order.stamped(core.now.wall));
            let expires = core.now.wall + IMPLICIT_WINDOW;
            let (root, auto) = (None, None);
            let usual = Change::Open { application: name, expires, reason, implicit: true, root, auto };
            return self.go_on(core, operation, ordered.unwrap_or(usual));
        }
        self.choose_content(core, operation, &name, &content);
        let Some(captured) = self.staged(operation, &name) else {
            return self.await_content(core, operation, &name);
        };
        if state.root_hash() == Some(captured.root) && !wish.again {
            return self.nothing_to_settle(core, &state, name);
        }
        if state.revisions.is_empty()
            && !replace
            && let Some(refusal) = self.would_replace(&name, &captured.root, operation.created)
        {
            return refusal.into();
        }
        let evidence = self.evidence(&name, &captured.root);
        operation.holders = evidence.len();
        if let Some(refusal) = self.refused_by_check(core, &name, &captured.root) {
            return refusal.into();
        }
        self.progress(core, operation, "hold", evidence.len(), self.holders_of(&name).len());
        if self.suffices(&name, &evidence).is_err() {
            let refusal = self.nothing_to_check_with(core, operation, &state, &captured.root);
            return refusal.map_or_else(|| self.await_holders(core, operation, &name), Next::from);
        }
        if self.is_being_checked(core, operation, &name, &captured.root) {
            return Next::Wait;
        }
        let (root, extent) = (captured.root, captured.extent);
        self.go_on(core, operation, Change::Commit { application: name, root, extent, evidence, wish })
    }

    /// What is in force is what was to be settled.
    fn nothing_to_settle(&mut self, core: &mut Core, state: &Application, application: String) -> Next {
        if state.window.as_ref().is_some_and(|window| window.auto().is_some()) {
            let revision = self.revision_number(&application);
            return Next::Done(Ok(Outcome::Unchanged { application, revision }));
        }
        // Answered when the window is closed, so that whoever comes next does not run into it.
        self.originate_once(core, Change::Abort { application });
        Next::Wait
    }

    /// The refusal of the first member on which a check of this content failed.
    fn refused_by_check(&self, core: &Core, name: &str, root: &Hash) -> Option<Refusal> {
        let basis = self.state.applications.get(name)?.basis;
        let refuses = |id| {
            let list = self.list_of(&id, name).filter(|list| list.basis == basis)?;
            list.course.refuses.as_ref().filter(|failed| failed.root == *root)
        };
        let (member, failed) = self
            .placed(name)
            .filter(|member| self.is_heard(core, &member.id))
            .find_map(|member| refuses(member.id).map(|failed| (member, failed)))?;
        let text =
            format!("a check of the new content of {name} failed on {}; nothing was settled", member.name);
        Some(
            Refusal::new(Code::CheckFailed, text)
                .fact("member", &member.name)
                .fact("check", &failed.text)
                .try_("see what was to be settled", &format!("althing update diff {name}"))
                .try_("see which hooks there are", &format!("althing app show {name}")),
        )
    }

    /// Whether members that are heard have still to say what their checks found. They are waited for as long as the
    /// checks may take; whoever says nothing by then is not asked any more.
    fn is_being_checked(&self, core: &Core, operation: &mut Operation, name: &str, root: &Hash) -> bool {
        let Some(application) = self.state.applications.get(name) else { return false };
        if application.rollout().check.is_empty()
            || application.settled().is_none()
            || application.knows(root)
        {
            return false;
        }
        let silent = |id| self.holding_of(&id, name).is_none_or(|holding| holding.root != *root);
        let mut others = self.placed(name).filter(|member| member.role != Role::Learner);
        let waits = others.any(|member| self.is_heard(core, &member.id) && silent(member.id));
        let since = *operation.checking.get_or_insert(core.now.mono);
        let limit = application.rollout().limit(Kind::Check) + PATIENCE;
        let deadline = since + limit;
        waits && core.now.mono < deadline
    }

    /// The bytes of a check are those of the revision in force: where that is lost none can be run, and new content is not
    /// promised by the member that has it.
    fn nothing_to_check_with(
        &self,
        core: &Core,
        operation: &mut Operation,
        state: &Application,
        root: &Hash,
    ) -> Option<Refusal> {
        let name = operation.application()?.to_owned();
        let settled = state.settled()?;
        let waits = !self.is_checked(core, &name, root);
        // Others may be at their checks.
        let patience = state.rollout().limit(Kind::Check) + PATIENCE;
        if !waits || !self.is_lost_for(core, operation, &name, &settled.root, patience) {
            return None;
        }
        let text = format!(
            "the checks of {name} are of revision {}, which is not all here, and no member that is heard gives what it lacks; nothing was changed",
            settled.number
        );
        let refusal = Refusal::new(Code::NoHolders, text)
            .try_("see who is heard", "althing member list")
            .try_("take the checks out of its definition, then deploy", "althing app apply MANIFEST");
        Some(refusal)
    }

    /// What is to be settled must come from others, if it is not all here; says so soon if none of them gives it. What was
    /// captured is captured again.
    pub(in crate::member) fn await_content(
        &self,
        core: &Core,
        operation: &mut Operation,
        name: &str,
    ) -> Next {
        let Goal::Settle { content, .. } = &operation.goal else { return Next::Wait };
        let goes_back = matches!(content, Content::Earlier(..));
        if matches!(content, Content::From(_)) {
            self.capture_again_if_lost(core, operation, name);
            return Next::Wait;
        }
        let Some(root) = operation.captured_root() else { return Next::Wait };
        if !self.is_lost_for(core, operation, name, &root, PATIENCE) {
            return Next::Wait;
        }
        let what = if goes_back { "to go back to" } else { "that was staged" };
        let text = format!(
            "the content {what} is not all here, and no member that is heard gives it; nothing was changed"
        );
        Refusal::new(Code::NoHolders, text)
            .try_("see which revisions there are", &format!("althing app history {name}"))
            .try_("see who is heard", "althing member list")
            .into()
    }

    /// Whether nobody gives what a root lacks, and nothing of it came for so long. Whoever was asked in vain is asked again
    /// now and then: that is no reason to begin to wait anew, but what came meanwhile is.
    fn is_lost_for(
        &self,
        core: &Core,
        operation: &mut Operation,
        name: &str,
        root: &Hash,
        patience: Millis,
    ) -> bool {
        let (about, now) = ((*root, self.arrived(name, root)), core.now.mono);
        if !self.is_lost(core, name, root) {
            let whole = |local: &Local| local.held.contains_key(root) && !local.suspect.contains(root);
            if self.local(name).is_some_and(whole) {
                operation.barren = None;
            }
            return false;
        }
        let since = match operation.barren.filter(|(_, before)| *before == about) {
            Some((since, _)) => since,
            None => operation.barren.insert((now, about)).0,
        };
        now >= since + patience
    }

    /// Content must be held by more members than can be reached. Says so soon, instead of when the time for content is
    /// over.
    fn await_holders(&self, core: &Core, operation: &mut Operation, name: &str) -> Next {
        let Some(known) = self.state.applications.get(name) else { return no_application(name).into() };
        let holders = self.holders_of(name);
        let heard: BTreeSet<MemberId> =
            holders.iter().copied().filter(|id| self.is_heard(core, id)).collect();
        let Err(lacking) = self.state.suffices(name, known, &heard) else {
            operation.short = None;
            return Next::Wait;
        };
        let since = *operation.short.get_or_insert(core.now.mono);
        if core.now.mono < since + PATIENCE {
            return Next::Wait;
        }
        let (reachable, total) = (heard.len(), holders.len());
        let so = match lacking {
            Invalid::Evidence { need, .. } => format!("and {need} must hold the content"),
            _ => "and none of them is one that it goes to".to_owned(),
        };
        let whose = match known.placement() {
            everywhere if everywhere.is_everywhere() => "members".to_owned(),
            groups => format!("members that hold {name} ({groups}, and its keepers)"),
        };
        let text = format!("{reachable} of {total} {whose} can be reached {so}; nothing was changed");
        Refusal::new(Code::NoHolders, text)
            .fact("missing", self.unreachable(core, holders.into_iter()))
            .try_("see who is heard", "althing member list")
            .into()
    }

    pub(in crate::member) fn choose_content(
        &mut self,
        core: &mut Core,
        operation: &mut Operation,
        name: &str,
        content: &Content,
    ) {
        if operation.captured.is_some() {
            return;
        }
        let staged = self.own_staged(core, name);
        match content {
            Content::From(source) => self.capture(core, operation, name, source.clone()),
            Content::Earlier(root, extent) => {
                operation.captured = Some(Captured { root: *root, extent: *extent });
            }
            Content::Ordered(captured) => operation.captured = Some(captured.clone()),
            Content::Staged => match staged {
                Some(root) => {
                    let held = self.local(name).and_then(|local| local.held.get(&root).copied());
                    operation.captured = Some(Captured { root, extent: held.unwrap_or_default() });
                }
                None => self.capture(core, operation, name, Source::Live),
            },
        }
    }

    /// The earlier content that a request on this member is about.
    pub(in crate::member) fn asked_to_go_back(&self, name: &str) -> Option<Hash> {
        self.operations.values().find_map(|operation| match &operation.goal {
            Goal::Settle { application, content: Content::Earlier(root, _), .. } if application == name => {
                Some(*root)
            }
            _ => None,
        })
    }

    /// What this member's window stages; after a start, what it promised to hold for it.
    pub(in crate::member) fn own_staged(&self, core: &Core, name: &str) -> Option<Hash> {
        let local = self.local(name)?;
        let promised = || {
            let settled = self.state.applications.get(name).and_then(Application::root_hash);
            let holding = self.holding_of(&core.me(), name)?;
            (Some(holding.root) != settled && local.held.contains_key(&holding.root)).then_some(holding.root)
        };
        local.staged.or_else(promised)
    }

    pub(super) fn go_on(&mut self, core: &mut Core, operation: &mut Operation, change: Change) -> Next {
        let (by, order) = (operation.by.clone(), operation.order.clone());
        match self.originate_as(core, &by, change, order.as_deref()) {
            Ok(id) => {
                operation.intent = Some(id);
                Next::Wait
            }
            Err(refusal) if refusal.code == Code::NoMajority => Next::Wait,
            Err(refusal) => refusal.into(),
        }
    }

    /// Whether the chain, since this operation began, settled what it captured.
    fn settled_by_now(
        &self,
        core: &Core,
        operation: &Operation,
        state: &Application,
        name: &str,
    ) -> Option<Next> {
        let captured = operation.captured.as_ref()?;
        // Others may have opened a window or settled something newer by the time this member looks.
        let revision = state.revisions.iter().find(|revision| {
            revision.epoch > operation.epoch && revision.root == captured.root && revision.from == core.me()
        })?;
        let of = self.holders_of(name).len() as u64;
        let holders = operation.holders as u64;
        Some(Next::Done(Ok(Outcome::Settled {
            application: name.to_owned(),
            revision: revision.number,
            root: revision.root,
            extent: revision.extent,
            holders,
            of,
        })))
    }
}

/// The application may have been removed, and created anew, since a rollback was asked for.
fn not_kept(name: &str, application: &Application, content: &Content) -> Option<Refusal> {
    let gone = matches!(content, Content::Earlier(root, _) if !application.knows(root));
    let kept = || {
        let numbers = application.revisions.iter().map(|revision| revision.number.to_string());
        numbers.collect::<Vec<String>>().join(" ")
    };
    gone.then(|| {
        let text = format!("the revision of {name} that was to be gone back to is not kept any more");
        Refusal::new(Code::NoSuchRevision, text)
            .fact("kept", kept())
            .try_("see the revisions", &format!("althing app history {name}"))
    })
}
