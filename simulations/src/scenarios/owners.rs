//! Owners go by name, and most members have no user of the name that is settled: each shows its own rendering, which is
//! no drift, is not repaired again and again, and is never adopted (finding 26).

use std::collections::BTreeMap;

use althing_protocol::attributes::Attributes;
use althing_protocol::control::Command;
use althing_protocol::effect::Source;
use althing_protocol::explain::Condition;

use super::{WEB, answer, assert_holds, assert_rest, at_rest, deploy, revision, settled};
use crate::host::tree::Tree;
use crate::workload::edit;
use crate::world::{SECOND, World};

/// Without a user `www-data`: three of five.
const WITHOUT: [usize; 3] = [1, 2, 3];

/// What member 0 is to deploy belongs to `www-data`.
fn owned(world: &mut World) -> Tree {
    let command = deploy(world, 0);
    let Command::Deploy { source: Source::Directory(path), .. } = &command else { panic!("{command:?}") };
    let tree = world.hosts[0].directories.get_mut(path).expect("it is there");
    for item in tree.values_mut() {
        *item = item.clone().with(Attributes::owned("www-data", "root"));
    }
    let tree = tree.clone();
    for at in WITHOUT {
        world.hosts[at].live(WEB).unknown_users.insert("www-data".to_owned());
    }
    let reply = answer(world, 0, command);
    assert!(reply.is_ok(), "{reply:?}");
    tree
}

fn rendering(tree: &Tree) -> Tree {
    let items =
        tree.iter().map(|(path, item)| (path.clone(), item.clone().with(Attributes::owned("root", "root"))));
    items.collect::<BTreeMap<_, _>>()
}

#[test]
fn what_a_majority_cannot_make_is_not_adopted_and_nobody_is_kept_busy() {
    let mut world = at_rest(5);
    let tree = owned(&mut world);
    world.run(20 * SECOND);
    assert_holds(&world);
    let (number, root) = (revision(&world), settled(&world));
    for at in WITHOUT {
        assert_eq!(world.hosts[at].live(WEB).tree, Some(rendering(&tree)), "all but the owner");
        let report = world.hosts[at].member.as_ref().expect("it runs").status().expect("it is a member");
        let named = |condition: &str| report.attention.iter().any(|one| one.condition == condition);
        assert!(
            named(Condition::OutOfReach.name()) && !named(Condition::ContentDiffers.name()),
            "{report:?}"
        );
    }

    // More than half show the same, for minutes.
    let steps = world.steps;
    world.run(120 * SECOND);
    assert_holds(&world);
    assert_eq!((revision(&world), settled(&world)), (number, root), "nobody settled it");
    assert!(world.steps - steps < 120 * 5 * 40, "{} steps in two minutes", world.steps - steps);

    // What else happens there is repaired as anywhere.
    let mut other = rendering(&tree);
    other.pop_last();
    edit(&mut world, &[1], WEB, Some(other));
    world.run(10 * SECOND);
    assert_eq!(world.hosts[1].live(WEB).tree, Some(rendering(&tree)));

    // Once there is such a user it is put right by itself.
    for at in WITHOUT {
        world.hosts[at].live(WEB).unknown_users.clear();
    }
    assert_rest(&mut world, 120);
    for at in 0..5 {
        assert_eq!(world.hosts[at].live(WEB).tree, Some(tree.clone()));
    }
}

/// Owners that were changed by hand are put back, and no content is fetched or replaced for it.
#[test]
fn drift_of_owners_alone_moves_no_content() {
    let mut world = at_rest(5);
    let settled_tree = world.hosts[0].live(WEB).tree.clone().expect("there is content");
    let trashed = world.hosts[2].live(WEB).trash.len();
    let mine = settled_tree
        .iter()
        .map(|(path, item)| (path.clone(), item.clone().with(Attributes::owned("ada", "staff"))));
    edit(&mut world, &[2], WEB, Some(mine.collect()));
    assert_rest(&mut world, 60);
    let live = world.hosts[2].live(WEB);
    assert_eq!((live.tree.as_ref(), live.trash.len()), (Some(&settled_tree), trashed));
}
