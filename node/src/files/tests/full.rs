//! A disk that is full at every single step that writes: nothing is lost, and it goes on when there is room.

use std::fs;
use std::time::Duration;

use super::trees::Tree;
use super::*;

/// Longer than any step.
const FULL: Duration = Duration::from_secs(60);

fn fill_after(world: &World, points: u64) {
    world.files.store.room().faults().fill_after(points, FULL);
}

fn empty(world: &World) {
    world.files.store.room().faults().fill_after(0, Duration::ZERO);
    assert!(world.files.store.room().faults().point().is_ok());
}

fn scene() -> (World, Hash) {
    let world = World::new();
    for number in 0..12 {
        world.write(&format!("d/{number}"), &format!("wanted {number}"));
    }
    world.write("only", "wanted");
    let root = world.capture();
    for number in 0..12 {
        world.write(&format!("d/{number}"), &format!("edited {number}"));
    }
    fs::remove_file(world.at("only")).unwrap();
    world.write("surplus/deep", "surplus");
    (world, root)
}

/// Every file that was there is in the tree or in the trash, whole.
fn check_nothing_is_lost(world: &World) {
    let trashed = world.files.trash().unwrap();
    let in_trash = |wanted: &str| {
        trashed.iter().any(|trashed| {
            let at = trees::below(&world.files.trash_directory().join(trashed.layer_name()), &trashed.path);
            fs::read_to_string(at).is_ok_and(|text| text == wanted)
        })
    };
    let in_tree = |at: &str, wanted: &str| fs::read_to_string(world.at(at)).is_ok_and(|text| text == wanted);
    for number in 0..12 {
        let (at, edited) = (format!("d/{number}"), format!("edited {number}"));
        assert!(in_tree(&at, &edited) || in_trash(&edited), "{at}");
        assert!(in_tree(&at, &edited) || in_tree(&at, &format!("wanted {number}")), "{at} is whole");
    }
    assert!(in_tree("surplus/deep", "surplus") || in_trash("surplus"));
}

#[test]
fn an_apply_stops_at_any_full_step_and_goes_forward_later() {
    let mut stopped = 0;
    for points in 0.. {
        let (world, root) = scene();
        fill_after(&world, points);
        let result = world.files.apply(root, 7, "test", Job::unattended());
        let passed = result.is_ok() && !world.files.store.room().faults().is_full();
        if let Err(error) = &result {
            assert!(error.is_full(), "step {points}: {error:?}");
            stopped += 1;
        }
        empty(&world);
        // What was taken and not listed is found by the apply that goes on.
        world.apply(root);
        check_nothing_is_lost(&world);
        assert_eq!(world.scan().manifest.root, root, "step {points}");
        let left = Tree::read(world.files.root()).0;
        assert!(left.keys().all(|path| !path.lossy().contains(".althing-")), "step {points}: {left:?}");
        if passed {
            break;
        }
    }
    assert!(stopped > 20, "only {stopped} steps write");
}

#[test]
fn a_capture_stops_at_any_full_step_and_leaves_nothing() {
    let mut stopped = 0;
    for points in 0.. {
        let (world, _) = scene();
        fill_after(&world, points);
        let result = world.files.capture(&Source::Live, Job::unattended());
        if let Err(error) = &result {
            assert!(matches!(error, CaptureError::Store(fault) if fault.is_full()), "{error:?}");
            stopped += 1;
        }
        let staging = world.files.store.path().join("staging");
        assert_eq!(fs::read_dir(staging).unwrap().count(), 0, "step {points}");
        let passed = result.is_ok() && !world.files.store.room().faults().is_full();
        empty(&world);
        let captured = world.files.capture(&Source::Live, Job::unattended()).unwrap();
        assert!(world.files.store.manifest(&captured.root).unwrap().is_some());
        if passed {
            break;
        }
    }
    assert!(stopped > 10, "only {stopped} steps write");
}

#[test]
fn a_scan_needs_no_room() {
    let (world, root) = scene();
    world.apply(root);
    fill_after(&world, 0);
    assert_eq!(world.scan().manifest.root, root);
    world.write("more", "1");
    assert_ne!(world.scan().manifest.root, root);
}

#[test]
fn the_trash_takes_at_most_a_tenth_of_its_disk() {
    let world = World::new();
    let disk = rustix::fs::statvfs(&world.files.directory).unwrap();
    let tenth = disk.f_blocks * disk.f_frsize / 10;
    assert_eq!(world.files.trash_quota(), tenth.min(TRASH_BYTES));
}
