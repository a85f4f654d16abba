//! A store that was put back, copied or lost votes again only after an administrator had its member re-admitted with a
//! new one, in its old place (findings 3, 18). Evidence that does not hold changes nothing (finding 8).

use std::collections::BTreeMap;

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::effect::{Family, Input};
use althing_protocol::record::Link;
use althing_protocol::time::Millis;
use althing_protocol::wire::Message;

use super::{answer, assert_holds, assert_rest, at_rest, deploy, revision};
use crate::world::{SECOND, World};

type Snapshot = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

fn readmit(name: &str) -> Command {
    Command::Readmit { member: name.into() }
}

fn may_vote(world: &World, at: usize) -> bool {
    world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote())
}

/// A world of five in which the disk of the last was put back to before some records.
fn put_back() -> (World, Snapshot) {
    let mut world = at_rest(5);
    let snapshot = world.snapshot(4);
    world.crash(4, "to be restored later");
    world.start(4);
    world.run(10 * SECOND);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("settled");
    world.crash(4, "and its snapshot is put back");
    world.put_back(4, snapshot.clone());
    world.start(4);
    world.run(20 * SECOND);
    assert_holds(&world);
    assert!(!may_vote(&world, 4), "others know more of it than it does itself");
    (world, snapshot)
}

#[test]
fn a_store_that_was_put_back_is_replaced_and_votes_again() {
    let (mut world, _) = put_back();
    let places = |world: &World| {
        let state = world.reference.state().expect("an entity");
        state.members.iter().map(|member| member.name.clone()).collect::<Vec<_>>()
    };
    let before = places(&world);
    answer(&mut world, 2, readmit("m5")).expect("four of five are a majority");
    assert_rest(&mut world, 60);
    assert!(may_vote(&world, 4), "it is a voter again");
    assert_eq!(places(&world), before, "in its old place");

    // It counts: with two others away, its vote is needed.
    world.crash(0, "for good");
    world.crash(1, "for good");
    world.run(5 * SECOND);
    let number = revision(&world);
    let command = deploy(&mut world, 4);
    answer(&mut world, 4, command).expect("three of five, the re-admitted one among them");
    assert_eq!(revision(&world), number + 1);

    // The same once more: the request of the first time serves nobody.
    assert_eq!(answer(&mut world, 2, readmit("m5")).expect_err("its store counts").code, Code::NoRequest);
    assert_eq!(answer(&mut world, 2, readmit("m9")).expect_err("nobody").code, Code::NoSuchMember);
}

#[test]
fn a_copy_from_before_a_readmission_does_not_vote() {
    let (mut world, snapshot) = put_back();
    answer(&mut world, 2, readmit("m5")).expect("four of five are a majority");
    assert_rest(&mut world, 60);
    world.crash(4, "and what it was before its re-admission is put back");
    world.put_back(4, snapshot);
    world.start(4);
    world.run(20 * SECOND);
    assert_holds(&world);
    assert!(!may_vote(&world, 4));
    answer(&mut world, 0, readmit("m5")).expect("once more");
    assert_rest(&mut world, 60);
    assert!(may_vote(&world, 4));
}

#[test]
fn a_lost_store_follows_and_is_readmitted_under_its_key() {
    let mut world = at_rest(5);
    world.crash(4, "and its disk is new");
    world.put_back(4, BTreeMap::new());
    world.start(4);
    let invite = Command::Invite { uses: 1, lasts: Millis::seconds(3600), note: String::new(), spare: false };
    let Ok(Outcome::Invitation { invitation, .. }) = answer(&mut world, 0, invite) else {
        panic!("no invitation")
    };
    let address = world.hosts[4].address;
    let join = Command::Join { invitation, member: "other".into(), address };
    let refusal = answer(&mut world, 4, join).expect_err("its key is in the roster with another store");
    assert_eq!(refusal.code, Code::Mute);
    world.run(10 * SECOND);
    assert!(!may_vote(&world, 4));
    answer(&mut world, 1, readmit("m5")).expect("four of five are a majority");
    assert_rest(&mut world, 60);
    assert!(may_vote(&world, 4));
}

#[test]
fn of_two_neither_can_readmit_the_other_but_one_can_begin_anew() {
    let mut world = at_rest(2);
    let snapshot = world.snapshot(1);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("settled");
    world.crash(1, "and an earlier state of its disk is put back");
    world.put_back(1, snapshot);
    world.start(1);
    world.run(20 * SECOND);
    assert_holds(&world);
    let refusal = answer(&mut world, 0, readmit("m2")).expect_err("it takes both");
    assert_eq!(refusal.code, Code::NoMajority);
    let recover = Command::Recover { keep: vec!["m2".into()], approvals: String::new() };
    let Ok(Outcome::Recovered { invitation: Some(invitation), .. }) = answer(&mut world, 0, recover) else {
        panic!("the other one cannot vote")
    };
    let address = world.hosts[1].address;
    let join = Command::Join { invitation, member: "m2".into(), address };
    answer(&mut world, 1, join).expect("it comes over, with the store it has now");
    assert_rest(&mut world, 30);
    assert!(may_vote(&world, 0) && may_vote(&world, 1));
}

#[test]
fn forged_evidence_changes_nothing_and_names_its_sender() {
    let mut world = at_rest(5);
    let links: Vec<Link> = world.hosts[1].disk.chain(0).collect();
    let [first, .., last] = &links[..] else { panic!("a chain") };
    // The record of one epoch under the votes of another: no quorum settled that.
    let mut forged = last.clone();
    forged.certificate.value = first.certificate.value;
    forged.record = last.record.clone();
    world.invariants.keys_stolen = true;
    let bytes = Message::Chain(vec![forged]).encode();
    let from = world.hosts[1].id;
    world.give(0, Input::Received { from, bytes });
    world.run(5 * SECOND);
    assert_holds(&world);
    assert!(may_vote(&world, 0));
    assert_eq!(world.sometimes.get("something forged was refused"), Some(&1));
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("nothing stops it");
}
