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

    /// A held root that is to be looked through again.
    pub(super) fn next_suspect(&self) -> Option<Hash> {
        self.suspect.iter().find(|root| self.held.contains_key(root)).copied()
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
                let held = self.locals.get_mut(name).and_then(|local| local.held.remove(root));
                // It is looked for again, here and then elsewhere.
                if held.is_some() {
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
            local.suspect = local.held.keys().chain(&local.saving).copied().collect();
            local.plan.iter_mut().for_each(Plan::shake);
        }
    }

    /// Whether a root that was completed had been held before: then there is nothing to write or to promise.
    pub(super) fn is_whole_again(&mut self, name: &str, root: &Hash) -> bool {
        self.locals
            .get_mut(name)
            .is_some_and(|local| local.suspect.remove(root) && local.held.contains_key(root))
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
