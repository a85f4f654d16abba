//! Manifests and trees made to harm: nothing outside of the root is touched, nothing blocks, nothing explodes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use althing_protocol::attributes::Attributes;
use althing_protocol::limits;
use althing_protocol::manifest::{Directory, Entry, Extent, FORMAT, Item, Manifest, Node};
use rustix::fs::{CWD, FileType, Mode};

use super::hashing::{BUFFER, hash_stable};
use super::*;

/// A directory of a manifest as only an attacker encodes it.
fn directory(entries: Vec<(&[u8], Node)>) -> (Hash, Directory) {
    let entries = entries.into_iter().map(|(name, node)| Entry {
        name: name.to_vec().into(),
        node,
        attributes: Attributes::default(),
    });
    let directory = Directory { format: FORMAT, entries: entries.collect() };
    (Hash::of(&directory.encode()), directory)
}

fn file_of(world: &World, bytes: &[u8]) -> Node {
    let mut batch = world.files.store.content().batch();
    let (content, size) = batch.add_any(&mut &bytes[..]).unwrap();
    batch.finish().unwrap();
    Node::File(0o644, size, content)
}

fn apply(world: &World, root: Hash) -> Result<Applied, ApplyError> {
    world.files.apply(root, 7, "test", Job::unattended())
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anything_is_changed() {
    let world = World::new();
    world.write("mine", "1");
    let beside = world.files.root().with_file_name("beside");
    let absolute = beside.as_os_str().as_bytes().to_vec();
    let long = vec![b'x'; limits::NAME_BYTES + 1];
    let names: [&[u8]; 10] =
        [b"..", b".", b"", b"../beside", b"a/../../beside", b"a/b", b"/", &absolute, b"nul\0", &long];
    let node = file_of(&world, b"evil");
    for name in names {
        let (root, top) = directory(vec![(name, node.clone())]);
        world.files.store.put_directories([(&root, &top)].into_iter()).unwrap();
        assert!(apply(&world, root).is_err(), "{name:?}");
        // The same below a directory that is named well.
        let (outer, above) = directory(vec![(b"d", Node::Directory(0o755, root))]);
        world.files.store.put_directories([(&outer, &above)].into_iter()).unwrap();
        assert!(apply(&world, outer).is_err(), "d/{name:?}");
    }
    assert!(!beside.exists());
    assert_eq!(fs::read_dir(world.files.root()).unwrap().count(), 1);
    assert_eq!(fs::read(world.at("mine")).unwrap(), b"1");
}

#[test]
fn names_twice_out_of_order_and_modes_out_of_bounds_are_refused() {
    let world = World::new();
    let node = file_of(&world, b"evil");
    let Node::File(_, size, content) = node.clone() else { unreachable!() };
    let device = Node::File(0o020_644, size, content);
    for entries in [
        vec![(&b"a"[..], node.clone()), (b"a", node.clone())],
        vec![(b"b", node.clone()), (b"a", node.clone())],
        vec![(b"device", device)],
        vec![(b"link", Node::Symlink(vec![b'x'; limits::LINK_BYTES + 1].into()))],
    ] {
        let (root, top) = directory(entries);
        world.files.store.put_directories([(&root, &top)].into_iter()).unwrap();
        assert!(apply(&world, root).is_err());
    }
    assert_eq!(fs::read_dir(world.files.root()).unwrap().count(), 0);
}

/// Forty directories of 60 bytes that stand for more items than there are atoms of memory.
#[test]
fn directories_that_name_one_another_twice_explode_nowhere() {
    let world = World::new();
    let (mut name, bottom) = directory(vec![(b"leaf", file_of(&world, b"1"))]);
    let mut all = vec![(name, bottom)];
    for _ in 0..40 {
        let node = Node::Directory(0o755, name);
        let (above, directory) = directory(vec![(b"a", node.clone()), (b"b", node)]);
        all.push((above, directory));
        name = above;
    }
    world.files.store.put_directories(all.iter().map(|(name, directory)| (name, directory))).unwrap();
    assert!(matches!(apply(&world, name), Err(ApplyError::Manifest(_))));
    assert_eq!(fs::read_dir(world.files.root()).unwrap().count(), 0);
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_nothing_outside() {
    let world = World::new();
    world.write("d/file", "wanted");
    let root = world.capture();
    let outside = world.files.root().with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "theirs").unwrap();
    fs::remove_dir_all(world.at("d")).unwrap();
    symlink(&outside, world.at("d")).unwrap();
    world.apply(root);
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"theirs");
    assert_eq!(fs::read(world.at("d/file")).unwrap(), b"wanted");
    assert!(!fs::symlink_metadata(world.at("d")).unwrap().is_symlink());
    // And a manifest whose link points outside is only a link.
    let items = [(path("d"), Item::symlink(outside.as_os_str().as_bytes()))];
    let manifest = Manifest::from_items(&items.into()).unwrap();
    world.files.store.put_directories(manifest.directories.iter()).unwrap();
    world.apply(manifest.root);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(world.scan().manifest.extent().unwrap(), Extent { items: 1, bytes: 0 });
}

