//! §5.5.4: a member's applied content is a settled root, complete; or, on the author in its window, its own.

use althing_protocol::hash::Hash;
use althing_protocol::repair::Action;
use althing_protocol::state::State;

use crate::world::World;

/// A member wants this root applied.
pub(super) fn applies(world: &mut World, at: usize, application: &str, root: &Hash, epoch: u64) {
    let name = world.hosts[at].name.clone();
    let entity = world.hosts[at].member.as_ref().and_then(|member| member.state()).map(|state| state.entity);
    if !world.reference.knows(entity, application, root) {
        world.violate(
            "§5.5.4",
            format!("{name} applies {} to {application}, which nobody settled", root.short()),
        );
    }
    let lacking = world.hosts[at].content.forgotten(&world.library, root).len();
    if lacking > 0 || world.library.directory(root).is_none() {
        let text = format!("{name} applies {} to {application}, and lacks {lacking} pieces", root.short());
        world.violate("§5.5.4", text);
    }
    let Some(member) = &world.hosts[at].member else { return };
    let id = world.hosts[at].id;
    let state = member.state().and_then(|state| state.applications.get(application));
    let in_window = state.and_then(|state| state.window.as_ref()).is_some_and(|window| window.author == id);
    if in_window {
        world.violate("§5.5.4", format!("{name} applies over its author's edits in {application}"));
    }
    let member = world.hosts[at].member.as_ref().and_then(|member| member.state());
    let known = member.and_then(|state| state.applications.get(application));
    let goes = |state: &State| known.is_some_and(|known| state.is_placed(known, &id));
    // Who was removed goes on with what it has.
    if member.is_some_and(|state| state.member(&id).is_some() && !goes(state)) {
        world.violate("§5.5.4", format!("{name} applies {application}, which does not go to it"));
    }
    let member = world.hosts[at].member.as_ref().and_then(|member| member.state());
    let basis = member.and_then(|state| state.applications.get(application)).map(|state| state.basis);
    if basis != Some(epoch) {
        world.violate("§5.5.4", format!("{name} applies under basis {epoch}, and is at {basis:?}"));
    }
}

/// An apply under way does this next: it must not run out of content in the middle.
pub(super) fn writes(world: &mut World, at: usize, application: &str, action: &Action) {
    let Action::WriteFile { content, .. } = action else { return };
    if !world.hosts[at].content.has(content) {
        let text = format!(
            "{} lost {} in the middle of an apply of {application}",
            world.hosts[at].name,
            content.short()
        );
        world.violate("§5.5.4", text);
    }
}
