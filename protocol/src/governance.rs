//! Who decides: how many voters settle, and whose word a change needs (design §5.1, findings 6, 12, 45). What is in
//! force is part of the state; a record is judged by what was in force before it.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec;
use crate::hash::{hex, unhex};
use crate::limits;

/// How many of the voters, heard or not, are enough. The only place where a quorum is computed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuorumRule {
    /// More than half: agreement holds while nobody signs against its own word.
    #[default]
    Majority,
    /// More than two thirds: agreement holds against fewer than a third that do.
    Supermajority,
}

impl QuorumRule {
    /// floor(n/2) + 1, or floor(2n/3) + 1.
    pub const fn of(self, voters: usize) -> usize {
        match self {
            Self::Majority => voters / 2 + 1,
            Self::Supermajority => 2 * voters / 3 + 1,
        }
    }

    /// Messages of a later round that prove that somebody honest is in it: n - q + 1 (finding 10).
    pub const fn proof(self, voters: usize) -> usize {
        voters - self.of(voters) + 1
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Supermajority => "supermajority",
        }
    }
}

impl fmt::Display for QuorumRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The public half of an operator's key. Of its own kind: no member's key is ever taken for an operator's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorKey(pub [u8; 32]);

/// What an operator's key looks like begins with this.
const PREFIX: &str = "operator-";

impl OperatorKey {
    /// Whether it is a key at all: nobody could sign with anything else.
    pub fn is_sound(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak())
    }
}

impl fmt::Display for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.0[..4]))
    }
}

/// Not the public half of an operator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an operator's key: expected {PREFIX} and 64 hexadecimal digits")]
pub struct NotAnOperatorKey;

impl FromStr for OperatorKey {
    type Err = NotAnOperatorKey;

    fn from_str(text: &str) -> Result<Self, NotAnOperatorKey> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAnOperatorKey)?;
        let bytes = unhex(digits).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).filter(Self::is_sound).ok_or(NotAnOperatorKey)
    }
}

impl Serialize for OperatorKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        crate::hash::serialize_bytes(&self.0, || self.to_string(), to)
    }
}

impl<'de> Deserialize<'de> for OperatorKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            return String::deserialize(from)?.parse().map_err(serde::de::Error::custom);
        }
        crate::hash::deserialize_array(from).map(Self)
    }
}

/// Somebody who may sign orders.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Operator {
    /// Unique among the operators.
    pub name: String,
    /// The public half of the key.
    pub key: OperatorKey,
}

/// The operators of an entity, and how many of them an order needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Operators {
    /// Signatures of distinct keys.
    pub needed: u32,
    /// Whose.
    pub keys: Vec<Operator>,
}

impl Operators {
    /// The operator with this key.
    pub fn with(&self, key: &OperatorKey) -> Option<&Operator> {
        self.keys.iter().find(|operator| operator.key == *key)
    }

    /// What is wrong with them, if anything: then nobody, or nobody but one, could ever sign.
    pub fn flaw(&self) -> Option<String> {
        let (count, needed) = (self.keys.len(), self.needed as usize);
        if count == 0 || count > limits::OPERATORS {
            return Some(format!("{count} operators; 1 to {} are allowed", limits::OPERATORS));
        }
        if needed == 0 || needed > count {
            return Some(format!("{needed} signatures of {count} operators"));
        }
        for (at, operator) in self.keys.iter().enumerate() {
            if crate::validity::check_label(&operator.name).is_err() {
                return Some(format!("the name {:?} of an operator", operator.name));
            }
            if !operator.key.is_sound() {
                return Some(format!("the key of {}", operator.name));
            }
            let same = |other: &Operator| other.name == operator.name || other.key == operator.key;
            if self.keys[..at].iter().any(same) {
                return Some(format!("a second operator with the name or key of {}", operator.name));
            }
        }
        None
    }
}

/// Whose word a change needs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authority {
    /// Any member may originate any change: who is root on a member is an administrator.
    #[default]
    Members,
    /// What administrators ask for carries the signatures of operators, whose keys are on no member (finding 6).
    Operators(Operators),
}

impl Authority {
    /// The operators, if there are any.
    pub fn operators(&self) -> Option<&Operators> {
        if let Self::Operators(operators) = self { Some(operators) } else { None }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Operators(_) => "operators",
        }
    }
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// How many voters settle.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub quorum: QuorumRule,
    /// Whose word a change needs.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub authority: Authority,
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::identity::Identity;

    const RULES: [QuorumRule; 2] = [QuorumRule::Majority, QuorumRule::Supermajority];

    #[test]
    fn a_quorum_is_more_than_half_or_more_than_two_thirds() {
        let of = |rule: QuorumRule| (1..=10).map(|n| rule.of(n)).collect::<Vec<_>>();
        assert_eq!(of(QuorumRule::Majority), [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
        assert_eq!(of(QuorumRule::Supermajority), [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
    }

    quickcheck! {
        fn two_quorums_share_more_voters_than_may_lie(voters: u16) -> bool {
            let voters = usize::from(voters) + 1;
            let liars = voters.div_ceil(3) - 1;
            let two = |rule: QuorumRule| 2 * rule.of(voters) - voters;
            two(QuorumRule::Majority) >= 1 && two(QuorumRule::Supermajority) > liars
        }

        fn the_honest_can_decide_alone(voters: u16) -> bool {
            let voters = usize::from(voters) + 1;
            voters - (voters.div_ceil(3) - 1) >= QuorumRule::Supermajority.of(voters)
        }

        fn an_entry_proof_has_somebody_honest_in_it(voters: u16) -> bool {
            let voters = usize::from(voters) + 1;
            QuorumRule::Supermajority.proof(voters) == voters.div_ceil(3)
                && RULES.iter().all(|rule| rule.proof(voters) >= 1)
        }
    }

    fn operator(seed: u8) -> Operator {
        Operator { name: format!("op{seed}"), key: OperatorKey(Identity::from_seed([seed; 32]).id().0) }
    }

    #[test]
    fn operators_that_nobody_could_be_are_found_out() {
        let of = |needed, keys: Vec<Operator>| Operators { needed, keys };
        assert_eq!(of(2, vec![operator(1), operator(2)]).flaw(), None);
        let twice = Operator { name: "other".into(), ..operator(1) };
        let weak = Operator { name: "weak".into(), key: OperatorKey([0; 32]) };
        let many = (0..=limits::OPERATORS).map(|seed| operator(seed as u8)).collect();
        for bad in [
            of(0, vec![operator(1)]),
            of(2, vec![operator(1)]),
            of(1, Vec::new()),
            of(1, vec![operator(1), twice]),
            of(1, vec![operator(1), Operator { name: "op1".into(), ..operator(2) }]),
            of(1, vec![operator(1), weak]),
            of(1, vec![Operator { name: "a b".into(), ..operator(1) }]),
            of(1, many),
        ] {
            assert!(bad.flaw().is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_reads_as_it_is_shown_and_is_nobody_elses() {
        let key = operator(7).key;
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(
            Identity::from_seed([7; 32]).id().to_string().parse::<OperatorKey>(),
            Err(NotAnOperatorKey)
        );
        assert_eq!(OperatorKey([0; 32]).to_string().parse::<OperatorKey>(), Err(NotAnOperatorKey));
    }

    #[test]
    fn what_is_in_force_without_a_word_of_it_takes_no_byte() {
        let before = codec::encode(&std::collections::BTreeMap::<String, u8>::new());
        assert_eq!(codec::encode(&Governance::default()), before);
    }
}
