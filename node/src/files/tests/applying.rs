//! The apply.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use quickcheck::Arbitrary;

use super::trees::{Thing, Tree, below};
use super::*;
use crate::files::swap::Temporary;

/// Whether the first is the name that `path` has while it is carried to another file system. If that was interrupted
/// and nothing of its name is wanted any more, this is all that is known of it (`leftovers.rs`).
fn is_set_aside(found: &ItemPath, path: &ItemPath) -> bool {
    let (Some((above, name)), Some((parent, own))) = (found.split(), path.split()) else { return false };
    above == parent && Temporary::parse(name) == Some(Temporary::Aside(Temporary::mark(own)))
}

/// Everything of `before` that `after` has not at the same path lies in the trash, byte for byte.
pub(super) fn check_nothing_is_lost(files: &Files, before: &Tree, after: &Tree) {
    let trash = files.trash().unwrap();
    for (path, thing) in &before.0 {
        let is_kept = match (thing, after.0.get(path)) {
            (Thing::File(_, old), Some(Thing::File(_, new))) => old == new,
            (Thing::Directory(_), Some(Thing::Directory(_))) => true,
            (old, new) => Some(old) == new,
        };
        if is_kept {
            continue;
        }
        let is_it = |trashed: &&Trashed| {
            let at = below(&files.trash_directory().join(trashed.layer_name()), &trashed.path);
            (trashed.path == *path || is_set_aside(&trashed.path, path))
                && match (thing, trashed.kind) {
                    (Thing::File(mode, bytes), TrashedKind::File) => {
                        trashed.mode == *mode
                            && trashed.content.is_none_or(|content| content == Hash::of(bytes))
                            && fs::read(at).unwrap() == *bytes
                    }
                    (Thing::Directory(mode), TrashedKind::Directory) => trashed.mode == *mode && at.is_dir(),
                    (Thing::Link(target), TrashedKind::Symlink) => {
                        std::os::unix::ffi::OsStrExt::as_bytes(fs::read_link(at).unwrap().as_os_str())
                            == target
                    }
                    _ => false,
                }
        };
        assert!(trash.iter().any(|trashed| is_it(&trashed)), "{path:?} is lost: {trash:#?}");
    }
}

fn check_law(files: &Files, a: &Tree, b: &Tree) {
    b.make(files.root());
    let root = files.capture(&Source::Live, Job::unattended()).unwrap().root;
    a.make(files.root());
    let applied = files.apply(root, 7, "test", Job::unattended()).unwrap();
    assert_eq!(Tree::read(files.root()), *b);
    check_nothing_is_lost(files, a, b);
    assert_eq!(files.trash().unwrap().len(), applied.trashed.len());
    assert_eq!(files.scan(ScanMode::Trust, Job::unattended()).unwrap().manifest.root, root);
    assert!(!files.is_applying().unwrap());
    trees::clear(files.root());
    files.prune(SystemTime::now() + 2 * TRASH_KEPT, TRASH_KEPT, None).unwrap();
    assert!(files.trash().unwrap().is_empty());
}

thread_local! {
    /// One store for all cases: opening one costs more than the case.
    static WORLD: World = World::new();
}

quickcheck::quickcheck! {
    fn apply_gives_what_was_captured_and_loses_nothing(a: Tree, b: Tree) -> bool {
        WORLD.with(|world| check_law(&world.files, &a, &b));
        true
    }
}

#[test]
fn the_law_holds_with_the_trash_on_another_file_system() {
    let Ok(shared_memory) = tempfile::tempdir_in("/dev/shm") else { return };
    let (world, mut g) = (World::new(), quickcheck::Gen::new(30));
    let (root, store) = (world.files.root(), Arc::clone(&world.files.store));
    let files = Files::new("shop", root, shared_memory.path(), store).unwrap();
    for _ in 0..20 {
        check_law(&files, &Arbitrary::arbitrary(&mut g), &Arbitrary::arbitrary(&mut g));
    }
}

