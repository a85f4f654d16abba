//! What goes wrong with disks.

use super::{any, span};
use crate::world::{Event, SECOND, World};

/// No room for content for a while. (Votes have a reserve.)
pub(super) fn fill(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    world.count("a disk was full");
    world.fill(at, true);
    world.note(Some(at), "its disk is full");
    let after = span(world, 2 * SECOND, 60 * SECOND);
    world.schedule(after, Event::Room { host: at });
}
