//! What keeps this member from doing its part, and how it goes on when that is over: full disks, trees that cannot
//! be read, content that rotted (findings 38, 40, 41).

use std::collections::BTreeSet;

use super::local::Local;
use super::{Core, Durable, Entity, Member, saved};
use crate::control::{Code, Refusal};
use crate::effect::{NotApplied, Room};
use crate::event::{Event, Severity};
use crate::fetch::Plan;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::time::Instant;
use crate::trouble::{Trouble, Troubled};

impl Core {
    /// Why content cannot be written to this member's directory.
    pub(super) fn lack_of_room(&self) -> Option<&str> {
        match &self.room {
            Room::Enough => None,
            Room::Votes(why) | Room::Nothing(why) => Some(why),
        }
    }
}

impl Member {
    pub(super) fn room_changed(&mut self, room: Room) {
        let before = std::mem::replace(&mut self.core.room, room);
        match (&before, &self.core.room) {
            (Room::Enough, Room::Votes(why) | Room::Nothing(why)) => {
                let event = Event::new(Severity::Critical, "disk.full", why.clone());
                self.core.event(event);
            }
            (Room::Votes(_) | Room::Nothing(_), Room::Enough) => {
                let text = "there is room on the disk again";
                self.core.event(Event::new(Severity::Info, "disk.room", text));
                if let Some(entity) = &mut self.entity {
                    entity.room_is_back();
                }
            }
            _ => {}
        }
    }
}

impl Local {
    /// What is wrong with this application here, the cause before its effects.
    pub(super) fn trouble(&self) -> Option<&Troubled> {
        self.unseen.as_ref().or(self.error.as_ref()).or(self.beyond.as_ref())
    }

    /// What comes next where nobody is known to give what is lacking: that, or a held root that is to be looked through
    /// again. What is had in vain makes room for the others.
    pub(super) fn next_in_turn(&self, urgent: Option<Hash>, now: Instant) -> Option<Hash> {
        let suspects = self.suspect.iter().filter(|root| self.held.contains_key(root));
        let all = || urgent.iter().chain(suspects.clone()).copied();
        let current = self.plan.as_ref().filter(|plan| all().any(|root| root == plan.root));
        let is_in_vain = |plan: &Plan| plan.is_barren() || plan.is_stuck();
        let goes_on = current.filter(|plan| !is_in_vain(plan)).map(|plan| plan.root);
        let current = current.map(|plan| plan.root);
        let other = || all().find(|root| Some(*root) != current && !self.is_barren(root, now));
        goes_on.or_else(other).or(current).or_else(|| all().next())
    }
}

impl Entity {
    /// What failed for lack of room is tried again at once.
    fn room_is_back(&mut self) {
        for local in self.locals.values_mut() {
            if local.error.as_ref().is_some_and(|error| error.trouble == Trouble::DiskFull) {
                (local.retry, local.failures) = (None, 0);
            }
        }
    }

    /// There is no list of an application's tree, rather than a wrong one.
    pub(super) fn unseen(&mut self, core: &mut Core, name: &str, troubled: Troubled) {
        let Some(local) = self.locals.get_mut(name) else { return };
        local.observed = None;
        local.drifting = None;
        let news = local.unseen.as_ref().is_none_or(|before| before.trouble != troubled.trouble);
        if news {
            let vanished = troubled.trouble == Trouble::RootVanished;
            let kind = if vanished { "content.vanished" } else { "content.unreadable" };
            core.event(Event::new(Severity::Critical, kind, troubled.text.clone()).about(name));
        }
        local.unseen = Some(troubled);
        self.looked(name);
    }

    /// A tree was seen: whether all of it can be made as it was settled.
    pub(super) fn reaches(&mut self, core: &mut Core, name: &str, beyond: Option<String>) {
        let Some(local) = self.locals.get_mut(name) else { return };
        let now = beyond.map(|text| Troubled::new(Trouble::OutOfReach, text));
        if now == local.beyond {
            return;
        }
        let event = match &now {
            Some(troubled) => Event::new(Severity::Critical, "content.beyond", troubled.text.clone()),
            None => {
                Event::new(Severity::Info, "content.within", "everything can be made as it was settled again")
            }
        };
        local.beyond = now;
        core.event(event.about(name));
    }

    /// An apply ended early: what follows depends on why.
    pub(super) fn not_applied(&mut self, core: &mut Core, name: &str, root: &Hash, why: NotApplied) {
        let (trouble, text) = match why {
            NotApplied::NoRoom(text) => (Trouble::DiskFull, text),
            NotApplied::TrashFull(text) => (Trouble::TrashFull, text),
            NotApplied::Vanished(text) => {
                return self.unseen(core, name, Troubled::new(Trouble::RootVanished, text));
            }
            NotApplied::Lacking(text) => {
                let Some(local) = self.locals.get_mut(name) else { return };
                // It is looked for again, here and then elsewhere.
                local.barren.remove(root);
                if local.held.remove(root).is_some() {
                    core.persist(vec![saved::drop_held(name, root)], Durable::Nothing);
                }
                (Trouble::ApplyFails, text)
            }
            NotApplied::Failed(text) => (Trouble::ApplyFails, text),
        };
        let Some(local) = self.locals.get_mut(name) else { return };
        let troubled = Troubled::new(trouble, text);
        if local.error.as_ref() != Some(&troubled) {
            core.event(Event::new(Severity::Critical, "apply.failed", troubled.text.clone()).about(name));
        }
        local.error = Some(troubled);
    }

