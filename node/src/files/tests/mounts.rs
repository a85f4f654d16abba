//! Other file systems in the tree and under the trash: each test runs itself again in a mount namespace of its own.

use std::fs;
use std::process::{Command, Stdio};

use super::*;

/// Set in the namespace.
const INSIDE: &str = "ALTHING_TEST_NAMESPACE";

/// Whether this is the inside, where to mount. Outside, runs the test inside and says no.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let can = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if can.is_ok_and(|status| status.success()) {
        let status = Command::new("unshare")
            .arg("-rm")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &format!("files::tests::mounts::{test}")])
            .env(INSIDE, "1")
            .status();
        assert!(status.unwrap().success(), "inside the namespace");
    }
    false
}

fn mount(at: &Path, options: &str) {
    fs::create_dir_all(at).unwrap();
    let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_mount_is_unmanaged_and_never_entered() {
    if !is_inside("a_mount_is_unmanaged_and_never_entered") {
        return;
    }
    let world = World::new();
    world.write("file", "1");
    let root = world.capture();
    mount(&world.at("d/mounted"), "size=1m");
    world.write("d/mounted/theirs", "x");
    let bound = world.at("bound");
    fs::write(&bound, "").unwrap();
    let status = Command::new("mount").arg("--bind").arg(world.at("file")).arg(&bound).status();
    assert!(status.unwrap().success());
    let scan = world.scan();
    assert_eq!(scan.manifest.extent().unwrap().items, 2);
    let mounts: Vec<_> =
        scan.unmanaged.iter().map(|unmanaged| (unmanaged.path.lossy(), unmanaged.what)).collect();
    assert_eq!(mounts, [("bound".to_owned(), Special::Mount), ("d/mounted".to_owned(), Special::Mount)]);
    let result = world.files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::InTheWay { path: at }) if at == path("d/mounted")));
    assert_eq!(fs::read(world.at("d/mounted/theirs")).unwrap(), b"x");
}

#[test]
fn a_disk_of_the_trash_that_is_full_stops_the_apply_with_nothing_lost() {
    if !is_inside("a_disk_of_the_trash_that_is_full_stops_the_apply_with_nothing_lost") {
        return;
    }
    let world = World::new();
    let wanted = "wanted".repeat(10_000);
    for name in ["a", "b", "c"] {
        world.write(name, &wanted);
    }
    let root = world.capture();
    let edited = "edited".repeat(10_000);
    for name in ["a", "b", "c", "surplus"] {
        world.write(name, &edited);
    }
    let daemon = world.files.root().with_file_name("small");
    mount(&daemon, "size=160k");
    let files = Files::new("shop", world.files.root(), &daemon, Arc::clone(&world.files.store)).unwrap();
    // The disk shall be what is full, not the quota.
    let files = files.with_trash_bytes(TRASH_BYTES);
    let result = files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::DiskFull { done: 2, .. })), "{result:?}");
    assert_eq!(files.trash().unwrap().len(), 2);
    let content = |name: &str| fs::read_to_string(world.at(name)).unwrap();
    assert_eq!([content("a"), content("b")], [wanted.clone(), wanted.clone()]);
    assert_eq!([content("c"), content("surplus")], [edited.clone(), edited]);
    assert_eq!(fs::read_dir(files.root()).unwrap().count(), 4, "no temporary file is left");
    fs::remove_dir_all(files.trash_directory()).unwrap();
    assert!(files.recover(Job::unattended()).unwrap().is_some());
    assert_eq!(files.scan(ScanMode::Trust, Job::unattended()).unwrap().manifest.root, root);
}

fn unmount(at: &Path) {
    let status = Command::new("umount").arg(at).status();
    assert!(status.unwrap().success());
}

fn vanished<T: std::fmt::Debug>(result: Result<T, ScanError>) -> PathBuf {
    match result {
        Err(ScanError::Vanished { mount, .. }) => mount,
        other => panic!("{other:?}"),
    }
}

