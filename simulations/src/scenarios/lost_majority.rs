//! Three of five are lost for good: two begin the entity anew. When the three come back after all, they are a majority
//! of the old roster, and must not go on with it (finding 7).

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::explain::Condition;
use althing_protocol::rollout::Wish;
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision, settled};
use crate::world::{SECOND, World};

fn recover(keep: &[&str]) -> Command {
    Command::Recover { keep: keep.iter().map(|name| (*name).to_owned()).collect(), approvals: String::new() }
}

fn may_vote(world: &World, at: usize) -> bool {
    world.hosts[at].member.as_ref().is_some_and(|member| member.may_vote())
}

fn entity(world: &World, at: usize) -> althing_protocol::hash::Hash {
    world.hosts[at].member.as_ref().and_then(|member| member.state()).expect("a member").entity
}

/// Two of five, with a new entity of their own; the other three are stopped.
fn recovered() -> World {
    let mut world = at_rest(5);
    for at in [2, 3, 4] {
        world.crash(at, "as its site burns down");
    }
    world.run(10 * SECOND);
    let old = entity(&world, 0);
    let done = answer(&mut world, 0, recover(&["m2"])).expect("there is no majority");
    let Outcome::Recovered { from, others, invitation, .. } = done else { panic!("{done:?}") };
    assert_eq!((from, others), (old, vec!["m2".to_owned()]));
    let address = world.hosts[1].address;
    let invitation = invitation.expect("m2 is invited");
    let join = Command::Join { invitation, member: "any".into(), address };
    answer(&mut world, 1, join).expect("a kept member comes over");
    assert_eq!(entity(&world, 1), entity(&world, 0));
    let state = world.reference.state().expect("the new entity");
    let names: Vec<&str> = state.voters().map(|voter| voter.name.as_str()).collect();
    assert_eq!(names, ["m1", "m2"], "under the names they had");
    world
}

#[test]
fn what_was_settled_goes_on_in_the_new_entity() {
    let mut world = recovered();
    let (root, number) = (settled(&world), revision(&world));
    assert_eq!(world.hosts[1].live(WEB).root(), Some(root), "nothing was moved");
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("two of two");
    assert_eq!(revision(&world), number + 1);
    let rollback = Command::Rollback { application: WEB.into(), to: number, wish: Wish::default() };
    answer(&mut world, 0, rollback).expect("revisions of the old entity are kept");
    assert_eq!(settled(&world), root);
}

#[test]
fn the_old_majority_comes_back_and_goes_mute() {
    let mut world = recovered();
    for at in [2, 3, 4] {
        world.start(at);
    }
    let knows = |world: &World, at: usize| {
        let status = world.hosts[at].member.as_ref().and_then(|member| member.status());
        status.is_some_and(|status| status.attention.iter().any(|one| one.condition == "superseded"))
    };
    let mute = |world: &World| [2, 3, 4].iter().all(|at| knows(world, *at) && !may_vote(world, *at));
    assert!(world.run_until(30 * SECOND, mute), "each of the three has met the new entity, or one that has");
    assert_holds(&world);
    let old = entity(&world, 2);
    assert_ne!(old, entity(&world, 0));
    let command = deploy(&mut world, 3);
    let refusal = answer(&mut world, 3, command).expect_err("three of five, and they know better");
    assert_eq!(refusal.code, Code::Contradiction);

    // Durably: also after a start, and cut off from the new entity.
    world.cut(&[2, 3, 4], &[0, 1], false);
    for at in [2, 3, 4] {
        world.crash(at, "and starts again");
        world.start(at);
    }
    world.run(20 * SECOND);
    let command = deploy(&mut world, 3);
    assert_eq!(answer(&mut world, 3, command).expect_err("mute").code, Code::Contradiction);
    world.mend();
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("the new entity goes on");
    assert_rest(&mut world, 30);
}

fn lacks_content(world: &World, at: usize) -> bool {
    let status = world.hosts[at].member.as_ref().and_then(|member| member.status()).expect("a member");
    status.attention.iter().any(|one| one.condition == Condition::ContentMissing.name())
}

