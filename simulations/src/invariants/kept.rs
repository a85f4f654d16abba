//! §5.5.7: nothing is overwritten or deleted that is not in the trash, in the store or part of a settled root.

use althing_protocol::hash::Hash;
use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;

use crate::world::World;

/// An apply begins: remember what is there.
pub(super) fn applies(world: &mut World, at: usize, application: &str) {
    let tree = world.hosts[at].live(application).tree.clone().unwrap_or_default();
    world.invariants.before.insert((at, application.to_owned()), tree);
}

/// An apply ended: look where everything went.
pub(super) fn applied(world: &mut World, at: usize, application: &str, _root: &Hash) {
    let Some(before) = world.invariants.before.remove(&(at, application.to_owned())) else { return };
    let host = &world.hosts[at];
    let Some(live) = host.live.get(application) else { return };
    let now = live.tree.clone().unwrap_or_default();
    let is_kept = |path: &ItemPath, item: &Item| {
        let same = now.get(path).is_some_and(|now| now == item || is_only_marked(now, item));
        let trashed = live.trash.iter().any(|(other, trashed)| other == path && trashed == item);
        let stored = if let Item::File { content, .. } = item { host.content.has(content) } else { true };
        same || trashed || stored
    };
    let lost = before.iter().find(|(path, item)| !is_kept(path, item));
    if let Some((path, _)) = lost {
        let text = format!("{} lost {path:?} of {application}", host.name);
        world.violate("§5.5.7", text);
    }
}

/// A file whose mode or owner was put right where it lies: what is in it is there, whatever rots in the store meanwhile.
fn is_only_marked(now: &Item, before: &Item) -> bool {
    let content = |item: &Item| if let Item::File { content, .. } = item { Some(*content) } else { None };
    content(now).is_some() && content(now) == content(before)
}

/// An administrator changed the tree while the apply ran: what is missing now may be the administrator's doing.
pub(super) fn meddled(world: &mut World, at: usize, application: &str) {
    if world.invariants.before.remove(&(at, application.to_owned())).is_some() {
        world.count("files were changed during an apply");
    }
}

/// A disk was put back in the middle of an apply: what its store held, and the apply need not keep, may be gone with it.
pub(super) fn put_back(world: &mut World, at: usize) {
    world.invariants.before.retain(|(host, _), _| *host != at);
}
