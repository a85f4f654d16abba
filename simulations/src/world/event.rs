//! What can happen in a world, and when.

use std::rc::Rc;

use althing_protocol::effect::{Input, Want};
use althing_protocol::hash::Hash;

use super::requests::Joiner;
use crate::host::tree::Tree;

/// Something that will happen.
pub(crate) enum Event {
    /// A message arrives, if the connection it was sent on still stands.
    Deliver { from: usize, to: usize, generation: u64, bytes: Rc<[u8]> },
    /// A pair of hosts looks at its connection.
    Look { a: usize, b: usize },
    /// A member wanted to be woken.
    Wake { host: usize, life: u64 },
    /// Something under way on a host ended.
    Give { host: usize, life: u64, input: Box<Input> },
    /// A batch is durable.
    Synced { host: usize, life: u64 },
    /// A scan ends; the version of the tree when it began.
    Scanned { host: usize, life: u64, application: String, version: u64 },
    /// A host looks at a tree by itself.
    Notice { host: usize, life: u64, application: String },
    /// A capture ends.
    Capture {
        host: usize,
        life: u64,
        capture: u64,
        application: String,
        tree: Option<Tree>,
        version: Option<u64>,
    },
    /// A fetch ends.
    Fetch { host: usize, life: u64, fetch: u64, application: String, from: Option<usize>, wants: Vec<Want> },
    /// An apply does its next step, also of an earlier life.
    Apply { host: usize, application: String },
    /// What no root needs is thrown away.
    Sweep { host: usize, life: u64 },
    /// A stranger's question arrives at a member.
    JoinAsk { joiner: Joiner, at: usize, bytes: Vec<u8> },
    /// A stranger's question was answered, or was not.
    JoinAnswer { joiner: Joiner, answer: Result<Vec<u8>, String> },
    /// A crashed host starts again.
    Start { host: usize },
    /// Something that was planned happens.
    Act { number: usize },
    /// A time of long delays ends.
    Calm { number: u64 },
    /// Nothing comes from a host and nothing gets to it, or everything again.
    Clog { host: usize, on: bool },
    /// A watchdog kills a process that hangs.
    Kill { host: usize, life: u64 },
    /// A process is as fast as it was.
    Fast { host: usize },
    /// A member reads a piece of its content again.
    Scrub { host: usize, life: u64, piece: Hash },
    /// A disk that lied loses what it said it had.
    Truth { host: usize, life: u64 },
    /// Somebody uses an old invitation.
    LateJoin { host: usize, request: u64 },
    /// Those that are left begin anew.
    Recover { host: usize, kept: Vec<String> },
    /// And those that they keep come over.
    ComeOver { request: u64, kept: Vec<String> },
    /// A liar makes something up.
    Lie { host: usize },
    /// A host has to do with another one again.
    Forgive { host: usize, other: usize },
    /// Every cut is healed.
    Heal { number: u64 },
    /// A link goes down, or up.
    Flap { a: usize, b: usize },
    /// A full disk has room again.
    Room { host: usize },
    /// Trees are looked at without any notification.
    Patrol { host: usize },
}

impl Event {
    /// The host whose process takes it: it waits while that process stands still.
    pub(super) fn host(&self) -> Option<usize> {
        match self {
            Self::Deliver { to, .. } => Some(*to),
            Self::Wake { host, .. }
            | Self::Give { host, .. }
            | Self::Synced { host, .. }
            | Self::Scanned { host, .. }
            | Self::Notice { host, .. }
            | Self::Capture { host, .. }
            | Self::Fetch { host, .. }
            | Self::Apply { host, .. }
            | Self::Scrub { host, .. }
            | Self::Sweep { host, .. } => Some(*host),
            Self::JoinAsk { at, .. } => Some(*at),
            Self::JoinAnswer { joiner, .. } => Some(joiner.newcomer),
            Self::Look { .. }
            | Self::Start { .. }
            | Self::Act { .. }
            | Self::Calm { .. }
            | Self::Clog { .. }
            | Self::Kill { .. }
            | Self::Fast { .. }
            | Self::Truth { .. }
            | Self::LateJoin { .. }
            | Self::Recover { .. }
            | Self::ComeOver { .. }
            | Self::Lie { .. }
            | Self::Forgive { .. }
            | Self::Heal { .. }
            | Self::Flap { .. }
            | Self::Room { .. }
            | Self::Patrol { .. } => None,
        }
    }
}

/// An event and its time; the number keeps the order of equal times.
pub(super) struct Due {
    pub(super) at: u64,
    pub(super) number: u64,
    pub(super) event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
