//! Whose turn it is to apply (finding 20): at most a batch of the members at a time, in the order of the failover
//! hierarchy. Every member decides it for itself from the settled state and the lists that it hears; nobody
//! coordinates. Members whose views agree let the same ones go; a view that lags behind only lets fewer go. Who is
//! not heard is passed over, so each part of an entity that is cut in two rolls out for itself.

use std::collections::BTreeMap;

use super::{Core, Entity};
use crate::identity::MemberId;
use crate::liveness::SILENCE;
use crate::rollout::{Failed, Kind};
use crate::state::{Member, Revision};
use crate::statement::ContentList;
use crate::time::{Instant, Millis};

/// A member whose turn it is and that does not get on is passed over after this, and the time that its after hooks
/// may take.
const PATIENCE: Millis = Millis(60_000);

/// Since when it has been whose turn, as this member sees it; of one revision.
#[derive(Default)]
pub(super) struct Turns {
    revision: u64,
    since: BTreeMap<MemberId, Instant>,
    /// Nobody who is waited for has it before them. Who comes later has nobody behind it but those that know better.
    over: bool,
}

impl Turns {
    /// Whether nobody is waited for any more, of this revision.
    pub(super) fn is_over(&self, revision: u64) -> bool {
        self.over && self.revision == revision
    }
}

/// Where a member is in a roll-out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It has applied the revision, and is well.
    Done,
    /// It has applied it, and an after hook fails.
    Fails(Failed),
    /// It may apply, or is doing so.
    Now,
    /// Others are first.
    Waits,
    /// It is not waited for.
    Passed(Passed),
}

/// Why a member is not waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// It is not heard.
    Away,
    /// It has had its time.
    Late,
    /// It has the application's window: nothing is applied there.
    Author,
}

/// A roll-out, as one member sees it.
pub(super) struct Rolling {
    /// The placed members, in the order of the hierarchy.
    pub(super) turns: Vec<(MemberId, Turn)>,
    /// How many may apply at once.
    pub(super) batch: usize,
    /// A failing hook stops it.
    pub(super) stopped: bool,
}

impl Rolling {
    /// Where a member is.
    pub(super) fn of(&self, id: &MemberId) -> Option<&Turn> {
        self.turns.iter().find(|(member, _)| member == id).map(|(_, turn)| turn)
    }

    /// Members that are at such a place.
    pub(super) fn at(&self, turn: impl Fn(&Turn) -> bool) -> impl Iterator<Item = MemberId> {
        self.turns.iter().filter(move |(_, is)| turn(is)).map(|(id, _)| *id)
    }

    /// Members on which a hook fails, with what it says.
    pub(super) fn failing(&self) -> impl Iterator<Item = (MemberId, &Failed)> {
        self.turns.iter().filter_map(|(id, turn)| match turn {
            Turn::Fails(failed) => Some((*id, failed)),
            _ => None,
        })
    }

    /// Whether somebody is still to apply it.
    pub(super) fn is_under_way(&self) -> bool {
        self.turns.iter().any(|(_, turn)| *turn != Turn::Done)
    }
}

/// Whether this list says that its author has applied the revision.
fn has_applied(list: &ContentList, revision: &Revision) -> bool {
    list.applied.is_some_and(|basis| basis >= revision.epoch)
}

impl Entity {
    /// Members that an application is placed on, in the order of the hierarchy.
    pub(super) fn placed<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Member> {
        self.state.members.iter().filter(move |member| self.is_placed(&member.id, name))
    }