#[test]
fn a_pipe_or_device_in_the_place_of_a_file_is_never_waited_for() {
    let world = World::new();
    rustix::fs::mknodat(CWD, world.at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let device = rustix::fs::mknodat(
        CWD,
        world.at("zero"),
        FileType::CharacterDevice,
        Mode::RUSR,
        rustix::fs::makedev(1, 5),
    );
    let began = Instant::now();
    let beneath = world.files.open_on_ground().unwrap();
    // As when a file is swapped for a pipe between the listing and the reading.
    let read = hash_stable(&beneath, &path("pipe"), ScanMode::Trust, Job::unattended(), &mut [0; BUFFER]);
    assert!(matches!(read, Err(ScanError::Unstable { .. })));
    if device.is_ok() {
        let read =
            hash_stable(&beneath, &path("zero"), ScanMode::ReadAll, Job::unattended(), &mut [0; BUFFER]);
        assert!(matches!(read, Err(ScanError::Unstable { .. })), "an endless file is not read");
        let scan = world.scan();
        assert!(scan.unmanaged.iter().any(|unmanaged| unmanaged.what == Special::Device));
    }
    assert_eq!(world.scan().manifest.extent().unwrap().items, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_longest_names_no_text_and_empty_directories_come_back() {
    let world = World::new();
    let longest = "ä".repeat(127) + "x";
    assert_eq!(longest.len(), limits::NAME_BYTES);
    world.write(&longest, "1");
    fs::write(world.files.root().join(OsStr::from_bytes(b"\xff\xfe\n\x01")), "2").unwrap();
    fs::create_dir_all(world.at("empty/er")).unwrap();
    let root = world.capture();
    trees::clear(world.files.root());
    world.apply(root);
    assert_eq!(world.scan().manifest.root, root);
    assert!(world.at("empty/er").is_dir());
    assert_eq!(fs::read(world.at(&longest)).unwrap(), b"1");
}

#[test]
fn a_tree_deeper_than_the_limit_gives_no_list_and_no_overflow() {
    let world = World::new();
    let mut at = world.files.root().to_owned();
    for _ in 0..limits::PATH_DEPTH {
        at = at.join("d");
        fs::create_dir(&at).unwrap();
    }
    let scan = world.scan();
    assert_eq!(scan.manifest.extent().unwrap().items, limits::PATH_DEPTH as u64);
    fs::create_dir(at.join("d")).unwrap();
    let result = world.files.scan(ScanMode::Trust, Job::unattended());
    assert!(matches!(result, Err(ScanError::Unnameable { .. })), "{result:?}");
}

#[test]
fn set_user_bits_and_second_names_come_back_as_files_of_their_own() {
    let world = World::new();
    world.write("program", "#!/bin/true");
    fs::set_permissions(world.at("program"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(world.at("program"), world.at("same")).unwrap();
    let root = world.capture();
    trees::clear(world.files.root());
    world.apply(root);
    let [one, other] = ["program", "same"].map(|name| fs::metadata(world.at(name)).unwrap());
    assert_eq!((one.mode() & 0o7777, other.mode() & 0o7777), (0o4755, 0o4755));
    assert_ne!(one.ino(), other.ino(), "a change of one is no change of the other");
    assert_eq!(world.scan().manifest.root, root);
}

#[test]
fn a_huge_hole_takes_no_room_in_the_store_or_the_tree() {
    const HOLE: u64 = 1 << 30;
    let world = World::new();
    let file = File::create(world.at("sparse")).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", HOLE / 2).unwrap();
    file.set_len(HOLE).unwrap();
    let root = world.capture();
    fs::remove_file(world.at("sparse")).unwrap();
    world.apply(root);
    let content = match &world.scan().manifest.items().unwrap()[&path("sparse")] {
        Item::File { size, content, .. } => {
            assert_eq!(*size, HOLE);
            *content
        }
        other => panic!("{other:?}"),
    };
    let stored = world.files.store.content().open(&content).unwrap().unwrap().metadata().unwrap();
    let placed = fs::metadata(world.at("sparse")).unwrap();
    for (what, metadata) in [("store", stored), ("tree", placed)] {
        assert_eq!(metadata.len(), HOLE, "{what}");
        assert!(metadata.blocks() * 512 < 4 << 20, "{} blocks in the {what}", metadata.blocks());
    }
    assert_eq!(world.scan().manifest.root, root);
}

/// Two looks that are equal are a tree that was: all of the things that move about, each once.
#[test]
fn a_tree_in_which_things_move_about_is_never_seen_in_part() {
    let world = World::new();
    for name in ["a/thing/file", "b/keep", "c/keep"] {
        world.write(name, "1");
    }
    let (places, stop) = (["a/thing", "b/thing", "c/thing"].map(|at| world.at(at)), AtomicBool::new(false));
    let mut seen = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                let next = (at + 1) % places.len();
                fs::rename(&places[at], &places[next]).unwrap();
                at = next;
                std::thread::sleep(Duration::from_micros(700));
            }
        });
        let until = Instant::now() + Duration::from_secs(3);
        let mut last = None;
        while Instant::now() < until {
            let scan = world.files.scan(ScanMode::Trust, Job::unattended()).ok();
            let root = scan.as_ref().map(|scan| scan.manifest.root);
            if let Some(scan) = scan.filter(|_| root == last) {
                seen += 1;
                let items = scan.manifest.items().unwrap();
                let things = items.keys().filter(|path| path.lossy().ends_with("thing/file")).count();
                assert_eq!(things, 1, "{items:?}");
            }
            last = root;
        }
        stop.store(true, Ordering::Relaxed);
    });
    eprintln!("{seen} pairs of looks were equal");
}

