//! Whether this member's store counts (findings 3, 18; PROTOCOL.md M3–M6). A store that others know more of than it
//! does itself, that another machine has too, or that was lost, is never voted from again: the member takes a new
//! one, durably, and asks to be re-admitted with it. That it is, is an administrator's act on any member.

use std::collections::BTreeMap;

use super::saved::{self, Life};
use super::spreading::Silence;
use super::{Core, Durable, Entity, Member, RESERVE, Sabotage};
use crate::ballot::Ballot;
use crate::control::{Code, Refusal};
use crate::event::{Event, Severity};
use crate::hash::hex;
use crate::identity::MemberId;
use crate::limits;
use crate::record::{Change, Link, Readmission, Record};
use crate::state::State;
use crate::statement::{Checked, Id16, Position};
use crate::time::{Instant, Millis};
use crate::wire::Message;

/// A member whose store does not count says so this often.
const REPEAT: Millis = Millis(3_000);
/// A request that was not repeated for so long is not heeded any more.
const FORGOTTEN: Millis = Millis(12_000);

/// Who asks to be re-admitted, as this member heard it.
#[derive(Default)]
pub(super) struct Standing {
    asked: BTreeMap<MemberId, Vec<Asked>>,
    /// When this member asks again.
    due: Instant,
    /// When those in whose names others asked are shown it again.
    show: Instant,
}

struct Asked {
    request: Readmission,
    heard: Instant,
}

impl Member {
    /// Voters that can be reached and may do what this member cannot while its own store does not count.
    pub fn deputies(&self) -> Vec<MemberId> {
        let Some(entity) = self.entity.as_ref().filter(|entity| entity.is_outcast(&self.core)) else {
            return Vec::new();
        };
        let others = entity.state.voters().map(|voter| voter.id).filter(|id| *id != self.core.me());
        others.filter(|id| entity.is_heard(&self.core, id)).collect()
    }
}

impl Entity {
    /// In the roster, but from another store than the one that is here.
    pub(super) fn is_outcast(&self, core: &Core) -> bool {
        core.burnt || self.me(core).is_some_and(|me| me.store != core.life.store)
    }

    /// Members that ask to be re-admitted.
    pub(super) fn asks(&self, member: &MemberId) -> bool {
        self.standing.asked.get(member).is_some_and(|asked| !asked.is_empty())
    }

    /// Two machines use this member's key.
    pub(super) fn is_doubled(&self, member: &MemberId) -> bool {
        self.standing.asked.get(member).is_some_and(|asked| asked.len() > 1)
    }

    // --- the new store -----------------------------------------------------------------------------------------

    /// This member's store must not be used any more: takes a new one, and forgets what was promised from the old.
    pub(super) fn burn(&mut self, core: &mut Core, why: &str) {
        if self.is_outcast(core) || core.breaks(Sabotage::NeverBurnt) {
            return;
        }
        core.burnt = true;
        let life = new_life(core);
        let mut writes = vec![saved::put_life(&life)];
        writes.extend(saved::drop_promise());
        writes.extend(std::mem::take(&mut self.records).iter().map(saved::drop_record));
        core.persist(writes, Durable::Replaced(life));
        self.ballot = Ballot::new(core.me(), &self.state, self.head, None);
        self.ballot.sabotage(core.config.sabotage);
        self.tell_burnt(core, why);
    }

    pub(super) fn tell_burnt(&self, core: &mut Core, why: &str) {
        let name = self.state.name_of(&core.me());
        let text = format!(
            "{why}: {name} does not vote until it is re-admitted with a new store (althing member readmit {name})"
        );
        core.event(Event::new(Severity::Critical, "store.burnt", text));
    }

    /// The new store is durable: from now on this member speaks from it.
    pub(super) fn replaced(&mut self, core: &mut Core, life: Life) {
        core.life = life;
        core.earlier = Life { store: life.store, ..Life::default() };
        core.sequence = 0;
        self.valid.clear();
        core.burnt = false;
        self.silence = Silence::default();
        self.standing.due = core.now.mono;
    }

    /// A new life, if one of these records gives this member's place to another store: the one here is a copy of
    /// what was replaced; or if one holds what this store signed and does not know of. It becomes durable with the
    /// records, or a start would find a store that looks good.
    pub(super) fn displaced(&mut self, core: &mut Core, links: &[(Link, State)]) -> Option<Life> {
        let (me, mine) = (core.me(), core.life.store);
        let store = |state: &State| state.member(&me).map(|member| member.store);
        let had = store(&self.state) == Some(mine);
        let has = |state: &State| store(state).is_none_or(|store| store == mine);
        if !had || core.burnt || core.breaks(Sabotage::NeverBurnt) {
            return None;
        }
        let why = if !links.iter().all(|(_, state)| has(state)) {
            "this member was re-admitted from another store, and its disk is older than that"
        } else if links.iter().any(|(link, _)| self.holds_unknown(core, link)) {
            "a settled record holds what this member has signed and its own disk does not know: the disk was restored or copied"
        } else {
            return None;
        };
        self.tell_burnt(core, why);
        Some(new_life(core))
    }

