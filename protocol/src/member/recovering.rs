//! After the majority is lost for good: a new entity in the place of the old one (finding 7, PROTOCOL.md J8–J10).
//! The old chain is never continued without a quorum.

use super::joining::{Entering, Recovered};
use super::saved::{Beginning, Head};
use super::{Core, Entity, Member};
use crate::codec;
use crate::control::{Code, Outcome, Refusal};
use crate::hash::hex;
use crate::identity::MemberId;
use crate::invitation::{Invitation, Welcome};
use crate::limits;
use crate::order::Approval;
use crate::record::{Genesis, Newcomer};
use crate::state::{Application, PastMember, State};
use crate::statement::Id16;
use crate::succession::{Inheritance, Origin, Succession, Warrant};
use crate::time::{Millis, Now};
use crate::trail::Trail;
use crate::validity::Invalid;

/// How long the kept members have to come over with the invitation that a recovery prints.
pub(super) const INVITED: Millis = Millis::seconds(24 * 3600);

impl Member {
    /// Founds the entity anew, with this member as its first voter.
    pub(super) fn recover(
        &mut self,
        request: u64,
        by: &str,
        keep: &[String],
        approvals: &str,
    ) -> Result<(), Refusal> {
        let core = &mut self.core;
        let Some(entity) = &self.entity else { return Ok(()) };
        let kept = entity.kept_members(core, keep)?;
        entity.may_recover(core, &kept)?;
        let approvals = entity.warranted(core, approvals)?;
        let Some(address) = core.config.address.or_else(|| entity.me(core)?.addresses.first().copied())
        else {
            return Err(Refusal::new(Code::Failed, "this member does not know where it listens"));
        };
        let origin = Origin {
            entity: entity.state.entity,
            epoch: entity.state.epoch,
            head: entity.head,
            state: entity.state.hash(),
            kept,
        };
        let nonce = Id16(core.rng.bytes());
        let genesis = entity.successor(core, origin.clone(), address, nonce);
        let succession = Succession::sign(&origin, genesis.id(), approvals, &core.identity);
        let me = core.me();
        let others: Vec<String> =
            origin.kept.iter().filter(|(id, _)| *id != me).map(|(_, name)| name.clone()).collect();
        let recovered = Recovered { from: origin.entity, epoch: origin.epoch, others, by: by.to_owned() };
        let name = entity.state.name_of(&me);
        let entering = Entering { request, name, founded: true, recovered: Some(recovered), life: None };
        let succession = Some(succession);
        let before = entity.whereabouts(core);
        let beginning = Beginning { succession, before, ..Beginning::of(genesis) };
        self.enter(beginning, entering);
        Ok(())
    }

    /// What operators have to sign before this member may begin the entity anew.
    pub(super) fn draft_recovery(&mut self, request: u64, keep: &[String]) -> Result<(), Refusal> {
        let core = &mut self.core;
        let Some(entity) = &self.entity else { return Ok(()) };
        let kept = entity.kept_members(core, keep)?;
        entity.may_recover(core, &kept)?;
        let authority = &entity.state.governance.authority;
        let Some(operators) = authority.operators() else { return Err(super::orders::nothing_to_sign()) };
        let (order, need) = (hex(&entity.warrant(core).encode()), operators.needed);
        let outcome = Outcome::Draft { id: "recovery".to_owned(), order, need };
        entity.reply(core, request, Ok(outcome));
        Ok(())
    }

    /// Whether this invitation is of the entity that succeeds the one this machine is in.
    pub(super) fn may_follow(&self, text: &str) -> Result<bool, Refusal> {
        let Some(entity) = &self.entity else { return Ok(false) };
        let Some((before, epoch)) = Invitation::decode(text).ok().and_then(|invitation| invitation.succeeds)
        else {
            return Ok(false);
        };
        if before != entity.state.entity {
            return Ok(false);
        }
        if epoch < entity.state.epoch {
            let text = format!(
                "this member holds epoch {} and the new entity was begun from epoch {epoch}: what was settled since would be lost",
                entity.state.epoch
            );
            return Err(Refusal::new(Code::Unsafe, text)
                .try_("recover from this member instead", "althing roster recover --help")
                .try_("give it up, and join anew", "althing leave --purge"));
        }
        Ok(true)
    }
}

impl Entity {
    /// Members by name, in the order of the roster; the one that recovers is always among them.
    fn kept_members(&self, core: &Core, keep: &[String]) -> Result<Vec<(MemberId, String)>, Refusal> {
        if let Some(unknown) = keep.iter().find(|name| self.state.member_named(name).is_none()) {
            return Err(Refusal::new(Code::NoSuchMember, format!("there is no member {unknown}"))
                .try_("see who there is", "althing roster show"));
        }
        let kept = self.state.members.iter();
        let kept = kept.filter(|member| member.id == core.me() || keep.contains(&member.name));
        Ok(kept.map(|member| (member.id, member.name.clone())).collect())
    }

