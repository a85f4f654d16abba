//! A window is open on a member that is cut off: its edits stay with it, nobody else may open one, and the window
//! ends by itself.

use althing_protocol::control::{Code, Command};
use althing_protocol::rollout::Wish;

use super::{WEB, answer, assert_rest, at_rest, deploy, edited, open, revision};
use crate::workload::edit;
use crate::world::SECOND;

#[test]
fn a_window_of_a_member_that_is_cut_off_ends_by_itself() {
    let mut world = at_rest(9);
    let number = revision(&world);
    answer(&mut world, 7, open(40)).expect("opened");
    world.cut(&[7], &[0, 1, 2, 3, 4, 5, 6, 8], false);
    let other = edited(&mut world);
    edit(&mut world, &[7], WEB, Some(other.clone()));
    world.run(15 * SECOND);

    let command = deploy(&mut world, 1);
    let refusal = answer(&mut world, 1, command).expect_err("the window stands");
    assert_eq!(refusal.code, Code::WindowOpen);
    let commit = Command::Commit { application: WEB.into(), expect: None, wish: Wish::default() };
    let refusal = answer(&mut world, 7, commit).expect_err("one of nine is no majority");
    assert_eq!(refusal.code, Code::NoMajority);
    assert_eq!(world.hosts[7].live(WEB).tree, Some(other), "its edits are left alone in its window");

    world.run(30 * SECOND);
    let command = deploy(&mut world, 1);
    answer(&mut world, 1, command).expect("the window has expired");
    world.mend();
    assert_rest(&mut world, 40);
    assert_eq!(revision(&world), number + 1);
    assert!(!world.hosts[7].live(WEB).trash.is_empty(), "the edits are kept");
}
