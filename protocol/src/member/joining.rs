//! How a member comes into an entity: founding one, asking to be let in, becoming a voter. Letting others in is in
//! `admitting.rs`.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::operation::Goal;
use super::recovering::{INVITED, first_head};
use super::saved::{self, Beginning, Head, Life};
use super::standing::new_life;
use super::{Core, Durable, Entity, Member, Sabotage};
use crate::codec;
use crate::control::{Code, Outcome, Refusal};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::governance::Governance;
use crate::hash::Hash;
use crate::identity::{Identity, Scheme};
use crate::invitation::{Answer, Checkpoint, Invitation, InvitationError, Welcome};
use crate::limits;
use crate::record::{Abilities, Change, Genesis, JoinRequest, Newcomer};
use crate::state::Role;
use crate::statement::{Address, Holds, Id16, Slot, Statement};
use crate::time::{Instant, WallTime};
use crate::validity::check_label;
use crate::wire::Message;

/// A newcomer that asks to be let in: one address of the invitation after the other.
pub(super) struct Joining {
    request: u64,
    entity: Hash,
    checkpoint: Option<Checkpoint>,
    expires: WallTime,
    name: String,
    /// What it asks with.
    bytes: Vec<u8>,
    /// Who is asked next.
    left: VecDeque<Address>,
    /// The question that is open, to whom, since when.
    asked: (u64, Address, Instant),
    /// What came of the ones before.
    problems: Vec<(SocketAddr, String)>,
    /// One that answered, and could let nobody in now.
    unable: Option<Refusal>,
}

/// What entering an entity is answered with.
pub(super) struct Entering {
    pub(super) request: u64,
    pub(super) name: String,
    pub(super) founded: bool,
    pub(super) recovered: Option<Recovered>,
    /// The store that it begins with, if the one that is here was there already.
    pub(super) life: Option<Life>,
}

/// An entity that was begun in the place of another one.
pub(super) struct Recovered {
    /// The entity before.
    pub(super) from: Hash,
    /// Its last epoch.
    pub(super) epoch: u64,
    /// Kept members that are to come over, but for this one.
    pub(super) others: Vec<String>,
    /// Who asked.
    pub(super) by: String,
}

impl Member {
    pub(super) fn init(
        &mut self,
        request: u64,
        name: &str,
        member: &str,
        address: Address,
        governance: Governance,
    ) -> Result<(), Refusal> {
        [name, member].into_iter().try_for_each(label)?;
        if let Some(flaw) = governance.authority.operators().and_then(|operators| operators.flaw()) {
            return Err(Refusal::new(Code::Input, format!("these cannot be the operators: {flaw}")));
        }
        let core = &mut self.core;
        if governance != Governance::default() && core.config.speaks < 2 {
            let text = "this needs protocol 2, and this machine's program speaks 1";
            return Err(
                Refusal::new(Code::Protocol, text).try_("see the version of this program", "althing version")
            );
        }
        let founder =
            Newcomer { member: core.me(), store: core.life.store, name: member.to_owned(), address };
        let nonce = Id16(core.rng.bytes());
        let genesis = Genesis {
            format: u8::try_from(core.config.speaks).unwrap_or(Genesis::NEWEST),
            name: name.to_owned(),
            founder,
            at: core.now.wall,
            nonce,
            inherited: None,
            governance: Box::new(governance),
        };
        let entering =
            Entering { request, name: member.to_owned(), founded: true, recovered: None, life: None };
        self.enter(Beginning::of(genesis), entering);
        Ok(())
    }

    /// Into an entity; what was promised in the one before means nothing there.
    pub(super) fn enter(&mut self, beginning: Beginning, entering: Entering) {
        let head = first_head(&beginning.genesis);
        let mut writes = vec![saved::put_beginning(&beginning), saved::put_head(&head)];
        // Of the entity before, if there was one.
        writes.push(saved::drop_confirmed());
        if let Some(entity) = &mut self.entity {
            writes.extend(saved::drop_promise());
            writes.extend(std::mem::take(&mut entity.records).iter().map(saved::drop_record));
            // Nothing is decided there any more.
            entity.installing = true;
        }
        if let Some(life) = &entering.life {
            self.core.burnt = true;
            writes.push(saved::put_life(life));
        }
        self.core.mark(head.state.protocol);
        self.core.persist(writes, Durable::Entered(Box::new(head), Box::new(beginning), entering));
    }

