//! Members taken out of service and brought in, and spares: who serves is one matter, who counts is another (design §5.1,
//! findings 15, 34).

use althing_protocol::control::{Code, Command};
use althing_protocol::state::{Role, Service};
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, edited, revision, settled};
use crate::workload::edit;
use crate::world::{SECOND, World};

fn out(member: &str, seconds: Option<u64>) -> Command {
    let lasts = seconds.map(Millis::seconds);
    Command::TakeOut { member: member.into(), reason: "new disk".into(), lasts, anyway: false }
}

fn spare(member: &str) -> Command {
    Command::Spare { member: member.into(), anyway: false }
}

/// The member as the entity settled it.
fn member<'a>(world: &'a World, name: &str) -> &'a althing_protocol::state::Member {
    world.reference.state().and_then(|state| state.member_named(name)).expect("a member")
}

#[test]
fn a_time_out_of_service_ends_by_itself_and_counts_all_along() {
    let mut world = at_rest(3);
    answer(&mut world, 0, out("m3", Some(20))).expect("two others serve");
    let shares = world.hosts[1].member.as_ref().and_then(|it| it.balance()).expect("shares").members;
    let third = shares.iter().find(|share| share.member == "m3").expect("a share");
    assert_eq!((third.share_ratio, third.why.as_str()), (0.0, "new disk"));
    // It counts as before: with another one away, it is half of the majority.
    world.crash(1, "while m3 is out of service");
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("two of three");
    assert!(matches!(member(&world, "m3").service, Service::Out(_)));
    world.start(1);
    world.run(30 * SECOND);
    assert!(member(&world, "m3").is_in_service(), "its time is over");
    assert_rest(&mut world, 20);
}

#[test]
fn two_who_take_each_other_out_leave_one_in_service() {
    let mut world = at_rest(2);
    let requests = [world.request(0, out("m2", None)), world.request(1, out("m1", None))];
    world.run_until(60 * SECOND, |world| requests.iter().all(|request| world.replies.contains_key(request)));
    assert_holds(&world);
    let refused = requests.iter().filter_map(|request| world.replies.get(request)?.as_ref().err());
    let codes: Vec<Code> = refused.map(|refusal| refusal.code).collect();
    assert_eq!(codes, [Code::WouldEmptyService]);
    assert_eq!(world.reference.state().expect("an entity").in_service().count(), 1);
}

#[test]
fn spares_hold_content_are_repaired_and_do_not_count() {
    let mut world = at_rest(5);
    answer(&mut world, 0, spare("m4")).expect("four others count");
    answer(&mut world, 4, spare("m5")).expect("a member may ask it of itself");
    assert_rest(&mut world, 20);
    let state = world.reference.state().expect("an entity");
    assert_eq!(
        (state.quorum(), state.content_quorum(state.voters().count()), state.in_service().count()),
        (2, 2, 3)
    );

    // A spare takes commands like any other member, and its staged content is fetched by those that count.
    let command = deploy(&mut world, 3);
    answer(&mut world, 3, command).expect("asked of a spare");

    // Both are away, and one that counts: of three that count two go on.
    [2, 3, 4].into_iter().for_each(|at| world.crash(at, "and is away"));
    let command = deploy(&mut world, 0);
    answer(&mut world, 0, command).expect("two of the three that count");
    // Spares are no majority of anything: with one more away nothing is settled.
    [3, 4].into_iter().for_each(|at| world.start(at));
    world.crash(1, "too");
    world.run(15 * SECOND);
    let command = deploy(&mut world, 0);
    let refusal = answer(&mut world, 0, command).expect_err("one of three");
    assert_eq!(refusal.code, Code::NoMajority);
    [1, 2].into_iter().for_each(|at| world.start(at));
    assert_rest(&mut world, 40);

    // They have what is in force, and drift of theirs is put right.
    let (root, number) = (settled(&world), revision(&world));
    assert_eq!(world.hosts[3].live(WEB).root(), Some(root));
    let other = edited(&mut world);
    edit(&mut world, &[3, 4], WEB, Some(other));
    assert_rest(&mut world, 20);
    assert_eq!(world.hosts[4].live(WEB).root(), Some(root));
    assert_eq!(revision(&world), number);

    // One counts again, when it has said that it holds the head.
    answer(&mut world, 0, Command::Enlist { member: "m4".into() }).expect("a spare");
    world.run_until(30 * SECOND, |world| member(world, "m4").role == Role::Voter);
    assert_eq!(world.reference.state().expect("an entity").voters().count(), 4);
    assert_rest(&mut world, 20);
}
