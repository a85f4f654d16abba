//! A revision goes from member to member (findings 20, 21): in the order of the hierarchy, a batch at a time; the dead
//! and the cut off hold up nobody; a hook that fails stops it, and within a probation the members go back.

use std::cell::RefCell;
use std::collections::BTreeSet;

use althing_protocol::control::{Code, Command, Outcome};
use althing_protocol::hash::Hash;
use althing_protocol::manifest::Item;
use althing_protocol::placement::Placement;
use althing_protocol::record::Definition;
use althing_protocol::rollout::{Batch, Hook, Rollout, Wish};
use althing_protocol::time::Millis;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, open, revision, settled};
use crate::host::tree;
use crate::workload;
use crate::world::{SECOND, World};

/// Which hosts were applying at once, at most, and in which order they had the revision.
#[derive(Default)]
struct Watched {
    most: usize,
    order: Vec<usize>,
}

/// Hosts of a part of the entity.
type Part<'a> = &'a [usize];

impl Watched {
    /// Looks after every event until all of these hosts have `root`, or time is over.
    fn until_all_have(&mut self, world: &mut World, part: Part<'_>, root: Hash, seconds: u64) -> bool {
        let seen = RefCell::new(std::mem::take(self));
        let all = world.run_until(seconds * SECOND, |world| {
            let mut seen = seen.borrow_mut();
            let has = |at: &usize| {
                let host = &world.hosts[*at];
                host.live.get(WEB).and_then(|live| live.root()) == Some(root)
            };
            let at_it = |at: &&usize| {
                let live = world.hosts[**at].live.get(WEB);
                live.is_some_and(|live| live.journal.as_ref().is_some_and(|journal| journal.root == root))
            };
            seen.most = seen.most.max(part.iter().filter(at_it).count());
            let found: Vec<usize> =
                part.iter().filter(|at| has(at) && !seen.order.contains(at)).copied().collect();
            seen.order.extend(found);
            part.iter().all(|at| seen.order.contains(at))
        });
        *self = seen.into_inner();
        all
    }
}

