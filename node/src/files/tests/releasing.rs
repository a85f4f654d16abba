//! Applications that are switched as a whole (finding 27).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use althing_protocol::limits::REVISIONS_KEPT;
use quickcheck::{Arbitrary, Gen};

use super::trees::Tree;
use super::*;

/// Tells the child where its world is and what to switch to.
const WORLD: &str = "ALTHING_TEST_RELEASE_WORLD";
const ROOT: &str = "ALTHING_TEST_RELEASE_ROOT";
const KILLS: u32 = 12;
/// On a machine with other work a kill may come too late: so many at most.
const MOST_KILLS: u32 = 100;

struct Site {
    files: Files,
    directory: TempDir,
}

fn files_in(directory: &Path) -> Files {
    let handling = Handling { switching: Switching::Release, ..Handling::default() };
    World::files(directory).with_handling(handling).unwrap()
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { files: files_in(directory.path()), directory }
    }

    /// The root of a tree of these files, in the store.
    fn captured(&self, files: &[(&str, &str)]) -> Hash {
        let from = tempfile::tempdir_in(self.directory.path()).unwrap();
        for (path, content) in files {
            let at = from.path().join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, content).unwrap();
        }
        self.files.capture(&Source::Directory(from.path().to_owned()), Job::unattended()).unwrap().root
    }

    fn apply(&self, root: Hash) -> Applied {
        self.files.apply(root, 7, "test", Job::unattended()).unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.files.root().join(path)).unwrap()
    }

    fn scanned(&self) -> Hash {
        self.files.scan(ScanMode::ReadAll, Job::unattended()).unwrap().manifest.root
    }

    fn releases(&self) -> BTreeSet<String> {
        names(&self.directory.path().join("root.releases"))
    }

    fn current(&self) -> String {
        let target = fs::read_link(self.files.root()).expect("a link");
        target.to_string_lossy().strip_prefix("root.releases/").expect("relative").to_owned()
    }

    fn trashed(&self) -> BTreeSet<String> {
        self.files.trash().unwrap().iter().map(|trashed| trashed.path.lossy()).collect()
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_switch_shows_the_old_tree_or_the_new_one_and_never_a_mixture() {
    let site = Site::new();
    let [one, two] = ["1", "2"].map(|content| {
        let files: Vec<(String, String)> = (0..40).map(|n| (format!("d/f{n}"), content.to_owned())).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        site.captured(&files)
    });
    assert_eq!(site.apply(one).changed, 41);
    let root = site.files.root().to_owned();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Whoever resolves the link once sees one revision.
                let tree = fs::canonicalize(&root).expect("there is always a tree");
                let mut seen = BTreeSet::new();
                for n in 0..40 {
                    seen.insert(fs::read_to_string(tree.join(format!("d/f{n}"))).expect("complete"));
                }
                assert_eq!(seen.len(), 1, "{seen:?}");
                looks += 1;
            }
            looks
        });
        for round in 0..10 {
            site.apply(if round % 2 == 0 { two } else { one });
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(site.scanned(), one);
    assert_eq!(site.releases(), [one.hex(), two.hex()].into());
    assert!(site.files.trash().unwrap().is_empty(), "what is settled content is not trash");
}

#[test]
fn whoever_has_the_old_tree_open_keeps_it_until_its_revision_is_not_kept_any_more() {
    let site = Site::new();
    let roots: Vec<Hash> =
        (0..REVISIONS_KEPT + 4).map(|n| site.captured(&[("version", &format!("{n}"))])).collect();
    site.apply(roots[0]);
    let open = File::open(site.files.root()).unwrap();
    site.apply(roots[1]);
    let through = format!("/proc/self/fd/{}/version", std::os::fd::AsRawFd::as_raw_fd(&open));
    assert_eq!(fs::read_to_string(&through).unwrap(), "0");
    for root in &roots[2..] {
        site.apply(*root);
    }
    let kept: BTreeSet<String> = roots[3..].iter().map(Hash::hex).collect();
    assert_eq!(site.releases(), kept);
    assert!(fs::read_to_string(&through).is_err());
    assert_eq!(site.apply(roots[5]).changed, 1, "a rollback");
    assert_eq!((site.read("version").as_str(), site.current()), ("5", roots[5].hex()));
    assert_eq!(site.releases(), kept, "it was there");
    site.apply(site.captured(&[("version", "new")]));
    assert!(site.releases().contains(&roots[5].hex()), "it was current last");
    assert!(!site.releases().contains(&roots[3].hex()), "the oldest goes");
}

