//! §5.5.5: every member whose Holding is evidence in a certificate can serve that root until the basis moves.

use std::collections::BTreeSet;

use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::{Checked, Holding};

use crate::host::Standing;
use crate::reference::Content;
use crate::world::World;

/// A promise leaves: what it promises must be here.
pub(super) fn sent(world: &mut World, at: usize, holding: &Holding) {
    let lacking = world.hosts[at].content.forgotten(&world.library, &holding.root).len();
    if lacking > 0 {
        let name = world.hosts[at].name.clone();
        let text = format!("{name} promises {} and lacks {lacking} pieces", holding.root.short());
        world.violate("§5.5.5", text);
    }
}

/// A record was settled: remember whose promises it rests on, and look whether they hold.
pub(super) fn settled(world: &mut World, before: &State, record: &Record) {
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
        if holders.len() < before.content_quorum() {
            world.violate("§5.5.5", format!("{} holders settle {application}", holders.len()));
        }
        world.reference.revisions += 1;
        world.reference.roots.entry(application.clone()).or_default().insert(*root);
        world.reference.content.insert(application.clone(), Content { root: *root, holders });
    }
    for at in 0..world.hosts.len() {
        swept(world, at);
    }
}

/// A host threw content away, or a root came into force.
pub(super) fn swept(world: &mut World, at: usize) {
    let host = &world.hosts[at];
    let lost = world.reference.content.iter().find(|(_, content)| {
        content.holders.contains(&host.id)
            && host.standing == Standing::Sound
            && !host.content.forgotten(&world.library, &content.root).is_empty()
    });
    if let Some((application, content)) = lost {
        let text =
            format!("{} promised {} of {application} and cannot serve it", host.name, content.root.short());
        world.violate("§5.5.5", text);
    }
}