    /// Where the roll-out of the revision in force is.
    pub(super) fn rolling(&self, core: &Core, name: &str) -> Option<Rolling> {
        let application = self.state.applications.get(name)?;
        let revision = application.settled()?;
        let plan = &revision.plan;
        let author = application.window.as_ref().map(|window| window.author);
        let mut turns: Vec<(MemberId, Turn)> = Vec::new();
        for member in self.placed(name) {
            let id = member.id;
            let list = self.list_of(&id, name);
            let course = list.map(|list| &list.course);
            let applied = list.is_some_and(|list| has_applied(list, revision));
            let fails = course.and_then(|course| course.fails.as_ref());
            let fails = fails.filter(|failed| failed.root == revision.root);
            let busy = course.is_some_and(|course| course.busy);
            let turn = match fails {
                Some(failed) if applied => Turn::Fails(failed.clone()),
                _ if applied && !busy => Turn::Done,
                _ if author == Some(id) => Turn::Passed(Passed::Author),
                _ if !self.is_waited_for(core, &id) => Turn::Passed(Passed::Away),
                _ if self.is_late(core, name, &id) => Turn::Passed(Passed::Late),
                _ if busy => Turn::Now,
                _ => Turn::Waits,
            };
            turns.push((id, turn));
        }
        let batch = plan.batch.of(turns.len());
        let stopped = !plan.goes_on && turns.iter().any(|(_, turn)| matches!(turn, Turn::Fails(_)));
        let mut free = batch.saturating_sub(turns.iter().filter(|(_, turn)| *turn == Turn::Now).count());
        for (_, turn) in turns.iter_mut().filter(|(_, turn)| *turn == Turn::Waits) {
            if free == 0 || stopped {
                break;
            }
            *turn = Turn::Now;
            free -= 1;
        }
        Some(Rolling { turns, batch, stopped })
    }

    /// Whether the others wait for a member: it is heard, or this member has just started and cannot know.
    fn is_waited_for(&self, core: &Core, id: &MemberId) -> bool {
        self.is_heard(core, id) || core.now.mono <= self.since + SILENCE
    }

    /// The same of each member.
    pub(super) fn all_waited_for(&self, core: &Core) -> Vec<bool> {
        self.state.members.iter().map(|member| self.is_waited_for(core, &member.id)).collect()
    }

    fn is_late(&self, core: &Core, name: &str, id: &MemberId) -> bool {
        let Some(application) = self.state.applications.get(name) else { return false };
        let limit = PATIENCE + application.rollout().limit(Kind::After);
        let turns = self.local(name).map(|local| &local.turns);
        let turns = turns.filter(|turns| Some(turns.revision) == application.settled().map(|it| it.number));
        turns.and_then(|turns| turns.since.get(id)).is_some_and(|since| core.now.mono >= *since + limit)
    }

    /// Whether it is this member's turn to apply the revision in force.
    pub(super) fn is_my_turn(&self, core: &Core, name: &str) -> bool {
        let settled = self.state.applications.get(name).and_then(|application| application.settled());
        let Some(plan) = settled.map(|revision| &revision.plan) else { return true };
        if plan.batch == crate::rollout::AS_BEFORE {
            return true;
        }
        self.rolling(core, name).is_none_or(|rolling| match rolling.of(&core.me()) {
            // Whoever says that it was applied here knows less than this member.
            Some(Turn::Now | Turn::Done | Turn::Fails(_)) | None => true,
            Some(Turn::Passed(_) | Turn::Waits) => false,
        })
    }

    /// Notes since when it has been whose turn.
    pub(super) fn attend_turns(&mut self, core: &Core, name: &str) {
        let Some(application) = self.state.applications.get(name) else { return };
        let Some(number) = application.settled().map(|revision| revision.number) else { return };
        let paused = application.paused.is_some_and(|until| core.now.wall < until);
        if self.local(name).is_some_and(|local| local.turns.over && local.turns.revision == number) {
            return;
        }
        let Some(rolling) = self.rolling(core, name) else { return };
        let waited = |(id, turn): &(MemberId, Turn)| {
            matches!(turn, Turn::Now | Turn::Passed(Passed::Late)).then_some(*id)
        };
        let waited: Vec<MemberId> = rolling.turns.iter().filter_map(waited).collect();
        let over = waited.is_empty() && rolling.at(|turn| *turn == Turn::Waits).next().is_none();
        let Some(local) = self.locals.get_mut(name) else { return };
        if local.turns.revision != number || paused {
            local.turns = Turns { revision: number, ..Turns::default() };
        }
        local.turns.over = over;
        local.turns.since.retain(|id, _| waited.contains(id));
        for id in waited.into_iter().filter(|id| *id != core.me()) {
            local.turns.since.entry(id).or_insert(core.now.mono);
        }
    }

    /// When somebody may be passed over.
    pub(super) fn turns_deadline(&self, core: &Core, name: &str) -> Option<Instant> {
        let application = self.state.applications.get(name)?;
        let limit = PATIENCE + application.rollout().limit(Kind::After);
        let since = self.local(name)?.turns.since.values();
        since.map(|since| *since + limit).filter(|at| *at > core.now.mono).min()
    }
}
