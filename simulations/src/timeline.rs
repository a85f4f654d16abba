//! What a simulation says afterwards.

use std::collections::BTreeMap;

use serde::Serialize;

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
