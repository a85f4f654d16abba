//! An application is removed: its files go to the trash or stay, its content is collected, and its name is free.

use althing_protocol::control::{Command, Outcome};
use althing_protocol::record::Policy;

use super::{WEB, answer, assert_holds, at_rest, open, settled};
use crate::run::create;
use crate::world::{SECOND, World};

fn remove(keep_files: bool) -> Command {
    Command::Discard { application: WEB.into(), keep_files }
}

fn is_cleared(world: &World, at: usize) -> bool {
    !world.hosts[at].places.contains(WEB)
}

#[test]
fn files_go_to_the_trash_and_content_is_collected() {
    let mut world = at_rest(5);
    let items = world.hosts[0].live(WEB).tree.clone().expect("there is content").len();
    answer(&mut world, 2, open(60)).expect("opened");
    answer(&mut world, 0, remove(false)).expect_err("a window is open");
    answer(&mut world, 2, Command::Abort { application: WEB.into() }).expect("aborted");

    // One is away, and one dies before it has cleared anything away.
    world.crash(3, "for the story");
    let outcome = answer(&mut world, 0, remove(false)).expect("removed");
    assert!(matches!(outcome, Outcome::Removed { keep_files: false, .. }), "{outcome:?}");
    world.crash(4, "for the story");
    (3..5).for_each(|at| world.start(at));
    world.run(90 * SECOND);
    assert_holds(&world);
    for at in 0..5 {
        assert!(is_cleared(&world, at), "m{}", at + 1);
        assert_eq!(world.hosts[at].live(WEB).tree, None);
        assert!(world.hosts[at].live(WEB).trash.len() >= items);
        assert!(world.hosts[at].content.pieces().is_empty(), "m{} kept content", at + 1);
    }
}

#[test]
fn files_stay_if_asked_and_a_new_application_of_the_name_inherits_nothing() {
    let mut world = at_rest(3);
    let (old, tree) = (settled(&world), world.hosts[0].live(WEB).tree.clone());
    answer(&mut world, 1, remove(true)).expect("removed");
    world.run(60 * SECOND);
    assert_holds(&world);
    assert!((0..3).all(|at| is_cleared(&world, at)));
    assert_eq!(world.hosts[2].live(WEB).tree, tree);
    for at in 0..3 {
        world.hosts[at].live(WEB).set(None);
    }
    create(&mut world, WEB, Policy::Majority);
    assert_holds(&world);
    assert_ne!(settled(&world), old);
}