#[test]
fn what_only_the_lost_members_have_is_missed_and_had_from_them_when_they_are_back() {
    let mut world = at_rest(3);
    world.fill(0, true);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("two of three hold it");
    let root = settled(&world);
    assert!(!lacks_content(&world, 0), "it has no room, and others have it");
    for at in [1, 2] {
        world.crash(at, "as its site burns down");
    }
    world.fill(0, false);
    world.run(10 * SECOND);
    assert!(lacks_content(&world, 0), "nobody is there");
    answer(&mut world, 0, recover(&[])).expect("there is no majority");
    world.crash(0, "and starts again, as who it was");
    world.start(0);
    world.run(20 * SECOND);
    assert!(lacks_content(&world, 0), "nor is there anybody in the new entity");
    assert_ne!(world.hosts[0].live(WEB).root(), Some(root));
    for at in [1, 2] {
        world.start(at);
    }
    assert_rest(&mut world, 60);
    assert_eq!(world.hosts[0].live(WEB).root(), Some(root));
    assert!(!lacks_content(&world, 0));
}

#[test]
fn nothing_is_recovered_while_a_majority_can_be_reached() {
    let mut world = at_rest(5);
    let refusal = answer(&mut world, 0, recover(&["m2"])).expect_err("all five are there");
    assert_eq!(refusal.code, Code::Unsafe);
    for at in [2, 3, 4] {
        world.crash(at, "for a while");
    }
    world.run(10 * SECOND);
    let refusal =
        answer(&mut world, 0, recover(&["m2", "m3"])).expect_err("these three settle by themselves");
    assert_eq!(refusal.code, Code::Unsafe);
    assert_eq!(answer(&mut world, 0, recover(&["m7"])).expect_err("nobody").code, Code::NoSuchMember);
}

/// The founder of an entity is all of its first roster. With a disk from before, it would be a majority of one.
#[test]
fn a_founder_whose_disk_has_forgotten_the_new_entity_settles_nothing_alone() {
    let mut world = at_rest(7);
    let before = world.snapshot(0);
    for at in [3, 4, 5, 6] {
        world.crash(at, "as its site burns down");
    }
    world.run(10 * SECOND);
    let done = answer(&mut world, 0, recover(&["m2", "m3"])).expect("there is no majority");
    let Outcome::Recovered { invitation: Some(invitation), .. } = done else { panic!("{done:?}") };
    for at in [1, 2] {
        let (invitation, address) = (invitation.clone(), world.hosts[at].address);
        answer(&mut world, at, Command::Join { invitation, member: "any".into(), address }).expect("kept");
    }
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("all three are there");

    world.crash(0, "and its disk is put back to before all that");
    world.put_back(0, before);
    world.start(0);
    world.run(20 * SECOND);
    let invite = Command::Invite { uses: 1, lasts: Millis::seconds(3600), note: String::new(), spare: false };
    let Ok(Outcome::Invitation { invitation, .. }) = answer(&mut world, 1, invite) else {
        panic!("two of three invite")
    };
    let address = world.hosts[0].address;
    let join = Command::Join { invitation, member: "m1".into(), address };
    let refusal =
        answer(&mut world, 0, join).expect_err("its store was used there, and it knows nothing of that");
    assert_eq!(refusal.code, Code::Mute);
    assert!(!may_vote(&world, 0));
    assert_holds(&world);
    answer(&mut world, 1, Command::Readmit { member: "m1".into() }).expect("two of three");
    assert!(world.run_until(60 * SECOND, |world| may_vote(world, 0)), "it is a voter again");
    assert_holds(&world);
}

#[test]
fn what_was_asked_before_others_could_be_heard_is_answered_when_the_entity_is_begun_anew() {
    let mut world = at_rest(3);
    (0..3).for_each(|at| world.crash(at, "as the power fails"));
    world.start(0);
    let command = deploy(&mut world, 0);
    let waits = world.request(0, command);
    world.run(SECOND);
    assert!(!world.replies.contains_key(&waits), "others may be heard yet");
    answer(&mut world, 0, recover(&[])).expect("there is no majority");
    assert_holds(&world);
    let refusal = world.replies.get(&waits).expect("it is answered").clone().expect_err("of another entity");
    assert_eq!(refusal.code, Code::Failed, "{refusal:?}");
}
