//! The trash.

use std::fs;
use std::time::{Duration, SystemTime};

use super::*;

fn world_with_trash() -> (World, Vec<Trashed>) {
    let world = World::new();
    world.write("keep", "1");
    let root = world.capture();
    world.write("keep", "edited");
    world.write("d/surplus", "surplus");
    world.apply(root);
    let trash = world.files.trash().unwrap();
    (world, trash)
}

fn find<'a>(trash: &'a [Trashed], at: &str) -> &'a Trashed {
    trash.iter().find(|trashed| trashed.path == path(at)).unwrap()
}

#[test]
fn the_list_says_what_it_was_and_why() {
    let (world, trash) = world_with_trash();
    assert_eq!(trash.len(), 3);
    let edited = find(&trash, "keep");
    assert_eq!((edited.kind, edited.size, edited.epoch), (TrashedKind::File, 6, 7));
    assert_eq!(edited.reason, "test");
    assert_eq!(edited.content, Some(Hash::of(b"edited")));
    assert_eq!(edited.application, "shop");
    assert_eq!(edited.replaced_by, world.scan().manifest.root);
    assert_eq!(edited.id.to_string().parse(), Ok(edited.id.clone()));
}

#[test]
fn nothing_is_restored_over_anything() {
    let (world, trash) = world_with_trash();
    let id = &find(&trash, "keep").id;
    assert!(matches!(world.files.restore(id, None), Err(RestoreError::Exists(_))));
    assert_eq!(fs::read(world.at("keep")).unwrap(), b"1");
    let to = world.files.root().with_file_name("copy");
    assert_eq!(world.files.restore(id, Some(&to)).unwrap(), to);
    assert_eq!(fs::read(&to).unwrap(), b"edited");
    assert!(matches!(world.files.restore(id, Some(&to)), Err(RestoreError::Exists(_))));
    let surplus = &find(&trash, "d/surplus").id;
    assert!(matches!(world.files.restore(surplus, None), Err(RestoreError::NoParent(_))));
    assert_eq!(world.files.restore(&find(&trash, "d").id, None).unwrap(), world.at("d"));
    assert_eq!(fs::read(world.at("d/surplus")).unwrap(), b"surplus");
    let unknown = "abc-99".parse().unwrap();
    assert!(matches!(world.files.restore(&unknown, None), Err(RestoreError::Unknown(_))));
}

#[test]
fn pruning_removes_what_is_old_and_on_request_what_is_much() {
    let (world, _) = world_with_trash();
    let now = SystemTime::now();
    assert_eq!(world.files.prune(now, TRASH_KEPT, None).unwrap(), Pruned::default());
    assert_eq!(world.files.prune(now, TRASH_KEPT, Some(1000)).unwrap(), Pruned::default());
    let later = now + TRASH_KEPT + Duration::from_secs(1);
    assert_eq!(world.files.prune(later, TRASH_KEPT, None).unwrap(), Pruned { items: 3, bytes: 13 });
    assert!(world.files.trash().unwrap().is_empty());
    assert_eq!(fs::read_dir(world.files.trash_directory()).unwrap().count(), 0);
    let (world, _) = world_with_trash();
    assert_eq!(world.files.prune(now, TRASH_KEPT, Some(5)).unwrap().items, 3);
}

#[test]
fn a_restored_directory_has_the_modes_it_had() {
    use trees::{Thing, Tree};
    let world = World::new();
    let root = world.capture();
    let tree = Tree(
        [
            (path("d"), Thing::Directory(0o750)),
            (path("d/e"), Thing::Directory(0o555)),
            (path("d/e/file"), Thing::File(0o4755, b"1".to_vec())),
        ]
        .into(),
    );
    tree.make(world.files.root());
    world.apply(root);
    world.files.restore(&find(&world.files.trash().unwrap(), "d").id, None).unwrap();
    assert_eq!(Tree::read(world.files.root()), tree);
    trees::clear(world.files.root());
}
