//! What operators sign (finding 6): an order says which member may have what settled, once, and until when. The chain
//! keeps the signatures with the intent, from which everybody makes the order anew and so knows what was signed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::codec::{self, DecodeError};
use crate::governance::{Authority, OperatorKey, Operators};
use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme, SignatureBytes, verify};
use crate::limits;
use crate::record::Change;
use crate::state::State;
use crate::statement::{Id16, Intent};
use crate::time::WallTime;

const DOMAIN: &str = "althing order 1";

/// What is signed. It serves once, for one member of one entity: its id is that of the intent, which is settled at
/// most once, and is stale [`limits::INTENT_EPOCHS`] epochs after `seen`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Order {
    /// Of which entity.
    pub entity: Hash,
    /// The member that may have it settled.
    pub member: MemberId,
    /// Names it; that of the intent.
    pub id: Id16,
    /// The epoch at which it was made.
    pub seen: u64,
    /// After that, by their clocks, members do not vote for it.
    pub until: WallTime,
    /// Who asked for it, as the member's host told it.
    pub by: String,
    /// Of a commit: the basis under which content is gathered.
    pub basis: Option<u64>,
    /// What is to be settled. Times in it are spans from when it is originated ([`Order::stamped`]), and of a commit
    /// there is no evidence yet.
    pub change: Change,
}

/// The signature of one operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Approval {
    /// Whose.
    pub key: OperatorKey,
    /// Over the order.
    pub signature: SignatureBytes,
}

/// The signatures that an intent carries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mandate {
    /// The order's end.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub until: WallTime,
    /// By operators, each once.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    pub approvals: Vec<Approval>,
}

/// How many more signatures an order needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Valid ones.
    pub have: u32,
    /// Needed.
    pub need: u32,
}

impl Tally {
    /// Whether there are enough.
    pub fn is_enough(self) -> bool {
        self.have >= self.need
    }
}

impl Order {
    /// The order that an intent of `member` carries out, at a state.
    pub fn of(state: &State, member: MemberId, intent: &Intent) -> Self {
        let basis = match &intent.change {
            Change::Commit { application, .. } => {
                state.applications.get(application).map(|known| known.basis)
            }
            _ => None,
        };
        Self {
            entity: state.entity,
            member,
            id: intent.id,
            seen: intent.seen,
            until: intent.mandate.until,
            by: intent.by.clone(),
            basis,
            change: unstamped(&intent.change, intent.at),
        }
    }

    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes; does not judge.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::STATEMENT_BYTES)
    }

    /// Signs with an operator's key.
    pub fn sign(&self, operator: &Identity) -> Approval {
        let signature = operator.sign(DOMAIN, &self.encode());
        Approval { key: OperatorKey(operator.id().0), signature }
    }

    /// Whether an approval is of this order.
    pub fn holds(&self, approval: &Approval, scheme: Scheme) -> bool {
        verify(scheme, MemberId(approval.key.0), DOMAIN, &self.encode(), &approval.signature)
    }

    /// The change as it is originated at `at`.
    pub fn stamped(&self, at: WallTime) -> Change {
        with_times(&self.change, |span| WallTime(at.0.saturating_add(span.0)))
    }

    /// How many signatures the order needs under an authority, and has with these keys. Who makes somebody an operator
    /// shows that the new keys sign, too: nobody is locked out by a key that nobody has.
    pub fn tally(&self, authority: &Authority, keys: &BTreeSet<OperatorKey>) -> Tally {
        let count = |operators: &Operators| {
            let have = operators.keys.iter().filter(|operator| keys.contains(&operator.key)).count();
            let have = u32::try_from(have).unwrap_or(u32::MAX);
            Tally { have: have.min(operators.needed), need: operators.needed }
        };
        let both = authority.operators().into_iter().chain(self.incoming());
        both.map(count).fold(Tally { have: 0, need: 0 }, |all, one| Tally {
            have: all.have + one.have,
            need: all.need + one.need,
        })
    }

    /// The operators that it would bring.
    pub fn incoming(&self) -> Option<&Operators> {
        match &self.change {
            Change::SetAuthority { authority } => authority.operators(),
            _ => None,
        }
    }

    /// Whether this key may sign it.
    pub fn may_sign(&self, authority: &Authority, key: &OperatorKey) -> bool {
        authority
            .operators()
            .into_iter()
            .chain(self.incoming())
            .any(|operators| operators.with(key).is_some())
    }

    /// What it does if it is originated at `at`, for whoever is to sign it; `name` knows the members.
    pub fn words(&self, at: WallTime, name: impl Fn(&MemberId) -> String) -> String {
        let change = self.stamped(at);
        let (kind, mut detail) = crate::audit::words(&change);
        if let Change::Commit { root, extent, .. } = &change {
            detail = format!("{root}, {} items, {} bytes", extent.items, extent.bytes);
        }
        if let Change::Open { root: Some(root), .. } = &change {
            detail = format!("to settle {root}, {detail}");
        }
        if let Change::Open { auto: Some(_), .. } = &change {
            detail = format!("to settle whatever rests under its root meanwhile, {detail}");
        }
        let about = match crate::audit::subject(&change) {
            Some(member) => format!("{} ({member})", name(&member)),
            None => change.application().unwrap_or_default().to_owned(),
        };
        let separator = if detail.is_empty() { "" } else { ": " };
        let text = format!("{kind} {about}{separator}{detail}").replace(" : ", ": ");
        // Nobody has checked its texts yet, and people read it on a terminal.
        let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
        text.trim().chars().map(plain).take(limits::TEXT_BYTES).collect()
    }
}

