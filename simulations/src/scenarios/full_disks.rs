//! Full disks: a member whose disk takes nothing neither votes nor holds anybody up; a majority of them settles
//! nothing, loses nothing, and goes on when there is room (finding 38).

use althing_protocol::control::Code;

use super::{answer, assert_holds, assert_rest, at_rest, deploy, revision};
use crate::world::SECOND;

#[test]
fn a_member_with_a_full_disk_refuses_content_and_holds_nobody_up() {
    let mut world = at_rest(5);
    world.fill_disk(4, 20 * SECOND);
    let here = deploy(&mut world, 4);
    let refused = answer(&mut world, 4, here).expect_err("there is no room for it");
    assert_eq!(refused.code, Code::NoSpace, "{refused:?}");
    let number = revision(&world);
    let elsewhere = deploy(&mut world, 1);
    answer(&mut world, 1, elsewhere).expect("the other four are a majority of five");
    assert_eq!(revision(&world), number + 1);
    let status =
        world.hosts[4].member.as_ref().and_then(|member| member.status()).expect("it is in the entity");
    assert!(status.attention.iter().any(|attention| attention.condition == "disk-full"), "{status:?}");
    world.run(20 * SECOND);
    assert_rest(&mut world, 60);
    let again = deploy(&mut world, 4);
    answer(&mut world, 4, again).expect("there is room again");
}

#[test]
fn a_majority_of_full_disks_settles_nothing_and_goes_on_with_room() {
    let mut world = at_rest(5);
    let number = revision(&world);
    for at in 2..5 {
        world.fill_disk(at, 15 * SECOND);
    }
    let command = deploy(&mut world, 0);
    let request = world.request(0, command);
    world.run(10 * SECOND);
    assert_holds(&world);
    assert_eq!(revision(&world), number, "three of five votes are on no disk");
    world.run(20 * SECOND);
    assert_rest(&mut world, 60);
    assert!(world.replies.contains_key(&request), "whoever asked was answered");
    let command = deploy(&mut world, 3);
    answer(&mut world, 3, command).expect("everybody votes again");
}
