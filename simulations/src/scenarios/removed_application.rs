//! An application is removed: its files go to the trash or stay, its content is collected, and its name is free.

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::record::Policy;
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, edited, open, settled};
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

#[test]
fn who_adopts_what_is_there_is_told_that_its_window_ended_with_the_application() {
    let mut world = at_rest(3);
    let own = edited(&mut world);
    world.hosts[2].live(WEB).set(Some(own));
    let (application, lasts) = (WEB.into(), Millis::seconds(1));
    let adopting = Command::Open { application, lasts, reason: "keep it".into(), adopt: true, auto: None };
    // It is heard, and hears nothing: all of what follows it learns at once.
    world.cut(&[0, 1], &[2], true);
    let request = world.request(2, adopting);
    let is_open = |world: &World| {
        let state = world.reference.state().expect("there is an entity");
        state.applications.get(WEB).is_some_and(|web| web.window.is_some())
    };
    assert!(world.run_until(3 * SECOND, is_open), "the other two settle it");
    assert!(world.run_until(5 * SECOND, |world| !is_open(world)), "its time is over");
    answer(&mut world, 0, remove(false)).expect("removed");
    assert_eq!(world.replies.get(&request), None, "it learned that its window is open, or lost the majority");
    world.mend();
    world.run_until(20 * SECOND, |world| world.replies.contains_key(&request));
    assert_holds(&world);
    let refusal = world.replies[&request].clone().expect_err("there is no window any more");
    assert_eq!(refusal.code, Code::NoWindow, "{refusal:?}");
    assert_rest(&mut world, 60);
}
