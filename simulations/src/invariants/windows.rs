//! §5.5.6: on the chain, an application never has two open windows.

use std::collections::BTreeMap;

use althing_protocol::identity::MemberId;
use althing_protocol::record::{Change, Record};
use althing_protocol::state::State;
use althing_protocol::statement::Checked;

use crate::world::World;

/// Follows the windows through the changes of a record.
pub(super) fn settled(world: &mut World, before: &State, record: &Record) {
    let scheme = world.hosts[0].identity.scheme();
    let mut open: BTreeMap<String, MemberId> = BTreeMap::new();
    for (name, application) in &before.applications {
        if let Some(window) = &application.window {
            open.insert(name.clone(), window.author);
        }
    }
    for signed in &record.changes {
        let Ok(checked) = Checked::check(signed.clone(), &before.entity, scheme) else { continue };
        let Some(intent) = checked.intent() else { continue };
        let author = checked.author();
        let bad = match &intent.change {
            Change::Open { application, .. } => open.insert(application.clone(), author).is_some(),
            Change::Commit { application, .. } => {
                let stays = before.applications.get(application).and_then(|known| known.window.as_ref());
                let stays = stays.is_some_and(|window| window.auto().is_some());
                let owner = if stays { open.get(application).copied() } else { open.remove(application) };
                owner != Some(author)
            }
            Change::Undo { application, .. } => open.contains_key(application),
            Change::Abort { application } | Change::Expire { application } => {
                open.remove(application).is_none()
            }
            Change::Adopt { application, .. } => open.contains_key(application),
            Change::Remove { member } => {
                open.retain(|_, author| author != member);
                false
            }
            _ => false,
        };
        if bad {
            let text =
                format!("epoch {} does to a window what it may not: {:?}", record.epoch, intent.change);
            return world.violate("§5.5.6", text.chars().take(200).collect::<String>());
        }
    }
}