#[test]
fn the_root_is_made_and_a_vanished_one_made_again() {
    let world = World::new();
    world.write("a/b", "1");
    let root = world.capture();
    fs::remove_dir_all(world.files.root()).unwrap();
    assert_eq!(world.apply(root).changed, 3);
    assert_eq!(fs::read(world.at("a/b")).unwrap(), b"1");
    assert_eq!(fs::metadata(world.files.root()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(world.apply(root), Applied::default());
}

#[test]
fn missing_content_is_found_before_anything_is_changed() {
    let world = World::new();
    world.write("a", "1");
    let root = world.capture();
    world.write("a", "2");
    let unknown = world.files.apply(Hash::of(b"?"), 7, "test", Job::unattended());
    assert!(matches!(unknown, Err(ApplyError::Missing(missing)) if missing == [Hash::of(b"?")]));
    let content = world.files.directory.join("store/content");
    for entry in fs::read_dir(content).unwrap() {
        let shard = entry.unwrap().path();
        fs::remove_dir_all(&shard).unwrap();
        fs::create_dir(&shard).unwrap();
    }
    let lacking = world.files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(lacking, Err(ApplyError::Missing(missing)) if missing == [Hash::of(b"1")]));
    assert_eq!(fs::read(world.at("a")).unwrap(), b"2");
    assert!(!world.files.is_applying().unwrap());
}

#[test]
fn damaged_content_is_never_put_in_place() {
    let world = World::new();
    world.write("a", "right");
    let root = world.capture();
    world.write("a", "edited");
    let hash = Hash::of(b"right");
    let mut damaged = 0;
    for entry in fs::read_dir(world.files.directory.join("store/content")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            fs::write(&file, "wrong").unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    let result = world.files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::Damaged { content, done: 0, .. }) if content == hash));
    assert_eq!(fs::read(world.at("a")).unwrap(), b"edited");
    assert_eq!(fs::read_dir(world.files.root()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_full_trash_stops_before_anything_is_overwritten() {
    let world = World::new();
    world.write("a", "1");
    let root = world.capture();
    world.write("a", "edited by hand");
    let World { files, _directory } = world;
    let files = files.with_trash_bytes(5);
    let result = files.apply(root, 7, "test", Job::unattended());
    assert!(matches!(result, Err(ApplyError::TrashFull { done: 0, .. })));
    assert_eq!(fs::read(files.root().join("a")).unwrap(), b"edited by hand");
    let files = files.with_trash_bytes(5000);
    files.apply(root, 7, "test", Job::unattended()).unwrap();
    assert_eq!(fs::read(files.root().join("a")).unwrap(), b"1");
}

#[test]
fn a_cancelled_apply_goes_forward_later() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.write(name, "1");
    }
    let root = world.capture();
    for name in ["a", "b", "c"] {
        world.write(name, "2");
    }
    let cancel = AtomicBool::new(false);
    let stop = |progress: Progress| {
        if progress.stage == Stage::Apply {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let result = world.files.apply(root, 7, "test", Job::new(&cancel, &stop));
    assert!(matches!(result, Err(ApplyError::Cancelled { done: 1 })));
    assert!(world.files.is_applying().unwrap());
    assert_eq!(world.files.trash().unwrap().len(), 1);
    let applied = world.files.recover(Job::unattended()).unwrap().expect("an apply to finish");
    assert_eq!((applied.changed, applied.trashed.len()), (2, 2));
    assert_eq!(world.scan().manifest.root, root);
    assert_eq!(world.files.recover(Job::unattended()).unwrap(), None);
}

#[test]
fn every_kind_becomes_every_other() {
    let things = [
        Thing::File(0o4755, b"file".to_vec()),
        Thing::File(0o600, b"other".to_vec()),
        Thing::Directory(0o2555),
        Thing::Link(b"/etc".to_vec()),
    ];
    let world = World::new();
    for (from, to) in things.iter().flat_map(|from| things.iter().map(move |to| (from, to))) {
        let tree = |thing: &Thing| {
            let mut tree = Tree([(path("x"), thing.clone())].into());
            if matches!(thing, Thing::Directory(_)) {
                tree.0.insert(path("x/inner"), Thing::File(0o644, b"inner".to_vec()));
                tree.0.insert(path("x/below"), Thing::Directory(0o555));
                tree.0.insert(path("x/below/inner"), Thing::File(0o444, b"inner".to_vec()));
            }
            tree
        };
        check_law(&world.files, &tree(from), &tree(to));
    }
}

#[test]
fn a_directory_that_goes_takes_what_no_scan_knew_into_the_trash() {
    let world = World::new();
    world.write("keep", "1");
    let root = world.capture();
    world.write("old/file", "1");
    let _socket = std::os::unix::net::UnixListener::bind(world.at("old/socket")).unwrap();
    world.write("old/.althing-mine", "not one of ours");
    world.apply(root);
    assert!(!world.at("old").exists());
    let kinds: Vec<_> = world
        .files
        .trash()
        .unwrap()
        .into_iter()
        .map(|trashed| (trashed.path.lossy(), trashed.kind))
        .collect();
    for wanted in [
        ("old", TrashedKind::Directory),
        ("old/file", TrashedKind::File),
        ("old/socket", TrashedKind::Special),
        ("old/.althing-mine", TrashedKind::File),
    ] {
        assert!(kinds.contains(&(wanted.0.to_owned(), wanted.1)), "{wanted:?} in {kinds:?}");
    }
}

#[test]
fn a_file_with_a_second_name_outside_is_replaced_and_not_changed() {
    let world = World::new();
    let outside = world.files.root().with_file_name("outside");
    fs::write(&outside, "shared").unwrap();
    fs::hard_link(&outside, world.at("inside")).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o600)).unwrap();
    let root = world.capture();
    fs::set_permissions(&outside, Permissions::from_mode(0o644)).unwrap();
    world.apply(root);
    assert_eq!(fs::metadata(world.at("inside")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn links_are_replaced_and_never_followed() {
    let world = World::new();
    world.write("a", "wanted");
    world.write("d/b", "wanted");
    let root = world.capture();
    fs::remove_dir_all(world.files.root()).unwrap();
    fs::create_dir(world.files.root()).unwrap();
    let outside = world.files.root().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("b"), "theirs").unwrap();
    symlink(outside.join("b"), world.at("a")).unwrap();
    symlink(&outside, world.at("d")).unwrap();
    world.apply(root);
    assert_eq!(fs::read(outside.join("b")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(world.scan().manifest.root, root);
}

#[test]
fn a_pipe_where_something_is_wanted_goes_to_the_trash() {
    let world = World::new();
    world.write("a", "1");
    world.write("d/b", "1");
    let root = world.capture();
    fs::remove_file(world.at("a")).unwrap();
    fs::remove_dir_all(world.at("d")).unwrap();
    for name in ["a", "d"] {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, world.at(name), kind, mode, 0).unwrap();
    }
    world.apply(root);
    assert_eq!(world.scan().manifest.root, root);
    assert!(world.files.trash().unwrap().iter().all(|trashed| trashed.kind == TrashedKind::Special));
    assert_eq!(world.files.trash().unwrap().len(), 2);
}

#[test]
fn directories_that_nobody_may_write_to_are_filled_and_closed_again() {
    let closed = |content: &str| {
        Tree(
            [
                (path("d"), Thing::Directory(0o555)),
                (path("d/e"), Thing::Directory(0o500)),
                (path("d/e/file"), Thing::File(0o400, content.into())),
                (path("d/e/link"), Thing::Link(content.into())),
            ]
            .into(),
        )
    };
    let mut other = closed("two");
    other.0.insert(path("d/e/f"), Thing::Directory(0o111 | 0o400));
    other.0.insert(path("d/e/f/more"), Thing::File(0o444, b"more".to_vec()));
    let world = World::new();
    for (a, b) in [(closed("one"), other.clone()), (other, closed("one"))] {
        check_law(&world.files, &a, &b);
    }
}
