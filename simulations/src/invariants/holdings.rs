//! §5.5.5: every member whose Holding is evidence in a certificate can serve that root until the basis moves.

use std::collections::BTreeSet;

use althing_protocol::manifest::Manifest;
use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::{Checked, Holding, Signed};

use crate::host::Standing;
use crate::reference::Content;
use crate::world::World;

/// A promise leaves: what it promises must be here.
pub(super) fn sent(world: &mut World, at: usize, holding: &Holding) {
    let lacking = world.hosts[at].content.forgotten(&world.library, &holding.root).len();
    // Whoever lets go of all says so by the empty directory, which needs no store.
    if lacking > 0 && holding.root != Manifest::empty().root {
        let name = world.hosts[at].name.clone();
        let text = format!("{name} promises {} and lacks {lacking} pieces", holding.root.short());
        world.violate("§5.5.5", text);
    }
}

/// A record was settled: remember whose promises it rests on, and look whether they hold.
pub(super) fn settled(world: &mut World, before: &State, after: &State, record: &Record) {
    let scheme = world.hosts[0].identity.scheme();
    for signed in &record.changes {
        let Ok(checked) = Checked::check(signed.clone(), &before.entity, scheme) else { continue };
        let Some(intent) = checked.intent() else { continue };
        if let Change::Discard { application, .. } = &intent.change {
            world.reference.content.remove(application);
        }
        let (Change::Commit { application, root, evidence, .. }
        | Change::Adopt { application, root, evidence, .. }) = &intent.change
        else {
            continue;
        };
        let holders: BTreeSet<_> = evidence.iter().map(|holding| holding.author).collect();
        let Some(known) = before.applications.get(application) else { continue };
        let others = holders.difference(&before.holders(application, known)).count();
        if before.suffices(application, known, &holders).is_err() || others > 0 {
            world.violate("§5.5.5", format!("{} holders settle {application}", holders.len()));
        }
        world.reference.revisions += 1;
        world.reference.roots.entry(application.clone()).or_default().insert(*root);
        world.reference.content.insert(application.clone(), Content { root: *root, holders });
    }
    // Whoever is no holder any more hands it over, and is not held to its word.
    for (name, content) in &mut world.reference.content {
        let (Some(old), Some(new)) = (before.applications.get(name), after.applications.get(name)) else {
            continue;
        };
        if let Some(root) = new.root_hash().filter(|root| *root != content.root) {
            // Undone: what was promised for the revision ended with its basis, and what is in force again was kept by all.
            *content = Content { root, holders: BTreeSet::new() };
        } else if old.basis != new.basis && Some(content.root) == new.root_hash() {
            let holders = after.holders(name, new);
            content.holders.retain(|holder| holders.contains(holder));
        }
    }
    for at in 0..world.hosts.len() {
        swept(world, at);
    }
}

/// A record was settled in an entity that was begun anew elsewhere: its revisions are settled for those who are there.
pub(super) fn left(world: &mut World, before: &State, record: &Record) {
    let scheme = world.hosts[0].identity.scheme();
    let checked = |signed: &Signed| Checked::check(signed.clone(), &before.entity, scheme).ok();
    for checked in record.changes.iter().filter_map(checked) {
        let change = checked.intent().map(|intent| &intent.change);
        if let Some(Change::Commit { application, root, .. } | Change::Adopt { application, root, .. }) =
            change
        {
            world.reference.leave(record.entity, application, *root);
        }
    }
}

/// A host threw content away, or a root came into force.
pub(super) fn swept(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    // A copy of a machine is not bound by what the machine with the store of the roster promises.
    let state = world.reference.state();
    let in_roster = state.and_then(|state| state.member(&host.id)).map(|member| member.store);
    let counts = host.disk.stored().map(|life| life.store) == in_roster;
    let lost = world.reference.content.iter().find(|(_, content)| {
        counts
            && content.holders.contains(&host.id)
            && host.standing == Standing::Sound
            && !host.content.forgotten(&world.library, &content.root).is_empty()
    });
    if let Some((application, content)) = lost {
        let text =
            format!("{} promised {} of {application} and cannot serve it", host.name, content.root.short());
        world.violate("§5.5.5", text);
    }
    let sound = world.hosts.iter().all(|host| host.standing == Standing::Sound);
    let gone = world.reference.content.iter().find(|(_, content)| {
        sound
            && world
                .hosts
                .iter()
                .all(|host| !host.content.forgotten(&world.library, &content.root).is_empty())
    });
    if let Some((application, content)) = gone {
        let text = format!("nobody has {} of {application} any more", content.root.short());
        world.violate("§5.5.5", text);
    }
}
