//! Requests about who decides (design §5.1).

use super::operation::Goal;
use super::{Core, Entity};
use crate::control::{Code, Outcome, Refusal};
use crate::event::{Event, Severity};
use crate::governance::{Authority, QuorumRule};
use crate::record::Change;
use crate::state::State;
use crate::statement::Intent;

impl Entity {
    /// Another quorum rule; not one by which nothing could be settled any more from here, its own undoing included.
    pub(super) fn set_quorum(
        &self,
        core: &Core,
        rule: QuorumRule,
    ) -> Result<(Goal, Option<Change>), Refusal> {
        let (voters, able) = (self.state.voters().count(), self.able_voters(core));
        let needed = rule.of(voters);
        let outcome = Outcome::Quorum { rule, voters: voters as u64, needed: needed as u64 };
        let goal = Goal::Change { outcome: Box::new(outcome) };
        if rule == self.state.governance.quorum {
            return Ok((goal, None));
        }
        if able < needed && able >= self.state.quorum() {
            let text = format!(
                "{able} of {voters} voters can be reached, and by {rule} {needed} must agree: nothing could be settled any more"
            );
            return Err(Refusal::new(Code::Unsafe, text)
                .try_("see who is heard", "althing member list")
                .try_("take out who is gone for good", "althing member remove NAME"));
        }
        Ok((goal, Some(Change::SetQuorum { rule })))
    }

    pub(super) fn set_authority(&self, authority: Authority) -> Result<(Goal, Option<Change>), Refusal> {
        if let Some(flaw) = authority.operators().and_then(|operators| operators.flaw()) {
            return Err(Refusal::new(Code::Input, format!("these cannot be the operators: {flaw}")));
        }
        let same = authority == self.state.governance.authority;
        let goal = Goal::Change { outcome: Box::new(Outcome::Authority { authority: authority.clone() }) };
        Ok((goal, (!same).then_some(Change::SetAuthority { authority })))
    }

    /// What is added where it is not the usual rule.
    pub(super) fn by_which_rule(&self) -> &'static str {
        match self.state.governance.quorum {
            QuorumRule::Majority => "",
            QuorumRule::Supermajority => " (more than two thirds)",
        }
    }

    /// Whether enough of those that decide can be reached, and nothing was found that stops it.
    pub(super) fn has_majority(&self, core: &Core) -> bool {
        let follows = self.is_stopped() || self.is_outdated() || self.is_kept_back(core);
        !follows && self.able_voters(core) >= self.state.quorum()
    }

    /// What a settled change of the roster, or of who decides, is called in the log.
    pub(super) fn describe_roster(&self, before: &State, origin: &str, intent: &Intent) -> Option<Event> {
        let by = &intent.by;
        let info = |kind: &str, text: String| Event::new(Severity::Info, kind, text);
        Some(match &intent.change {
            Change::Admit(request) => {
                let name = &request.newcomer.name;
                info("member.admitted", format!("{name} joins, invited through {origin}"))
                    .of(request.newcomer.member)
            }
            Change::Promote { member, .. } => {
                info("member.joined", format!("{} counts in the majority now", self.state.name_of(member)))
                    .of(*member)
            }
            Change::Remove { member } => {
                let text = format!("{} left the roster, by {by} on {origin}", before.name_of(member));
                info("member.removed", text).of(*member)
            }
            Change::Readmit(request) => {
                let name = before.name_of(&request.member);
                let text = format!("{name} is a learner again, from a new store, by {by} on {origin}");
                info("member.readmitted", text).of(request.member)
            }
            Change::SetAuthority { authority } => {
                info("authority.changed", format!("{}, by {by} on {origin}", authority.name()))
            }
            Change::SetQuorum { rule } => {
                let (count, voters) = (self.state.quorum(), self.state.voters().count());
                let text = format!("{rule}: {count} of {voters} voters settle, by {by} on {origin}");
                info("quorum.changed", text)
            }
            _ => return None,
        })
    }
}