    /// Content rotted: every root that is held, or on its way, may be what it belonged to. Those that are promised stay so,
    /// and are completed from others.
    pub(super) fn damaged(&mut self, core: &mut Core, content: &Hash, aside: &str) {
        let text =
            format!("{} is not what it was and lies in {aside} now; it is fetched again", content.short());
        core.event(Event::new(Severity::Warning, "content.damaged", text));
        for local in self.locals.values_mut() {
            local.suspect = local.held.keys().chain(local.saving.keys()).copied().collect();
            local.plan.iter_mut().for_each(Plan::shake);
            local.capturing.iter_mut().for_each(|capturing| capturing.shaken = true);
        }
        self.shake_captures();
    }

    /// Whether a root that was completed had been held before: then there is nothing to write or to promise.
    pub(super) fn is_whole_again(&mut self, name: &str, root: &Hash) -> bool {
        self.locals.get_mut(name).is_some_and(|local| {
            local.barren.remove(root);
            local.suspect.remove(root) && local.held.contains_key(root)
        })
    }

    /// What this member says of itself.
    pub(super) fn troubles(&self, core: &Core) -> BTreeSet<Trouble> {
        let room = core.lack_of_room().map(|_| Trouble::DiskFull);
        let local = self.locals.values().filter_map(Local::trouble).map(|troubled| troubled.trouble);
        room.into_iter().chain(local).collect()
    }

    /// What a member says of itself.
    pub(super) fn troubles_of(&self, id: &MemberId) -> impl Iterator<Item = Trouble> {
        self.report_of(id).into_iter().flat_map(|report| report.troubles.iter().copied())
    }
}

/// A request that needs room.
pub(super) fn no_room(why: &str) -> Refusal {
    Refusal::new(Code::NoSpace, format!("{why}; nothing was changed"))
        .fact("meanwhile", "it goes on by itself when there is room")
        .try_("see what the trash holds", "althing trash list")
}

/// A request about a tree that cannot be read.
pub(super) fn unseen(application: &str, troubled: &Troubled) -> Refusal {
    let refusal = Refusal::new(Code::Unreadable, troubled.text.clone())
        .fact("meanwhile", "nothing is published or repaired; it goes on by itself when the tree can be read")
        .try_("see why", &format!("althing why {application}"));
    if troubled.trouble == Trouble::RootVanished {
        let command = format!("althing app repair {application}");
        return refusal.try_("if the file system is gone for good, make the tree anew", &command);
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::super::local::Vain;
    use super::*;
    use crate::effect::{Fetched, Want};
    use crate::manifest::Extent;

    /// Looks for a root on this member, in vain.
    fn looked_for(root: Hash) -> Plan {
        let mut plan = Plan::new(root);
        let ask = plan.next(Instant(0)).expect("here first");
        assert_eq!(ask.from, None);
        plan.asked(1, &ask);
        assert!(!plan.is_stuck(), "it is being looked for");
        let missing = vec![Want::Directory(root)];
        plan.fetched(1, &Fetched { missing, ..Fetched::default() }, Instant(0));
        plan
    }

    #[test]
    fn a_root_that_nobody_gives_keeps_no_other_from_being_looked_through() {
        let [a, b] = [Hash([1; 32]), Hash([2; 32])];
        let held = [a, b].map(|root| (root, Extent::default())).into();
        let mut local = Local { held, suspect: [a, b].into(), ..Local::default() };
        let next = |local: &Local, now: u64| local.next_in_turn(None, Instant(now));
        assert_eq!(next(&local, 0), Some(a));
        local.plan = Some(looked_for(a));
        assert_eq!(next(&local, 0), Some(b), "nobody can be asked for the first");
        local.barren.insert(a, Vain { until: Instant(100), asked: true });
        local.plan = Some(Plan::new(b));
        assert_eq!(next(&local, 100), Some(b), "what goes on is not given up for another one");
        local.plan = Some(looked_for(b));
        assert_eq!(next(&local, 0), Some(b), "neither can be had: it stays at one");
        assert_eq!(next(&local, 100), Some(a), "its turn comes again");
        local.suspect.clear();
        assert_eq!(next(&local, 100), None);
    }

    #[test]
    fn what_is_lacking_and_nobody_has_keeps_no_held_root_from_being_looked_through() {
        let [lacking, held] = [Hash([1; 32]), Hash([2; 32])];
        let mut local = Local::default();
        local.held.insert(held, Extent::default());
        local.suspect.insert(held);
        let next = |local: &Local| local.next_in_turn(Some(lacking), Instant(0));
        assert_eq!(next(&local), Some(lacking), "it may be here");
        local.plan = Some(looked_for(lacking));
        assert_eq!(next(&local), Some(held));
        local.suspect.clear();
        assert_eq!(next(&local), Some(lacking));
    }
}
