//! §5.5.10: a settled root is undone only by an administrator's record, or by real edits on more than half of the
//! placed voters, or by members within the probation that its commit allowed.

use althing_protocol::identity::MemberId;
use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::Checked;
use althing_protocol::time::Millis;

use crate::world::World;

/// Looks why a record changes a root.
pub(super) fn settled(world: &mut World, before: &State, record: &Record) {
    let scheme = world.hosts[0].identity.scheme();
    for signed in &record.changes {
        let Ok(checked) = Checked::check(signed.clone(), &before.entity, scheme) else { continue };
        let Some(intent) = checked.intent() else { continue };
        match &intent.change {
            Change::Commit { application, root, .. } => {
                // A machine or its copy: they sign with one key.
                let captured = world.invariants.captured.iter().any(|(at, name, captured)| {
                    world.hosts[*at].id == checked.author() && name == application && captured == root
                });
                let earlier = before.applications.get(application).is_some_and(|known| known.knows(root));
                if intent.by != "admin" || !(captured || earlier) {
                    world.violate("§5.5.10", format!("nobody asked for {} of {application}", root.short()));
                }
                world.count(if captured { "a commit" } else { "a rollback" });
            }
            Change::Undo { application, .. } => {
                let known = before.applications.get(application);
                let settled = known.and_then(|known| known.settled());
                let failed = settled.is_some_and(|settled| {
                    world.invariants.failed.contains(&(application.clone(), settled.root))
                });
                let licensed = settled.is_some_and(|settled| settled.plan.probation > Millis(0));
                if !failed || !licensed || intent.by != "althing" {
                    world.violate("§5.5.10", format!("nothing called for undoing {application}"));
                }
                world.count("a probation failed");
            }
            Change::Adopt { application, root, .. } => {
                let edited = world.invariants.edited.get(&(application.clone(), *root));
                // A machine that was copied has what its copy has, as far as anybody knows who has not found that out.
                let on = |id: &MemberId| {
                    edited.is_some_and(|edited| edited.iter().any(|at| world.hosts[*at].id == *id))
                };
                let Some(known) = before.applications.get(application) else { continue };
                let count = before.placed_voters(known).filter(|voter| on(&voter.id)).count();
                let voters = before.placed_voters(known).count();
                if count * 2 <= voters {
                    let text = format!(
                        "{} of {application} was adopted, and {count} of {voters} had it",
                        root.short()
                    );
                    world.violate("§5.5.10", text);
                }
                world.count("the drift of a majority was adopted");
            }
            _ => {}
        }
    }
}
