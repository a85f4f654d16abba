//! What others bring is looked at in the order of what it costs: form, use, then signature. Whoever brings what no
//! honest member brings is named, and left alone when it goes on ([`crate::conduct`]).

use super::versions::{is_spoken, raises_beyond};
use super::{Core, Entity};
use crate::codec::DecodeError;
use crate::conduct::{Offence, Verdict};
use crate::effect::Output;
use crate::event::{Event, Severity};
use crate::gossip::Taken;
use crate::identity::MemberId;
use crate::statement::{Signed, StatementFault, Unverified};
use crate::wire::Message;

/// What becomes of the rest of a message.
enum Rest {
    /// It is looked at.
    GoesOn,
    /// It is not worth it: who brings one thing that is wrong has checked nothing.
    IsDropped,
}

impl Entity {
    /// Statements of a peer, of its own or passed on.
    pub(super) fn on_push(&mut self, core: &mut Core, from: MemberId, statements: Vec<Signed>) {
        let (mut duplicates, count) = (0, statements.len());
        for signed in statements {
            if matches!(self.hear(core, from, signed, &mut duplicates), Rest::IsDropped) {
                break;
            }
        }
        if duplicates * 4 > count && !self.overlay.is_full_mesh() {
            self.overlay.prune(&from);
            self.send(core, from, &Message::Prune);
        }
    }

    fn hear(&mut self, core: &mut Core, from: MemberId, signed: Signed, duplicates: &mut usize) -> Rest {
        let known = core.config.commons.and_then(|commons| (commons.known)(&signed));
        let known = known.filter(|known| known.envelope().entity == self.state.entity);
        let read = known.as_ref().map_or_else(
            || Unverified::read_by(signed, &self.state.entity, core.config.read),
            |it| Ok(it.as_read()),
        );
        let statement = match read {
            Ok(statement) => statement,
            Err(fault) => return self.refuse(core, from, &fault),
        };
        if raises_beyond(&statement.envelope().statement, core.config.speaks) {
            // All have said that they speak it, this member too, before its program was put back to an older one: no
            // offence of whoever brings it.
            return Rest::GoesOn;
        }
        if !is_spoken(&statement.envelope().statement, core.config.speaks) {
            let fault = DecodeError::Malformed("of a version that this program does not speak".into());
            return self.refuse(core, from, &fault.into());
        }
        // What is said in our own name is always looked at: another machine may have our key (finding 3).
        let ours = statement.author() == core.me();
        let of_use = |entity: &Self| entity.is_wanted(core, statement.author(), statement.envelope());
        if !ours && (self.board.has(&statement) || !of_use(self)) {
            *duplicates += 1;
            return Rest::GoesOn;
        }
        if !self.conduct.may_verify(from, self.state.members.len(), core.now.mono) {
            self.offended(core, from, Offence::Flood, 1);
            return Rest::IsDropped;
        }
        match known.map_or_else(|| statement.verify(core.scheme()), Ok) {
            Ok(checked) => {
                if let Some(commons) = core.config.commons {
                    (commons.learn)(&checked);
                }
                if self.absorb(core, &checked, Some(&from)) == Taken::Known {
                    *duplicates += 1;
                }
                Rest::GoesOn
            }
            Err(fault) => self.refuse(core, from, &fault),
        }
    }

    fn refuse(&mut self, core: &mut Core, from: MemberId, fault: &StatementFault) -> Rest {
        self.hold_against(core, from, fault);
        Rest::IsDropped
    }

    /// A statement is not what it should be: whoever brought it answers for it.
    pub(super) fn hold_against(&mut self, core: &mut Core, from: MemberId, fault: &StatementFault) {
        tracing::debug!(?from, %fault, "a statement was refused");
        if matches!(fault, StatementFault::Foreign(entity) if self.is_kin(entity)) {
            return;
        }
        let offence = match fault {
            StatementFault::Decode(_) => Offence::Malformed,
            StatementFault::Signature(_) => Offence::Signature,
            StatementFault::Foreign(_) => Offence::Foreign,
            StatementFault::Form(_) => Offence::Form,
        };
        self.offended(core, from, offence, 1);
    }