#[test]
fn drift_is_repaired_beside_and_goes_to_the_trash() {
    let site = Site::new();
    let root = site.captured(&[("a", "settled"), ("b", "settled"), ("deep/c", "settled")]);
    site.apply(root);
    let inode = fs::metadata(site.files.root()).unwrap().ino();
    fs::write(site.files.root().join("a"), "drift").unwrap();
    fs::write(site.files.root().join("deep/new"), "by hand").unwrap();
    fs::remove_file(site.files.root().join("b")).unwrap();
    let_stamps_age();
    assert_ne!(site.scanned(), root);
    let applied = site.apply(root);
    assert_eq!((applied.changed, site.scanned()), (3, root));
    assert_ne!(fs::metadata(site.files.root()).unwrap().ino(), inode, "another tree");
    assert_eq!(site.releases(), [format!("{}.2", root.hex())].into(), "the damaged one is gone");
    assert_eq!(site.trashed(), ["a".to_owned(), "deep/new".to_owned()].into());
    assert_eq!(site.apply(root), Applied::default(), "nothing is left to be done");
    fs::set_permissions(site.files.root().join("a"), fs::Permissions::from_mode(0o666)).unwrap();
    site.apply(root);
    assert_eq!((site.scanned(), site.current()), (root, format!("{}.3", root.hex())));
}

#[test]
fn the_link_itself_is_repaired_whatever_became_of_it() {
    let site = Site::new();
    let old = site.captured(&[("a", "old")]);
    let root = site.captured(&[("a", "settled")]);
    site.apply(old);
    site.apply(root);
    let at = site.files.root().to_owned();
    let none = |site: &Site| site.files.scan(ScanMode::Trust, Job::unattended()).unwrap_err();

    fs::remove_file(&at).unwrap();
    assert!(matches!(none(&site), ScanError::Unreadable { .. }));
    site.apply(root);
    assert_eq!((site.scanned(), site.current()), (root, root.hex()));

    // By hand to the release before: that is drift like any other.
    fs::remove_file(&at).unwrap();
    symlink(format!("root.releases/{}", old.hex()), &at).unwrap();
    assert_eq!(site.scanned(), old);
    site.apply(root);
    assert_eq!((site.scanned(), site.current()), (root, root.hex()));

    // To somewhere else: nothing of that is read or touched.
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    fs::remove_file(&at).unwrap();
    symlink(outside.path(), &at).unwrap();
    assert!(matches!(none(&site), ScanError::NoLink { .. }));
    site.apply(root);
    assert_eq!(site.scanned(), root);
    assert_eq!(names(outside.path()), ["secret".to_owned()].into());
    assert!(site.trashed().contains("root"), "the link that was there: {:?}", site.trashed());

    // A directory of the very same content is not in the form that was settled.
    fs::remove_file(&at).unwrap();
    fs::create_dir(&at).unwrap();
    fs::write(at.join("a"), "settled").unwrap();
    let mode = fs::metadata(site.directory.path().join("root.releases").join(root.hex()).join("a")).unwrap();
    fs::set_permissions(at.join("a"), mode.permissions()).unwrap();
    assert!(matches!(none(&site), ScanError::NoLink { .. }));
    site.apply(root);
    assert_eq!((site.scanned(), site.current()), (root, root.hex()));
    let left = names(site.directory.path());
    assert!(left.iter().all(|name| !name.starts_with(".althing")), "{left:?}");
}

