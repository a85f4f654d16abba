//! Applications that go to groups of members: who has them, who keeps them, and what happens when that changes.

use std::collections::BTreeMap;

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::effect::Source;
use althing_protocol::hash::Hash;
use althing_protocol::placement::Placement;
use althing_protocol::record::{Definition, Policy};
use althing_protocol::rollout::Wish;
use althing_protocol::state::State;
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, open, revision, settled};
use crate::run::create;
use crate::workload::{edit, source};
use crate::world::{SECOND, World};

fn label(world: &mut World, member: usize, groups: &str, keep_files: bool) {
    let name = world.hosts[member].name.clone();
    let labels = [("group".to_owned(), Some(groups.to_owned()))].into();
    answer(world, 0, Command::Label { member: name, labels, keep_files }).expect("labelled");
}

fn place(groups: &[&str]) -> Command {
    let placement = Some(Placement::of(groups.iter().copied()));
    Command::Arrange {
        application: WEB.into(),
        placement,
        definition: Definition::default(),
        keep_files: false,
        rollout: None,
    }
}

fn state(world: &World) -> &State {
    world.reference.state().expect("an entity")
}

fn keepers(world: &World) -> Vec<usize> {
    let state = state(world);
    let keepers = state.keepers(WEB, &state.applications[WEB]);
    keepers.iter().map(|id| world.by_id[id]).collect()
}

/// Members with `web`, of which these are in its group; all at rest.
fn grouped(members: usize, web: &[usize]) -> World {
    let mut world = at_rest(members);
    web.iter().for_each(|at| label(&mut world, *at, "web", false));
    answer(&mut world, 0, place(&["web"])).expect("placed");
    assert_rest(&mut world, 120);
    world
}

fn holds(world: &World, at: usize, root: Hash) -> bool {
    world.hosts[at].content.lacking(&world.library, &root).is_empty()
}

/// (finding 15)
#[test]
fn a_group_of_one_that_loses_its_disk_gets_its_content_back_from_its_keepers() {
    let mut world = grouped(6, &[3]);
    let (root, keepers) = (settled(&world), keepers(&world));
    assert_eq!(keepers.len(), 2);
    // Only it has the files; nobody but the three has the content for good.
    world.run(180 * SECOND);
    for at in 0..6 {
        assert_eq!(world.hosts[at].live(WEB).root().is_some(), at == 3, "m{}", at + 1);
        assert_eq!(holds(&world, at, root), at == 3 || keepers.contains(&at), "m{}", at + 1);
    }
    assert_eq!(revision(&world), 1);
    world.crash(3, "and loses its disk");
    lose_disk(&mut world, 3);
    world.start(3);
    let lasts = Millis::seconds(600);
    let invite = Command::Invite { uses: 1, lasts, note: String::new(), spare: false };
    let Ok(Outcome::Invitation { invitation, .. }) = answer(&mut world, 0, invite) else {
        panic!("no invitation")
    };
    let (member, address) = (world.hosts[3].name.clone(), world.hosts[3].address);
    // Its key is in the roster: it is let in, and counts when somebody says so.
    world.request(3, Command::Join { invitation, member: member.clone(), address });
    world.run(20 * SECOND);
    answer(&mut world, 0, Command::Readmit { member }).expect("re-admitted");
    assert_rest(&mut world, 120);
    assert_eq!(world.hosts[3].live(WEB).root(), Some(root));
    assert_eq!((settled(&world), revision(&world)), (root, 1));
}

/// Everything on it, chain, votes, content and files, is gone.
fn lose_disk(world: &mut World, at: usize) {
    world.put_back(at, BTreeMap::new());
    let host = &mut world.hosts[at];
    host.content = crate::host::content::Content::default();
    host.live.clear();
    let id = host.id;
    world.reference.content.values_mut().for_each(|content| content.holders.retain(|holder| *holder != id));
}

