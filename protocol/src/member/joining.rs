//! How a member comes into an entity: founding one, being let in, letting others in, becoming a voter.

use super::saved::{self, Beginning, Head};
use super::{Core, Durable, Entity, Member};
use crate::codec;
use crate::control::{Code, Outcome, Refusal};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::identity::Identity;
use crate::invitation::{Answer, Invitation, InvitationError, Sponsor, Welcome};
use crate::limits;
use crate::record::{Change, FORMAT, Genesis, JoinRequest, Newcomer};
use crate::state::{Role, State};
use crate::statement::{Address, Holds, Id16, Slot, Statement};
use crate::validity::check_label;

/// A newcomer that has asked to be let in.
pub(super) struct Joining {
    request: u64,
    entity: crate::hash::Hash,
    name: String,
}

/// What entering an entity is answered with.
pub(super) struct Entering {
    request: u64,
    name: String,
    founded: bool,
}

impl Member {
    pub(super) fn init(
        &mut self,
        request: u64,
        name: &str,
        member: &str,
        address: Address,
    ) -> Result<(), Refusal> {
        [name, member].into_iter().try_for_each(label)?;
        let core = &mut self.core;
        let founder =
            Newcomer { member: core.me(), store: core.life.store, name: member.to_owned(), address };
        let nonce = Id16(core.rng.bytes());
        let genesis = Genesis { format: FORMAT, name: name.to_owned(), founder, at: core.now.wall, nonce };
        self.enter(&genesis, None, Entering { request, name: member.to_owned(), founded: true });
        Ok(())
    }

    fn enter(&mut self, genesis: &Genesis, sponsor: Option<Sponsor>, entering: Entering) {
        let state = State::genesis(genesis);
        let head = Head { record: genesis.id(), state, previous: None };
        let beginning = Beginning { genesis: genesis.clone(), sponsor };
        let writes = vec![saved::put_beginning(&beginning), saved::put_head(&head)];
        self.core.persist(writes, Durable::Entered(Box::new(head), Box::new(beginning), entering));
    }

    pub(super) fn entered(&mut self, head: Head, beginning: Beginning, entering: Entering) {
        let saved = saved::Saved { beginning: Some(beginning), ..saved::Saved::default() };
        let mut entity = Entity::restore(&self.core, head, saved);
        entity.announce(&mut self.core);
        let text = format!("entity {}", entity.state.name);
        let kind = if entering.founded { "entity.founded" } else { "entity.joined" };
        self.core.event(Event::new(Severity::Info, kind, text));
        entity.entering = Some(entering);
        self.entity = Some(Box::new(entity));
    }

    pub(super) fn join(
        &mut self,
        request: u64,
        text: &str,
        member: &str,
        address: Address,
    ) -> Result<(), Refusal> {
        label(member)?;
        let invitation = Invitation::decode(text).map_err(|error| {
            let hint =
                if error == InvitationError::Prefix { "ask any member for one" } else { "copy it again" };
            Refusal::new(Code::InvitationBad, error.to_string()).try_(hint, "althing invite")
        })?;
        if self.core.now.wall >= invitation.expires {
            let text = "the invitation's time is over, by this machine's clock";
            return Err(Refusal::new(Code::InvitationExpired, text)
                .try_("ask any member for another", "althing invite"));
        }
        let core = &mut self.core;
        let newcomer =
            Newcomer { member: core.me(), store: core.life.store, name: member.to_owned(), address };
        let mut key: Identity = invitation.identity();
        if core.scheme() == crate::identity::Scheme::SimulatedHash {
            key = key.simulated();
        }
        let bytes = codec::encode(&JoinRequest::sign(invitation.entity, newcomer, &key, &core.identity));
        self.joining = Some(Joining { request, entity: invitation.entity, name: member.to_owned() });
        // The bulk port of a member is learned from the roster.
        let addresses =
            invitation.addresses.iter().map(|control| Address { control: *control, bulk: *control });
        self.core.out.push(Output::Join { addresses: addresses.collect(), bytes });
        Ok(())
    }

    pub(super) fn join_answered(&mut self, answer: Result<Vec<u8>, String>) {
        let Some(joining) = self.joining.take() else { return };
        let refuse = |core: &mut Core, refusal| {
            core.out.push(Output::Reply { request: joining.request, reply: Err(refusal) })
        };
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(why) => return refuse(&mut self.core, Refusal::new(Code::NoAnswer, why)),
        };
        match codec::decode::<Answer>(&bytes, limits::MESSAGE_BYTES) {
            Ok(Answer::Welcome(welcome)) if welcome.genesis.id() == joining.entity => {
                let entering = Entering { request: joining.request, name: joining.name, founded: false };
                self.enter(&welcome.genesis, Some(welcome.sponsor), entering);
            }
            Ok(Answer::Welcome(_)) => {
                let text = "what answers at the invitation's address is another entity";
                refuse(&mut self.core, Refusal::new(Code::InvitationBad, text));
            }
            Ok(Answer::Refused(refusal)) => refuse(&mut self.core, refusal),
            Err(error) => refuse(&mut self.core, Refusal::new(Code::NoAnswer, error.to_string())),
        }
    }
}

