//! Changes of a member that is in the roster: whether it serves, whether it counts, its name and labels (design §5.1).
//!
//! Service never changes a quorum. What does, a voter that becomes a spare, asks for all Holdings anew, as a removal
//! does (findings 15, 16).

use std::collections::BTreeMap;

use super::{Draft, Invalid, check_label, check_text};
use crate::identity::MemberId;
use crate::limits;
use crate::state::{Member, Out, Role, Service};
use crate::time::WallTime;

impl Draft<'_> {
    fn member(&mut self, id: &MemberId) -> Result<&mut Member, Invalid> {
        let found = self.next.members.iter_mut().find(|member| member.id == *id);
        found.ok_or(Invalid::NotAMember(*id))
    }

    pub(super) fn take_out(
        mut self,
        id: &MemberId,
        reason: &str,
        until: Option<WallTime>,
        anyway: bool,
    ) -> Result<(), Invalid> {
        check_text(reason)?;
        let (by, since) = (self.intent.by.clone(), self.intent.at);
        let (reason, ordered) = (reason.to_owned(), !self.intent.mandate.approvals.is_empty());
        self.member(id)?.service = Service::Out(Out { reason, until, by, since, ordered });
        self.keep_serving(anyway)
    }

    /// The floor: a record leaves nobody in service only where an administrator said so.
    fn keep_serving(&self, anyway: bool) -> Result<(), Invalid> {
        let served = self.before.in_service().next().is_some();
        let serves = self.next.in_service().next().is_some();
        if served && !serves && !anyway { Err(Invalid::NobodyServes) } else { Ok(()) }
    }

    pub(super) fn bring_in(mut self, id: &MemberId) -> Result<(), Invalid> {
        self.member(id)?.service = Service::In;
        Ok(())
    }

    pub(super) fn bring_back(mut self, id: &MemberId) -> Result<(), Invalid> {
        let member = self.member(id)?;
        let ends = matches!(&member.service, Service::Out(out) if out.until.is_some());
        if !ends {
            return Err(Invalid::NotSo("the member is not out of service for a time"));
        }
        member.service = Service::In;
        Ok(())
    }

    pub(super) fn spare(mut self, id: &MemberId, anyway: bool) -> Result<(), Invalid> {
        let last = self.next.voters().count() == 1 && self.next.is_voter(id);
        if last {
            return Err(Invalid::LastVoter);
        }
        let counted = self.next.counted();
        let member = self.member(id)?;
        let voted = member.role == Role::Voter;
        (member.role, member.service) = (Role::Follower, Service::Spare);
        self.keep_serving(anyway)?;
        self.next.roster_epoch = self.next.epoch;
        if voted {
            self.roster_changed(&counted);
        }
        Ok(())
    }

    pub(super) fn enlist(mut self, id: &MemberId) -> Result<(), Invalid> {
        let member = self.member(id)?;
        if member.role != Role::Follower {
            return Err(Invalid::NotSo("the member is not a spare"));
        }
        member.role = Role::Learner;
        if member.service == Service::Spare {
            member.service = Service::In;
        }
        self.next.roster_epoch = self.next.epoch;
        Ok(())
    }

    pub(super) fn rename(mut self, id: &MemberId, name: &str) -> Result<(), Invalid> {
        check_label(name)?;
        if self.next.member_named(name).is_some_and(|other| other.id != *id) {
            return Err(Invalid::Taken(name.to_owned()));
        }
        self.member(id)?.name = name.to_owned();
        self.next.roster_epoch = self.next.epoch;
        Ok(())
    }

    pub(super) fn label(
        mut self,
        id: &MemberId,
        labels: &BTreeMap<String, Option<String>>,
    ) -> Result<(), Invalid> {
        let counted = self.next.counted();
        let member = self.member(id)?;
        let before = member.clone();
        for (key, value) in labels.iter().take(2 * limits::LABELS) {
            check_label(key)?;
            match value {
                Some(value) if value.len() > limits::LABEL_BYTES => {
                    return Err(Invalid::Text(format!("the value of the label {key}")));
                }
                Some(value) => {
                    check_text(value)?;
                    member.labels.insert(key.clone(), value.clone());
                }
                None => {
                    member.labels.remove(key);
                }
            }
        }
        if member.labels.len() > limits::LABELS || labels.len() > 2 * limits::LABELS {
            return Err(Invalid::Full("labels"));
        }
        let after = member.clone();
        self.regrouped(&before, &after, &counted)
    }
}

#[cfg(test)]
mod tests;
