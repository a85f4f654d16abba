//! What a simulation is asked for.

use std::str::FromStr;

use althing_protocol::governance::QuorumRule;

/// One simulation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// Everything is drawn from it.
    pub seed: u64,
    /// How many servers.
    pub members: usize,
    /// How much time passes in the world, before it is healed and must come to rest.
    pub hours: f64,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// A rule that this world's hosts break on purpose.
    pub mutation: Option<Mutation>,
    /// The quorum rule of the entity; drawn from the seed if absent.
    pub quorum: Option<QuorumRule>,
}

impl Options {
    /// One seed of eight lives with more than two thirds.
    pub(crate) fn rule(&self) -> QuorumRule {
        let drawn = self.faults && self.seed % 8 == 5;
        self.quorum.unwrap_or(if drawn { QuorumRule::Supermajority } else { QuorumRule::Majority })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, members: 9, hours: 10.0 / 60.0, faults: true, mutation: None, quorum: None }
    }
}

/// A rule broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Hosts answer [`althing_protocol::effect::Input::Persisted`] before the batch is synced: votes leave before
    /// they are durable.
    EarlyAcknowledgement,
    /// A start finds no promise, and nobody reminds the member of it.
    ForgottenPromise,
    /// Half of the voters settle.
    HalfQuorum,
    /// Content is thrown away although it was promised.
    LostContent,
}

impl Mutation {
    /// Every mutation, with its name.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::EarlyAcknowledgement, "early-acknowledgement"),
        (Self::ForgottenPromise, "forgotten-promise"),
        (Self::HalfQuorum, "half-quorum"),
        (Self::LostContent, "lost-content"),
    ];
}

impl FromStr for Mutation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(mutation, _)| *mutation).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("no mutation {text:?}; there are {}", names.join(", "))
        })
    }
}
