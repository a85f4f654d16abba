//! What became of invitations that are open no more (PROTOCOL.md J13). The settled state forgets them, so that whoever
//! comes with one could only be told that it is not there. The records say it: this memory is filled when they are
//! executed, and by a start from the newest links on the member's own disk. What it does not know it does not say.

use std::collections::{BTreeMap, VecDeque};

use crate::hash::Hash;
use crate::identity::MemberId;
use crate::limits;
use crate::record::{Change, Link, Record};
use crate::statement::{Intent, Statement, Unverified};
use crate::time::WallTime;

/// The last that happened with an invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It let somebody in; the state says whether it can once more.
    Used {
        /// Whom.
        newcomer: MemberId,
        /// Under which name.
        name: String,
        /// When, by the clock of the member that was asked.
        at: WallTime,
    },
    /// It was ended.
    Revoked {
        /// By whom.
        by: String,
        /// On which member.
        on: MemberId,
        /// When, by that member's clock.
        at: WallTime,
    },
}

/// The last of each of the [`limits::ENDED_INVITATIONS`] invitations that something happened with last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    fates: BTreeMap<MemberId, Fate>,
    /// Oldest first, each once.
    order: VecDeque<MemberId>,
}

impl Ended {
    /// An intent is settled.
    pub(super) fn learn(&mut self, author: MemberId, intent: &Intent) {
        let at = intent.at;
        let (key, fate) = match &intent.change {
            Change::Admit(request) => {
                let (newcomer, name) = (request.newcomer.member, request.newcomer.name.clone());
                (request.invitation, Fate::Used { newcomer, name, at })
            }
            Change::Revoke { key } => (*key, Fate::Revoked { by: intent.by.clone(), on: author, at }),
            _ => return,
        };
        if self.fates.insert(key, fate).is_some() {
            self.order.retain(|other| *other != key);
        }
        self.order.push_back(key);
        while self.order.len() > limits::ENDED_INVITATIONS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.fates.remove(&oldest);
        }
    }

    /// A link of the chain that is on this member's own disk: its signatures held when it was settled.
    pub(super) fn learn_link(&mut self, entity: &Hash, link: &Link) {
        let Ok(record) = Record::decode(&link.record) else { return };
        for signed in record.changes {
            let Ok(said) = Unverified::read(signed, entity) else { continue };
            if let Statement::Intent(intent) = &said.envelope().statement {
                self.learn(said.author(), intent);
            }
        }
    }

    /// What is known of an invitation.
    pub fn of(&self, key: &MemberId) -> Option<&Fate> {
        self.fates.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::order::Mandate;
    use crate::statement::Id16;

    fn key(number: u32) -> MemberId {
        Identity::from_seed(Hash::of(&number.to_be_bytes()).0).simulated().id()
    }

    fn revoke(ended: &mut Ended, number: u32) {
        let (change, by) = (Change::Revoke { key: key(number) }, "ada".to_owned());
        let at = WallTime(number.into());
        let mandate = Mandate::default();
        ended.learn(key(0), &Intent { id: Id16::default(), seen: 0, at, by, change, mandate });
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_what_happens_again_is_new() {
        let mut ended = Ended::default();
        let most = limits::ENDED_INVITATIONS as u32;
        (1..=most).for_each(|number| revoke(&mut ended, number));
        revoke(&mut ended, 1);
        revoke(&mut ended, most + 1);
        assert_eq!(ended.of(&key(2)), None);
        let at = |number: u32| Fate::Revoked { by: "ada".into(), on: key(0), at: WallTime(number.into()) };
        assert_eq!(ended.of(&key(1)), Some(&at(1)));
        assert_eq!(ended.of(&key(most + 1)), Some(&at(most + 1)));
        assert_eq!(ended.order.len(), limits::ENDED_INVITATIONS);
    }
}
