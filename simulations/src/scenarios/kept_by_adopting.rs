//! Somebody changes files by hand on one member and wants to keep that: a window that begins with what is there.

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::rollout::Wish;
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_rest, at_rest, edited, open, revision, settled};
use crate::workload::edit;
use crate::world::SECOND;

#[test]
fn a_fix_by_hand_becomes_the_next_revision() {
    let mut world = at_rest(5);
    let number = revision(&world);
    answer(&mut world, 0, Command::Pause { application: WEB.into(), lasts: Some(Millis::seconds(600)) })
        .expect("paused");
    let fix = edited(&mut world);
    edit(&mut world, &[3], WEB, Some(fix.clone()));
    world.run(10 * SECOND);

    let refusal = answer(&mut world, 3, open(600)).expect_err("it would take drift for an update");
    assert_eq!(refusal.code, Code::Differs);
    assert!(refusal.remedies.iter().any(|(_, command)| command.iter().any(|word| word == "--adopt")));

    let (application, lasts) = (WEB.to_owned(), Millis::seconds(600));
    let adopting = Command::Open { application, lasts, reason: "keep it".into(), adopt: true, auto: None };
    let Outcome::Window { staged: Some(staged), .. } = answer(&mut world, 3, adopting).expect("opened")
    else {
        panic!("nothing was staged");
    };
    // Resuming repairs nothing on the author, and what is staged is safe anyway.
    answer(&mut world, 1, Command::Pause { application: WEB.into(), lasts: None }).expect("resumed");
    answer(
        &mut world,
        3,
        Command::Commit { application: WEB.into(), expect: Some(number), wish: Wish::default() },
    )
    .expect("committed");
    assert_rest(&mut world, 30);
    assert_eq!((settled(&world), revision(&world)), (staged, number + 1));
    assert_eq!(world.hosts[0].live(WEB).tree, Some(fix));
}

#[test]
fn a_window_stands_as_long_as_its_author_says() {
    let mut world = at_rest(3);
    answer(&mut world, 1, open(20)).expect("opened");
    world.run(10 * SECOND);
    let extend = Command::Extend { application: WEB.into(), lasts: Millis::seconds(60) };
    let refusal = answer(&mut world, 0, extend.clone()).expect_err("it is not the author");
    assert_eq!(refusal.code, Code::WindowOpen);
    answer(&mut world, 1, extend).expect("extended");
    world.run(40 * SECOND);
    let is_open = |world: &crate::world::World| {
        world.reference.state().is_some_and(|state| state.applications[WEB].window.is_some())
    };
    assert!(is_open(&world), "its first end is past");
    world.run(40 * SECOND);
    assert!(!is_open(&world), "so is its second");
    assert_rest(&mut world, 30);
}
