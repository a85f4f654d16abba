//! Servers that run something already: what a majority has becomes the first revision, without anybody choosing.

use althing_protocol::control::Command;
use althing_protocol::handling::Handling;
use althing_protocol::placement::Placement;
use althing_protocol::record::Policy;
use althing_protocol::rollout::Wish;

use super::{WEB, answer, assert_holds, assert_rest};
use crate::host::tree;
use crate::options::Options;
use crate::run::found;
use crate::world::{SECOND, World};

/// Five hosts; the first three have one tree at the root, the others another.
fn furnished(policy: Policy, same: usize) -> World {
    let mut world = World::new(Options { seed: 5, members: 5, faults: false, ..Options::default() });
    world.by_hand = true;
    found(&mut world);
    let common = tree::random(&mut world.workload.rng);
    for at in 0..5 {
        let own = tree::random(&mut world.workload.rng);
        world.hosts[at].live(WEB).set(Some(if at < same { common.clone() } else { own }));
        crate::invariants::meddled(&mut world, at, WEB);
    }
    let (application, root) = (WEB.to_owned(), format!("/srv/{WEB}"));
    let (source, unmanaged) = (None, Vec::new());
    let create = Command::Create {
        application,
        root,
        policy,
        source,
        replace: false,
        unmanaged,
        handling: Handling::default(),
        placement: Placement::default(),
        adopts: None,
        rollout: None,
    };
    answer(&mut world, 4, create).expect("defined");
    world
}

fn first(world: &World) -> Option<althing_protocol::hash::Hash> {
    world.reference.state().expect("there is an entity").applications[WEB].root_hash()
}

#[test]
fn what_three_of_five_have_is_the_first_revision() {
    let mut world = furnished(Policy::Majority, 3);
    let root = world.hosts[0].live(WEB).root();
    world.run(30 * SECOND);
    assert_rest(&mut world, 30);
    assert_eq!(first(&world), root);
    assert!(!world.hosts[4].live(WEB).trash.is_empty(), "what the others had is kept");
}

#[test]
fn without_a_majority_nothing_is_chosen_and_nothing_changes() {
    for (policy, same) in [(Policy::Majority, 2), (Policy::Certified, 5)] {
        let mut world = furnished(policy, same);
        let trees: Vec<_> = (0..5).map(|at| world.hosts[at].live(WEB).tree.clone()).collect();
        world.run(60 * SECOND);
        assert_holds(&world);
        assert_eq!(first(&world), None);
        assert!((0..5).all(|at| world.hosts[at].live(WEB).tree == trees[at]));

        // An administrator decides.
        let (application, lasts) = (WEB.to_owned(), althing_protocol::time::Millis::seconds(60));
        let adopting =
            Command::Open { application, lasts, reason: "this one".into(), adopt: true, auto: None };
        answer(&mut world, 1, adopting).expect("opened");
        answer(
            &mut world,
            1,
            Command::Commit { application: WEB.into(), expect: None, wish: Wish::default() },
        )
        .expect("committed");
        assert_rest(&mut world, 30);
        assert_eq!(world.hosts[4].live(WEB).tree, trees[1]);
    }
}
