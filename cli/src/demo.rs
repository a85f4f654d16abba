//! `demo`: a small entity on this machine, broken and repaired. The members are processes of this program, made and
//! asked as an administrator would.

use crate::args::tools::Demo;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

#[cfg(feature = "daemon")]
mod acts;
#[cfg(feature = "daemon")]
mod entity;
#[cfg(feature = "daemon")]
mod keys;
#[cfg(feature = "daemon")]
mod members;
#[cfg(feature = "daemon")]
mod place;
#[cfg(feature = "daemon")]
mod play;
#[cfg(feature = "daemon")]
mod ports;
#[cfg(feature = "daemon")]
mod site;
#[cfg(feature = "daemon")]
mod story;
#[cfg(feature = "daemon")]
mod tree;

/// Starts the members, plays, and takes everything away again.
#[cfg(feature = "daemon")]
pub(crate) fn run_demo(context: &Context, args: Demo) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(play::run(context, args))
}

/// There is no daemon in this program.
#[cfg(not(feature = "daemon"))]
pub(crate) fn run_demo(_context: &Context, args: Demo) -> Result<Exit> {
    let Demo { members: _, auto: _, keep: _ } = args;
    Err(crate::error::usage("this program was built without the daemon, which the demo starts")
        .fact("built", "with --no-default-features: a client only")
        .into())
}
