//! §5.5.14: no record leaves nobody in service, unless an administrator said so.

use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::Checked;

use crate::world::World;

/// Looks whether a record empties the service.
pub(super) fn settled(world: &mut World, before: &State, after: &State, record: &Record) {
    let serves = |state: &State| state.in_service().next().is_some();
    if !serves(before) || serves(after) {
        return;
    }
    let scheme = world.hosts[0].identity.scheme();
    let asked = record.changes.iter().any(|signed| {
        let checked = Checked::check(signed.clone(), &before.entity, scheme);
        let intent = checked.as_ref().ok().and_then(Checked::intent);
        let anyway = |change: &Change| {
            let said =
                matches!(change, Change::TakeOut { anyway: true, .. } | Change::Spare { anyway: true, .. });
            // Who is gone for good must be removable, whoever is left.
            said || matches!(change, Change::Remove { .. })
        };
        intent.is_some_and(|intent| intent.by == "admin" && anyway(&intent.change))
    });
    if !asked {
        world.violate("§5.5.14", format!("epoch {} leaves nobody in service", record.epoch));
    }
    world.count("the service was emptied on purpose");
}
