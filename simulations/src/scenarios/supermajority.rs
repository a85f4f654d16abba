//! More than two thirds: one third that is away stops nothing, one more stops everything, and the rule can be changed
//! while the entity lives.

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::governance::QuorumRule;
use althing_protocol::record::Policy;

use super::{WEB, answer, assert_holds, assert_rest, deploy, revision};
use crate::options::Options;
use crate::run::{create, found, simulate};
use crate::world::{SECOND, World};

/// Seven members: five settle, two may lie.
fn seven() -> World {
    some(7)
}

fn some(members: usize) -> World {
    let quorum = Some(QuorumRule::Supermajority);
    let mut world = World::new(Options { seed: 7, members, faults: false, quorum, ..Options::default() });
    world.by_hand = true;
    found(&mut world);
    create(&mut world, WEB, Policy::Majority);
    assert_holds(&world);
    world
}

#[test]
fn with_a_third_away_it_goes_on_and_with_one_more_it_stops() {
    let mut world = seven();
    world.crash(5, "for a while");
    world.crash(6, "for a while");
    world.run(5 * SECOND);
    let before = revision(&world);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("five of seven");
    assert_eq!(revision(&world), before + 1);

    world.crash(4, "which is one too many");
    world.run(5 * SECOND);
    let command = deploy(&mut world, 1);
    let refusal = answer(&mut world, 1, command).expect_err("four of seven are a majority, and not enough");
    assert_eq!(refusal.code, Code::NoMajority);
    assert!(refusal.message.contains("5 must agree (more than two thirds)"), "{}", refusal.message);
    let status = world.hosts[0].member.as_ref().and_then(|member| member.status()).expect("a member");
    assert!(!status.view.majority_reachable);
    for at in [4, 5, 6] {
        world.start(at);
    }
    assert_rest(&mut world, 30);
    let command = deploy(&mut world, 5);
    answer(&mut world, 5, command).expect("all seven");
    assert_rest(&mut world, 30);
}

#[test]
fn the_rule_changes_by_a_record_and_not_to_one_that_nobody_could_follow() {
    let mut world = seven();
    let majority = Command::SetQuorum { rule: QuorumRule::Majority };
    let done = answer(&mut world, 2, majority).expect("all are there");
    assert_eq!(done, Outcome::Quorum { rule: QuorumRule::Majority, voters: 7, needed: 4 });
    for at in [4, 5, 6] {
        world.crash(at, "for a while");
    }
    world.run(5 * SECOND);
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("four of seven");
    let back = Command::SetQuorum { rule: QuorumRule::Supermajority };
    assert_eq!(answer(&mut world, 0, back.clone()).expect_err("four are left").code, Code::Unsafe);
    for at in [4, 5, 6] {
        world.start(at);
    }
    assert_rest(&mut world, 30);
    answer(&mut world, 6, back).expect("all are there");
    // Whoever was away judges each epoch by the rule that was in force before it.
    world.crash(3, "and is away over another change");
    let majority = Command::SetQuorum { rule: QuorumRule::Majority };
    answer(&mut world, 0, majority).expect("six of seven");
    world.start(3);
    assert_rest(&mut world, 30);
}

#[test]
fn faults_do_no_more_harm_than_to_a_majority() {
    for seed in [3, 5, 8, 13] {
        let quorum = Some(QuorumRule::Supermajority);
        let options =
            Options { seed, members: 4 + seed as usize % 4, hours: 2.0 / 60.0, quorum, ..Options::default() };
        let outcome = simulate(&options);
        assert_eq!(outcome.violations, [], "seed {seed}");
        assert!(outcome.sometimes.get("a record was settled").is_some_and(|count| *count > 3), "seed {seed}");
    }
}

/// Of five that need four, one is gone, one has moved and could not have that settled, and then another one moves: both
/// are found by the others only, and need each other.
#[test]
fn two_that_moved_one_after_the_other_find_each_other_by_their_reports() {
    let mut world = some(5);
    let votes = |world: &World, at: usize| world.hosts[at].member.as_ref().is_some_and(|it| it.may_vote());
    let found = |world: &World, at: usize| {
        let (host, state) = (&world.hosts[at], world.reference.state().expect("an entity"));
        state.member(&host.id).expect("in the roster").addresses == [host.address]
    };
    for at in [2, 4, 0] {
        world.crash(at, "for now");
    }
    world.hosts[4].relocate();
    world.start(4);
    world.start(0);
    let until = world.now + 30 * SECOND;
    while !votes(&world, 4) && world.step(until) {}
    assert!(votes(&world, 4), "the three others have answered");
    world.crash(0, "and gets another address as well");
    world.hosts[0].relocate();
    world.run(10 * SECOND);
    assert!(!found(&world, 4), "three of five settle nothing");
    world.start(0);
    assert!(world.run_until(30 * SECOND, |world| votes(world, 0)), "three others have answered");
    assert!(
        world.run_until(30 * SECOND, |world| found(world, 0) && found(world, 4)),
        "both moves are settled"
    );
    world.start(2);
    assert_rest(&mut world, 60);
}
