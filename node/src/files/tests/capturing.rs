//! The capture.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_captured_tree_is_complete_in_the_store() {
    let world = World::new();
    world.write("a/b", "content");
    world.write("c", "content");
    let captured = world.files.capture(&Source::Live, Job::unattended()).unwrap();
    assert_eq!((captured.extent.items, captured.extent.bytes), (3, 14));
    let manifest = world.files.store.manifest(&captured.root).unwrap().expect("kept");
    assert_eq!(manifest, world.scan().manifest);
    assert!(world.files.store.content().has(&Hash::of(b"content")));
}

#[test]
fn another_directory_is_captured_and_the_daemons_own_is_refused() {
    let world = World::new();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("file"), "from elsewhere").unwrap();
    let capture = |path: &Path| world.files.capture(&Source::Directory(path.to_owned()), Job::unattended());
    assert_eq!(capture(other.path()).unwrap().extent.items, 1);
    assert!(world.files.store.content().has(&Hash::of(b"from elsewhere")));
    let inner = world.at("inner");
    fs::create_dir(&inner).unwrap();
    let link = other.path().join("link");
    std::os::unix::fs::symlink(&world.files.directory, &link).unwrap();
    let refused = [
        &world.files.directory,
        &world.files.directory.join("store"),
        &link,
        &inner,
        &other.path().join("no"),
    ];
    for path in refused.into_iter().chain([&world.files.root().to_owned()]) {
        assert!(matches!(capture(path), Err(CaptureError::Refused { .. })), "{path:?}");
    }
}

#[test]
fn a_tree_that_changes_meanwhile_is_not_captured() {
    let world = World::new();
    for number in 0..200 {
        world.write(&format!("{number}"), &number.to_string().repeat(1000));
    }
    let (at, stop) = (world.at("7"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(&at, format!("{round}")).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        let result = world.files.capture(&Source::Live, Job::unattended());
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(result, Err(CaptureError::Changing { path: at }) if at == path("7")));
    });
}