    /// Whether a settled record, or its certificate, holds a statement with this member's key and store at a place that
    /// this store never used. Peers that were started since remember no statement, but the chain is on their disks.
    fn holds_unknown(&self, core: &Core, link: &Link) -> bool {
        let changes = Record::decode(&link.record).map(|record| record.changes).unwrap_or_default();
        let own = link.certificate.votes.iter().chain(&changes).filter(|signed| signed.author == core.me());
        own.filter_map(|signed| Checked::check(signed.clone(), &self.state.entity, core.scheme()).ok())
            .any(|said| said.store() == core.life.store && is_beyond(core, said.position()))
    }

    // --- finding out -------------------------------------------------------------------------------------------

    /// A peer's answer to what it holds of this member shows more than its disk does.
    pub(super) fn burn_by(&mut self, core: &mut Core, from: MemberId, said: &Checked) {
        let name = self.state.name_of(&from);
        let why = format!(
            "{name} shows what this member has signed and its own disk does not know (life {}, statement {}): the disk was restored or copied",
            said.position().incarnation,
            said.position().sequence
        );
        self.burn(core, &why);
    }

    /// Something signed with this member's key and store, that this member never said.
    pub(super) fn find_twin(&mut self, core: &mut Core, checked: &Checked) {
        let said = Position { incarnation: core.life.incarnation, sequence: core.sequence };
        let mine = checked.author() == core.me() && checked.store() == core.life.store;
        if mine && (checked.position() > said || self.is_vote_unknown_to_me(checked)) {
            self.burn(
                core,
                "others hold what this member never said: another machine has its key and its store",
            );
        }
    }

    // --- asking ------------------------------------------------------------------------------------------------

    pub(super) fn attend_standing(&mut self, core: &mut Core) {
        let now = core.now.mono;
        let fits = |asked: &Asked| {
            let member = self.state.member(&asked.request.member);
            let replaces = member.is_some_and(|member| member.store == asked.request.replaced);
            replaces && now - asked.heard < FORGOTTEN
        };
        let mut asked = std::mem::take(&mut self.standing.asked);
        asked.values_mut().for_each(|list| list.retain(fits));
        asked.retain(|_, list| !list.is_empty());
        self.standing.asked = asked;
        if now >= self.standing.show {
            self.standing.show = now + REPEAT;
            // Again and again: of two machines with one key now the one and now the other is connected, and which of
            // them it is nobody is told.
            let names: Vec<_> = self.standing.asked.keys().copied().collect();
            names.into_iter().for_each(|name| self.show_requests(core, name));
        }
        if core.burnt || now < self.standing.due || !self.is_outcast(core) {
            return;
        }
        self.standing.due = now + REPEAT;
        let Some(request) = self.own_readmission(core) else { return };
        for peer in self.overlay.peers().clone() {
            self.send(core, peer, &Message::Readmission(request));
        }
    }

    fn own_readmission(&self, core: &Core) -> Option<Readmission> {
        let me = self.me(core)?;
        let address = core.config.address.or_else(|| me.addresses.first().copied())?;
        Some(Readmission::sign(self.state.entity, me.store, core.life.store, address, &core.identity))
    }

    /// A peer is here: it is asked, and shown what is asked in its name.
    pub(super) fn meet_standing(&mut self, core: &mut Core, peer: MemberId) {
        if self.is_outcast(core) {
            self.standing.due = core.now.mono;
        }
        self.show_requests(core, peer);
    }

    /// What is asked in a peer's name is shown to it: if it was another machine with its key, it finds that out.
    fn show_requests(&self, core: &mut Core, peer: MemberId) {
        if !self.overlay.peers().contains(&peer) {
            return;
        }
        for asked in self.standing.asked.get(&peer).into_iter().flatten() {
            self.send(core, peer, &Message::Readmission(asked.request));
        }
    }