#[test]
fn a_release_that_was_damaged_while_nobody_used_it_does_not_come_into_force() {
    let site = Site::new();
    let old = site.captured(&[("a", "old"), ("b", "same")]);
    let new = site.captured(&[("a", "new"), ("b", "same")]);
    site.apply(old);
    site.apply(new);
    fs::write(site.directory.path().join("root.releases").join(old.hex()).join("b"), "damaged").unwrap();
    let_stamps_age();
    site.apply(old);
    assert_eq!((site.scanned(), site.read("b").as_str()), (old, "same"));
    assert_eq!(site.current(), format!("{}.2", old.hex()));
    assert_eq!(site.trashed(), ["b".to_owned()].into());
    assert_eq!(site.releases(), [format!("{}.2", old.hex()), new.hex()].into());
}

#[test]
fn a_directory_that_was_there_becomes_a_release_and_what_differed_is_in_the_trash() {
    let site = Site::new();
    let at = site.files.root().to_owned();
    fs::create_dir(&at).unwrap();
    fs::write(at.join("same"), "same").unwrap();
    fs::write(at.join("other"), "mine").unwrap();
    let seen = site.files.scan(ScanMode::Trust, Job::unattended()).unwrap();
    assert_eq!(seen.manifest.items().unwrap().len(), 2, "before the first apply it is a tree like any other");
    let root = site.captured(&[("same", "same"), ("other", "settled")]);
    let_stamps_age();
    site.apply(root);
    assert_eq!((site.scanned(), site.read("other").as_str()), (root, "settled"));
    assert_eq!(site.trashed(), ["other".to_owned()].into());

    // What is adopted where it lies is put into the form, too.
    let adopted = Site::new();
    fs::create_dir(adopted.files.root()).unwrap();
    fs::write(adopted.files.root().join("a"), "was there").unwrap();
    let_stamps_age();
    let root = adopted.files.capture(&Source::Live, Job::unattended()).unwrap().root;
    adopted.apply(root);
    assert_eq!((adopted.scanned(), adopted.current()), (root, root.hex()));
    assert!(adopted.files.trash().unwrap().is_empty());
}

#[test]
fn a_link_that_was_there_before_is_nobody_elses_business() {
    let site = Site::new();
    let root = site.captured(&[("a", "1")]);
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), site.files.root()).unwrap();
    let error = site.files.apply(root, 7, "test", Job::unattended()).unwrap_err();
    assert!(error.to_string().contains("neither a directory nor a link to a release"), "{error}");
    assert_eq!(fs::read_link(site.files.root()).unwrap(), outside.path());
}

#[test]
fn what_is_edited_in_the_release_is_captured_and_gets_a_release_of_its_own() {
    let site = Site::new();
    let old = site.captured(&[("a", "1")]);
    site.apply(old);
    fs::write(site.files.root().join("a"), "edited in a window").unwrap();
    let new = site.files.capture(&Source::Live, Job::unattended()).unwrap().root;
    let applied = site.apply(new);
    assert_eq!((applied.changed, site.current()), (0, new.hex()));
    assert_eq!((site.scanned(), site.read("a").as_str()), (new, "edited in a window"));
    site.apply(old);
    assert_eq!((site.scanned(), site.read("a").as_str()), (old, "1"), "the edited tree is not taken for it");
}

#[test]
fn what_is_left_alone_stays_until_something_else_is_repaired() {
    let site = Site::new();
    let root = site.captured(&[("a", "1"), ("b", "1")]);
    site.apply(root);
    fs::write(site.files.root().join("a"), "2").unwrap();
    let leave = [path("a")];
    let applied = site.files.apply_but((root, 7), "test", &leave, Job::unattended()).unwrap();
    assert_eq!((applied.changed, applied.left, site.read("a").as_str()), (0, 1, "2"));
    fs::write(site.files.root().join("b"), "2").unwrap();
    site.files.apply_but((root, 7), "test", &leave, Job::unattended()).unwrap();
    assert_eq!(site.scanned(), root);
}

#[test]
fn a_full_trash_stops_the_repair_before_the_switch() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site { files: files_in(directory.path()).with_trash_bytes(4), directory };
    let root = site.captured(&[("a", "1")]);
    site.apply(root);
    fs::write(site.files.root().join("a"), "longer than four bytes").unwrap();
    let error = site.files.apply(root, 7, "test", Job::unattended()).unwrap_err();
    assert!(matches!(error, ApplyError::TrashFull { .. }), "{error}");
    assert_eq!(site.read("a"), "longer than four bytes");
}

