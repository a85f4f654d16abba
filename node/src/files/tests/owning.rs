//! Owners by name and extended attributes, where an application asks for them.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::process::Command;

use althing_protocol::attributes::Attributes;
use althing_protocol::manifest::{Item, Manifest};
use rustix::fs::XattrFlags;

use super::*;

/// Users and groups that every system of these tests has, and neither of which is root's.
const USER: (&str, u32) = ("daemon", 1);
const GROUP: (&str, u32) = ("bin", 2);
/// Tells the child, which may not give files away, where its world is.
const WORLD: &str = "ALTHING_TEST_WITHOUT_RIGHTS";

fn asking() -> Handling {
    let xattrs = vec!["user.tag*".into(), "security.capability".into()];
    Handling { owners: true, xattrs, ..Handling::default() }
}

fn files_in(directory: &Path, handling: Handling) -> Files {
    World::files(directory).with_handling(handling).unwrap()
}

/// A world that asks for both; none where they cannot be had.
fn world() -> Option<World> {
    if !super::super::modes::is_root() {
        eprintln!("skipped: only the superuser gives files to others");
        return None;
    }
    let world = world_of(asking());
    world.write("probe", "");
    let can = rustix::fs::setxattr(world.at("probe"), "user.tag", b"x", XattrFlags::empty());
    fs::remove_file(world.at("probe")).unwrap();
    if let Err(error) = can {
        eprintln!("skipped: temporary files take no extended attributes here: {error}");
        return None;
    }
    Some(world)
}

fn world_of(handling: Handling) -> World {
    let directory = tempfile::tempdir().unwrap();
    let files = files_in(directory.path(), handling);
    fs::create_dir(files.root()).unwrap();
    World { files, _directory: Some(directory) }
}

fn tag(world: &World, path: &str, name: &str, value: &[u8]) {
    rustix::fs::setxattr(world.at(path), name, value, XattrFlags::empty()).unwrap();
}

fn tags(world: &World, path: &str) -> BTreeMap<String, Vec<u8>> {
    let file = fs::File::open(world.at(path)).unwrap();
    super::super::asked::all_of(file)
        .unwrap()
        .into_iter()
        .filter(|(name, _)| name.starts_with("user."))
        .collect()
}

/// Owner, group and permission bits.
fn marks(world: &World, path: &str) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(world.at(path)).unwrap();
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