/// (finding 15) A roster of nine is well; of a group of four, two are dead.
#[test]
fn a_deployment_to_a_group_of_four_of_which_two_are_dead_says_so_and_goes_on_when_one_is_back() {
    let mut world = grouped(9, &[0, 1, 2, 3]);
    [2, 3].into_iter().for_each(|at| world.crash(at, "for the story"));
    world.run(10 * SECOND);
    let command = deploy(&mut world, 6);
    let refusal = answer(&mut world, 6, command).expect_err("two of four hold it");
    assert_eq!(refusal.code, Code::NoHolders, "{refusal:?}");
    assert!(refusal.message.contains("2 of 4") && refusal.message.contains("group web"), "{refusal:?}");
    world.start(2);
    world.run(20 * SECOND);
    let command = deploy(&mut world, 6);
    let outcome = answer(&mut world, 6, command).expect("three of four hold it");
    assert!(matches!(outcome, Outcome::Settled { of: 4, .. }), "{outcome:?}");
    world.start(3);
    assert_rest(&mut world, 60);
    // Whoever deployed it has nothing of it, and those it does not go to are not asked.
    assert!(world.hosts[6].live(WEB).root().is_none());
}

/// (finding 22) Of a group of two one is dead: the other and the keeper hold what is deployed.
#[test]
fn a_group_of_two_survives_one() {
    let mut world = grouped(5, &[0, 1]);
    world.crash(1, "for the story");
    world.run(10 * SECOND);
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("web1 and a keeper hold it");
    let root = settled(&world);
    world.start(1);
    assert_rest(&mut world, 60);
    assert_eq!(world.hosts[1].live(WEB).root(), Some(root));
    // What two members were changed to is not adopted: it is put back.
    let other = super::edited(&mut world);
    edit(&mut world, &[0, 1], WEB, Some(other));
    world.run(10 * SECOND);
    assert_rest(&mut world, 60);
    assert_eq!(settled(&world), root);
}

/// (finding 16)
#[test]
fn moving_a_member_moves_the_basis_of_what_it_concerns_and_of_nothing_else() {
    let mut world = at_rest(6);
    create(&mut world, "api", Policy::Certified);
    [0, 1, 2, 3].into_iter().for_each(|at| label(&mut world, at, "web", false));
    answer(&mut world, 0, place(&["web"])).expect("placed");
    assert_rest(&mut world, 120);
    let bases = |world: &World| ["api", WEB].map(|name| state(world).applications[name].basis);
    let before = bases(&world);
    label(&mut world, 4, "web,db", false);
    let after = bases(&world);
    assert_eq!((after[0], after[1] > before[1]), (before[0], true));
    assert_rest(&mut world, 60);
    assert_eq!(world.hosts[4].live(WEB).root(), Some(settled(&world)));
}

#[test]
fn who_leaves_a_group_clears_it_away_and_who_enters_fetches_it() {
    let mut world = grouped(6, &[0, 1, 2]);
    let root = settled(&world);
    let items = world.hosts[0].live(WEB).tree.clone().expect("content").len();
    answer(&mut world, 1, open(60)).expect("opened");
    let name = world.hosts[0].name.clone();
    let labels = || [("group".to_owned(), None)].into();
    let refusal = answer(&mut world, 0, Command::Label { member: name, labels: labels(), keep_files: false });
    let refusal = refusal.expect_err("a window is open");
    assert_eq!(refusal.code, Code::WindowOpen, "{refusal:?}");
    answer(&mut world, 1, Command::Abort { application: WEB.into() }).expect("aborted");
    // The whole group moves, one after the other and at once: nothing is lost on the way.
    label(&mut world, 0, "", false);
    label(&mut world, 1, "", true);
    label(&mut world, 2, "", false);
    [3, 4, 5].into_iter().for_each(|at| label(&mut world, at, "web", false));
    assert_rest(&mut world, 120);
    assert!(world.hosts[0].live(WEB).tree.is_none() && world.hosts[0].live(WEB).trash.len() >= items);
    assert_eq!(world.hosts[1].live(WEB).root(), Some(root), "its files were kept");
    for at in 3..6 {
        assert_eq!(world.hosts[at].live(WEB).root(), Some(root), "m{}", at + 1);
    }
    world.run(180 * SECOND);
    assert_holds(&world);
    assert!((0..3).all(|at| !holds(&world, at, root)), "nobody needs it there any more");
    // Back again: what it has there is compared like that of anybody who joins.
    label(&mut world, 1, "web", false);
    assert_rest(&mut world, 60);
}

