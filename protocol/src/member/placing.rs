//! Whose business an application is (design S4, §5.3; findings 15, 42): members that it goes to scan, hold, apply and
//! repair it; keepers hold its content in their stores; nobody else has anything of it, but for what it stages in a
//! window of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::{Core, Durable, Entity, Member, saved};
use crate::control::{Code, Refusal};
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::manifest::{Extent, Manifest};
use crate::placement::groups_of;
use crate::state::{Application, State};
use crate::statement::{Holding, Signed, Statement};
use crate::time::{Instant, Millis};
use crate::validity::Invalid;

/// Once enough of its holders have what is in force, whoever held it before goes on for so long: they fetch the
/// revisions before it meanwhile.
const HANDOVER: Millis = Millis(60_000);

/// The keepers of every application that has some.
pub(super) fn keepers(state: &State) -> BTreeMap<String, Vec<MemberId>> {
    let all = state.applications.iter().map(|(name, known)| (name.clone(), state.keepers(name, known)));
    all.filter(|(_, keepers)| !keepers.is_empty()).collect()
}

impl Member {
    /// Why this member has no tree of an application that there is: it does not go here.
    pub fn not_placed(&self, application: &str) -> Option<Refusal> {
        let entity = self.entity.as_ref()?;
        let known = entity.state.applications.contains_key(application);
        known.then(|| entity.placed_here(&self.core, application).err()).flatten()
    }
}

impl Entity {
    /// Whether an application goes to this member.
    pub(super) fn is_placed(&self, id: &MemberId, name: &str) -> bool {
        self.state.applications.get(name).is_some_and(|known| self.state.is_placed(known, id))
    }

    /// Whether this member has the tree of an application. Who is in no roster any more, or not yet, goes on with what it
    /// has.
    pub(super) fn is_here(&self, core: &Core, name: &str) -> bool {
        let Some(known) = self.state.applications.get(name) else { return false };
        match self.me(core) {
            Some(me) => known.placement().takes(me),
            None => {
                known.placement().is_everywhere() || self.local(name).is_some_and(|it| it.applied.is_some())
            }
        }
    }

    /// Whether this member keeps the content of an application that does not go to it.
    pub(super) fn is_keeper(&self, id: &MemberId, name: &str) -> bool {
        self.keepers.get(name).is_some_and(|keepers| keepers.contains(id))
    }

    /// Whether this member holds the content of an application.
    pub(super) fn has_part(&self, core: &Core, name: &str) -> bool {
        self.is_here(core, name) || self.is_keeper(&core.me(), name)
    }

    /// Whether this member's Holdings are evidence for the content of an application.
    pub(super) fn is_holder(&self, id: &MemberId, name: &str) -> bool {
        self.is_keeper(id, name) || (self.is_placed(id, name) && self.state.is_voter(id))
    }

    /// Whose Holdings are evidence.
    pub(super) fn holders_of(&self, name: &str) -> Vec<MemberId> {
        let Some(known) = self.state.applications.get(name) else { return Vec::new() };
        let placed = self.state.placed_voters(known).map(|voter| voter.id);
        placed.chain(self.keepers.get(name).into_iter().flatten().copied()).collect()
    }

    /// Whether these Holdings are enough to settle what they promise.
    pub(super) fn suffices(&self, name: &str, evidence: &[Signed]) -> Result<(), Invalid> {
        let known = self.state.applications.get(name).ok_or_else(|| Invalid::Unknown(name.to_owned()))?;
        let by: BTreeSet<MemberId> = evidence.iter().map(|holding| holding.author).collect();
        self.state.suffices(name, known, &by)
    }

    /// How many of the members that an application goes to vote.
    pub(super) fn placed_count(&self, application: &Application) -> usize {
        self.state.placed_voters(application).count()
    }

