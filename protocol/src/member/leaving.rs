//! Applications that were removed: what is left to do about them on this member.

use std::collections::BTreeMap;

use super::saved::{self, Leaving, Saved};
use super::{Core, Durable, Entity};
use crate::effect::{Depth, Output, Write};
use crate::event::{Event, Severity};
use crate::identity::{MemberId, Scheme};
use crate::record::Change;
use crate::state::State;
use crate::statement::{Checked, Signed};
use crate::time::{Instant, Millis};

/// Clearing that failed is tried again after this.
const RETRY: Millis = Millis(30_000);

/// Which applications are to be cleared away here, by name.
#[derive(Default)]
pub(super) struct Departures {
    pub(super) pending: BTreeMap<String, Leaving>,
    /// Told to the host, and not answered yet.
    under_way: BTreeMap<String, u64>,
    retry: Option<Instant>,
    /// What a crash left on the disk of applications that are not the entity's: a new one must not inherit it.
    orphans: Vec<Write>,
}

impl Departures {
    /// As a start finds it: what is on the disk, of which applications the entity has these.
    pub(super) fn new(saved: &Saved, me: &MemberId, state: &State) -> Self {
        let gone = |name: &&String| !state.applications.contains_key(*name);
        // Whoever is in no roster any more keeps what it has.
        let elsewhere = |name: &&String| {
            let known = state.applications.get(*name);
            state.member(me).is_some() && known.is_some_and(|known| !state.is_placed(known, me))
        };
        let applied = saved.applied.keys().filter(|name| gone(name) || elsewhere(name));
        let applied = applied.map(|name| saved::drop_applied(name));
        let held = saved.held.iter().filter(|(name, _)| gone(name));
        let held = held.flat_map(|(name, roots)| roots.keys().map(move |root| saved::drop_held(name, root)));
        let owed = saved.owed.iter().filter(|name| gone(name) || elsewhere(name));
        let owed = owed.map(|name| saved::drop_owed(name));
        let orphans = applied.chain(held).chain(owed).collect();
        Self { pending: saved.leaving.clone(), orphans, ..Self::default() }
    }
}

/// What a record that removes applications, or takes this member out of their groups, has to leave on the disk, in one batch with the record: so that a crash at
/// any time forgets nothing, and a new application of the same name inherits nothing.
pub(super) fn removal(
    me: &MemberId,
    (before, after): (&State, &State),
    changes: &[Signed],
    scheme: Scheme,
) -> Vec<(String, Leaving)> {
    let read = |signed: &Signed| Checked::check(signed.clone(), &before.entity, scheme).ok();
    let changes: Vec<Change> =
        changes.iter().filter_map(|signed| Some(read(signed)?.intent()?.change.clone())).collect();
    let mut gone: BTreeMap<String, Leaving> = BTreeMap::new();
    let mut leave = |name: &String, keep_files: bool| {
        let Some(known) = before.applications.get(name).filter(|known| before.is_placed(known, me)) else {
            return;
        };
        let (root, unmanaged) = (known.root.clone(), known.unmanaged.clone());
        let handling = known.terms.handling.clone();
        gone.insert(name.clone(), Leaving { root, unmanaged, keep_files, handling });
    };
    if after.member(me).is_some() {
        for (name, known) in &after.applications {
            if !after.is_placed(known, me) {
                leave(name, changes.iter().any(|change| keeps_files(change, me, name)));
            }
        }
    }
    for change in &changes {
        if let Change::Discard { application, keep_files } = change {
            leave(application, *keep_files);
        }
    }
    gone.into_iter().collect()
}

/// Whether a change that takes a member out of the groups of an application leaves its files there.
fn keeps_files(change: &Change, me: &MemberId, name: &str) -> bool {
    match change {
        Change::Arrange { application, keep_files, .. } => application == name && *keep_files,
        Change::Label { member, keep_files, .. } => member == me && *keep_files,
        _ => false,
    }
}

impl Entity {
    /// The writes that go with a record that removes these, and leads to this state. What this member has to hold as a
    /// keeper stays.
    pub(super) fn removal_writes(&self, removed: &[(String, Leaving)], after: &State) -> Vec<Write> {
        let mut writes = Vec::new();
        for (name, leaving) in removed {
            writes.push(saved::put_leaving(name, leaving));
            writes.push(saved::drop_applied(name));
            writes.push(saved::drop_owed(name));
        }
        for (name, local) in self.locals.iter().filter(|(name, _)| !after.applications.contains_key(*name)) {
            writes.extend(
                local.held.keys().chain(local.saving.keys()).map(|root| saved::drop_held(name, root)),
            );
        }
        writes
    }

    /// The record that removed these is durable.
    pub(super) fn removed(&mut self, removed: Vec<(String, Leaving)>) {
        for (name, leaving) in removed {
            let local = self.locals.remove(&name);
            if let Some(local) = local.filter(|_| self.state.applications.contains_key(&name)) {
                self.locals.insert(name.clone(), local.without_tree());
            }
            // What was asked for another one of this name has to be asked again.
            self.departures.under_way.remove(&name);
            self.departures.pending.insert(name, leaving);
        }
    }

    /// Whether a removed application of this name is still being cleared away.
    pub(super) fn is_leaving(&self, name: &str) -> bool {
        self.departures.pending.contains_key(name)
    }

    /// Something was written of an application that was removed meanwhile.
    pub(super) fn came_too_late(&self, core: &mut Core, write: Write) {
        core.persist(vec![write], Durable::Nothing);
    }

    pub(super) fn attend_departures(&mut self, core: &mut Core) {
        if !self.departures.orphans.is_empty() {
            core.persist(std::mem::take(&mut self.departures.orphans), Durable::Nothing);
        }
        if self.departures.retry.is_some_and(|at| core.now.mono < at) {
            return;
        }
        self.departures.retry = None;
        for (name, leaving) in &self.departures.pending {
            if !self.departures.under_way.contains_key(name) {
                let (clear, keep_files) = (core.id(), leaving.keep_files);
                self.departures.under_way.insert(name.clone(), clear);
                core.out.push(Output::Clear { clear, application: name.clone(), keep_files });
            }
        }
    }

    /// The host has cleared an application away, or could not.
    pub(super) fn cleared(&mut self, core: &mut Core, clear: u64, result: Result<u64, String>) {
        let found = self.departures.under_way.iter().find(|(_, id)| **id == clear);
        let Some(name) = found.map(|(name, _)| name.clone()) else { return };
        self.departures.under_way.remove(&name);
        match result {
            Ok(trashed) => {
                let Some(leaving) = self.departures.pending.remove(&name) else { return };
                core.persist(vec![saved::drop_leaving(&name)], Durable::Nothing);
                let what = if leaving.keep_files {
                    format!("its files stay at {}", leaving.root)
                } else {
                    format!("{trashed} items of {} went to the trash", leaving.root)
                };
                core.event(Event::new(Severity::Info, "application.cleared", what).about(&name));
                self.announce_places(core);
                if self.is_here(core, &name) {
                    // A new one of its name, or the same again: nobody has looked at its tree yet.
                    self.look(core, &name, Depth::Changed);
                }
            }
            Err(why) => {
                self.departures.retry = Some(core.now.mono + RETRY);
                self.tell(core, &format!("not-cleared/{name}"), true, || {
                    Event::new(Severity::Critical, "application.not-cleared", why).about(&name)
                });
            }
        }
    }

    pub(super) fn departures_deadline(&self) -> Option<Instant> {
        self.departures.retry
    }
}
