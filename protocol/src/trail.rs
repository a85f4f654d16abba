//! The last settled records and who decided them: enough to judge a certificate that somebody shows for an epoch
//! that is settled here (finding 8), without the states of those epochs.

use std::collections::{BTreeMap, BTreeSet};

use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec;
use crate::governance::QuorumRule;
use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::state::State;
use crate::statement::Id16;

/// Whoever votes, from the store it was admitted with.
pub type Voter = (MemberId, Id16);

/// A settled epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
struct Step {
    epoch: u64,
    record: Hash,
    /// Epoch of the last change of the roster or the quorum rule: names who decides the next epoch.
    roster: u64,
}

/// The last [`limits::TRAIL_EPOCHS`] epochs, oldest first, with at most [`limits::TRAIL_ROSTERS`] rosters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize_tuple, Deserialize_tuple)]
pub struct Trail {
    steps: Vec<Step>,
    rosters: BTreeMap<u64, Vec<Voter>>,
    /// By the same epochs: the quorum rule, where it is not [`QuorumRule::Majority`]. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    rules: BTreeMap<u64, QuorumRule>,
}

/// Who decides an epoch: the voters of the state before it, and how many of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deciders<'a> {
    /// The record that the epoch's record must name as its parent.
    pub parent: Hash,
    /// The voters.
    pub voters: &'a [Voter],
    /// The rule in force before the epoch.
    pub rule: QuorumRule,
}

impl Trail {
    /// Of an entity that begins with this state and record.
    pub fn begin(state: &State, record: Hash) -> Self {
        let mut trail = Self::default();
        trail.push(state, record);
        trail
    }

    /// A record is settled; it leads to this state.
    pub fn push(&mut self, state: &State, record: Hash) {
        let roster = state.roster_epoch;
        self.steps.push(Step { epoch: state.epoch, record, roster });
        self.rosters.entry(roster).or_insert_with(|| voters_of(state));
        if state.governance.quorum != QuorumRule::default() {
            self.rules.insert(roster, state.governance.quorum);
        }
        let surplus = self.steps.len().saturating_sub(limits::TRAIL_EPOCHS);
        self.steps.drain(..surplus);
        while self.rosters.len() > limits::TRAIL_ROSTERS {
            let Some((oldest, _)) = self.rosters.pop_first() else { break };
            self.steps.retain(|step| step.roster != oldest);
        }
        let used: BTreeSet<u64> = self.steps.iter().map(|step| step.roster).collect();
        self.rosters.retain(|roster, _| used.contains(roster));
        self.rules.retain(|roster, _| used.contains(roster));
    }

    /// The record that was settled in an epoch, as far as the trail goes back.
    pub fn record(&self, epoch: u64) -> Option<Hash> {
        self.steps.iter().find(|step| step.epoch == epoch).map(|step| step.record)
    }

    /// The epoch of a record.
    pub fn epoch_of(&self, record: &Hash) -> Option<u64> {
        self.steps.iter().find(|step| step.record == *record).map(|step| step.epoch)
    }

    /// The parent that a record of this epoch must have, and who decides it.
    pub fn deciders(&self, epoch: u64) -> Option<Deciders<'_>> {
        let before = self.steps.iter().find(|step| step.epoch + 1 == epoch)?;
        let rule = self.rules.get(&before.roster).copied().unwrap_or_default();
        Some(Deciders { parent: before.record, voters: self.rosters.get(&before.roster)?, rule })
    }

    /// The oldest epoch it knows.
    pub fn first(&self) -> u64 {
        self.steps.first().map_or(0, |step| step.epoch)
    }
}

/// The voters of a state.
pub fn voters_of(state: &State) -> Vec<Voter> {
    state.voters().map(|voter| (voter.id, voter.store)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::record::{Genesis, Newcomer};
    use crate::statement::Address;
    use crate::time::WallTime;

    fn state() -> State {
        let here = "10.0.0.1:7800".parse().expect("an address");
        let founder = Newcomer {
            member: Identity::from_seed([1; 32]).id(),
            store: Id16([1; 16]),
            name: "a".into(),
            address: Address { control: here, bulk: here },
        };
        let nonce = Id16::default();
        State::genesis(&Genesis {
            format: Genesis::NEWEST,
            name: "e".into(),
            founder,
            at: WallTime(0),
            nonce,
            inherited: None,
            governance: Default::default(),
        })
    }

    #[test]
    fn it_knows_the_last_epochs_and_no_others() {
        let mut state = state();
        let mut trail = Trail::begin(&state, Hash::of(b"genesis"));
        for epoch in 1..200u64 {
            state.epoch = epoch;
            trail.push(&state, Hash::of(&epoch.to_be_bytes()));
        }
        assert_eq!(trail.first(), 200 - limits::TRAIL_EPOCHS as u64);
        assert_eq!(trail.record(199), Some(Hash::of(&199u64.to_be_bytes())));
        assert_eq!(trail.record(1), None);
        assert_eq!(trail.epoch_of(&Hash::of(&180u64.to_be_bytes())), Some(180));
        let deciders = trail.deciders(199).expect("known");
        assert_eq!((deciders.parent, deciders.voters.len()), (Hash::of(&198u64.to_be_bytes()), 1));
    }

    #[test]
    fn an_epoch_is_judged_by_the_rule_that_was_in_force_before_it() {
        let mut state = state();
        let mut trail = Trail::begin(&state, Hash::of(b"genesis"));
        for epoch in 1..5u64 {
            state.epoch = epoch;
            if epoch == 2 {
                (state.governance.quorum, state.roster_epoch) = (QuorumRule::Supermajority, epoch);
            }
            trail.push(&state, Hash::of(&epoch.to_be_bytes()));
        }
        let rule = |epoch| trail.deciders(epoch).expect("known").rule;
        assert_eq!((rule(1), rule(2)), (QuorumRule::Majority, QuorumRule::Majority));
        assert_eq!((rule(3), rule(5)), (QuorumRule::Supermajority, QuorumRule::Supermajority));
        let read: Trail = codec::decode(&codec::encode(&trail), usize::MAX).expect("as it was written");
        assert_eq!(read, trail);
    }

    #[test]
    fn rosters_are_bounded() {
        let mut state = state();
        let mut trail = Trail::begin(&state, Hash::of(b"genesis"));
        for epoch in 1..100u64 {
            state.epoch = epoch;
            state.roster_epoch = epoch;
            trail.push(&state, Hash::of(&epoch.to_be_bytes()));
        }
        assert!(trail.rosters.len() <= limits::TRAIL_ROSTERS);
        assert!(trail.deciders(99).is_some() && trail.deciders(50).is_none());
    }
}