/// The file system of a tree is a mount above it, or the root itself; it goes, and comes back with what was in it.
fn check_vanishing(below: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (disk, back) = (directory.path().join("disk"), directory.path().join("back"));
    mount(&disk, "size=4m");
    fs::create_dir(&back).unwrap();
    let root = disk.join(below);
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("file"), "wanted").unwrap();
    let store = Store::open(&directory.path().join("daemon/store")).unwrap();
    let files = Files::new("shop", &root, &directory.path().join("daemon"), Arc::new(store)).unwrap();
    let wanted = files.capture(&Source::Live, Job::unattended()).unwrap().root;
    let scan = || files.scan(ScanMode::Trust, Job::unattended());
    let apply = || files.apply(wanted, 7, "test", Job::unattended());
    apply().unwrap();

    let moved = Command::new("mount").arg("--move").arg(&disk).arg(&back).status();
    if !moved.unwrap().success() {
        // A shared mount cannot be moved: then it is a second view that stays.
        assert!(Command::new("mount").arg("--bind").arg(&disk).arg(&back).status().unwrap().success());
        unmount(&disk);
    }
    assert_eq!(vanished(scan()), disk.canonicalize().unwrap());
    let applied = apply();
    assert!(matches!(applied, Err(ApplyError::Scan(ScanError::Vanished { .. }))), "{applied:?}");
    let captured = files.capture(&Source::Live, Job::unattended());
    assert!(matches!(captured, Err(CaptureError::Scan(ScanError::Vanished { .. }))), "{captured:?}");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0, "nothing was made underneath");

    assert!(Command::new("mount").arg("--bind").arg(&back).arg(&disk).status().unwrap().success());
    assert_eq!(scan().unwrap().manifest.root, wanted, "it goes on by itself");
    fs::write(root.join("file"), "drift").unwrap();
    assert_eq!(apply().unwrap().changed, 1);

    // By hand, the tree is made where the root is now.
    unmount(&disk);
    vanished(scan());
    files.forget_ground().unwrap();
    apply().unwrap();
    assert_eq!(fs::read(root.join("file")).unwrap(), b"wanted");
    assert_eq!(scan().unwrap().manifest.root, wanted);
}

#[test]
fn a_file_system_that_is_gone_gives_no_list_and_is_not_filled() {
    if is_inside("a_file_system_that_is_gone_gives_no_list_and_is_not_filled") {
        check_vanishing("");
        check_vanishing("srv/shop");
    }
}

#[test]
fn a_tree_removed_on_its_own_file_system_is_drift() {
    if !is_inside("a_tree_removed_on_its_own_file_system_is_drift") {
        return;
    }
    let world = World::new();
    mount(world.files.root(), "size=4m");
    world.write("d/file", "1");
    let root = world.capture();
    world.apply(root);
    fs::remove_dir_all(world.at("d")).unwrap();
    assert_eq!(world.scan().manifest.extent().unwrap().items, 0, "the mount is there, and empty");
    world.apply(root);
    assert_eq!(world.scan().manifest.root, root);
}

/// What is mounted over a tree later is where it is from then on.
#[test]
fn a_disk_that_is_mounted_over_the_tree_is_taken_for_it() {
    if !is_inside("a_disk_that_is_mounted_over_the_tree_is_taken_for_it") {
        return;
    }
    let world = World::new();
    world.write("file", "1");
    let root = world.capture();
    world.apply(root);
    mount(world.files.root(), "size=4m");
    assert_eq!(world.scan().manifest.extent().unwrap().items, 0);
    world.apply(root);
    unmount(world.files.root());
    vanished(world.files.scan(ScanMode::Trust, Job::unattended()));
}

#[test]
fn a_disk_without_room_is_found_before_anything_is_changed() {
    if !is_inside("a_disk_without_room_is_found_before_anything_is_changed") {
        return;
    }
    let world = World::new();
    world.write("big", &"x".repeat(1 << 20));
    let root = world.capture();
    fs::remove_file(world.at("big")).unwrap();
    mount(world.files.root(), "size=1m");
    world.write("mine", "1");
    let result = world.files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::NoRoom { .. })));
    assert_eq!(fs::read(world.at("mine")).unwrap(), b"1");
}