    /// Counts what a member did wrong, tells it, and leaves it alone when it goes on.
    pub(super) fn offended(&mut self, core: &mut Core, who: MemberId, offence: Offence, times: u64) {
        if self.state.member(&who).is_none() {
            // Past members, and whoever was never one: the host knows its strangers.
            return;
        }
        if offence == Offence::Malformed && self.is_outdated() {
            // What members of a newer version say is no offence: this program is too old for it (finding 19).
            return;
        }
        let now = core.now.mono;
        let verdict = self.conduct.offended(who, offence, times, now);
        if verdict == Verdict::Noted {
            return;
        }
        let (name, what) = (self.state.name_of(&who), self.conduct.of(&who, now).unwrap_or_default());
        let mut text = format!("{name} misbehaves: {what}");
        if let Verdict::Shun(lasts) = verdict {
            text.push_str(&format!("; it is left alone for {} s", lasts.0 / 1000));
            core.out.push(Output::Shun { peer: who, lasts });
        }
        core.event(Event::new(Severity::Warning, "peer.misbehaves", text).of(who));
    }

    /// Whether a question of this peer is answered; who asks for more than its share is not.
    pub(super) fn may_ask(&mut self, core: &mut Core, from: MemberId) -> bool {
        let may = self.conduct.may_ask(from, core.now.mono);
        if !may {
            self.offended(core, from, Offence::Flood, 1);
        }
        may
    }