#[test]
fn two_applications_that_a_link_brings_together_are_both_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("one")).unwrap();
    fs::create_dir_all(at("two")).unwrap();
    fs::write(at("one/file"), "1").unwrap();
    let store = Arc::new(Store::open(&at("daemon/store")).unwrap());
    let neighbours = Arc::new(Neighbours::default());
    let application = |name: &str, root: &Path| {
        Files::new(name, root, &at("daemon"), Arc::clone(&store)).unwrap().beside(&neighbours)
    };
    let one = application("one", &at("one"));
    let two = application("two", &at("two/inner"));
    let scan = |files: &Files| files.scan(ScanMode::Trust, Job::unattended());
    let root = one.capture(&Source::Live, Job::unattended()).unwrap().root;
    assert!(matches!(scan(&two), Err(ScanError::Absent)));

    fs::remove_dir(at("two")).unwrap();
    symlink(at("one"), at("two")).unwrap();
    for files in [&one, &two] {
        let scanned = scan(files);
        assert!(matches!(scanned, Err(ScanError::Shared { .. })), "{scanned:?}");
        assert!(files.apply(root, 7, "test", Job::unattended()).is_err());
    }
    assert_eq!(fs::read_dir(at("one")).unwrap().count(), 1, "nothing was made in it");
    fs::remove_file(at("two")).unwrap();
    assert!(scan(&one).is_ok(), "it goes on by itself");
    symlink(at("one"), at("two")).unwrap();
    let retired = Arc::new(two);
    retired.part();
    assert!(
        scan(&one).is_ok(),
        "an application that is gone is in nobody's way, also while its trash is kept"
    );

    let again = application("two", &at("two/inner"));
    drop(retired);
    assert!(
        matches!(scan(&one), Err(ScanError::Shared { .. })),
        "whoever goes leaves its successor's entry alone"
    );
    drop(again);
    assert!(scan(&one).is_ok());
}