    pub(super) fn entered(&mut self, head: Head, beginning: Beginning, mut entering: Entering) {
        let mut saved = saved::Saved { beginning: Some(beginning), ..saved::Saved::default() };
        if let Some(before) = self.entity.take() {
            before.end(&mut self.core, &mut saved);
        }
        let mut entity = Entity::restore(&self.core, head, saved);
        if let Some(life) = entering.life.take() {
            let why = "this machine founded the entity, and its disk knows nothing of it: the disk was restored or copied";
            entity.tell_burnt(&mut self.core, why);
            entity.replaced(&mut self.core, life);
        }
        entity.announce(&mut self.core);
        entity.greet_connected(&mut self.core);
        let text = format!("entity {}", entity.state.name);
        let kind = match (&entering.recovered, entering.founded) {
            (Some(_), _) => "entity.recovered",
            (None, true) => "entity.founded",
            (None, false) => "entity.joined",
        };
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
        let invitation = read(text, self.core.config.speaks)?;
        let core = &mut self.core;
        let newcomer =
            Newcomer { member: core.me(), store: core.life.store, name: member.to_owned(), address };
        let mut key: Identity = invitation.identity();
        if matches!(core.scheme(), Scheme::SimulatedHash) {
            key = key.simulated();
        }
        // What an older program could not read is not said to one.
        let speaks = if invitation.protocol >= 2 { core.config.speaks } else { 1 };
        let (abilities, entity) = (Abilities::of(speaks).at(core.now.wall), invitation.entity);
        let asks = JoinRequest::sign_as(abilities, entity, newcomer, &key, &core.identity);
        // The bulk port of a member is learned from the roster.
        let left = invitation.addresses.iter().map(|control| Address { control: *control, bulk: *control });
        let joining = Joining {
            request,
            entity,
            checkpoint: invitation.checkpoint,
            expires: invitation.expires,
            name: member.to_owned(),
            bytes: codec::encode(&asks),
            left: left.collect(),
            asked: (0, address, core.now.mono),
            problems: Vec::new(),
            unable: None,
        };
        if let Some(before) = self.joining.replace(joining) {
            let text = "another join was begun on this machine meanwhile";
            let reply = Err(Refusal::new(Code::Failed, text).try_("see how it is", "althing status"));
            core.out.push(Output::Reply { request: before.request, reply });
        }
        if let Some(entity) = &mut self.entity {
            entity.following = Some(invitation.entity);
        }
        self.ask_next();
        Ok(())
    }

    /// Asks at the next address; if there is none, whoever wants to join is told why it cannot be.
    fn ask_next(&mut self) {
        let core = &mut self.core;
        let Some(joining) = &mut self.joining else { return };
        if let Some(address) = joining.left.pop_front() {
            let join = core.id();
            joining.asked = (join, address, core.now.mono);
            core.out.push(Output::Join { join, address, bytes: joining.bytes.clone() });
            return;
        }
        let Some(joining) = self.joining.take() else { return };
        let refusal = match joining.unable {
            Some(refusal) => refusal,
            None if core.now.wall >= joining.expires => {
                expired(joining.expires, "this machine", core.now.wall)
            }
            None => Refusal::new(Code::NoAnswer, "no address of the invitation answers"),
        };
        let told = joining.problems.iter();
        let refusal = told.fold(refusal, |refusal, (at, why)| refusal.fact(&at.to_string(), why));
        core.out.push(Output::Reply { request: joining.request, reply: Err(refusal) });
    }

