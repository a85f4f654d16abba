//! Content that does not come: whoever asked is told so, and not before it is sure.

use althing_protocol::control::{Code, Command};
use althing_protocol::hash::Hash;
use althing_protocol::rollout::{Hook, Rollout, Wish};
use althing_protocol::time::Millis;

use super::large_files::{large, parts_that_came};
use super::tree;
use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision, settled};
use crate::world::{Event, MS, SECOND, World};

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

/// A piece rots, and its member reads it soon.
fn rots(world: &mut World, at: usize, piece: Hash) {
    world.hosts[at].content.rot(piece);
    world.hosts[at].has_rotted = true;
    let life = world.hosts[at].life;
    world.schedule(MS, Event::Scrub { host: at, life, piece });
}

/// A file of one root that is not of the other.
fn file_of(world: &World, at: usize, root: Hash, not_of: Option<Hash>) -> Hash {
    let (of, other) = (world.library.pieces(&root), not_of.map(|other| world.library.pieces(&other)));
    let other = other.unwrap_or_default();
    let files = world.hosts[at].content.files(&world.library);
    files.into_iter().find(|piece| of.contains(piece) && !other.contains(piece)).expect("there is one")
}

#[test]
fn a_rollback_to_content_that_rotted_everywhere_is_refused_soon() {
    let mut world = at_rest(3);
    let (number, first) = (revision(&world), settled(&world));
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("deployed");
    assert_rest(&mut world, 30);
    let piece = file_of(&world, 0, first, Some(settled(&world)));
    (0..3).for_each(|at| rots(&mut world, at, piece));
    world.run(20 * SECOND);
    let back = Command::Rollback { application: WEB.into(), to: number, wish: Wish::default() };
    let request = world.request(0, back);
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    let refusal = world.replies[&request].clone().expect_err("nobody has all of it");
    assert_eq!(refusal.code, Code::NoHolders, "{refusal:?}");
    assert_eq!(revision(&world), number + 1, "nothing was changed");
}

#[test]
fn new_content_whose_checks_are_lost_everywhere_is_refused_soon() {
    let mut world = at_rest(3);
    let check = vec![Hook { path: "hooks/check".into(), arguments: Vec::new(), limit: Millis(2_000) }];
    let arrange = Command::Arrange {
        application: WEB.into(),
        placement: None,
        definition: Default::default(),
        keep_files: false,
        rollout: Some(Rollout { check, ..Rollout::default() }),
    };
    answer(&mut world, 0, arrange).expect("arranged");
    let (number, piece) = (revision(&world), file_of(&world, 0, settled(&world), None));
    for at in 0..3 {
        let other = tree::random(&mut world.workload.rng);
        world.hosts[at].live(WEB).set(Some(other));
        rots(&mut world, at, piece);
    }
    world.run(20 * SECOND);
    let command = deploy(&mut world, 0);
    let request = world.request(0, command);
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    let refusal = world.replies[&request].clone().expect_err("no check can be run");
    assert_eq!(refusal.code, Code::NoHolders, "{refusal:?}");
    assert_eq!(revision(&world), number, "nothing was changed");
}

#[test]
fn what_rots_before_anybody_else_has_it_is_captured_again() {
    let mut world = at_rest(3);
    let (number, before) = (revision(&world), settled(&world));
    [1, 2].into_iter().for_each(|at| world.hosts[at].full = true);
    let command = deploy(&mut world, 0);
    let request = world.request(0, command);
    let known = world.library.pieces(&before);
    let fresh = |world: &World| {
        let files = world.hosts[0].content.files(&world.library);
        files.into_iter().find(|piece| !known.contains(piece))
    };
    assert!(world.run_until(30 * SECOND, |world| fresh(world).is_some()));
    world.run(2 * SECOND);
    let piece = fresh(&world).expect("it was captured");
    rots(&mut world, 0, piece);
    assert!(world.run_until(30 * SECOND, |world| world.hosts[0].content.is_damaged(&piece)));
    let again = world.run_until(60 * SECOND, |world| world.hosts[0].content.has(&piece));
    assert!(again, "it is where it was captured from");
    [1, 2].into_iter().for_each(|at| world.hosts[at].full = false);
    world.run_until(90 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    world.replies[&request].as_ref().expect("deployed");
    assert_eq!(revision(&world), number + 1);
}