    /// Somebody asks; what its own machine sends is passed on once, so that others need no connection to it, and
    /// what others pass on is shown to whoever is connected under its key.
    pub(super) fn on_readmission(&mut self, core: &mut Core, from: MemberId, request: Readmission) {
        let member = self.state.member(&request.member);
        let serves = member
            .is_some_and(|member| member.store == request.replaced && request.store != request.replaced);
        if !serves || request.entity != self.state.entity || !request.holds(core.scheme()) {
            tracing::debug!(?from, member = ?request.member, "a request to be re-admitted was refused");
            return;
        }
        if request.member == core.me() {
            self.find_rival(core, &request);
            return;
        }
        if from == request.member {
            let others = self.overlay.beat_to().into_iter().filter(|peer| *peer != from);
            others.for_each(|peer| self.send(core, peer, &Message::Readmission(request)));
        } else if self.overlay.peers().contains(&request.member) {
            self.send(core, request.member, &Message::Readmission(request));
        }
        self.note_readmission(core, request);
    }

    fn note_readmission(&mut self, core: &mut Core, request: Readmission) {
        let now = core.now.mono;
        let list = self.standing.asked.entry(request.member).or_default();
        let known = list.iter().position(|asked| asked.request.store == request.store);
        match known {
            Some(at) => list[at] = Asked { request, heard: now },
            None if list.len() < limits::READMISSIONS => list.push(Asked { request, heard: now }),
            None => return,
        }
        let (id, name) = (request.member, self.state.name_of(&request.member));
        self.tell(core, &format!("asks/{}/{}", hex(&id.0), request.store), true, || {
            let text = format!(
                "{name} asks to be re-admitted: its store was lost, restored or copied (althing member readmit {name})"
            );
            Event::new(Severity::Warning, "member.burnt", text).of(id)
        });
        let doubled = self.is_doubled(&id);
        self.tell(core, &doubled_key(&id), doubled, || {
            let text =
                format!("two machines use the key of {name}: both are mute until one of them is stopped");
            Event::new(Severity::Critical, "member.doubled", text).of(id)
        });
    }

    /// Another machine asks with this member's key.
    fn find_rival(&mut self, core: &mut Core, request: &Readmission) {
        if request.store == core.life.store {
            return;
        }
        let at = request.address.control;
        self.burn(core, &format!("another machine, at {at}, uses this member's key"));
        let id = core.me();
        self.tell(core, &format!("rival/{}", request.store), true, || {
            let text = format!("another machine, at {at}, uses this member's key: stop one of the two");
            Event::new(Severity::Critical, "member.doubled", text).of(id)
        });
    }

    // --- the administrator's act -------------------------------------------------------------------------------

    /// The change that re-admits a member, if it asks for that.
    pub(super) fn readmission_of(&self, core: &Core, name: &str) -> Result<Change, Refusal> {
        let unknown = || {
            Refusal::new(Code::NoSuchMember, format!("there is no member {name}"))
                .try_("see who there is", "althing member list")
        };
        let member = self.state.member_named(name).ok_or_else(unknown)?;
        if member.id == core.me() && self.is_outcast(core) {
            let text = format!("{name} cannot settle this itself, and none of the others can be reached");
            return Err(Refusal::new(Code::Mute, text).try_("see who is heard", "althing member list"));
        }
        match self.standing.asked.get(&member.id).map(Vec::as_slice) {
            None | Some([]) => {
                let text = format!("{name} has not asked this member to be re-admitted in the last 12 s");
                Err(Refusal::new(Code::NoRequest, text)
                    .fact("so", "its store counts, or it is not heard here")
                    .try_("see how it is", &format!("althing member show {name}")))
            }
            Some([asked]) => Ok(Change::Readmit(asked.request)),
            Some(several) => {
                let at: Vec<String> =
                    several.iter().map(|asked| asked.request.address.control.to_string()).collect();
                let text = format!("two machines use the key of {name}: stop one of them, and ask again");
                Err(Refusal::new(Code::Doubled, text)
                    .fact("machines", at.join(" "))
                    .try_("see what was noticed", "althing events --severity critical"))
            }
        }
    }
}

/// Whether this store never used a place: it is of a later life, or further in this one or the one before than it ever
/// was.
pub(super) fn is_beyond(core: &Core, theirs: Position) -> bool {
    let (life, earlier) = (&core.life, &core.earlier);
    let of_this_life = theirs.incarnation == life.incarnation && theirs.sequence > core.sequence;
    let beyond_the_reserve =
        theirs.incarnation == earlier.incarnation && theirs.sequence >= earlier.reserved.max(1);
    theirs.incarnation > life.incarnation || of_this_life || beyond_the_reserve
}

/// What is told of a member that says two things in one place, or that two machines ask in the name of.
pub(super) fn doubled_key(id: &MemberId) -> String {
    format!("doubled/{}", hex(&id.0))
}

/// A new store, which nothing was said from.
pub(super) fn new_life(core: &mut Core) -> Life {
    Life { store: Id16(core.rng.bytes()), incarnation: 1, reserved: RESERVE }
}
