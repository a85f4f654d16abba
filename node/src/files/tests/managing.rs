//! What is nobody's business, what is left alone for now, what is lent, and what is cleared away.

use std::collections::BTreeMap;
use std::fs;

use super::*;

fn unmanaged(patterns: &[&str]) -> World {
    let world = World::new();
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    World {
        files: world.files.with_unmanaged(Patterns::new(&patterns).unwrap()),
        _directory: world._directory,
    }
}

#[test]
fn what_is_not_managed_is_not_seen_captured_or_changed() {
    let world = unmanaged(&["cache/**", "*.log"]);
    world.write("index.html", "first");
    let bare = world.scan().manifest.root;
    world.write("cache/deep/page", "cached");
    world.write("access.log", "a line");
    assert_eq!(world.scan().manifest.root, bare);
    let root = world.capture();
    assert_eq!(root, bare);
    world.write("index.html", "defaced");
    world.write("evil.php", "evil");
    let applied = world.apply(root);
    assert_eq!((applied.changed, applied.left), (2, 0));
    assert_eq!(world.scan().manifest.root, root);
    for (kept, content) in [("cache/deep/page", "cached"), ("access.log", "a line")] {
        assert_eq!(fs::read_to_string(world.at(kept)).unwrap(), content);
    }
}

#[test]
fn a_directory_stays_while_something_unmanaged_lies_in_it() {
    let world = unmanaged(&["data/*.db"]);
    world.write("index.html", "first");
    let without = world.capture();
    world.write("data/readme", "of the second revision");
    world.write("data/live.db", "written by a program");
    world.write("data/below/file", "of the second revision too");
    world.apply(world.capture());
    let applied = world.apply(without);
    assert_eq!((applied.changed, applied.left), (3, 1), "only the directory itself stays");
    assert!(!world.at("data/readme").exists() && !world.at("data/below").exists());
    assert_eq!(fs::read_to_string(world.at("data/live.db")).unwrap(), "written by a program");
    assert_eq!(world.apply(without).changed, 0, "and that is all that can be done");
}

#[test]
fn what_is_to_be_left_alone_is_and_the_rest_is_not() {
    let world = World::new();
    world.write("a", "settled");
    world.write("b", "settled");
    let root = world.capture();
    world.write("a", "contested");
    world.write("b", "drift");
    world.write("logs/new/debug", "contested");
    let leave = [path("a"), path("logs/new/debug"), path("gone")];
    let job = Job::unattended();
    let applied = world.files.apply_but((root, 1), "a test", &leave, job).unwrap();
    assert_eq!((applied.changed, applied.left), (1, 4), "a, and the file with the directories it lies in");
    assert_eq!(fs::read_to_string(world.at("a")).unwrap(), "contested");
    assert_eq!(fs::read_to_string(world.at("b")).unwrap(), "settled");
    assert!(world.at("logs/new/debug").exists());
    assert_eq!(world.apply(root).left, 0);
    assert_eq!(world.scan().manifest.root, root);
}

#[test]
fn the_tree_lends_what_the_store_lacks_if_it_still_is_that() {
    let world = World::new();
    world.write("same", "same");
    world.write("changed", "was");
    world.scan();
    let_stamps_age();
    world.scan();
    let [same, was, other] = [&b"same"[..], b"was", b"other"].map(Hash::of);
    fs::write(world.at("changed"), "now").unwrap();
    let wanted = BTreeMap::from([(same, 4), (was, 3), (other, 5)]);
    let lent = world.files.lend(&wanted).unwrap();
    assert_eq!(lent.into_iter().collect::<Vec<_>>(), [same]);
    let content = world.files.store.content();
    assert!(content.has(&same) && !content.has(&was) && !content.has(&Hash::of(b"now")));
}

#[test]
fn clearing_away_puts_everything_managed_in_the_trash() {
    let world = unmanaged(&["cache/**"]);
    assert_eq!(world.files.clear(Job::unattended()).unwrap(), 0, "an empty root only goes");
    assert!(!world.files.root().exists());
    world.write("img/a.png", "a");
    world.write("index.html", "b");
    world.write("cache/page", "c");
    world.apply(world.capture());
    assert_eq!(world.files.clear(Job::unattended()).unwrap(), 3);
    assert!(world.at("cache/page").exists(), "so the root stays as well");
    assert!(!world.at("index.html").exists() && !world.at("img").exists());
    world.files.retire().unwrap();
    assert!(!world.files.was_applied().unwrap());
    let root = world.files.root().to_string_lossy().into_owned();
    assert_eq!(retired(&world.files.store).unwrap(), [("shop".to_owned(), root)]);
    let item = world.files.trash().unwrap().into_iter().find(|item| item.path == path("index.html")).unwrap();
    let to = world.files.root().with_file_name("back");
    world.files.restore(&item.id, Some(&to)).unwrap();
    assert_eq!(fs::read_to_string(to).unwrap(), "b");
    world.files.unretire().unwrap();
    assert_eq!(retired(&world.files.store).unwrap(), []);
}
