//! Three of five sign two records of one epoch (their keys are the test's): whoever sees both stops, tells the others,
//! keeps its content, and goes on when an administrator has chosen the branch (finding 8).

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::hash::Hash;
use althing_protocol::identity::Identity;
use althing_protocol::record::{Certificate, Change, FORMAT, Link, Record};
use althing_protocol::statement::{Checked, Envelope, Id16, Intent, Position, Signed, Statement, Step, Vote};
use althing_protocol::time::WallTime;
use althing_protocol::wire::Message;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, edited, revision, settled};
use crate::workload::edit;
use crate::world::{SECOND, World};

/// Another record for an epoch that is settled, precommitted by the last three of the five.
fn other_branch(world: &World, epoch: u64) -> Link {
    let parent = &world.reference.chain[&(epoch - 1)];
    let sign = |at: usize, statement: Statement| -> Signed {
        let host = &world.hosts[at];
        let store = parent.state.member(&host.id).expect("a member").store;
        let position = Position { incarnation: 1_000, sequence: epoch };
        let envelope = Envelope { entity: parent.state.entity, store, position, statement };
        Checked::sign(&host.identity, envelope).signed().clone()
    };
    let key = Identity::from_seed([9; 32]).id();
    let change =
        Change::Invite { key, uses: 1, expires: WallTime(1), note: "elsewhere".into(), spare: false };
    let (seen, at) = (epoch - 1, WallTime(1));
    let intent =
        Intent { id: Id16([9; 16]), seen, at, by: "eve".into(), change, mandate: Default::default() };
    let changes = vec![sign(4, Statement::Intent(Box::new(intent)))];
    let scheme = world.hosts[0].identity.scheme();
    let next = parent.state.with_changes(&changes, scheme).expect("valid");
    let (entity, parent) = (next.entity, parent.record);
    let record = Record { format: FORMAT, entity, epoch, parent, changes, state: next.hash() }.encode();
    let value = Record::hash_of(&record);
    let vote = Vote { epoch, round: 7, parent, step: Step::Precommit, value: Some(value), relied: None };
    let votes = [2, 3, 4].map(|at| sign(at, Statement::Vote(vote.clone()))).to_vec();
    Link { record: record.into(), certificate: Certificate { epoch, round: 7, value, votes } }
}

fn stopped(world: &World, at: usize) -> bool {
    !world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote())
}

fn resolve(keep: Option<Hash>) -> Command {
    Command::Resolve { keep: keep.map(|hash| hash.to_string()) }
}

#[test]
fn everybody_stops_keeps_its_content_and_goes_on_by_word_of_an_administrator() {
    let mut world = at_rest(5);
    world.invariants.keys_stolen = true;
    let (epoch, number, root) =
        (world.reference.head().expect("settled").state.epoch, revision(&world), settled(&world));
    // The fork lies two epochs back.
    let fork = other_branch(&world, epoch - 1);
    let (theirs, mine) = (fork.certificate.value, world.reference.chain[&(epoch - 1)].record);
    let from = world.hosts[4].id;
    let bytes = Message::Chain(vec![fork]).encode();
    world.give(0, althing_protocol::effect::Input::Received { from, bytes });
    let all = world.run_until(10 * SECOND, |world| (0..5).all(|at| stopped(world, at)));
    assert!(all, "whoever is on the same branch is told, and checks it");
    assert_holds(&world);

    let command = deploy(&mut world, 1);
    assert_eq!(answer(&mut world, 1, command).expect_err("stopped").code, Code::Contradiction);
    let other = edited(&mut world);
    edit(&mut world, &[2], WEB, Some(other));
    world.run(10 * SECOND);
    assert_eq!(world.hosts[2].live(WEB).root(), Some(root), "what was settled is still repaired");

    assert_eq!(answer(&mut world, 0, resolve(None)).expect_err("which?").code, Code::KeepNeeded);
    assert_eq!(answer(&mut world, 0, resolve(Some(theirs))).expect_err("no").code, Code::OtherBranch);
    for at in 0..5 {
        assert_eq!(answer(&mut world, at, resolve(Some(mine))), Ok(Outcome::Done));
    }
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("all five have chosen this branch");
    assert_eq!(revision(&world), number + 1);
    assert_rest(&mut world, 30);
}
