//! Content that does not come: whoever asked is told so, and not before it is sure.

use althing_protocol::control::{Code, Command};
use althing_protocol::rollout::Wish;

use super::large_files::{large, parts_that_came};
use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision};
use crate::world::{MS, SECOND, World};

fn repair() -> Command {
    Command::Repair { application: WEB.into() }
}

/// Three members. The last one was away while a revision with a large file was settled, and the next one, and begins to get
/// the earlier one, when it is asked to go back to it. Gives the request, the large file, and the revision.
fn going_back() -> (World, u64, althing_protocol::hash::Hash, u64) {
    let mut world = at_rest(3);
    world.crash(2, "and is away");
    let (command, content) = large(&mut world);
    answer(&mut world, 0, command).expect("two of three");
    let number = revision(&world);
    let next = deploy(&mut world, 0);
    answer(&mut world, 0, next).expect("two of three");
    world.run(30 * SECOND);
    let before = parts_that_came(&world);
    world.start(2);
    let begun = world.run_until(60 * SECOND, |world| parts_that_came(world) > before);
    assert!(begun, "what can be gone back to is had, too");
    let back = Command::Rollback { application: WEB.into(), to: number, wish: Wish::default() };
    let request = world.request(2, back);
    (world, request, content, number)
}

#[test]
fn a_rollback_whose_content_comes_with_breaks_is_not_refused() {
    let (mut world, request, content, number) = going_back();
    let mut breaks = 0;
    while !world.hosts[2].content.has(&content) {
        world.cut(&[2], &[0, 1], false);
        for holder in [0, 1] {
            world.reset(2, holder);
        }
        world.run(2 * SECOND);
        world.mend();
        breaks += 1;
        let before = parts_that_came(&world);
        let goes_on = world.run_until(30 * SECOND, |world| {
            parts_that_came(world) > before || world.hosts[2].content.has(&content)
        });
        assert!(goes_on, "break {breaks}");
        world.run(200 * MS);
        assert_holds(&world);
    }
    assert!(breaks > 3, "{breaks}");
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    world.replies[&request].as_ref().expect("it goes back");
    assert_eq!(revision(&world), number + 2);
    assert_rest(&mut world, 60);
}

#[test]
fn a_rollback_to_content_that_nobody_gives_is_refused_soon() {
    let (mut world, request, content, number) = going_back();
    for holder in [0, 1] {
        world.hosts[holder].content.rot(content);
    }
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    let refusal = world.replies[&request].clone().expect_err("nobody gives it");
    assert_eq!(refusal.code, Code::NoHolders, "{refusal:?}");
    assert_eq!(revision(&world), number + 1, "nothing was changed");
}

#[test]
fn of_several_revisions_that_nobody_gives_each_is_refused_soon() {
    let mut world = at_rest(3);
    world.crash(2, "and is away");
    let first = revision(&world) + 1;
    let mut lost = Vec::new();
    for _ in 0..3 {
        let (command, content) = large(&mut world);
        answer(&mut world, 0, command).expect("two of three");
        lost.push(content);
    }
    let next = deploy(&mut world, 0);
    answer(&mut world, 0, next).expect("two of three");
    world.run(30 * SECOND);
    for holder in [0, 1] {
        lost.iter().for_each(|content| world.hosts[holder].content.rot(*content));
    }
    world.start(2);
    world.run(30 * SECOND);
    for number in first..first + 3 {
        let back = Command::Rollback { application: WEB.into(), to: number, wish: Wish::default() };
        let request = world.request(2, back);
        world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
        assert_holds(&world);
        let refusal =
            world.replies.get(&request).expect("it is answered").clone().expect_err("nobody gives it");
        assert_eq!(refusal.code, Code::NoHolders, "{refusal:?}");
    }
    assert_rest(&mut world, 60);
}

#[test]
fn a_member_that_was_removed_is_told_that_nobody_gives_it_content_any_more() {
    let mut world = at_rest(5);
    world.cut(&[4], &[0, 1, 2, 3], false);
    let member = world.hosts[4].name.clone();
    answer(&mut world, 0, Command::Remove { member }).expect("removed");
    // All that it may learn is who settled what: of that member, nobody else gives it any statement (J7).
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("settled");
    answer(&mut world, 1, Command::Leave).expect("left");
    world.mend();
    let learned = world.run_until(60 * SECOND, |world| {
        let state = world.hosts[4].member.as_ref().and_then(|member| member.state());
        state.is_some_and(|state| Some(state.epoch) == world.reference.state().map(|state| state.epoch))
    });
    assert!(learned, "it may ask for the chain (J5)");
    let request = world.request(4, repair());
    world.run_until(90 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    let refusal = world.replies[&request].clone().expect_err("it lacks the content");
    assert_eq!(refusal.code, Code::NotInEntity);
    assert!(answer(&mut world, 0, repair()).is_ok(), "the others are as they were");
}