#[test]
fn a_removed_application_leaves_neither_link_nor_releases() {
    let site = Site::new();
    let old = site.captured(&[("a", "1")]);
    site.apply(old);
    site.apply(site.captured(&[("a", "2"), ("deep/b", "2")]));
    fs::write(site.directory.path().join("root.releases").join(old.hex()).join("a"), "edited").unwrap();
    fs::write(site.directory.path().join("root.releases/not-ours"), "").unwrap();
    assert_eq!(site.files.clear(Job::unattended()).unwrap(), 4);
    assert!(fs::symlink_metadata(site.files.root()).is_err());
    assert_eq!(site.releases(), ["not-ours".to_owned()].into(), "what is not ours stays");
    assert_eq!(site.trashed(), ["a".to_owned(), "deep".to_owned(), "deep/b".to_owned()].into());
    assert_eq!(site.files.clear(Job::unattended()).unwrap(), 0, "twice is once");
}

#[test]
fn releases_and_neighbours_may_not_lie_in_one_another() {
    let directory = tempfile::tempdir().unwrap();
    let neighbours = Arc::new(Neighbours::default());
    let files = files_in(directory.path()).beside(&neighbours);
    let root = directory.path().join("root.releases/inner");
    let store = Arc::clone(&files.store);
    let other = Files::new("other", &root, &directory.path().join("daemon"), store).unwrap();
    let other = other.beside(&neighbours);
    for files in [&files, &other] {
        let error = files.scan(ScanMode::Trust, Job::unattended()).unwrap_err();
        assert!(matches!(error, ScanError::Shared { .. }), "{error}");
    }
}

/// Not a test of its own: what the child does.
#[test]
fn switches_when_told() {
    let (Ok(world), Ok(root)) = (std::env::var(WORLD), std::env::var(ROOT)) else { return };
    let files = files_in(Path::new(&world));
    fs::write(Path::new(&world).join("ready"), "").unwrap();
    files.apply(root.parse().unwrap(), 7, "test", Job::unattended()).unwrap();
}

fn start(directory: &Path, root: Hash) -> std::process::Child {
    let _ = fs::remove_file(directory.join("ready"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::tests::releasing::switches_when_told"])
        .env(WORLD, directory)
        .env(ROOT, root.to_string())
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

/// Killed anywhere, with a tree in the way that has drifted: afterwards the wanted one is in force, and what was there is
/// in the trash.
#[test]
fn a_switch_that_is_killed_goes_forward_and_loses_nothing() {
    let mut g = Gen::new(40);
    let (mut unfinished, mut longest) = (0, Duration::from_millis(40));
    for kill in 0..MOST_KILLS {
        if kill >= KILLS && unfinished > 0 {
            break;
        }
        let directory = tempfile::tempdir().unwrap();
        let files = files_in(directory.path());
        let (a, b) = (Tree::arbitrary(&mut g), Tree::arbitrary(&mut g));
        let from = tempfile::tempdir().unwrap();
        b.make(from.path());
        fs::create_dir(from.path().join("always")).unwrap();
        let wanted = Tree::read(from.path());
        let source = Source::Directory(from.path().to_owned());
        let root = files.capture(&source, Job::unattended()).unwrap().root;
        trees::clear(from.path());
        fs::create_dir(files.root()).unwrap();
        a.make(files.root());
        drop(files);
        let mut child = start(directory.path(), root);
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
        let files = files_in(directory.path());
        if files.recover(Job::unattended()).unwrap().is_some() {
            unfinished += 1;
        } else {
            files.apply(root, 7, "test", Job::unattended()).unwrap();
        }
        assert_eq!(Tree::read(&fs::canonicalize(files.root()).unwrap()), wanted);
        super::applying::check_nothing_is_lost(&files, &a, &wanted);
        assert_eq!(names(&directory.path().join("root.releases")), [root.hex()].into());
        let beside = names(directory.path());
        assert!(beside.iter().all(|name| !name.starts_with(".althing")), "{beside:?}");
        trees::clear(files.root());
    }
    assert!(unfinished > 0, "no kill hit a switch");
}
