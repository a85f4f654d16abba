//! The process is killed in the middle of an apply; the next one finishes it.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quickcheck::{Arbitrary, Gen};

use super::applying::check_nothing_is_lost;
use super::trees::Tree;
use super::*;

/// Tells the child where its world is and what to apply.
const WORLD: &str = "ALTHING_TEST_WORLD";
const ROOT: &str = "ALTHING_TEST_ROOT";
const DAEMON: &str = "ALTHING_TEST_DAEMON";
const KILLS: u32 = 20;

fn files_at(directory: &Path, daemon: &Path) -> Files {
    let store = Store::open(&directory.join("daemon/store")).unwrap();
    Files::new("shop", &directory.join("root"), daemon, Arc::new(store)).unwrap()
}

/// Not a test of its own: what the child does.
#[test]
fn applies_when_told() {
    let (Ok(world), Ok(root), Ok(daemon)) =
        (std::env::var(WORLD), std::env::var(ROOT), std::env::var(DAEMON))
    else {
        return;
    };
    let files = files_at(Path::new(&world), Path::new(&daemon));
    fs::write(Path::new(&world).join("ready"), "").unwrap();
    files.apply(root.parse().unwrap(), 7, "test", Job::unattended()).unwrap();
}

fn start(directory: &Path, daemon: &Path, root: Hash) -> std::process::Child {
    let _ = fs::remove_file(directory.join("ready"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::tests::killed::applies_when_told"])
        .env(WORLD, directory)
        .env(ROOT, root.to_string())
        .env(DAEMON, daemon)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !directory.join("ready").exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_micros(200));
    }
    child
}

fn random_big_tree(g: &mut Gen) -> Tree {
    let mut tree = Tree([].into());
    for _ in 0..6 {
        for (path, thing) in Tree::arbitrary(g).0 {
            let parent = path.split().unwrap().0;
            let fits = parent.is_root() || matches!(tree.0.get(&parent), Some(trees::Thing::Directory(_)));
            if fits && !tree.0.contains_key(&path) {
                tree.0.insert(path, thing);
            }
        }
    }
    tree
}

fn check_kills(daemon_of: impl Fn(&Path) -> PathBuf) {
    let mut g = Gen::new(40);
    let (mut unfinished, mut longest) = (0, Duration::from_millis(40));
    // Where the processor is busy elsewhere, a kill may come too early or too late.
    for kill in 0..5 * KILLS {
        if kill >= KILLS && unfinished > 0 {
            break;
        }
        let directory = tempfile::tempdir().unwrap();
        let daemon = daemon_of(directory.path());
        let (a, b) = (random_big_tree(&mut g), random_big_tree(&mut g));
        let files = files_at(directory.path(), &daemon);
        fs::create_dir(files.root()).unwrap();
        b.make(files.root());
        let root = files.capture(&Source::Live, Job::unattended()).unwrap().root;
        a.make(files.root());
        drop(files);
        let mut child = start(directory.path(), &daemon, root);
        let began = Instant::now();
        if kill == 0 {
            child.wait().unwrap();
            longest = began.elapsed();
        } else {
            let share = f64::from(u16::arbitrary(&mut g)) / f64::from(u16::MAX);
            std::thread::sleep(longest.mul_f64(share));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let files = files_at(directory.path(), &daemon);
        if files.recover(Job::unattended()).unwrap().is_some() {
            unfinished += 1;
        } else {
            files.apply(root, 7, "test", Job::unattended()).unwrap();
        }
        assert_eq!(Tree::read(files.root()), b, "exactly the wanted tree, no temporary file");
        check_nothing_is_lost(&files, &a, &b);
        trees::clear(files.root());
    }
    assert!(unfinished > 0, "no kill hit an apply");
}

#[test]
fn an_apply_that_is_killed_is_finished_and_loses_nothing() {
    check_kills(|directory| directory.join("daemon"));
}

#[test]
fn an_apply_that_is_killed_with_the_trash_on_another_file_system_loses_nothing() {
    let Ok(shared_memory) = tempfile::tempdir_in("/dev/shm") else { return };
    let number = std::cell::Cell::new(0);
    check_kills(|_| {
        number.set(number.get() + 1);
        shared_memory.path().join(number.get().to_string())
    });
}