const ALL: [usize; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/// The hosts in the order of the hierarchy.
fn in_order(world: &World) -> Vec<usize> {
    let state = world.reference.state().expect("an entity");
    state.members.iter().map(|member| world.by_id[&member.id]).collect()
}

/// Nine members, of which so many apply at once, with these kinds of hooks.
fn with(batch: u32, check: bool, after: bool) -> World {
    let mut world = at_rest(9);
    let hook = |path: &str| Hook { path: path.into(), arguments: Vec::new(), limit: Millis(2_000) };
    let some = |wanted: bool, path: &str| if wanted { vec![hook(path)] } else { Vec::new() };
    let (check, after) = (some(check, "hooks/check"), some(after, "hooks/after"));
    let rollout = Rollout { batch: Batch::Members(batch), check, after };
    answer(
        &mut world,
        0,
        Command::Arrange {
            application: WEB.into(),
            placement: None,
            definition: Definition::default(),
            keep_files: false,
            rollout: Some(rollout),
        },
    )
    .expect("arranged");
    world.run(2 * SECOND);
    world
}

fn deployed(world: &mut World, at: usize, probation: u64) -> Hash {
    let source = workload::source(world, at);
    let wish = Wish { probation: Millis::seconds(probation), ..Wish::default() };
    let command =
        Command::Deploy { application: WEB.into(), source, reason: "better".into(), replace: true, wish };
    answer(world, at, command).expect("deployed");
    settled(world)
}

#[test]
fn members_apply_in_their_order_and_at_most_a_batch_at_once() {
    for batch in [1, 3] {
        let mut world = with(batch, false, false);
        let root = deployed(&mut world, 4, 0);
        let mut watched = Watched::default();
        assert!(watched.until_all_have(&mut world, &ALL, root, 30), "{:?}", watched.order);
        assert_holds(&world);
        assert!((1..=batch as usize).contains(&watched.most), "{} at once", watched.most);
        if batch == 1 {
            assert_eq!(watched.order, in_order(&world));
        }
    }
}

#[test]
fn drift_of_a_member_that_has_applied_is_repaired_while_others_wait() {
    let mut world = with(1, false, true);
    let order = in_order(&world);
    world.hosts[order[1]].hooks_fail_until = u64::MAX;
    let new = deployed(&mut world, 4, 0);
    assert!(Watched::default().until_all_have(&mut world, &order[..2], new, 20));
    world.run(2 * SECOND);
    workload::edit(&mut world, &order[..1], WEB, Some(tree::Tree::new()));
    assert!(Watched::default().until_all_have(&mut world, &order[..1], new, 20), "it is put right");
    let waits = |at: &usize| world.hosts[*at].live.get(WEB).and_then(|live| live.root()) != Some(new);
    assert!(order[2..].iter().all(waits), "the others wait all the same");
    world.hosts[order[1]].hooks_fail_until = 0;
    assert_rest(&mut world, 120);
}

#[test]
fn a_member_that_dies_in_the_middle_holds_up_nobody() {
    let mut world = with(1, false, false);
    let root = deployed(&mut world, 8, 0);
    let mut watched = Watched::default();
    let order = in_order(&world);
    assert!(watched.until_all_have(&mut world, &order[..2], root, 30));
    world.crash(order[2], "in the middle of the roll-out");
    let others: Vec<usize> = order.iter().copied().filter(|at| *at != order[2]).collect();
    assert!(watched.until_all_have(&mut world, &others, root, 30), "{:?}", watched.order);
    assert_holds(&world);
    world.start(order[2]);
    assert_rest(&mut world, 60);
}

#[test]
fn an_author_that_dies_holds_up_nobody() {
    let mut world = with(1, false, false);
    let root = deployed(&mut world, 0, 0);
    world.crash(0, "right after its commit");
    assert!(Watched::default().until_all_have(&mut world, &ALL[1..], root, 30));
    world.start(0);
    assert_rest(&mut world, 60);
}

#[test]
fn each_side_of_a_cut_rolls_out_a_batch_at_once_for_itself() {
    let mut world = with(2, false, false);
    let root = deployed(&mut world, 4, 0);
    let mut watched = Watched::default();
    let order = in_order(&world);
    assert!(watched.until_all_have(&mut world, &order[..2], root, 30));
    let (many, few) = ([0, 1, 2, 3, 4], [5, 6, 7, 8]);
    world.cut(&few, &many, false);
    let (mut here, mut there) = (Watched::default(), Watched::default());
    assert!(here.until_all_have(&mut world, &many, root, 60), "{:?}", here.order);
    assert!(there.until_all_have(&mut world, &few, root, 60), "{:?}", there.order);
    assert_holds(&world);
    assert!(here.most <= 2 && there.most <= 2, "{} and {}", here.most, there.most);
    world.mend();
    assert_rest(&mut world, 60);
}

#[test]
fn a_canary_whose_hook_fails_brings_the_entity_back_before_the_others_have_applied() {
    let mut world = with(1, false, true);
    let (before, number) = (settled(&world), revision(&world));
    world.hosts[0].hooks_fail_until = u64::MAX;
    let bad = deployed(&mut world, 4, 60);
    let had = RefCell::new(BTreeSet::new());
    let undone = world.run_until(60 * SECOND, |world| {
        had.borrow_mut().extend(
            ALL.iter().filter(|at| world.hosts[**at].live.get(WEB).and_then(|live| live.root()) == Some(bad)),
        );
        world.reference.state().is_some_and(|state| state.applications[WEB].root_hash() == Some(before))
    });
    assert_holds(&world);
    assert!(undone, "it is undone within its probation");
    assert_eq!(had.into_inner(), BTreeSet::from([0]), "only the canary has seen it");
    assert_eq!(revision(&world), number + 2);
    let state = world.reference.state().expect("an entity");
    let plan = state.applications[WEB].settled().expect("settled").plan;
    assert_eq!(plan.undoes, Some(number + 1));
    // Once: what was settled by it is not undone, whatever fails.
    world.run(30 * SECOND);
    assert_eq!(revision(&world), number + 2);
    world.hosts[0].hooks_fail_until = 0;
    assert_rest(&mut world, 60);
}

#[test]
fn without_a_probation_a_hook_that_fails_stops_the_rollout_until_somebody_says_so() {
    let mut world = with(1, false, true);
    world.hosts[0].hooks_fail_until = u64::MAX;
    let root = deployed(&mut world, 4, 0);
    let number = revision(&world);
    world.run(60 * SECOND);
    let has =
        |world: &World, at: usize| world.hosts[at].live.get(WEB).and_then(|live| live.root()) == Some(root);
    assert!(has(&world, 0) && (1..9).all(|at| !has(&world, at)), "the others wait");
    assert_eq!(revision(&world), number, "nobody undoes what nobody said may be undone");
    answer(&mut world, 5, Command::GoOn { application: WEB.into() }).expect("it goes on");
    assert!(Watched::default().until_all_have(&mut world, &ALL, root, 60));
    let refusal =
        answer(&mut world, 5, Command::GoOn { application: WEB.into() }).expect_err("it is not stopped");
    assert_eq!(refusal.code, Code::NotStopped);
    world.hosts[0].hooks_fail_until = 0;
    assert_rest(&mut world, 60);
}

#[test]
fn a_repair_that_fails_half_way_does_not_let_a_stopped_rollout_go_on() {
    let mut world = with(1, false, true);
    world.hosts[0].hooks_fail_until = u64::MAX;
    let root = deployed(&mut world, 4, 0);
    world.run(30 * SECOND);
    let has =
        |world: &World, at: usize| world.hosts[at].live.get(WEB).and_then(|live| live.root()) == Some(root);
    let mut changed = world.hosts[0].live(WEB).tree.clone().expect("it applied it");
    let file = changed.values_mut().find(|item| matches!(item, Item::File { .. })).expect("there is a file");
    *file = Item::directory(0o755);
    world.fill(0, true);
    workload::edit(&mut world, &[0], WEB, Some(changed.clone()));
    let half = |world: &World| world.hosts[0].live[WEB].tree.as_ref() != Some(&changed);
    assert!(world.run_until(30 * SECOND, half), "what is in the way of the file is moved");
    world.run(180 * SECOND);
    assert!((0..9).all(|at| !has(&world, at)), "the others wait, and there is no room to repair the first");
    world.fill(0, false);
    world.hosts[0].hooks_fail_until = 0;
    assert_rest(&mut world, 120);
    assert!((0..9).all(|at| has(&world, at)));
}

#[test]
fn a_check_that_fails_on_one_member_fails_the_update() {
    let mut world = with(1, true, false);
    let number = revision(&world);
    world.hosts[6].hooks_fail_until = u64::MAX;
    let command = deploy(&mut world, 3);
    let refusal = answer(&mut world, 3, command).expect_err("it is refused");
    assert_eq!(refusal.code, Code::CheckFailed);
    assert!(refusal.facts.contains(&("member".to_owned(), "m7".to_owned())), "{refusal:?}");
    assert_eq!(revision(&world), number);
    world.hosts[6].hooks_fail_until = 0;
    assert_rest(&mut world, 60);
    deployed(&mut world, 3, 0);
    assert_rest(&mut world, 60);
    assert_eq!(revision(&world), number + 1);
}

#[test]
fn a_window_that_commits_by_itself_settles_what_has_rested_and_stays_open() {
    let mut world = with(1, false, false);
    let number = revision(&world);
    let Command::Open { application, lasts, reason, adopt, .. } = open(60) else { unreachable!() };
    let opening = Command::Open { application, lasts, reason, adopt, auto: Some(Millis(500)) };
    let opened = answer(&mut world, 3, opening).expect("opened");
    assert!(matches!(opened, Outcome::Window { .. }), "{opened:?}");
    let mut roots = vec![settled(&world)];
    for round in 1..=2 {
        let live = world.hosts[3].live(WEB).tree.clone().expect("a tree");
        let edited = tree::meddle(&live, &mut world.workload.rng);
        workload::edit(&mut world, &[3], WEB, edited);
        let new = world.run_until(20 * SECOND, |world| revision(world) == number + round);
        assert!(new, "the edits of round {round} are settled");
        roots.push(settled(&world));
        let live = world.hosts[3].live(WEB).root();
        assert_eq!(
            live,
            Some(settled(&world)),
            "the author's tree is what was settled, and was not written to"
        );
        world.run(2 * SECOND);
        let window = world.reference.state().and_then(|state| state.applications[WEB].window.clone());
        assert!(window.is_some_and(|window| window.auto() == Some(Millis(500))), "it stays open");
    }
    roots.dedup();
    assert_eq!(roots.len(), 3);
    let refusal =
        answer(&mut world, 3, deploy_from(3)).expect_err("what lies there is settled, nothing else");
    assert_eq!(refusal.code, Code::WindowOpen);
    assert_rest(&mut world, 120);
    assert_eq!(revision(&world), number + 2, "nothing more was settled when it ended");
}

fn deploy_from(number: u64) -> Command {
    let source = althing_protocol::effect::Source::Directory(format!("/home/admin/{number}"));
    Command::Deploy {
        application: WEB.into(),
        source,
        reason: String::new(),
        replace: true,
        wish: Wish::default(),
    }
}

#[test]
fn a_commit_that_is_meant_although_nothing_differs_goes_from_member_to_member() {
    let mut world = with(1, false, true);
    let number = revision(&world);
    answer(&mut world, 2, open(60)).expect("opened");
    let wish = Wish { again: true, ..Wish::default() };
    let commit = Command::Commit { application: WEB.into(), expect: None, wish };
    let outcome = answer(&mut world, 2, commit).expect("settled");
    assert!(matches!(outcome, Outcome::Settled { revision, .. } if revision == number + 1), "{outcome:?}");
    world.run(30 * SECOND);
    assert_eq!(world.sometimes.get("an after hook was run").copied(), Some(9), "each member has run it once");
    assert_rest(&mut world, 60);
}

#[test]
fn a_member_that_an_application_does_not_go_to_deploys_what_others_check() {
    let mut world = with(1, true, false);
    let groups = ["a".to_owned()];
    for at in 0..3 {
        let (member, labels) = (format!("m{}", at + 1), [("group".to_owned(), Some("a".to_owned()))].into());
        answer(&mut world, 0, Command::Label { member, labels, keep_files: false }).expect("labelled");
    }
    let place = Command::Arrange {
        application: WEB.into(),
        placement: Some(Placement::of(groups)),
        definition: Definition::default(),
        keep_files: false,
        rollout: None,
    };
    answer(&mut world, 0, place).expect("placed");
    // Until it has let go of what it had.
    world.run(180 * SECOND);
    let runs = |world: &World| world.sometimes.get("a check was run").copied().unwrap_or_default();
    let (before, number) = (runs(&world), revision(&world));
    deployed(&mut world, 8, 0);
    assert_eq!((revision(&world), runs(&world)), (number + 1, before + 3), "the three that it goes to");
    world.hosts[1].hooks_fail_until = u64::MAX;
    let command = deploy(&mut world, 8);
    assert_eq!(answer(&mut world, 8, command).expect_err("it is refused").code, Code::CheckFailed);
    world.hosts[1].hooks_fail_until = 0;
    assert_rest(&mut world, 60);
}

/// What a crash interrupts is gone on with by the host alone: the member finds nothing to repair, and owes the hook.
#[test]
fn a_crash_in_the_middle_of_a_repair_does_not_lose_the_after_hook() {
    let mut world = with(1, false, true);
    let root = deployed(&mut world, 4, 0);
    assert!(Watched::default().until_all_have(&mut world, &ALL, root, 60));
    world.run(5 * SECOND);
    let runs = |world: &World| world.sometimes.get("an after hook was run").copied().unwrap_or_default();
    let before = runs(&world);
    workload::edit(&mut world, &[6], WEB, Some(tree::Tree::new()));
    let begun = |world: &World| {
        let live = world.hosts[6].live.get(WEB);
        live.is_some_and(|live| live.journal.as_ref().is_some_and(|journal| journal.applied.changed > 0))
    };
    assert!(world.run_until(20 * SECOND, begun), "it is put right");
    world.crash(6, "in the middle of a repair");
    assert_eq!(runs(&world), before);
    world.start(6);
    assert!(Watched::default().until_all_have(&mut world, &[6], root, 20));
    world.run(5 * SECOND);
    assert_eq!(runs(&world), before + 1, "once, when the whole tree is there again");
    assert_rest(&mut world, 60);
}

#[test]
fn a_hook_that_a_crash_interrupts_is_run_again() {
    let mut world = with(1, false, true);
    let command = deploy(&mut world, 4);
    world.request(4, command);
    let runs = |world: &World| world.sometimes.get("an after hook was run").copied().unwrap_or_default();
    assert!(world.run_until(20 * SECOND, |world| runs(world) == 1), "the first of the hierarchy runs it");
    let first = in_order(&world)[0];
    world.crash(first, "while its hook runs");
    world.start(first);
    let root = settled(&world);
    assert!(Watched::default().until_all_have(&mut world, &ALL, root, 60));
    world.run(5 * SECOND);
    assert_eq!(runs(&world), ALL.len() as u64 + 1);
    assert_rest(&mut world, 60);
}
