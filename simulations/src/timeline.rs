//! What a simulation says afterwards.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything interesting that a swarm must reach: what no seed ever did was not tested.
pub const SOMETIMES: [&str; 38] = [
    "a blackout",
    "a bridge",
    "a chain was sent",
    "a clock jumped",
    "a clock ran fast or slow",
    "a commit",
    "a connection was reset",
    "a crash",
    "a crash in the middle of an apply",
    "a crash lost what was not durable",
    "a disk was full",
    "a flapping link",
    "a holder did not give what it was asked for",
    "a host alone",
    "a member joined later",
    "a member went",
    "a one-sided partition",
    "a partition",
    "a process stood still",
    "a record was settled",
    "a record with several changes",
    "a request was done",
    "a revision was applied",
    "a rollback",
    "a window expired",
    "a window was aborted",
    "an apply failed",
    "an apply went forward after a crash",
    "an epoch took more than one round",
    "content was thrown away",
    "drift on one member",
    "drift was noticed",
    "drift was repaired",
    "old messages were sent again",
    "something critical was told",
    "the drift of a majority was adopted",
    "the majority was lost",
    "the same drift on several members",
];

/// Something that must never happen did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Violation {
    /// Which rule: a clause of design §5.5, or a word.
    pub clause: &'static str,
    /// In which step of the world.
    pub step: u64,
    /// After how many seconds of the world.
    pub seconds: f64,
    /// What happened.
    pub text: String,
}

/// A notable event.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// After how many seconds of the world.
    pub seconds: f64,
    /// On which host; empty for the world.
    pub host: String,
    /// What happened.
    pub text: String,
}

/// What became of one seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Servers.
    pub members: usize,
    /// Seconds that passed in the world.
    pub seconds: f64,
    /// Steps of the world.
    pub events: u64,
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Records settled.
    pub epochs: u64,
    /// Revisions settled.
    pub deployments: u64,
    /// Applies that put drifted content right.
    pub repairs: u64,
    /// Crashes.
    pub crashes: u64,
    /// Partitions.
    pub partitions: u64,
    /// How often each interesting thing happened.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Hash of everything that happened, in order: equal for equal seeds.
    pub trace: String,
    /// What must never happen and did; the simulation ends with the first.
    pub violations: Vec<Violation>,
    /// Notable events.
    pub timeline: Vec<Entry>,
}
