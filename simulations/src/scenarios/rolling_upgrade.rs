//! An entity of an older protocol version is upgraded, one member after the other (finding 19, design §9): nothing stops
//! meanwhile, the newer version is settled when all speak it, and older programs are refused from then on.

use althing_protocol::control::{Code, Command};
use althing_protocol::record::Policy;
use althing_protocol::state::PROTOCOL;

use super::large_files::{large, parts_that_came};
use super::{WEB, answer, assert_holds, assert_rest, deploy, revision};
use crate::liveness;
use crate::options::Options;
use crate::run::{create, found};
use crate::world::{SECOND, World};

const OLDER: u32 = PROTOCOL - 1;

/// Members whose programs speak the older version, at rest.
fn older(members: usize) -> World {
    let mut world = World::new(Options { seed: 7, members, faults: false, ..Options::default() });
    world.by_hand = true;
    (0..members).for_each(|at| run(&mut world, at, OLDER));
    found(&mut world);
    create(&mut world, WEB, Policy::Majority);
    assert_holds(&world);
    assert_eq!(in_force(&world), OLDER);
    world
}

/// From now on a host runs a program that speaks so much.
fn run(world: &mut World, at: usize, speaks: u32) {
    world.crash(at, "to run another program");
    world.hosts[at].speaks = speaks;
    world.start(at);
}

fn in_force(world: &World) -> u32 {
    world.reference.state().expect("there is an entity").protocol
}

fn raise() -> Command {
    Command::Raise { protocol: PROTOCOL }
}

/// Everybody says in a report what it speaks.
fn reported(world: &mut World) {
    world.run(15 * SECOND);
    assert_rest(world, 60);
}

#[test]
fn nine_are_upgraded_one_by_one_and_then_use_the_newer_version() {
    let mut world = older(9);
    for at in 0..9 {
        run(&mut world, at, PROTOCOL);
        let other = (at + 4) % 9;
        let before = revision(&world);
        let command = deploy(&mut world, other);
        answer(&mut world, other, command).expect("eight of nine settle while one is upgraded");
        assert_eq!(revision(&world), before + 1);
        assert_rest(&mut world, 60);
        if at < 8 {
            let refused = answer(&mut world, at, raise()).expect_err("not all speak it");
            assert_eq!(refused.code, Code::NotSpoken, "{refused}");
        }
        assert!(world.hosts[at].disk.format <= OLDER, "the older program may still be put back");
    }
    reported(&mut world);
    answer(&mut world, 3, raise()).expect("all speak it");
    assert_eq!(in_force(&world), PROTOCOL);
    assert_rest(&mut world, 60);
    assert!(world.hosts.iter().all(|host| host.disk.format == PROTOCOL));
    // It is used, and the same again changes nothing.
    let command = deploy(&mut world, 5);
    answer(&mut world, 5, command).expect("settled");
    answer(&mut world, 3, raise()).expect("it is in force");
    // The older program does not even open the store, and the newer one goes on from it.
    run(&mut world, 6, OLDER);
    assert!(!world.hosts[6].is_up(), "a program that is too old for its store");
    run(&mut world, 6, PROTOCOL);
    assert_rest(&mut world, 60);
}

#[test]
fn programs_may_be_put_back_until_the_newer_version_is_used() {
    let mut world = older(5);
    (0..5).for_each(|at| run(&mut world, at, PROTOCOL));
    reported(&mut world);
    run(&mut world, 2, OLDER);
    reported(&mut world);
    assert!(world.hosts[2].is_up());
    let refused = answer(&mut world, 0, raise()).expect_err("one speaks the older version again");
    assert_eq!(refused.code, Code::NotSpoken);
    let named = refused.facts.iter().any(|(name, text)| name == "not_yet" && text == "m3 (1)");
    assert!(named, "{refused:?}");
    let command = deploy(&mut world, 2);
    answer(&mut world, 2, command).expect("both versions settle together");
    assert_rest(&mut world, 60);
    assert_eq!(in_force(&world), OLDER);
}

#[test]
fn a_member_that_was_put_back_while_it_was_away_stops_serves_and_goes_on_when_it_is_upgraded() {
    let mut world = older(5);
    (0..5).for_each(|at| run(&mut world, at, PROTOCOL));
    reported(&mut world);
    // Its word that it speaks the newer version is all that the others have of it.
    world.crash(4, "and is put back to the older program");
    answer(&mut world, 0, raise()).expect("all have said that they speak it");
    world.hosts[4].speaks = OLDER;
    world.start(4);
    world.run(30 * SECOND);
    assert_holds(&world);
    let behind = world.hosts[4].member.as_ref().expect("it runs");
    assert!(!behind.may_vote());
    let status = behind.status().expect("it answers");
    assert!(status.attention.iter().any(|it| it.condition == "outdated"), "{:?}", status.attention);
    assert_eq!(behind.state().expect("a state").protocol, OLDER, "it does not guess");
    let refused = answer(&mut world, 4, raise()).expect_err("it changes nothing");
    assert_eq!(refused.code, Code::Protocol);
    // The others go on without it, and it follows when its program can.
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("four of five settle");
    assert!(!liveness::stuck(&world).is_empty());
    run(&mut world, 4, PROTOCOL);
    assert_rest(&mut world, 60);
}

#[test]
fn a_large_file_comes_as_a_whole_until_everybody_knows_parts() {
    let mut world = older(3);
    let (command, content) = large(&mut world);
    answer(&mut world, 0, command).expect("settled");
    assert_rest(&mut world, 120);
    assert!((0..3).all(|at| world.hosts[at].content.has(&content)));
    assert_eq!(parts_that_came(&world), 0, "nobody of version 1 was asked for what it does not know");
    (0..3).for_each(|at| run(&mut world, at, PROTOCOL));
    reported(&mut world);
    answer(&mut world, 0, raise()).expect("everybody speaks it");
    let (command, _) = large(&mut world);
    answer(&mut world, 0, command).expect("settled");
    assert_rest(&mut world, 120);
    assert!(parts_that_came(&world) >= 200, "both others had all of it in parts");
}