    /// What a join waits for that was begun on this machine, as long as nobody has let it in.
    pub fn joining(&self) -> Option<String> {
        let (_, address, since) = self.joining.as_ref()?.asked;
        let seconds = (self.core.now.mono - since).0 / 1000;
        Some(format!("{} was asked to let this machine in, {seconds} s ago", address.control))
    }

    pub(super) fn join_answered(&mut self, join: u64, answer: Result<Vec<u8>, String>) {
        let answer = answer.and_then(|bytes| {
            codec::decode::<Answer>(&bytes, limits::MESSAGE_BYTES).map_err(|error| {
                format!("the port is open, and what answers there is not understood: {error}")
            })
        });
        let Some(joining) = self.joining.as_mut().filter(|joining| joining.asked.0 == join) else { return };
        let at = joining.asked.1.control;
        match answer {
            Err(why) => {
                joining.problems.push((at, why));
                self.ask_next();
            }
            // Another one that the invitation names may be in the majority.
            Ok(Answer::Refused(refusal)) if is_of_the_asked(refusal.code) => {
                joining.problems.push((at, refusal.message.clone()));
                joining.unable.get_or_insert(refusal);
                self.ask_next();
            }
            Ok(answer) => {
                if let Some(joining) = self.joining.take() {
                    self.join_ends(joining, answer);
                }
            }
        }
    }

    fn join_ends(&mut self, joining: Joining, answer: Answer) {
        let refusal = match answer {
            Answer::Welcome(welcome) if u32::from(welcome.genesis.format) > self.core.config.speaks => {
                let text = format!(
                    "the entity began with protocol {}, which this machine's program does not speak",
                    welcome.genesis.format
                );
                Refusal::new(Code::Protocol, text)
            }
            Answer::Welcome(welcome) if self.is_welcome(&joining, &welcome) => {
                let Welcome { genesis, sponsor, succession } = *welcome;
                let (request, name) = (joining.request, joining.name);
                let life = self.forgotten(&genesis);
                let entering = Entering { request, name, founded: false, recovered: None, life };
                let checkpoint = joining.checkpoint;
                let before = self.entity.as_ref().map(|entity| entity.whereabouts(&self.core));
                let (sponsor, before) = (Some(sponsor), before.unwrap_or_default());
                self.enter(Beginning { genesis, sponsor, succession, checkpoint, before }, entering);
                return;
            }
            Answer::Welcome(_) => {
                let text = "what answers at the invitation's address is another entity";
                Refusal::new(Code::InvitationBad, text)
            }
            Answer::Refused(refusal) => refusal,
        };
        self.core.out.push(Output::Reply { request: joining.request, reply: Err(refusal) });
    }

    /// A new life, if the first roster has the store that is here: it was used there, and its disk has forgotten all of
    /// that. Of the founder alone a majority would be made.
    fn forgotten(&mut self, genesis: &Genesis) -> Option<Life> {
        let core = &mut self.core;
        let was_there = genesis.founder.member == core.me() && genesis.founder.store == core.life.store;
        (was_there && !core.breaks(Sabotage::NeverBurnt)).then(|| new_life(core))
    }

    /// What answers is the entity of the invitation, and whoever is in one comes over only to its successor.
    fn is_welcome(&self, joining: &Joining, welcome: &Welcome) -> bool {
        let follows = self.entity.as_ref().is_none_or(|entity| entity.is_succeeded_by(&self.core, welcome));
        welcome.genesis.id() == joining.entity && follows
    }
}

/// Whether a refusal is about the member that was asked: another one may let the newcomer in.
fn is_of_the_asked(code: Code) -> bool {
    matches!(code, Code::NotAdmitted | Code::NoMajority | Code::Mute | Code::NoSpace | Code::Contradiction)
}

/// The invitation's time is over.
pub(super) fn expired(expires: WallTime, whose: &str, clock: WallTime) -> Refusal {
    let text = format!(
        "the invitation's time was over at {}, by the clock of {whose}, which says {}",
        expires.rfc3339(),
        clock.rfc3339()
    );
    Refusal::new(Code::InvitationExpired, text)
        .fact("expired", expires.rfc3339())
        .fact("clock", format!("{}, of {whose}", clock.rfc3339()))
        .try_("ask any member for another", "althing invite")
        .try_("compare the clocks, on a member", "althing doctor")
}

