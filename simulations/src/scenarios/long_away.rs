//! A member that was away while all the others were replaced: the keys of those who left are in other hands, and they were a
//! majority of the roster that it knows (finding 36).

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::effect::Input;
use althing_protocol::identity::Identity;
use althing_protocol::record::{Certificate, Change, FORMAT, Link, Record};
use althing_protocol::statement::{Checked, Envelope, Id16, Intent, Position, Signed, Statement, Step, Vote};
use althing_protocol::time::{Millis, WallTime};
use althing_protocol::wire::Message;

use super::{answer, assert_rest, at_rest, deploy};
use crate::world::{SECOND, World};

const DAY: u64 = 24 * 3600 * 1000;

/// What three of the five that the last one knows sign for the epoch after `epoch`, in place of what was settled.
fn forged(world: &World, epoch: u64) -> Link {
    let parent = &world.reference.chain[&epoch];
    let sign = |at: usize, statement: Statement| -> Signed {
        let host = &world.hosts[at];
        let store = parent.state.member(&host.id).expect("a member").store;
        let position = Position { incarnation: 1_000, sequence: epoch };
        let envelope = Envelope { entity: parent.state.entity, store, position, statement };
        Checked::sign(&host.identity, envelope).signed().clone()
    };
    let key = Identity::from_seed([9; 32]).id();
    let change = Change::Invite { key, uses: 1, expires: WallTime(1), note: "eve".into(), spare: false };
    let at = WallTime(1);
    let intent =
        Intent { id: Id16([9; 16]), seen: epoch, at, by: "eve".into(), change, mandate: Default::default() };
    let changes = vec![sign(1, Statement::Intent(Box::new(intent)))];
    let next = parent.state.with_changes(&changes, world.hosts[0].identity.scheme()).expect("valid");
    let (entity, epoch, parent) = (next.entity, next.epoch, parent.record);
    let record = Record { format: FORMAT, entity, epoch, parent, changes, state: next.hash() }.encode();
    let value = Record::hash_of(&record);
    let vote = Vote { epoch, round: 7, parent, step: Step::Precommit, value: Some(value), relied: None };
    let votes = [1, 2, 3].map(|at| sign(at, Statement::Vote(vote.clone()))).to_vec();
    Link { record: record.into(), certificate: Certificate { epoch, round: 7, value, votes } }
}

/// m5 is away for 45 days; meanwhile m2, m3 and m4 leave. It is started where only they are.
fn comes_back(period: Option<u64>) -> (World, Link) {
    let mut world = at_rest(5);
    world.invariants.keys_stolen = true;
    world.hosts[4].trusting_period = period.map(|days| Millis(days * DAY));
    let epoch = world.hosts[4].member.as_ref().and_then(|member| member.state()).expect("a member").epoch;
    world.crash(4, "and is away for long");
    world.run(5 * SECOND);
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("settled without it");
    let link = forged(&world, epoch);
    // Time passes at once; whoever runs is not stopped by it.
    world.hosts.iter_mut().for_each(|host| host.skew += 45 * DAY as i64);
    world.run(5 * SECOND);
    let others: Vec<usize> = vec![0, 1, 2, 3];
    world.cut(&[4], &others, false);
    world.start(4);
    world.run(SECOND);
    let from = world.hosts[1].id;
    world.give(4, Input::Connected(from));
    world.give(4, Input::Received { from, bytes: Message::Chain(vec![link.clone()]).encode() });
    world.run(SECOND);
    (world, link)
}

fn head(world: &World, at: usize) -> Option<althing_protocol::hash::Hash> {
    world.hosts[at].member.as_ref().and_then(|member| member.head())
}

#[test]
fn without_a_trusting_period_the_keys_of_those_who_left_show_it_another_chain() {
    let (world, _) = comes_back(None);
    let clauses: Vec<_> = world.violations.iter().map(|violation| violation.clause).collect();
    assert_eq!(
        clauses,
        ["§5.5.1"],
        "m5 makes a second record of its next epoch durable: what the setting is for"
    );
}

#[test]
fn with_a_trusting_period_it_believes_whom_an_administrator_vouches_for() {
    let (mut world, link) = comes_back(Some(30));
    assert_ne!(head(&world, 4), Some(link.certificate.value));
    world.mend();
    world.run(30 * SECOND);
    assert_ne!(head(&world, 4), head(&world, 0), "nor what is right, as it cannot tell");
    let command = deploy(&mut world, 4);
    assert_eq!(answer(&mut world, 4, command).expect_err("kept back").code, Code::Mute);

    let lasts = Millis::seconds(600);
    let invite = Command::Invite { uses: 1, lasts, note: String::new(), spare: false };
    let Ok(Outcome::Invitation { invitation, .. }) = answer(&mut world, 0, invite) else { panic!("invited") };
    let address = world.hosts[4].address;
    let join = Command::Join { invitation, member: "m5".into(), address };
    assert!(matches!(answer(&mut world, 4, join), Ok(Outcome::Member { .. })));
    let command = deploy(&mut world, 4);
    answer(&mut world, 4, command).expect("it is a member as before");
    assert_rest(&mut world, 30);
}