fn mode(world: &World, path: &str, mode: u32) {
    fs::set_permissions(world.at(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// A tree with owners of every kind of item.
fn furnish(world: &World) {
    world.write("dir/file", "content");
    world.write("plain", "other");
    symlink("plain", world.at("link")).unwrap();
    for name in ["dir", "dir/file"] {
        chown(world.at(name), Some(USER.1), Some(GROUP.1)).unwrap();
    }
    lchown(world.at("link"), Some(USER.1), Some(GROUP.1)).unwrap();
    mode(world, "dir/file", 0o4750);
    tag(world, "dir/file", "user.tag", b"a\0b");
    tag(world, "dir", "user.tags", b"");
    tag(world, "dir/file", "user.other", b"not asked for");
}

fn check_furnished(world: &World, root: Hash) {
    let scan = world.scan();
    assert_eq!((scan.manifest.root, scan.beyond), (root, None));
    assert_eq!(marks(world, "dir/file"), (USER.1, GROUP.1, 0o4750));
    assert_eq!(marks(world, "dir").0, USER.1);
    assert_eq!(marks(world, "link").0, USER.1);
    assert_eq!(tags(world, "dir/file")["user.tag"], b"a\0b");
}

#[test]
fn items_say_whose_they_are_and_what_is_asked_for_and_no_more() {
    let Some(world) = world() else { return };
    furnish(&world);
    let items = world.scan().manifest.items().unwrap();
    let owned = Attributes::owned(USER.0, GROUP.0);
    assert_eq!(*items[&path("link")].attributes(), owned);
    let file = items[&path("dir/file")].attributes();
    assert_eq!((&file.owner, &file.group), (&owned.owner, &owned.group));
    assert_eq!(file.extended.keys().map(|name| &**name).collect::<Vec<_>>(), ["user.tag"]);
    assert_eq!(items[&path("plain")].attributes().owner.as_deref(), Some("root"));
    // The same tree where nothing is asked for: not a byte of it.
    let plain =
        Files::new("other", world.files.root(), &world.files.directory, Arc::clone(&world.files.store));
    let plain = plain.unwrap().scan(ScanMode::Trust, Job::unattended()).unwrap().manifest.items().unwrap();
    assert!(plain.values().all(|item| item.attributes().is_empty()));
}

#[test]
fn owners_and_attributes_are_put_back_without_writing_content() {
    let Some(world) = world() else { return };
    furnish(&world);
    mode(&world, "dir/file", 0o750);
    let root = world.capture();
    world.apply(root);
    let inode = fs::metadata(world.at("dir/file")).unwrap().ino();
    chown(world.at("dir/file"), Some(0), Some(0)).unwrap();
    chown(world.at("dir"), Some(GROUP.1), None).unwrap();
    lchown(world.at("link"), Some(0), None).unwrap();
    tag(&world, "dir/file", "user.tag", b"changed");
    tag(&world, "plain", "user.tagged", b"new");
    assert_ne!(world.scan().manifest.root, root);
    let applied = world.apply(root);
    assert_eq!((applied.changed, applied.trashed.len(), applied.left), (4, 0, 0), "{applied:?}");
    assert_eq!(world.scan().manifest.root, root);
    assert_eq!(marks(&world, "dir/file"), (USER.1, GROUP.1, 0o750));
    assert_eq!(fs::metadata(world.at("dir/file")).unwrap().ino(), inode, "it was not replaced");
    assert!(tags(&world, "plain").is_empty());
    assert_eq!(tags(&world, "dir/file")["user.other"], b"not asked for", "nobody's business");
}

/// Whoever had it open for writing, or mapped, while it was not the settled owner's yet, could go on writing in it.
#[test]
fn what_lends_rights_is_never_given_to_a_file_that_was_there() {
    let Some(world) = world() else { return };
    furnish(&world);
    let root = world.capture();
    world.apply(root);
    chown(world.at("dir/file"), Some(GROUP.1), Some(GROUP.1)).unwrap();
    mode(&world, "dir/file", 0o750);
    let before = fs::metadata(world.at("dir/file")).unwrap().ino();
    let mut held = fs::OpenOptions::new().write(true).open(world.at("dir/file")).unwrap();
    let applied = world.apply(root);
    assert_eq!((applied.changed, applied.trashed.len()), (1, 1), "{applied:?}");
    assert_ne!(fs::metadata(world.at("dir/file")).unwrap().ino(), before, "it is a new file");
    std::io::Write::write_all(&mut held, b"rewritten").unwrap();
    assert_eq!(fs::read(world.at("dir/file")).unwrap(), b"content");
    check_furnished(&world, root);
}

#[test]
fn a_tree_that_is_made_anew_has_its_owners() {
    let Some(world) = world() else { return };
    furnish(&world);
    for number in 0..20 {
        world.write(&format!("many/{number}"), &number.to_string());
        chown(world.at(&format!("many/{number}")), Some(USER.1), Some(0)).unwrap();
    }
    let root = world.capture();
    fs::remove_dir_all(world.files.root()).unwrap();
    world.apply(root);
    check_furnished(&world, root);
    assert_eq!(marks(&world, "many/7").0, USER.1);
}

#[test]
fn releases_have_their_owners_too() {
    if world().is_none() {
        return;
    }
    let world = world_of(Handling { switching: Switching::Release, ..asking() });
    let from = world_of(asking());
    furnish(&from);
    let source = Source::Directory(from.files.root().to_owned());
    let root = world.files.capture(&source, Job::unattended()).unwrap().root;
    fs::remove_dir(world.files.root()).unwrap();
    world.apply(root);
    check_furnished(&world, root);
    chown(world.at("dir/file"), Some(0), Some(0)).unwrap();
    world.apply(root);
    check_furnished(&world, root);
    // A release in which this member cannot bring anything nearer is not built again and again.
    let unknown = unknown_root(&world);
    world.apply(unknown);
    let before = fs::read_link(world.files.root()).unwrap();
    let applied = world.apply(unknown);
    assert_eq!((applied.changed, applied.left), (0, 1));
    assert_eq!(fs::read_link(world.files.root()).unwrap(), before);
}

/// A program of somebody that this machine does not have.
fn unknown_root(world: &World) -> Hash {
    let bytes = b"#!/bin/sh";
    let mut batch = world.files.store.content().batch();
    batch.add(&Hash::of(bytes), bytes.len() as u64, &mut &bytes[..]).unwrap();
    batch.finish().unwrap();
    let item = Item::file(0o6755, bytes.len() as u64, Hash::of(bytes));
    let items = [(path("program"), item.with(Attributes::owned("no-such-user", GROUP.0)))];
    let manifest = Manifest::from_items(&items.into()).unwrap();
    world.files.store.put_directories(manifest.directories.iter()).unwrap();
    manifest.root
}

#[test]
fn content_of_an_owner_that_is_not_here_is_complete_and_lends_no_rights() {
    let Some(world) = world() else { return };
    let root = unknown_root(&world);
    world.apply(root);
    assert_eq!(fs::read(world.at("program")).unwrap(), b"#!/bin/sh");
    assert_eq!(marks(&world, "program"), (0, GROUP.1, 0o755), "its group, and no set-user-id bit for root");
    let scan = world.scan();
    assert_ne!(scan.manifest.root, root);
    let beyond = scan.beyond.expect("nothing can be done about it");
    assert!(beyond.starts_with("program: there is no user no-such-user on this machine"), "{beyond}");
    // Nothing is done again.
    let inode = fs::metadata(world.at("program")).unwrap().ino();
    let applied = world.apply(root);
    assert_eq!((applied.changed, applied.left, applied.differences.len()), (0, 1, 0), "{applied:?}");
    assert_eq!(fs::metadata(world.at("program")).unwrap().ino(), inode);
    // What can be put right is drift as ever.
    mode(&world, "program", 0o700);
    assert_eq!(world.scan().beyond, None);
    world.apply(root);
    assert_eq!(marks(&world, "program"), (0, GROUP.1, 0o755));
    fs::write(world.at("program"), "evil").unwrap();
    assert_eq!(world.scan().beyond, None);
    world.apply(root);
    assert_eq!(fs::read(world.at("program")).unwrap(), b"#!/bin/sh");
}

#[test]
fn a_manifest_that_says_what_is_not_asked_for_changes_nothing() {
    let world = World::new();
    world.write("file", "1");
    for (asked, said) in
        [(Handling::default(), Attributes::owned("root", "root")), (asking(), Attributes::default())]
    {
        let files = files_in(world._directory.as_ref().unwrap().path().join("x").as_path(), asked);
        fs::create_dir(files.root()).unwrap();
        let items = [(path("d"), Item::directory(0o755).with(said))];
        let manifest = Manifest::from_items(&items.into()).unwrap();
        files.store.put_directories(manifest.directories.iter()).unwrap();
        let result = files.apply(manifest.root, 7, "test", Job::unattended());
        assert!(matches!(&result, Err(ApplyError::Unasked { path: at }) if *at == path("d")), "{result:?}");
        assert!(!files.root().join("d").exists());
        drop(files);
        fs::remove_dir_all(world._directory.as_ref().unwrap().path().join("x")).unwrap();
    }
}

#[test]
fn more_attributes_than_a_manifest_takes_make_no_list() {
    let Some(world) = world() else { return };
    world.write("file", "1");
    (0..=limits::XATTRS).for_each(|number| tag(&world, "file", &format!("user.tag{number}"), b""));
    let result = world.files.scan(ScanMode::Trust, Job::unattended());
    assert!(matches!(&result, Err(ScanError::Attributes { path: at }) if *at == path("file")), "{result:?}");
    rustix::fs::removexattr(world.at("file"), "user.tag0").unwrap();
    assert_eq!(
        world.scan().manifest.items().unwrap()[&path("file")].attributes().extended.len(),
        limits::XATTRS
    );
}

#[test]
fn what_comes_back_from_the_trash_is_whose_it_was() {
    let Some(world) = world() else { return };
    let root = world.capture();
    furnish(&world);
    world.apply(root);
    assert!(!world.at("dir").exists());
    let trashed = world.files.trash().unwrap();
    let dir = trashed.iter().find(|item| item.path == path("dir")).unwrap();
    world.files.restore(&dir.id, None).unwrap();
    assert_eq!(marks(&world, "dir/file"), (USER.1, GROUP.1, 0o4750));
    assert_eq!(marks(&world, "dir").0, USER.1);
    assert_eq!(tags(&world, "dir/file")["user.tag"], b"a\0b");
}

/// Not a test of its own: what the child does that may not give files away.
#[test]
fn without_rights_when_told() {
    let Ok(directory) = std::env::var(WORLD) else { return };
    let files = files_in(Path::new(&directory), asking());
    let world = World { files, _directory: None };
    let root: Hash = fs::read_to_string(Path::new(&directory).join("wanted")).unwrap().parse().unwrap();
    world.apply(root);
    assert_eq!(fs::read(world.at("dir/file")).unwrap(), b"content");
    assert_eq!(marks(&world, "dir/file"), (0, 0, 0o750), "no set-user-id bit for root");
    let beyond = world.scan().beyond.expect("nothing can be done about it");
    assert!(beyond.contains("the daemon runs as root and may not give files to"), "{beyond}");
    assert!(beyond.contains("items more)"), "{beyond}");
    assert_eq!(world.apply(root).changed, 0);
    fs::write(Path::new(&directory).join("done"), "").unwrap();
}

#[test]
fn a_daemon_that_may_not_give_files_away_says_so_and_does_the_rest() {
    let Some(world) = world() else { return };
    if !Path::new("/usr/bin/setpriv").exists() {
        eprintln!("skipped: needs setpriv to have fewer rights");
        return;
    }
    furnish(&world);
    let root = world.capture();
    fs::remove_dir_all(world.files.root()).unwrap();
    fs::create_dir(world.files.root()).unwrap();
    let World { files, _directory } = world;
    drop(files);
    let directory = _directory.as_ref().unwrap().path();
    fs::write(directory.join("wanted"), root.to_string()).unwrap();
    let child = Command::new("/usr/bin/setpriv")
        .args(["--bounding-set", "-chown", "--inh-caps", "-chown"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "files::tests::owning::without_rights_when_told", "--nocapture"])
        .env(WORLD, directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
    assert!(directory.join("done").exists(), "{said}");
}