    /// Forgets who is gone.
    pub(super) fn attend_conduct(&mut self) {
        let state = &self.state;
        self.conduct.retain(|who| state.member(who).is_some());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::saved::{Beginning, Head, Life, Saved};
    use super::super::{Config, Member};
    use super::*;
    use crate::effect::Input;
    use crate::hash::Hash;
    use crate::identity::Identity;
    use crate::metrics::Report;
    use crate::record::{Change, Genesis, Newcomer};
    use crate::state::{PROTOCOL, Role, Service, State};
    use crate::statement::{Address, Envelope, Holds, Id16, Position};
    use crate::statement::{Checked, Intent, Statement};
    use crate::time::Instant;
    use crate::time::{Now, WallTime};
    use crate::trail::Trail;
    use crate::wire::Highest;

    const STORE: Id16 = Id16([8; 16]);

    fn key(of: u8) -> Identity {
        Identity::from_seed([of; 32]).simulated()
    }

    /// Member 1 of three, and what it wants done.
    struct Fed {
        member: Member,
        now: Now,
        out: Vec<Output>,
        entity: Hash,
    }

    impl Fed {
        fn new() -> Self {
            let control = std::net::SocketAddr::from(([10, 0, 0, 1], 7800));
            let address = Address { control, bulk: control };
            let founder = Newcomer { member: key(1).id(), store: STORE, name: "web1".into(), address };
            let genesis = Genesis {
                format: Genesis::NEWEST,
                name: "demo".into(),
                founder,
                at: WallTime(0),
                nonce: Id16([9; 16]),
                inherited: None,
                governance: Default::default(),
            };
            let mut state = State::genesis(&genesis);
            for of in [2, 3] {
                state.members.push(crate::state::Member {
                    id: key(of).id(),
                    store: STORE,
                    name: format!("web{of}"),
                    role: Role::Voter,
                    addresses: vec![address],
                    since: 0,
                    service: Service::In,
                    labels: BTreeMap::new(),
                });
            }
            let now = Now { mono: Instant(1), wall: WallTime(1_800_000_000_000) };
            let entity = genesis.id();
            let life = Life { store: STORE, incarnation: 4, reserved: 1 << 16 };
            let saved = Saved {
                life: Some(life),
                head: Some(Head { trail: Trail::begin(&state, entity), state, record: entity }),
                beginning: Some(Beginning::of(genesis)),
                ..Saved::default()
            };
            let member = Member::restore(key(1), Config::default(), [3; 32], saved, now);
            let mut fed = Self { member, now, out: Vec::new(), entity };
            fed.give(Input::Tick);
            fed
        }

        /// It is in its fifth life, and has heard from web2 that nothing is known of it.
        fn speaking() -> Self {
            let mut fed = Self::new();
            fed.hear(2, &Message::Highest(Highest { incarnation: 5, said: Vec::new() }));
            assert!(fed.member.may_vote());
            fed
        }

        fn give(&mut self, input: Input) {
            let mut inputs = vec![input];
            while let Some(input) = inputs.pop() {
                let mut out = Vec::new();
                self.member.step(self.now, input, &mut out);
                for output in out {
                    if let Output::Persist { batch, .. } = &output {
                        inputs.push(Input::Persisted(*batch));
                    }
                    self.out.push(output);
                }
            }
        }

        fn hear(&mut self, from: u8, message: &Message) {
            self.give(Input::Received { from: key(from).id(), bytes: message.encode() });
        }

        fn push(&mut self, from: u8, statements: Vec<Signed>) {
            self.hear(from, &Message::Push(statements));
        }

        fn sign(&self, of: u8, incarnation: u64, sequence: u64, statement: Statement) -> Signed {
            let position = Position { incarnation, sequence };
            let envelope = Envelope { entity: self.entity, store: STORE, position, statement };
            Checked::sign(&key(of), envelope).signed().clone()
        }

        fn report(&self, of: u8, incarnation: u64, sequence: u64) -> Signed {
            self.sign(of, incarnation, sequence, Statement::Report(Box::default()))
        }

        fn told(&self, kind: &str) -> Vec<&Event> {
            let events = self.out.iter().filter_map(|output| match output {
                Output::Event(event) => Some(event),
                _ => None,
            });
            events.filter(|event| event.kind == kind).collect()
        }

        fn shuns(&self) -> usize {
            self.out.iter().filter(|output| matches!(output, Output::Shun { .. })).count()
        }
    }

    #[test]
    fn whoever_brings_a_bad_signature_is_named_and_then_left_alone_and_the_author_is_not() {
        let mut fed = Fed::speaking();
        let good = fed.report(3, 1, 1);
        for byte in 0..6 {
            let mut forged = good.clone();
            forged.signature.0[byte] ^= 1;
            fed.push(2, vec![forged, good.clone()]);
        }
        let told = fed.told("peer.misbehaves");
        assert!(told.iter().all(|event| event.subject == Some(key(2).id())), "{told:?}");
        assert_eq!((told.len(), fed.shuns()), (2, 1));
        fed.push(2, vec![good.clone()]);
        assert_eq!(
            fed.member.why(Some("web3")).map(|why| why.because),
            Some("nothing".into()),
            "not heard from web2"
        );
        fed.push(3, vec![good]);
        assert!(fed.told("peer.misbehaves").len() == 2, "the author brought nothing bad");
    }

    #[test]
    fn whoever_says_that_it_listens_elsewhere_is_looked_for_there_as_well() {
        let mut fed = Fed::speaking();
        let control = std::net::SocketAddr::from(([10, 0, 0, 9], 7800));
        let (before, elsewhere) = (
            fed.member.state().expect("an entity").members[2].addresses[0],
            Address { control, bulk: control },
        );
        let report = Report { addresses: vec![before, elsewhere], ..Report::default() };
        let dialed = |fed: &mut Fed| {
            fed.out.clear();
            fed.now.mono = Instant(fed.now.mono.0 + 3000);
            fed.give(Input::Tick);
            let peers = fed.out.iter().rev().find_map(|output| match output {
                Output::Peers(peers) => Some(peers.clone()),
                _ => None,
            });
            peers
                .map(|peers| peers.into_iter().find(|peer| peer.id == key(3).id()).expect("a peer").addresses)
        };
        let moved = fed.sign(3, 1, 1, Statement::Report(Box::new(report.clone())));
        fed.push(2, vec![moved]);
        assert_eq!(dialed(&mut fed), Some(vec![before, elsewhere]));
        let again = fed.sign(3, 1, 2, Statement::Report(Box::new(report)));
        fed.push(2, vec![again]);
        assert_eq!(dialed(&mut fed), None, "that is known");
    }

    #[test]
    fn the_rest_of_a_bad_message_is_not_looked_at() {
        let mut fed = Fed::speaking();
        let mut forged = fed.report(3, 1, 1);
        forged.signature.0[0] ^= 1;
        fed.push(2, vec![forged; 4000]);
        let why = fed.member.why(Some("web2")).expect("a member");
        assert!(why.causes[0].text.contains("1 statements without their signature"), "{why:?}");
    }

    #[test]
    fn whoever_brings_the_wish_for_a_newer_version_is_not_named_by_a_program_that_was_put_back() {
        let mut fed = Fed::speaking();
        let change = Change::Raise { protocol: PROTOCOL + 1 };
        let (id, at, by) = (Id16([5; 16]), WallTime(1), "ada".to_owned());
        let intent = Intent { id, seen: 0, at, by, change, mandate: Default::default() };
        let raise = fed.sign(3, 1, 1, Statement::Intent(Box::new(intent)));
        fed.push(2, vec![raise]);
        assert!(fed.told("peer.misbehaves").is_empty());
        // It has looked at the rest of the message.
        let (good, mut forged) = (fed.report(3, 1, 2), fed.report(3, 1, 3));
        forged.signature.0[0] ^= 1;
        fed.push(2, vec![good, forged]);
        assert_eq!(fed.told("peer.misbehaves").len(), 1);
    }

    #[test]
    fn a_mere_word_does_not_burn_the_store_of_a_member_that_starts() {
        let mut fed = Fed::new();
        let mut forged = fed.report(1, 900, 1);
        forged.signature.0[0] ^= 1;
        fed.hear(2, &Message::Highest(Highest { incarnation: 5, said: vec![forged] }));
        assert!(fed.told("store.burnt").is_empty());
        let others = fed.report(2, 900, 1);
        fed.hear(2, &Message::Highest(Highest { incarnation: 5, said: vec![others] }));
        assert!(fed.told("store.burnt").is_empty() && !fed.member.may_vote());
        // What it signed in a life that its disk knows is fine, and what it signed later is not.
        let earlier = fed.report(1, 4, 7);
        fed.hear(3, &Message::Highest(Highest { incarnation: 5, said: vec![earlier] }));
        assert!(fed.member.may_vote());
        let mut fed = Fed::new();
        let later = fed.report(1, 6, 1);
        fed.hear(3, &Message::Highest(Highest { incarnation: 5, said: vec![later] }));
        assert_eq!(fed.told("store.burnt").len(), 1);
    }

    #[test]
    fn numbers_at_the_end_of_time_are_only_numbers() {
        let mut fed = Fed::speaking();
        let holds = Statement::Holds(Holds { epoch: u64::MAX, head: fed.entity });
        let signed = fed.sign(2, u64::MAX, u64::MAX, holds);
        fed.push(2, vec![signed]);
        fed.give(Input::Tick);
        assert_eq!(fed.shuns(), 0);
    }

    #[test]
    fn questions_are_answered_until_they_cost_too_much() {
        let mut fed = Fed::speaking();
        let before = fed.out.len();
        for _ in 0..10_000 {
            fed.hear(2, &Message::Summary(Vec::new()));
        }
        let answers = fed.out[before..].iter().filter(|output| match output {
            Output::Send { bytes, .. } => matches!(Message::decode(bytes), Ok(Message::Have(_))),
            _ => false,
        });
        assert_eq!(answers.count(), 2048, "32 MiB of 16 KiB each");
    }

    #[test]
    fn reports_with_letters_that_move_a_cursor_are_refused() {
        let mut fed = Fed::speaking();
        let report = Report { version: "\u{1b}[2J".into(), ..Report::default() };
        let signed = fed.sign(2, 1, 1, Statement::Report(Box::new(report)));
        fed.push(2, vec![signed]);
        assert_eq!(fed.told("peer.misbehaves").len(), 1);
    }
}