#[test]
fn a_member_that_it_does_not_go_to_deploys_and_is_told_what_it_cannot_do() {
    let mut world = grouped(5, &[0, 1, 2]);
    let command = deploy(&mut world, 4);
    answer(&mut world, 4, command).expect("deployed from where it does not go");
    answer(&mut world, 4, open(60)).expect("a window is a right, not a tree");
    let from = source(&mut world, 4);
    for command in [
        Command::Verify { application: WEB.into() },
        Command::Repair { application: WEB.into() },
        Command::Commit { application: WEB.into(), expect: None, wish: Wish::default() },
        Command::Stage { application: WEB.into(), source: Source::Live },
    ] {
        let refusal = answer(&mut world, 4, command).expect_err("nothing of it lies there");
        assert_eq!(refusal.code, Code::NotPlaced, "{refusal:?}");
        assert!(refusal.message.contains("group web"), "{refusal:?}");
    }
    answer(&mut world, 4, Command::Stage { application: WEB.into(), source: from }).expect("staged");
    answer(&mut world, 4, Command::Commit { application: WEB.into(), expect: None, wish: Wish::default() })
        .expect("committed");
    assert_rest(&mut world, 60);
    assert_eq!(revision(&world), 3);
    // What it brought itself it has let go by then; what it is to go back to it gets from those that keep it.
    world.run(180 * SECOND);
    let earlier = world.reference.state().map(|state| state.applications[WEB].revisions[0].root);
    assert!(earlier.is_some_and(|root| !holds(&world, 4, root)));
    let back = Command::Rollback { application: WEB.into(), to: 1, wish: Wish::default() };
    answer(&mut world, 4, back).expect("gone back to from where it does not go");
    assert_rest(&mut world, 60);
    assert_eq!((revision(&world), Some(settled(&world))), (4, earlier));
}

/// Where the last member of a group goes, keepers are all that is left; a new member gets it from them.
#[test]
fn an_empty_group_keeps_its_content() {
    let mut world = grouped(5, &[0]);
    let root = settled(&world);
    label(&mut world, 0, "", false);
    assert_rest(&mut world, 60);
    assert_eq!(keepers(&world).len(), 3);
    world.run(180 * SECOND);
    assert_holds(&world);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("the keepers hold it");
    assert_ne!(settled(&world), root);
    label(&mut world, 2, "web", false);
    assert_rest(&mut world, 60);
    assert_eq!(world.hosts[2].live(WEB).root(), Some(settled(&world)));
}

/// What nobody can give is asked for in vain, and keeps nothing waiting that somebody can.
#[test]
fn a_revision_that_went_with_its_machines_is_followed_by_another() {
    let mut world = grouped(6, &[2, 3, 4, 5]);
    world.run(180 * SECOND);
    let lost = settled(&world);
    assert!(!holds(&world, 0, lost) && !holds(&world, 1, lost), "only those of the group have it");
    [2, 3, 4, 5].into_iter().for_each(|at| world.crash(at, "as its site burns down"));
    world.run(10 * SECOND);
    let recover = Command::Recover { keep: vec!["m2".to_owned()], approvals: String::new() };
    let Ok(Outcome::Recovered { invitation: Some(invitation), .. }) = answer(&mut world, 0, recover) else {
        panic!("there is no majority")
    };
    let address = world.hosts[1].address;
    answer(&mut world, 1, Command::Join { invitation, member: "any".into(), address }).expect("m2 was kept");
    [0, 1].into_iter().for_each(|at| label(&mut world, at, "web", false));
    world.run(5 * SECOND);
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("m2 gets what m1 has");
    assert_ne!(settled(&world), lost);
    world.run(30 * SECOND);
    assert_holds(&world);
    for at in [0, 1] {
        assert_eq!(world.hosts[at].live(WEB).root(), Some(settled(&world)), "m{}", at + 1);
    }
}