    fn warrant(&self, core: &Core) -> Warrant {
        let (entity, epoch) = (self.state.entity, self.state.epoch);
        Warrant { entity, epoch, head: self.head, by: core.me() }
    }

    /// The signatures of operators, where they govern: whoever is still in the old entity looks for them (finding 6).
    fn warranted(&self, core: &Core, approvals: &str) -> Result<Vec<Approval>, Refusal> {
        let approvals = super::orders::read_approvals(approvals)?;
        let authority = &self.state.governance.authority;
        let tally = self.warrant(core).tally(authority, &approvals, core.scheme());
        if tally.is_enough() {
            return Ok(if authority.operators().is_some() { approvals } else { Vec::new() });
        }
        Err(self.explain(core, &Invalid::Orders { have: tally.have, need: tally.need }))
    }

    fn may_recover(&self, core: &Core, kept: &[(MemberId, String)]) -> Result<(), Refusal> {
        if self.me(core).is_none() {
            return Err(super::operation::not_in_roster());
        }
        if let Some(refusal) = self.why_stopped() {
            return Err(refusal);
        }
        let (able, quorum) = (self.able_voters(core), self.state.quorum());
        let kept =
            kept.iter().filter(|(id, _)| self.state.is_voter(id) && self.why_burnt(core, id).is_none());
        let kept = kept.count();
        if able >= quorum || kept >= quorum {
            let (so, many) = if able >= quorum { ("can be reached", able) } else { ("would be kept", kept) };
            let rule = self.state.governance.quorum;
            let text = format!("{many} voters {so} and {quorum} are a {rule}: nothing has to be recovered");
            return Err(Refusal::new(Code::Unsafe, text)
                .try_("see who is heard", "althing roster show")
                .try_("take out who is gone for good", "althing member remove NAME"));
        }
        if core.burnt {
            let text = "this member's store is being replaced: ask again in a moment";
            return Err(Refusal::new(Code::Mute, text).try_("see how it is", "althing status"));
        }
        if let Some(epoch) = self.highest_heard(core).filter(|epoch| *epoch > self.state.epoch) {
            let text = format!(
                "a member that is heard has epoch {epoch} and this one {}: it catches up by itself; ask again then",
                self.state.epoch
            );
            return Err(Refusal::new(Code::Undecided, text).try_("see where it stands", "althing status"));
        }
        Ok(())
    }

    fn successor(
        &self,
        core: &Core,
        origin: Origin,
        address: crate::statement::Address,
        nonce: Id16,
    ) -> Genesis {
        let me = core.me();
        let founder = Newcomer { member: me, store: core.life.store, name: self.state.name_of(&me), address };
        let until = origin.epoch;
        let gone = self.state.members.iter().filter(|member| member.id != me);
        let gone = gone.map(|member| PastMember { id: member.id, name: member.name.clone(), until });
        let past = self.state.past.iter().cloned().chain(gone).collect();
        let mut applications = self.state.applications.clone();
        applications.values_mut().for_each(|application| application.window = None);
        let inherited = Inheritance { origin, past, applications };
        let Now { wall, .. } = core.now;
        let mut genesis = Genesis {
            format: u8::try_from(self.state.protocol).unwrap_or(Genesis::NEWEST),
            name: self.state.name.clone(),
            founder,
            at: wall,
            nonce,
            inherited: Some(Box::new(inherited)),
            governance: Box::new(self.state.governance.clone()),
        };
        if codec::encode(&genesis).len() > limits::GENESIS_BYTES
            && let Some(inherited) = &mut genesis.inherited
        {
            inherited.applications.values_mut().for_each(only_in_force);
        }
        genesis
    }

    /// Whether what answers a join is the entity that succeeds this one, by the word of one of its members.
    pub(super) fn is_succeeded_by(&self, core: &Core, welcome: &Welcome) -> bool {
        let of_this = welcome.genesis.inherited.as_ref().map(|inherited| inherited.origin.entity);
        of_this == Some(self.state.entity)
            && welcome.succession.as_ref().is_some_and(|succession| {
                succession.entity == self.state.entity
                    && succession.successor == welcome.genesis.id()
                    && self.state.member(&succession.by).is_some()
                    && succession.holds(core.scheme())
                    && succession.is_warranted(&self.state.governance.authority, core.scheme())
            })
    }
}

fn only_in_force(application: &mut Application) {
    let surplus = application.revisions.len().saturating_sub(1);
    application.revisions.drain(..surplus);
}

/// The head that an entity begins with.
pub(super) fn first_head(genesis: &Genesis) -> Head {
    let state = State::genesis(genesis);
    let record = genesis.id();
    let trail = Trail::begin(&state, record);
    Head { state, record, trail }
}
