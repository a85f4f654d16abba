//! Changes of who decides, and whether a change has the word that it needs (design §5.1, finding 6).

use std::collections::BTreeSet;

use super::{Draft, Invalid};
use crate::governance::{Authority, QuorumRule};
use crate::identity::{MemberId, Scheme};
use crate::limits;
use crate::order::{Mandate, Order};
use crate::record::Change;
use crate::rollout::Wish;
use crate::state::{Service, State, Window};
use crate::statement::Intent;

/// Whose word a change needs where operators govern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Licence {
    /// The originator's is enough.
    Members,
    /// That of operators.
    Operators,
}

impl State {
    /// Whose word this change of `author` needs while operators govern. Members alone have what follows from the state,
    /// from clocks and from disks, and what concerns nobody but themselves: who leaves could as well fall silent.
    pub fn licence(&self, author: &MemberId, change: &Change) -> Licence {
        let own = match change {
            // The invitation is the operators' word.
            Change::Admit(_)
            | Change::Promote { .. }
            | Change::Return { .. }
            | Change::Move { .. }
            | Change::Expire { .. }
            | Change::Adopt { .. }
            // The probation is in the commit that it undoes.
            | Change::Undo { .. } => true,
            Change::Remove { member } => member == author,
            // Within these bounds somebody is left in service, whether or not it said `anyway`.
            Change::TakeOut { member, .. } => self.may_spare(member),
            Change::BringIn { member } => !self.is_out_by_order(member),
            Change::Abort { application } => {
                let window = self.applications.get(application).and_then(|known| known.window.as_ref());
                window.is_none_or(|window| window.author == *author || window.implicit)
            }
            // That of a window is for its content, or for whatever its author does while it is open; not for another
            // way onto the members.
            Change::Commit { application, root, wish, .. } => {
                let window = self.applications.get(application).and_then(|known| known.window.as_ref());
                let licensed = |window: &Window| window.manner.root == Some(*root) || window.auto().is_some();
                *wish == Wish::default() && window.is_some_and(licensed)
            }
            Change::Invite { .. }
            | Change::Revoke { .. }
            | Change::Spare { .. }
            | Change::Enlist { .. }
            | Change::Rename { .. }
            | Change::Label { .. }
            | Change::Readmit(_)
            | Change::SetQuorum { .. }
            | Change::SetAuthority { .. }
            | Change::Raise { .. }
            | Change::Create { .. }
            | Change::Arrange { .. }
            | Change::GoOn { .. }
            | Change::Discard { .. }
            | Change::Define { .. }
            | Change::Open { .. }
            | Change::Extend { .. }
            | Change::Pause { .. } => false,
        };
        if own { Licence::Members } else { Licence::Operators }
    }

    fn is_out_by_order(&self, id: &MemberId) -> bool {
        self.member(id).is_some_and(|member| matches!(&member.service, Service::Out(out) if out.ordered))
    }

    /// Whether at least half of those that are no spares go on serving without this member (finding 31).
    fn may_spare(&self, id: &MemberId) -> bool {
        let all = self.members.iter().filter(|member| member.service != Service::Spare).count();
        let serve = self.in_service().filter(|member| member.id != *id).count();
        !self.is_out_by_order(id) && 2 * serve >= all
    }

    /// Whether an intent has the signatures that it needs, and no others. What is cheap comes first.
    pub(super) fn check_mandate(
        &self,
        author: MemberId,
        intent: &Intent,
        scheme: Scheme,
    ) -> Result<(), Invalid> {
        let Mandate { until, approvals } = &intent.mandate;
        let authority = &self.governance.authority;
        let governed = authority.operators().is_some();
        let incoming = matches!(&intent.change, Change::SetAuthority { authority: Authority::Operators(_) });
        if approvals.is_empty() && until.0 != 0 {
            return Err(Invalid::Mandate("an order without a signature"));
        }
        let needed = incoming || (governed && self.licence(&author, &intent.change) == Licence::Operators);
        if approvals.is_empty() && !needed {
            return Ok(());
        }
        if approvals.len() > 2 * limits::OPERATORS {
            return Err(Invalid::Full("signatures of operators"));
        }
        let order = Order::of(self, author, intent);
        let keys: BTreeSet<_> = approvals.iter().map(|approval| approval.key).collect();
        if keys.len() < approvals.len() || keys.iter().any(|key| !order.may_sign(authority, key)) {
            return Err(Invalid::Mandate("a signature that is none of an operator, or one twice"));
        }
        let tally = order.tally(authority, &keys);
        if !tally.is_enough() {
            return Err(Invalid::Orders { have: tally.have, need: tally.need });
        }
        if !approvals.iter().all(|approval| order.holds(approval, scheme)) {
            return Err(Invalid::Mandate("a signature of an operator does not hold for this order"));
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Decided by the rule before; from the next epoch on votes and Holdings are counted by this one, so that all
    /// Holdings are asked for anew (finding 16).
    pub(super) fn set_quorum(self, rule: QuorumRule) -> Result<(), Invalid> {
        if self.next.governance.quorum == rule {
            return Err(Invalid::NotSo("the quorum rule is in force already"));
        }
        self.next.governance.quorum = rule;
        self.rule_changed();
        Ok(())
    }

    /// The operators before and those after it have both signed ([`Order::tally`]).
    pub(super) fn set_authority(self, authority: &Authority) -> Result<(), Invalid> {
        if self.next.governance.authority == *authority {
            return Err(Invalid::NotSo("this authority is in force already"));
        }
        if let Some(flaw) = authority.operators().and_then(|operators| operators.flaw()) {
            return Err(Invalid::Text(flaw));
        }
        self.next.governance.authority = authority.clone();
        Ok(())
    }
}

#[cfg(test)]
mod operators;
#[cfg(test)]
mod tests;
