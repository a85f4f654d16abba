//! A revision on probation whose after hooks fail is undone by the members themselves, if its commit says that they
//! may (finding 21): back to the revision before, once. The licence is settled; that it ran out is a matter of clocks,
//! and so only of whether a member agrees (finding 9).

use super::rolling::{Passed, Rolling, Turn};
use super::{Core, Entity};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits::TEXT_BYTES;
use crate::record::Change;
use crate::rollout::FAILING_PERCENT;
use crate::time::Millis;

/// What is to be undone.
pub(super) struct Undo {
    /// The number of the revision that failed.
    pub(super) revision: u64,
    /// The root before.
    pub(super) root: Hash,
    /// What failed where.
    pub(super) why: String,
}

/// Whether a roll-out has failed: a member of its first batch did, or too many.
fn has_failed(rolling: &Rolling) -> bool {
    let tried = rolling.turns.iter().filter(|(_, turn)| !matches!(turn, Turn::Passed(Passed::Away)));
    let first: Vec<MemberId> = tried.take(rolling.batch).map(|(id, _)| *id).collect();
    let failing = rolling.failing().count() as u64;
    let canary = rolling.failing().any(|(id, _)| first.contains(&id));
    canary || failing * 100 > rolling.turns.len() as u64 * FAILING_PERCENT
}

impl Entity {
    /// Until when the revision in force may be undone, if it may.
    pub(super) fn probation_until(&self, name: &str) -> Option<crate::time::WallTime> {
        let settled = self.state.applications.get(name)?.settled()?;
        let licensed = settled.plan.probation > Millis(0) && !settled.plan.goes_on;
        licensed.then(|| settled.at + settled.plan.probation)
    }

    /// Whether the revision in force is on probation, and fails somewhere: then clocks, and who is heard, may undo it.
    pub(super) fn may_be_undone(&self, name: &str) -> bool {
        let licensed = self.probation_until(name).is_some();
        let root = self.state.applications.get(name).and_then(|application| application.root_hash());
        let fails = |id: &MemberId| {
            let failed = self.list_of(id, name).and_then(|list| list.course.fails.as_ref());
            failed.is_some_and(|failed| Some(failed.root) == root)
        };
        licensed && self.state.members.iter().any(|member| fails(&member.id))
    }

    /// What is to be undone now, by this member's clock and the lists that it has.
    pub(super) fn to_undo(&self, core: &Core, name: &str) -> Option<Undo> {
        let until = self.probation_until(name)?;
        let application = self.state.applications.get(name)?;
        let (settled, former) = (application.settled()?, application.former()?);
        if application.window.is_some() || core.now.wall >= until || former.root == settled.root {
            return None;
        }
        let rolling = self.rolling(core, name).filter(has_failed)?;
        let (first, failed) = rolling.failing().next()?;
        let on = self.state.name_of(&first);
        let mut why = format!("revision {} failed on {on}: {}", settled.number, failed.text);
        let end = (0..=TEXT_BYTES.min(why.len())).rev().find(|at| why.is_char_boundary(*at));
        why.truncate(end.unwrap_or_default());
        Some(Undo { revision: settled.number, root: former.root, why })
    }

    /// The first of the hierarchy that can be reached proposes it, when enough members promise the content.
    pub(super) fn attend_probation(&mut self, core: &mut Core, name: &str) {
        let Some(undo) = self.to_undo(core, name) else { return };
        let evidence = self.evidence(name, &undo.root);
        if self.is_acting(core) && self.suffices(name, &evidence).is_ok() {
            let (revision, why, application) = (undo.revision, undo.why, name.to_owned());
            self.originate_once(core, Change::Undo { application, revision, why, evidence });
        }
    }
}