fn label(name: &str) -> Result<(), Refusal> {
    check_label(name).map_err(|_| {
        let text = format!(
            "{name:?} is not a name: letters, digits, `-`, `_` and `.`, at most {} of them",
            limits::LABEL_BYTES
        );
        Refusal::new(Code::Input, text)
    })
}

impl Entity {
    /// A stranger asks: check what can be checked now, and have it settled.
    pub(super) fn join_asked(&mut self, core: &mut Core, ticket: u64, bytes: &[u8]) {
        let request = match codec::decode::<JoinRequest>(bytes, limits::JOIN_BYTES) {
            Ok(request) => request,
            Err(fault) => {
                tracing::debug!(%fault, "a join request was not understood");
                return;
            }
        };
        match self.admit(core, &request) {
            Ok(id) => {
                self.waiting.insert(ticket, (id, request.newcomer.member));
            }
            Err(refusal) => answer(core, ticket, &Answer::Refused(refusal)),
        }
    }

    fn admit(&mut self, core: &mut Core, request: &JoinRequest) -> Result<Id16, Refusal> {
        let used = || {
            let text = "this invitation was used as often as it may, was revoked, or is not of this entity";
            Refusal::new(Code::InvitationUsed, text).try_("ask any member for another", "althing invite")
        };
        let invitation = self.state.invitations.get(&request.invitation).ok_or_else(used)?;
        if core.now.wall >= invitation.expires {
            let text = "the invitation's time is over, by the clock of the member that was asked";
            return Err(Refusal::new(Code::InvitationExpired, text)
                .try_("ask any member for another", "althing invite"));
        }
        if self.state.member(&request.newcomer.member).is_some() {
            // It asked before and missed the answer.
            return Ok(Id16::default());
        }
        self.originate(core, super::operation::SYSTEM, Change::Admit(request.clone()))
    }

    /// Whoever asked for `init` or `join` has the answer when this member is what it will be: a voter, or a spare.
    fn attend_entering(&mut self, core: &mut Core) {
        if !self.me(core).is_some_and(|me| me.role != Role::Learner) {
            return;
        }
        let Some(entering) = self.entering.take() else { return };
        let outcome = Outcome::Member {
            entity: self.state.name.clone(),
            id: self.state.entity,
            member: entering.name,
            voters: self.state.voters().count() as u64,
            majority: self.state.quorum() as u64,
        };
        core.out.push(Output::Reply { request: entering.request, reply: Ok(outcome) });
    }

    /// Answers strangers whose admission was settled or has failed.
    pub(super) fn attend_joining(&mut self, core: &mut Core) {
        self.attend_entering(core);
        let waiting: Vec<_> = self.waiting.iter().map(|(ticket, who)| (*ticket, *who)).collect();
        for (ticket, (intent, newcomer)) in waiting {
            if self.state.member(&newcomer).is_some() {
                self.waiting.remove(&ticket);
                if let Some(welcome) = self.welcome(core) {
                    answer(core, ticket, &Answer::Welcome(Box::new(welcome)));
                }
                continue;
            }
            let refusal = match self.fate(core, &intent) {
                super::voting::Fate::Pending => continue,
                super::voting::Fate::Dead(invalid) => self.explain(core, &invalid),
                super::voting::Fate::Settled | super::voting::Fate::Gone => {
                    Refusal::new(Code::Undecided, "the entity did not settle this join in time")
                }
            };
            self.waiting.remove(&ticket);
            self.withdraw(core, intent);
            answer(core, ticket, &Answer::Refused(refusal));
        }
        self.attend_promotion(core);
        self.attend_address(core);
    }

    /// The roster says where others dial this member: if it listens elsewhere now, that is settled anew.
    fn attend_address(&mut self, core: &mut Core) {
        let Some(here) = core.config.address else { return };
        let elsewhere = self.me(core).is_some_and(|me| me.role != Role::Learner && me.addresses != [here]);
        if elsewhere && self.check_majority(core).is_ok() {
            self.originate_own(core, Change::Move { addresses: vec![here] });
        }
    }

    fn welcome(&self, core: &Core) -> Option<Welcome> {
        let address = *self.me(core)?.addresses.first()?;
        let sponsor = Sponsor { member: core.me(), address };
        Some(Welcome { genesis: self.beginning.as_ref()?.genesis.clone(), sponsor })
    }

    /// A learner that has caught up says so, and asks to become a voter (finding 13).
    fn attend_promotion(&mut self, core: &mut Core) {
        let learner = self.me(core).is_some_and(|me| me.role == Role::Learner && me.store == core.life.store);
        if !learner || self.check_majority(core).is_err() {
            return;
        }
        let said = self.board.get(&core.me(), &Slot::Holds).cloned();
        let fresh = said.as_ref().is_some_and(|checked| {
            matches!(checked.statement(), Statement::Holds(holds) if holds.epoch + 8 > self.state.epoch)
        });
        if !fresh {
            let (epoch, head) = (self.state.epoch, self.head);
            self.publish(core, Statement::Holds(Holds { epoch, head }));
            return;
        }
        if let Some(holds) = said {
            let change = Change::Promote { member: core.me(), holds: holds.signed().clone() };
            self.originate_own(core, change);
        }
    }
}

fn answer(core: &mut Core, ticket: u64, answer: &Answer) {
    core.out.push(Output::JoinAnswer { ticket, bytes: codec::encode(answer) });
}
