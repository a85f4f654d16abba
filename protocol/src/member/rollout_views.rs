//! What a member shows of roll-outs: who has a revision, who waits for whom, and what hooks say.

use super::rolling::{Passed, Rolling, Turn};
use super::{Core, Entity};
use crate::event::{Event, Severity};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::record::Change;
use crate::rollout::{AS_BEFORE, Failed};
use crate::state::State;
use crate::statement::Intent;
use crate::view::{Cause, RolloutMember, RolloutView};

impl Entity {
    /// The first application of which an after hook fails on a member, with what it says.
    pub(super) fn hook_fails_on(&self, id: &MemberId) -> Option<(&str, &Failed)> {
        self.state.applications.iter().find_map(|(name, application)| {
            let fails = self.list_of(id, name)?.course.fails.as_ref();
            let fails = fails.filter(|failed| Some(failed.root) == application.root_hash());
            fails.map(|failed| (name.as_str(), failed))
        })
    }

    /// What checks of a staged root found on members.
    pub(super) fn refusals(&self, name: &str, root: &Hash) -> Vec<(String, String)> {
        let refuses = |id: &MemberId| self.list_of(id, name)?.course.refuses.as_ref();
        let of = |member: &crate::state::Member| {
            let failed = refuses(&member.id).filter(|failed| failed.root == *root)?;
            Some((member.name.clone(), failed.text.clone()))
        };
        self.placed(name).filter_map(of).collect()
    }

    /// Where the revision in force is, unless all have it or all were to have it at once and no hook has a say.
    pub(super) fn rollout_view(&self, core: &Core, name: &str) -> Option<RolloutView> {
        let application = self.state.applications.get(name)?;
        let settled = application.settled()?;
        let plain = settled.plan.batch == AS_BEFORE && application.rollout().after.is_empty();
        let rolling = self.rolling(core, name).filter(|rolling| !plain && rolling.is_under_way())?;
        let first = self.waited_for(&rolling);
        let of = |(id, turn): &(MemberId, Turn)| {
            let (state, text) = words(turn);
            let waits_for = if *turn == Turn::Waits { first.clone() } else { Vec::new() };
            RolloutMember { name: self.state.name_of(id), state: state.to_owned(), text, waits_for }
        };
        Some(RolloutView {
            revision: settled.number,
            batch: rolling.batch as u64,
            stopped: rolling.stopped,
            probation_until: self
                .probation_until(name)
                .filter(|until| core.now.wall < *until)
                .map(|until| until.rfc3339()),
            members: rolling.turns.iter().map(of).collect(),
        })
    }

    /// Names of those that the others wait for.
    fn waited_for(&self, rolling: &Rolling) -> Vec<String> {
        let stopped = rolling.stopped;
        let first = |turn: &Turn| matches!(turn, Turn::Now) || (stopped && matches!(turn, Turn::Fails(_)));
        rolling.at(first).map(|id| self.state.name_of(&id)).collect()
    }

    /// Why a member has not applied the revision in force yet.
    pub(super) fn why_applying(&self, core: &Core, id: &MemberId, name: &str, number: u64) -> String {
        let who = self.state.name_of(id);
        let rolling = self.rolling(core, name);
        let waits = rolling.as_ref().is_some_and(|rolling| rolling.of(id) == Some(&Turn::Waits));
        let Some(rolling) = rolling.filter(|_| waits) else {
            return format!("{who} has not applied revision {number} yet");
        };
        let first = self.waited_for(&rolling).join(" ");
        if rolling.stopped {
            return format!("{who} waits with revision {number}: an after hook fails on {first}");
        }
        format!(
            "{who} waits with revision {number} until {first} has applied it; {} at a time",
            rolling.batch
        )
    }

    /// What there is to say of a roll-out and of a probation.
    pub(super) fn why_rolling(&self, core: &Core, name: &str) -> Vec<Cause> {
        let plain = |code: &str, text: String| Cause { at: None, code: code.to_owned(), text };
        let mut causes = Vec::new();
        let Some(settled) = self.state.applications.get(name).and_then(|it| it.settled()) else {
            return causes;
        };
        if let Some(rolling) = self.rolling(core, name) {
            for (id, failed) in rolling.failing() {
                let text = format!("on {}: {}", self.state.name_of(&id), failed.text);
                causes.push(plain("hook-fails", text));
            }
            if rolling.stopped {
                let text = format!("the roll-out of revision {} is stopped by it", settled.number);
                causes.push(plain("rollout-stopped", text));
            }
        }
        if let Some(undone) = settled.plan.undoes {
            let text = format!("members undid revision {undone}: {}", settled.reason);
            causes.push(Cause { at: Some(settled.at.rfc3339()), code: "revision-undone".to_owned(), text });
        }
        causes
    }
}

/// The event of a settled change of a roll-out.
pub(super) fn describe(state: &State, origin: &str, intent: &Intent) -> Option<Event> {
    let by = &intent.by;
    match &intent.change {
        Change::Undo { application, revision, why, .. } => {
            let number = state.applications.get(application)?.settled()?.number;
            let text = format!(
                "revision {revision} did not pass its probation: {why}; revision {number} has the content before it"
            );
            Some(Event::new(Severity::Warning, "revision.undone", text).about(application))
        }
        Change::GoOn { application, revision } => {
            let text = format!("revision {revision}, by {by} on {origin}");
            Some(Event::new(Severity::Info, "rollout.goes-on", text).about(application))
        }
        _ => None,
    }
}

fn words(turn: &Turn) -> (&'static str, Option<String>) {
    match turn {
        Turn::Done => ("done", None),
        Turn::Fails(failed) => ("failing", Some(failed.text.clone())),
        Turn::Now => ("applying", None),
        Turn::Waits => ("waiting", None),
        Turn::Passed(Passed::Away) => ("passed", Some("it is not heard".to_owned())),
        Turn::Passed(Passed::Late) => ("passed", Some("it does not get on".to_owned())),
        Turn::Passed(Passed::Author) => ("passed", Some("an update window is open on it".to_owned())),
    }
}