/// Reads an invitation, as a program that speaks so much.
pub(super) fn read(text: &str, speaks: u32) -> Result<Invitation, Refusal> {
    let newer = |protocol: u32| {
        let text = format!(
            "this invitation is of an entity that uses protocol {protocol}, and this machine's program speaks up to {speaks}: install the program that the members run"
        );
        Refusal::new(Code::Protocol, text).try_("see the version of this program", "althing version")
    };
    let invitation = Invitation::decode(text).map_err(|error| match error {
        InvitationError::Newer(protocol) => newer(protocol),
        InvitationError::Prefix => Refusal::new(Code::InvitationBad, error.to_string())
            .try_("ask any member for one", "althing invite"),
        InvitationError::Checksum => {
            Refusal::new(Code::InvitationBad, error.to_string()).try_("copy it again", "althing invite")
        }
    })?;
    if invitation.protocol > speaks { Err(newer(invitation.protocol)) } else { Ok(invitation) }
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
    /// Whoever asked for `init` or `join` has the answer when this member is what it will be: a voter, or a spare.
    fn attend_entering(&mut self, core: &mut Core) {
        if self.is_on_its_way() {
            return;
        }
        if self.is_outcast(core) {
            return self.attend_entering_from_another_store(core);
        }
        if self.has_left(core) {
            return self.attend_entering_and_left(core);
        }
        if !self.me(core).is_some_and(|me| me.role != Role::Learner) {
            return self.attend_entering_what_was_begun_anew(core);
        }
        let Some(entering) = self.entering.take() else { return };
        if let Some(recovered) = entering.recovered {
            return self.invite_kept(core, entering.request, recovered);
        }
        let outcome = Outcome::Member {
            entity: self.state.name.clone(),
            id: self.state.entity,
            member: entering.name,
            voters: self.state.voters().count() as u64,
            majority: self.state.quorum() as u64,
            quorum: self.state.governance.quorum,
        };
        core.out.push(Output::Reply { request: entering.request, reply: Ok(outcome) });
    }

    /// In the roster of this entity once, and not any more.
    fn has_left(&self, core: &Core) -> bool {
        let before = self.state.origin.as_ref().map(|origin| origin.epoch);
        let here = |until: u64| before.is_none_or(|epoch| until > epoch);
        self.state.past.iter().any(|past| past.id == core.me() && here(past.until)) && self.me(core).is_none()
    }

    /// The entity was begun anew elsewhere before this member counted: nobody makes it count here any more.
    fn attend_entering_what_was_begun_anew(&mut self, core: &mut Core) {
        if self.succession().is_none() {
            return;
        }
        let (Some(refusal), Some(entering)) = (self.why_stopped(), self.entering.take()) else { return };
        self.reply(core, entering.request, Err(refusal));
    }

    /// It was removed, or left, before it counted.
    fn attend_entering_and_left(&mut self, core: &mut Core) {
        let Some(entering) = self.entering.take() else { return };
        let text = format!("{} was taken out of the roster before it counted there", entering.name);
        let refusal = Refusal::new(Code::NotInEntity, text)
            .try_("forget the key here, then join anew", "althing leave --purge");
        self.reply(core, entering.request, Err(refusal));
    }

    /// The roster has this machine's key, with a store that is not here any more: it follows the entity, and counts
    /// when it is re-admitted.
    fn attend_entering_from_another_store(&mut self, core: &mut Core) {
        let caught_up = self.highest_heard(core).is_some_and(|epoch| self.state.epoch >= epoch);
        if !caught_up {
            return;
        }
        let Some(entering) = self.entering.take() else { return };
        let name = self.state.name_of(&core.me());
        let text = format!(
            "this machine is {name} of the roster, but its store is not the one that was admitted: it follows the entity, and counts when it is re-admitted"
        );
        let refusal = Refusal::new(Code::Mute, text)
            .try_("re-admit it", &format!("althing member readmit {name}"))
            .try_("see how it is", "althing status");
        self.reply(core, entering.request, Err(refusal));
    }

    /// A new entity in the place of another one invites the members that are to come over.
    fn invite_kept(&mut self, core: &mut Core, request: u64, recovered: Recovered) {
        let Recovered { from, epoch, others, by } = recovered;
        let (entity, id) = (self.state.name.clone(), self.state.entity);
        let outcome = |invitation, expires| Outcome::Recovered {
            entity: entity.clone(),
            id,
            from,
            epoch,
            others: others.clone(),
            invitation,
            expires,
        };
        if others.is_empty() {
            self.reply(core, request, Ok(outcome(None, None)));
            return;
        }
        // Where operators govern, they invite.
        if self.is_governed() {
            self.reply(core, request, Ok(outcome(None, None)));
            return;
        }
        let made = self.invite(core, others.len() as u32, INVITED, "recovery".to_owned(), false);
        match made {
            Ok((Goal::Change { outcome: made }, change)) => {
                if let Outcome::Invitation { invitation, expires, .. } = *made {
                    let outcome = Box::new(outcome(Some(invitation), Some(expires)));
                    self.begin(core, request, by, Goal::Change { outcome }, change);
                }
            }
            Ok(_) => {}
            Err(refusal) => self.reply(core, request, Err(refusal)),
        }
    }

    /// This member goes over to another entity: what it knows of its own disk goes with it, and nobody waits for
    /// an answer of the old one.
    fn end(mut self, core: &mut Core, saved: &mut saved::Saved) {
        for (name, local) in std::mem::take(&mut self.locals) {
            saved.applied.extend(local.applied.map(|applied| (name.clone(), applied)));
            saved.is_suspect |= !local.suspect.is_empty();
            saved.held.insert(name, local.held);
        }
        saved.evidence = std::mem::take(&mut self.evidence);
        for request in self.operations.keys().copied().chain(self.early.iter().map(|early| early.request)) {
            let text = "this member went over to another entity meanwhile";
            self.reply(core, request, Err(Refusal::new(Code::Failed, text)));
        }
    }

    /// Whoever there is a connection to already, and is in the roster now, is a peer from now on; others learn that
    /// this entity succeeds theirs.
    pub(super) fn greet_connected(&mut self, core: &mut Core) {
        for peer in core.connected.clone() {
            if self.state.member(&peer).is_none() {
                self.tell_succession(core, peer);
                // Whoever let this member in may have had a connection to it before, and has no reason to speak first.
                let sponsor = self.beginning.as_ref().and_then(|beginning| beginning.sponsor);
                if sponsor.is_some_and(|sponsor| sponsor.member == peer) {
                    self.send(core, peer, &Message::Beat(self.beat()));
                }
            } else if !self.overlay.peers().contains(&peer) {
                self.connected(core, peer);
            }
        }
    }

    /// Whoever enters an entity, and whoever is let into it.
    pub(super) fn attend_joining(&mut self, core: &mut Core) {
        self.attend_entering(core);
        self.attend_strangers(core);
        self.attend_promotion(core);
        self.attend_address(core);
    }

    /// The roster says where others dial this member: if it listens elsewhere now, that is settled anew.
    fn attend_address(&mut self, core: &mut Core) {
        let Some(here) = core.config.address.filter(|_| !self.is_outcast(core)) else { return };
        let elsewhere = self.me(core).is_some_and(|me| me.role != Role::Learner && me.addresses != [here]);
        if elsewhere && self.has_majority(core) {
            self.originate_own(core, Change::Move { addresses: vec![here] });
        }
    }

    /// A learner that has caught up says so, and asks to become a voter (finding 13).
    fn attend_promotion(&mut self, core: &mut Core) {
        let learner = self.me(core).is_some_and(|me| me.role == Role::Learner && me.store == core.life.store);
        if !learner || self.is_on_its_way() || !self.has_majority(core) {
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