    /// Drops what is held here of an application that is nothing of this member's any more: what was staged, at once;
    /// what is in force, when those that are to hold it do, and the revisions before it have had the time to follow.
    pub(super) fn let_go(&mut self, core: &mut Core, name: &str) {
        let busy = self.own_window(core, name).is_some() || self.is_asked_about(name);
        let needed = busy || self.has_part(core, name) || self.is_needed_here(name);
        // What waits for signatures of operators stays until they are there.
        let ordered: BTreeSet<Hash> = self.orders.roots().collect();
        let Some(local) = self.locals.get_mut(name) else { return };
        if needed || local.writing || local.held.keys().all(|root| ordered.contains(root)) {
            local.parting = None;
            return;
        }
        local.staged = None;
        let since = *local.parting.get_or_insert(core.now.mono);
        if core.now.mono < since + HANDOVER || !self.take_back(core, name) {
            return;
        }
        let Some(local) = self.locals.get_mut(name) else { return };
        let mut writes = Vec::new();
        local.held.retain(|root, _| {
            let stays = ordered.contains(root);
            if !stays {
                writes.push(saved::drop_held(name, root));
            }
            stays
        });
        core.persist(writes, Durable::Nothing);
    }

    /// Says that nothing of an application is held here any more, if something else was said: whoever asks for it asks
    /// others. Anybody holds an empty directory.
    fn take_back(&mut self, core: &mut Core, name: &str) -> bool {
        let Some(basis) = self.state.applications.get(name).map(|known| known.basis) else { return false };
        let root = Manifest::empty().root;
        if self.holding_of(&core.me(), name).is_none_or(|said| said.root == root || said.basis != basis) {
            return true;
        }
        let holding = Holding { application: name.to_owned(), basis, root, extent: Extent::default() };
        self.publish(core, Statement::Holding(holding)).is_some()
    }

    /// Whether this member has what is in force, and too few of those that are to hold it are known to.
    fn is_needed_here(&self, name: &str) -> bool {
        let Some(known) = self.state.applications.get(name) else { return false };
        let Some(root) = known.root_hash() else { return false };
        let here = self.local(name).is_some_and(|local| local.held.contains_key(&root));
        let holds = |id: &MemberId| {
            let promised = self.holding_of(id, name).is_some_and(|holding| holding.root == root);
            promised || self.list_of(id, name).is_some_and(|list| list.applied == Some(known.basis))
        };
        let by: BTreeSet<MemberId> = self.holders_of(name).into_iter().filter(holds).collect();
        here && self.state.suffices(name, known, &by).is_err()
    }

    /// When the next application may be let go.
    pub(super) fn parting_deadline(&self, name: &str) -> Option<Instant> {
        self.local(name)?.parting.map(|since| since + HANDOVER)
    }

    /// Refuses what needs the tree of an application that does not go to this member.
    pub(super) fn placed_here(&self, core: &Core, name: &str) -> Result<(), Refusal> {
        let (me, known) = (core.me(), self.state.applications.get(name));
        let Some(known) = known.filter(|_| !self.is_here(core, name)) else { return Ok(()) };
        let here = self.state.name_of(&me);
        let groups: Vec<&str> = self.me(core).map(groups_of).into_iter().flatten().collect();
        let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(" ") };
        let placed: Vec<&str> = self.placed_names(known).collect();
        let text = format!("{name} does not go to {here}: it goes to {}", known.placement());
        let mut refusal = Refusal::new(Code::NotPlaced, text)
            .fact("groups", format!("{here} is in {groups}"))
            .fact("members", if placed.is_empty() { "none".to_owned() } else { placed.join(" ") });
        if self.is_keeper(&me, name) {
            refusal =
                refusal.fact("keeper", format!("{here} keeps its content in its store, for the others"));
        }
        Err(refusal.try_("see where it goes", &format!("althing app show {name}")))
    }

    /// Names of the members that it goes to.
    pub(super) fn placed_names<'a>(&'a self, known: &'a Application) -> impl Iterator<Item = &'a str> {
        let members = self.state.members.iter().filter(|member| known.placement().takes(member));
        members.map(|member| member.name.as_str())
    }
}
