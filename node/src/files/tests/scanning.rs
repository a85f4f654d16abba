//! The scan.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use althing_protocol::manifest::Item;

use super::trees::{Thing, Tree};
use super::*;

#[test]
fn a_scan_names_every_item() {
    let world = World::new();
    let deep = vec!["d"; 40].join("/");
    world.write(&format!("{deep}/file"), "deep");
    symlink("/etc/passwd", world.at("link")).unwrap();
    fs::set_permissions(world.at("d"), Permissions::from_mode(0o2751)).unwrap();
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xc0");
    fs::write(world.files.root().join(name), "x").unwrap();
    fs::set_permissions(world.files.root().join(name), Permissions::from_mode(0o6711)).unwrap();
    let items = world.scan().manifest.items().unwrap();
    assert_eq!(items.len(), 43);
    assert_eq!(items[&path("link")], Item::symlink(b"/etc/passwd"));
    assert_eq!(items[&path("d")], Item::directory(0o2751));
    let file = &items[&ItemPath::new(b"\xff\xc0").unwrap()];
    assert_eq!(*file, Item::file(0o6711, 1, Hash::of(b"x")));
    assert!(items.contains_key(&path(&format!("{deep}/file"))));
}

#[test]
fn an_unchanged_tree_is_not_read_again_even_by_the_next_process() {
    let world = World::new();
    for number in 0..50 {
        world.write(&format!("d{}/{number}", number % 5), &number.to_string());
    }
    let_stamps_age();
    let first = world.scan();
    assert_eq!(first.read, 50);
    let second = world.scan();
    assert_eq!((second.read, second.manifest.root), (0, first.manifest.root));
    let store = Arc::clone(&world.files.store);
    let restarted = Files::new("shop", world.files.root(), &world.files.directory, store).unwrap();
    assert_eq!(restarted.scan(ScanMode::Trust, Job::unattended()).unwrap().read, 0);
    world.write("d1/1", "other");
    fs::remove_file(world.at("d2/2")).unwrap();
    let third = world.scan();
    assert_eq!(third.read, 1);
    assert_eq!(third.manifest.extent().unwrap().items, 49 + 5);
}

#[test]
fn a_change_within_the_clocks_grain_is_found() {
    for _ in 0..20 {
        let world = World::new();
        world.write("file", "old");
        // Its directory is old: a young one is waited for.
        let_stamps_age();
        world.write("file", "one");
        let first = world.scan();
        world.write("file", "two");
        assert_ne!(world.scan().manifest.root, first.manifest.root);
    }
}

#[test]
fn a_directory_is_listed_when_its_next_change_will_leave_another_stamp() {
    let world = World::new();
    world.write("d/file", "one");
    let changed = world.files.root().join("d");
    world.scan();
    let stamp = crate::files::stamp::Stamp::of(File::open(changed).unwrap()).unwrap();
    assert!(!stamp.is_of_this_moment(crate::files::stamp::now()));
}

#[test]
fn a_change_that_leaves_no_stamp_is_found_by_reading_all() {
    let world = World::new();
    world.write("file", "one");
    let_stamps_age();
    let first = world.scan();
    // A disk that rots changes no stamp; neither does a cache entry that says something else.
    let mut guard = world.files.exclusive();
    let cache = world.files.cache(&mut guard).unwrap();
    let stamp = stamp::Stamp::of(File::open(world.at("file")).unwrap()).unwrap();
    cache.learn(&path("file"), &stamp, Hash::of(b"before it rotted"));
    drop(guard);
    assert_ne!(world.scan().manifest.root, first.manifest.root);
    let all = world.files.scan(ScanMode::ReadAll, Job::unattended()).unwrap();
    assert_eq!((all.read, all.manifest.root), (1, first.manifest.root));
    assert_eq!(world.scan().manifest.root, first.manifest.root, "the cache was put right");
}

#[test]
fn the_same_size_and_time_with_other_content_is_found_by_the_change_time() {
    let world = World::new();
    world.write("file", "one");
    let_stamps_age();
    let first = world.scan();
    let modified = fs::metadata(world.at("file")).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(world.at("file")).unwrap();
    file.write_all(b"two").unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!(fs::metadata(world.at("file")).unwrap().modified().unwrap(), modified);
    assert_ne!(world.scan().manifest.root, first.manifest.root);
}

#[test]
fn a_file_that_is_written_all_the_time_gives_no_list() {
    /// Long enough that every reading takes longer than a tick.
    const SIZE: u64 = 32 << 20;
    let world = World::new();
    world.write("log", "");
    File::options().write(true).open(world.at("log")).unwrap().set_len(SIZE).unwrap();
    let (log, stop) = (world.at("log"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&log).unwrap();
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                file.write_all_at(&[b'x'; 512], round % (SIZE - 512)).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(50));
        // On a busy machine the writer may not get its turn during a whole scan; then what was read is what was there.
        let refused = (0..50).any(|_| match world.files.scan(ScanMode::Trust, Job::unattended()) {
            Err(ScanError::Unstable { path: at }) => at == path("log"),
            _ => false,
        });
        stop.store(true, Ordering::Relaxed);
        assert!(refused);
    });
}

