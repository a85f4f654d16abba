//! `demo`: a small entity on this machine, broken and repaired.

use crate::args::tools::Demo;
use crate::context::Context;
use crate::error::{Result, bug};
use crate::exit::Exit;

/// Starts the members, plays, and takes everything away again.
pub(crate) fn run_demo(_context: &Context, args: Demo) -> Result<Exit> {
    let Demo { members, auto: _, keep: _ } = args;
    Err(bug(format!("the demo with {members} members is not in this program yet")).into())
}