/// A change as it is signed.
fn unstamped(change: &Change, at: WallTime) -> Change {
    with_times(change, |time| WallTime(time.0.saturating_sub(at.0)))
}

fn with_times(change: &Change, turn: impl Fn(WallTime) -> WallTime) -> Change {
    let mut change = change.clone();
    match &mut change {
        Change::Open { expires, .. } | Change::Extend { expires, .. } => *expires = turn(*expires),
        Change::Pause { until, .. } | Change::TakeOut { until, .. } => *until = until.map(turn),
        Change::Commit { evidence, .. } => evidence.clear(),
        _ => {}
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    fn order(change: Change) -> Order {
        let (entity, member) = (Hash::of(b"e"), Identity::from_seed([1; 32]).id());
        let (id, until) = (Id16([2; 16]), WallTime(99));
        Order { entity, member, id, seen: 3, until, by: "ada".into(), basis: None, change }
    }

    #[test]
    fn times_are_spans_until_it_is_originated() {
        let (application, reason, at) = ("shop".to_owned(), "better".to_owned(), WallTime(1_000_000));
        let opens = |expires| {
            let (application, reason) = (application.clone(), reason.clone());
            Change::Open { application, expires, reason, implicit: false, root: None, auto: None }
        };
        let order = order(unstamped(&opens(at + Millis(60_000)), at));
        assert_eq!(order.change, opens(WallTime(60_000)));
        let later = WallTime(5_000_000);
        assert_eq!(order.stamped(later), opens(later + Millis(60_000)));
        assert_eq!(Order::decode(&order.encode()), Ok(order));
    }

    #[test]
    fn what_is_signed_is_read_without_surprises() {
        let member = Identity::from_seed([7; 32]).id();
        let remove = order(Change::Remove { member });
        let words = remove.words(WallTime(0), |_| "web7".to_owned());
        assert!(words.starts_with(&format!("remove web7 ({member})")), "{words}");
        let root = Hash::of(b"root");
        let (application, expires) = ("shop".to_owned(), WallTime(60_000));
        let reason = "\u{1b}[2Jtrust me".to_owned();
        let opens = order(Change::Open {
            application,
            expires,
            reason,
            implicit: true,
            root: Some(root),
            auto: None,
        });
        let words = opens.words(WallTime(0), |_| String::new());
        assert!(words.starts_with(&format!("open shop: to settle {root}")), "{words}");
        assert!(!words.chars().any(char::is_control), "{words}");
    }
}
