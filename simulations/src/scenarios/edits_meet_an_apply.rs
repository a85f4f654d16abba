//! The same edit on every member while a new revision is applied: what comes of both is nobody's content, and is not
//! adopted although all show it (finding 2).

use super::{WEB, answer, assert_rest, at_rest, deploy, edited, revision, settled};
use crate::workload::edit;
use crate::world::SECOND;

#[test]
fn half_an_apply_and_half_an_edit_are_repaired() {
    for pause in 0..12 {
        let mut world = at_rest(3);
        let tree = edited(&mut world);
        let command = deploy(&mut world, 1);
        answer(&mut world, 1, command).expect("deployed");
        let root = settled(&world);
        world.run_until(10 * SECOND, |world| world.hosts.iter().any(|host| host.live[WEB].journal.is_some()));
        // Early, late, and when it has just ended.
        world.run(pause * 12_000);
        edit(&mut world, &[0, 1, 2], WEB, Some(tree));
        assert_rest(&mut world, 60);
        let (number, now) = (revision(&world), settled(&world));
        let adopted = number == 3 && world.invariants.was_edited(WEB, &now);
        assert!(number == 2 && now == root || adopted, "revision {number} {}", now.short());
    }
}
