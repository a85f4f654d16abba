//! Four of nine are cut off: they settle nothing and keep what they have; the five go on.

use althing_protocol::control::Code;

use super::{answer, assert_rest, at_rest, deploy, revision};
use crate::world::{SECOND, World};

#[test]
fn the_minority_settles_nothing_and_agrees_again_when_it_is_healed() {
    let mut world = at_rest(9);
    let number = revision(&world);
    world.cut(&[5, 6, 7, 8], &[0, 1, 2, 3, 4], false);
    world.run(15 * SECOND);

    let command = deploy(&mut world, 6);
    let refusal = answer(&mut world, 6, command).expect_err("four of nine are no majority");
    assert_eq!(refusal.code, Code::NoMajority);
    assert_eq!(revision(&world), number);

    let command = deploy(&mut world, 2);
    answer(&mut world, 2, command).expect("five of nine are a majority");
    assert_eq!(revision(&world), number + 1);
    let cut_off = world.hosts[6].member.as_ref().and_then(|member| member.state()).expect("a member");
    assert_eq!(cut_off.applications[super::WEB].settled().expect("settled").number, number);
    let confirmed = |world: &World, at: usize| {
        let status = world.hosts[at].member.as_ref().and_then(|member| member.status()).expect("a member");
        status.view.confirmed_ms.expect("it heard a majority")
    };
    assert!(confirmed(&world, 6) > 6_000, "what the four show is as old as the cut, or nearly");
    assert!(confirmed(&world, 2) < 6_000, "the five go on confirming");

    world.mend();
    assert_rest(&mut world, 30);
    assert!(confirmed(&world, 6) < 6_000);
}

#[test]
fn a_deployment_that_loses_its_majority_is_refused() {
    let mut world = at_rest(9);
    let number = revision(&world);
    let command = deploy(&mut world, 6);
    let request = world.request(6, command);
    world.cut(&[5, 6, 7, 8], &[0, 1, 2, 3, 4], false);
    world.run(40 * SECOND);
    let reply = world.replies.get(&request).expect("answered").clone();
    assert_eq!(reply.expect_err("no majority").code, Code::NoMajority);
    world.mend();
    assert_rest(&mut world, 60);
    assert_eq!(revision(&world), number);
}
