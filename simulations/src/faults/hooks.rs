//! What applications want run around a revision fails on one host.

use super::{any, span};
use crate::world::{SECOND, World};

/// For a time every hook fails on a host.
pub(super) fn fail(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    let lasts = span(world, 10 * SECOND, 120 * SECOND);
    world.hosts[at].hooks_fail_until = world.now + lasts;
    world.note(Some(at), "hooks fail");
    world.count("hooks failed on a host");
}
