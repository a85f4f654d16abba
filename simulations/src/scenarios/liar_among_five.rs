//! One of five has a good key and says what it likes: the others name it, and only it, and settle as before.

use althing_protocol::effect::Input;
use althing_protocol::hash::Hash;
use althing_protocol::record::{Change, Record};
use althing_protocol::statement::{
    Checked, Envelope, Holds, Id16, Intent, Position, Proposal, Signed, Statement, Step, Vote,
};
use althing_protocol::wire::{Beat, Have, Highest, Message};

use super::{answer, assert_holds, at_rest, deploy, revision};
use crate::host::Standing;
use crate::world::{SECOND, World};

const LIAR: usize = 4;

/// The liar's key in the hands of somebody who speaks the protocol.
struct Liar {
    sequence: u64,
}

impl Liar {
    fn sign(&mut self, world: &World, statement: Statement) -> Signed {
        self.sequence += 1;
        let position = Position { incarnation: 100, sequence: self.sequence };
        let state = world.reference.state().expect("there is an entity");
        let store = state.member(&world.hosts[LIAR].id).expect("it is a member").store;
        let envelope = Envelope { entity: state.entity, store, position, statement };
        Checked::sign(&world.hosts[LIAR].identity, envelope).signed().clone()
    }

    /// To everybody else.
    fn tell(&self, world: &mut World, bytes: &[u8]) {
        for at in (0..world.hosts.len()).filter(|at| *at != LIAR) {
            let from = world.hosts[LIAR].id;
            world.give(at, Input::Received { from, bytes: bytes.to_vec() });
        }
    }

    fn push(&mut self, world: &mut World, statements: Vec<Statement>) {
        let signed = statements.into_iter().map(|statement| self.sign(world, statement)).collect();
        self.tell(world, &Message::Push(signed).encode());
    }

    /// What it says in one go, much of it wrong.
    fn lie(&mut self, world: &mut World, kind: u64) {
        let head = world.reference.head().expect("there is an entity").record;
        let epoch = world.reference.state().expect("there is an entity").epoch;
        let vote =
            |round, step, value| Vote { epoch: epoch + 1, round, parent: head, step, value, relied: None };
        match kind {
            0 => self.tell(world, &[0x81; 5000]),
            1 => {
                let mut signed = self.sign(world, Statement::Vote(vote(0, Step::Prevote, None)));
                signed.author = world.hosts[0].id;
                self.tell(world, &Message::Push(vec![signed; 100]).encode());
            }
            2 => {
                let (id, change) = (Id16([1; 16]), Change::Remove { member: world.hosts[0].id });
                let at = world.hosts[0].now(world.now).wall;
                let intent =
                    Intent { id, seen: epoch, at, by: "liar".into(), change, mandate: Default::default() };
                let changes = vec![self.sign(world, Statement::Intent(Box::new(intent)))];
                let entity = world.reference.state().expect("there is an entity").entity;
                let state = Hash::of(b"mine");
                let record = Record { format: 1, entity, epoch: epoch + 1, parent: head, changes, state };
                let record = record.encode().into();
                let proposal = Proposal { epoch: epoch + 1, round: 0, parent: head, record, pol: Vec::new() };
                self.push(world, vec![Statement::Proposal(proposal)]);
            }
            3 => {
                let votes = (0..200).map(|round| Statement::Vote(vote(round, Step::Precommit, None)));
                self.push(world, votes.collect());
            }
            4 => {
                let said = vec![self.sign(world, Statement::Holds(Holds { epoch: u64::MAX, head }))];
                for incarnation in 0..5 {
                    self.tell(world, &Message::Highest(Highest { incarnation, said: said.clone() }).encode());
                }
            }
            5 => {
                let beat = Beat { epoch: u64::MAX, head: 1, knowledge: 1, round: u32::MAX };
                self.tell(world, &Message::Beat(beat).encode());
                let positions = vec![Position { incarnation: u64::MAX, sequence: u64::MAX }; 4000];
                let have = Have { author: world.hosts[0].id, positions };
                self.tell(world, &Message::Have(vec![have]).encode());
            }
            _ => {
                let at = world.hosts[0].now(world.now).wall;
                let nothing = || Change::Abort { application: "nowhere".into() };
                let intent = |number: u128| {
                    let (id, by) = (Id16(number.to_be_bytes()), "liar".to_owned());
                    Statement::Intent(Box::new(Intent {
                        id,
                        seen: epoch,
                        at,
                        by,
                        change: nothing(),
                        mandate: Default::default(),
                    }))
                };
                self.push(world, (0..500).map(intent).collect());
            }
        }
    }
}

#[test]
fn the_others_name_it_and_settle_as_before() {
    let mut world = at_rest(5);
    let number = revision(&world);
    world.crash(LIAR, "and its key is in other hands");
    world.hosts[LIAR].liar = true;
    let mut liar = Liar { sequence: 0 };
    for round in 0..21 {
        liar.lie(&mut world, round % 7);
        if round == 10 {
            world.crash(1, "to ask what it has said, a liar among others");
            world.start(1);
            liar.lie(&mut world, 4);
        }
        world.run(SECOND);
        let command = deploy(&mut world, (round % 4) as usize);
        answer(&mut world, (round % 4) as usize, command).expect("four of five are a majority");
        assert_holds(&world);
    }
    assert_eq!(revision(&world), number + 21);
    assert!(world.sometimes["a liar was named"] >= 4, "by each of the others");
    for at in 0..4 {
        let member = world.hosts[at].member.as_ref().expect("it runs");
        assert!(member.may_vote(), "host {at} was talked into silence");
    }
    // Its own program finds out that somebody else has spoken with its key.
    world.hosts[LIAR].spoil(Standing::PutBack);
    world.start(LIAR);
    world.run(30 * SECOND);
    assert_holds(&world);
    let member = world.hosts[LIAR].member.as_ref().expect("it runs");
    assert!(!member.may_vote(), "it votes although its key is in other hands");
}
