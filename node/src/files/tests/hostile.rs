//! A tree whose owner works against the daemon.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// While applies run, a directory is swapped for a link to a place outside and back, as fast as can be.
#[test]
fn a_directory_swapped_for_a_link_lets_nothing_escape() {
    let world = World::new();
    let names: Vec<String> = (0..20).map(|number| format!("d/{number}")).collect();
    for name in &names {
        world.write(name, "wanted");
    }
    let root = world.capture();
    let outside = world.files.root().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    for name in &names {
        fs::write(outside.join(name.strip_prefix("d/").unwrap()), "theirs").unwrap();
    }
    let (d, link, stop) = (world.at("d"), world.at("link"), AtomicBool::new(false));
    symlink(&outside, &link).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = || {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &d, rustix::fs::CWD, &link, flags)
            };
            while !stop.load(Ordering::Relaxed) {
                let _ = symlink(&outside, &link);
                let _ = exchange();
                std::thread::yield_now();
            }
        });
        for round in 0..15 {
            for name in &names {
                let _ = fs::write(world.at(name), format!("drift {round}"));
            }
            let _ = world.files.apply(root, 7, "test", Job::unattended());
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Drift may have been written through the link by this test itself; a wanted file only by an escape.
    for entry in fs::read_dir(&outside).unwrap() {
        let entry = entry.unwrap();
        assert_ne!(fs::read(entry.path()).unwrap(), b"wanted", "{entry:?}");
        assert!(!entry.file_name().to_string_lossy().starts_with(".althing-"));
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), names.len(), "nothing was taken out of it either");
    world.apply(root);
    assert_eq!(world.scan().manifest.root, root);
}

#[test]
fn an_edit_during_the_repair_is_in_the_trash() {
    let world = World::new();
    world.write("file", "wanted");
    let root = world.capture();
    let (file, stop) = (world.at("file"), AtomicBool::new(false));
    let mut written = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                // As editors do: write beside, then rename over.
                let beside = file.with_file_name("beside");
                fs::write(&beside, format!("edit {number}")).unwrap();
                let kept = file.parent().unwrap().with_file_name(format!("kept-{number}"));
                if fs::hard_link(&beside, &kept).is_err() {
                    // The apply has just taken it away, as it should.
                    continue;
                }
                let _ = fs::rename(&beside, &file);
                number += 1;
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            number
        });
        for _ in 0..30 {
            let _ = world.files.apply(root, 7, "test", Job::unattended());
        }
        stop.store(true, Ordering::Relaxed);
        written = writer.join().unwrap();
    });
    assert!(written > 0);
    // Whatever was taken away is one of the edits, whole.
    for trashed in world.files.trash().unwrap() {
        let at = trees::below(&world.files.trash_directory().join(trashed.layer_name()), &trashed.path);
        let text = fs::read_to_string(at).unwrap();
        assert!(text.starts_with("edit ") || text == "wanted" || text.is_empty(), "{text:?}");
        if let Some(content) = trashed.content {
            assert_eq!(content, Hash::of(text.as_bytes()), "a hash that is listed is right");
        }
    }
}

#[test]
fn reserved_names_are_refused_before_anything_is_changed() {
    let world = World::new();
    world.write("file", "1");
    let manifest = {
        let items =
            [(path(".althing-new-0123456789abcdef"), althing_protocol::manifest::Item::symlink(b"x"))];
        althing_protocol::manifest::Manifest::from_items(&items.into()).unwrap()
    };
    world.files.store.put_directories(manifest.directories.iter()).unwrap();
    let result = world.files.apply(manifest.root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::Reserved { .. })));
    assert_eq!(fs::read(world.at("file")).unwrap(), b"1");
}
