//! The althing daemon: sockets, disks, clocks and threads around the protocol. Decisions are made in
//! `althing_protocol`; here they are carried out.
//!
//! One task owns the [`althing_protocol::member::Member`] (`daemon`); everything else (network, disk, one worker
//! thread per application, API) talks to it through one bounded channel.

mod api;
mod backup;
mod collect;
mod daemon;
pub mod files;
mod glimpse;
mod hooks;
mod identity;
mod interruption;
pub mod net;
mod place;
mod purge;
mod room;
mod sample;
mod scrub;
mod serving;
mod transfer;
mod writer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use backup::restore;
pub use daemon::{Ended, run};
pub use glimpse::{Glimpsed, glimpse};

/// Another daemon that runs with the same directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InUse {
    /// The directory.
    pub dir: PathBuf,
    /// The other's process, if it says so.
    pub pid: Option<u32>,
}

/// Whether this is why the daemon did not start.
pub fn in_use(error: &anyhow::Error) -> Option<InUse> {
    match error.downcast_ref()? {
        althing_store::OpenError::InUse { path, pid } => Some(InUse { dir: path.clone(), pid: *pid }),
        _ => None,
    }
}

/// What the daemon must be told; everything that all members share is settled state instead.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds the member's key, store and trash.
    pub dir: PathBuf,
    /// Where it listens for messages.
    pub listen: SocketAddr,
    /// Where it listens for content; the port after `listen` if not given.
    pub bulk_listen: Option<SocketAddr>,
    /// Puts every application's root below this directory: many members on one machine.
    pub prefix: Option<PathBuf>,
    /// What is logged: `info`, `debug`, `althing_protocol=trace`…
    pub log: Option<String>,
    /// Where it answers commands of this machine.
    pub socket: PathBuf,
    /// The group whose users may give commands. If none is named, `althing`, where there is such a group.
    pub group: Option<String>,
    /// The newest protocol version that it speaks, of those that this program speaks (tests: as an older program does).
    pub speaks: u32,
    /// After so long without a quorum that confirms its head, a start believes nothing newer until somebody vouches.
    pub trusting_period: Option<Duration>,
    /// Whether applications may have programs of their content run here.
    pub hooks: bool,
    /// Whether `/v1/debug` may cut this member off from others (demo and tests).
    pub faults: bool,
}