#[test]
fn absent_vanished_and_unreadable_roots_are_told_apart() {
    let world = World::new();
    let root = world.capture();
    fs::remove_dir(world.files.root()).unwrap();
    let scan = || world.files.scan(ScanMode::Trust, Job::unattended());
    assert!(matches!(scan(), Err(ScanError::Absent)));
    world.apply(root);
    assert!(scan().is_ok());
    fs::remove_dir(world.files.root()).unwrap();
    assert!(matches!(scan(), Err(ScanError::Unreadable { path, .. }) if path.is_root()));
    fs::write(world.files.root(), "a file").unwrap();
    assert!(matches!(scan(), Err(ScanError::Unreadable { path, .. }) if path.is_root()));
}

#[test]
fn an_unreadable_directory_gives_no_list() {
    if modes::is_root() {
        return; // Nothing is unreadable to root.
    }
    let world = World::new();
    world.write("closed/file", "x");
    fs::set_permissions(world.at("closed"), Permissions::from_mode(0o000)).unwrap();
    let result = world.files.scan(ScanMode::Trust, Job::unattended());
    fs::set_permissions(world.at("closed"), Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(result, Err(ScanError::Unreadable { path: at, .. }) if at == path("closed")));
}

#[test]
fn special_files_are_listed_and_our_own_names_are_not() {
    let world = World::new();
    let _socket = std::os::unix::net::UnixListener::bind(world.at("socket")).unwrap();
    let fifo = rustix::fs::mknodat(
        rustix::fs::CWD,
        world.at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    );
    fifo.unwrap();
    world.write(".althing-new-0123456789abcdef", "x");
    let scan = world.scan();
    assert_eq!(scan.manifest.extent().unwrap().items, 0);
    let found: Vec<_> =
        scan.unmanaged.iter().map(|unmanaged| (unmanaged.path.lossy(), unmanaged.what)).collect();
    assert_eq!(found, [("fifo".to_owned(), Special::Fifo), ("socket".to_owned(), Special::Socket)]);
}

#[test]
fn a_cancelled_scan_stops() {
    let world = World::new();
    let result = world.files.scan(ScanMode::Trust, Job::new(&AtomicBool::new(true), &|_| {}));
    assert!(matches!(result, Err(ScanError::Cancelled)));
}

thread_local! {
    /// One store for all cases: opening one costs more than the case.
    static WORLD: World = World::new();
}

quickcheck::quickcheck! {
    fn a_scan_sees_what_is_there(tree: Tree) -> bool {
        WORLD.with(|world| check_scan(world, &tree));
        true
    }
}

fn check_scan(world: &World, tree: &Tree) {
    tree.make(world.files.root());
    let items = world.scan().manifest.items().unwrap();
    let things = items.into_iter().map(|(path, item)| {
        let thing = match item {
            Item::File { mode, size, content, .. } => {
                let bytes = fs::read(trees::below(world.files.root(), &path)).unwrap();
                assert_eq!((bytes.len() as u64, Hash::of(&bytes)), (size, content));
                Thing::File(mode, bytes)
            }
            Item::Directory { mode, .. } => Thing::Directory(mode),
            Item::Symlink { target, .. } => Thing::Link(target),
        };
        (path, thing)
    });
    assert_eq!(Tree(things.collect()), *tree);
    trees::clear(world.files.root());
}

/// Stores into a page that is dirty already leave no stamp, unless it was written back in between (finding 41).
#[test]
fn a_second_store_through_a_memory_map_is_found() {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    const PROGRAM: &str = "import mmap, sys\n\
        f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0)\n\
        for line in sys.stdin:\n  m[0:1] = line[0].encode(); print(line[0], flush=True)\n";
    let world = World::new();
    if rustix::fs::statfs(world.files.root()).unwrap().f_type == TMPFS {
        return; // Memory is never written back to memory: only reading all finds it there.
    }
    world.write("mapped", &"-".repeat(4096));
    let program = Command::new("python3")
        .args(["-c", PROGRAM])
        .arg(world.at("mapped"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut program) = program else { return }; // No Python here.
    let mut store = |letter: &str| {
        writeln!(program.stdin.as_mut().unwrap(), "{letter}").unwrap();
        program.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        let_stamps_age();
    };
    store("1");
    let first = world.scan();
    assert_eq!(world.scan().read, 0, "the stamp is trusted");
    store("2");
    assert_ne!(world.scan().manifest.root, first.manifest.root);
    drop(program.stdin.take());
    program.wait().unwrap();
}
