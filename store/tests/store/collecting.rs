//! What no kept root leads to goes; everything else stays, whatever is under way meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_store::{Freed, Store, Unnamed};
use quickcheck::{Arbitrary, Gen, QuickCheck};

use crate::{open, scratch};

/// A tree of a few of sixteen files in a few of four directories, so that trees share both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Tree(BTreeSet<(u8, u8)>);

impl Arbitrary for Tree {
    fn arbitrary(g: &mut Gen) -> Self {
        let file = |g: &mut Gen| (u8::arbitrary(g) % 4, u8::arbitrary(g) % 16);
        Self((0..u8::arbitrary(g) % 5).map(|_| file(g)).collect())
    }
}

fn bytes(file: u8) -> Vec<u8> {
    vec![b'a' + file; 3]
}

impl Tree {
    fn manifest(&self) -> Manifest {
        let path = |text: String| ItemPath::new(text.as_bytes()).unwrap();
        let mut items = BTreeMap::new();
        for (directory, file) in &self.0 {
            items.insert(path(format!("d{directory}")), Item::directory(0o755));
            let content = Hash::of(&bytes(*file));
            items.insert(path(format!("d{directory}/f{file}")), Item::file(0o644, 3, content));
        }
        Manifest::from_items(&items).unwrap()
    }

    fn contents(&self) -> BTreeSet<Hash> {
        self.0.iter().map(|(_, file)| Hash::of(&bytes(*file))).collect()
    }
}

fn put(store: &Store, tree: &Tree) -> Hash {
    let mut batch = store.content().batch();
    for (_, file) in &tree.0 {
        let bytes = bytes(*file);
        batch.add(&Hash::of(&bytes), 3, &mut &bytes[..]).unwrap();
    }
    batch.finish().unwrap();
    let manifest = tree.manifest();
    store.put_directories(manifest.directories.iter()).unwrap();
    manifest.root
}

fn is_whole(store: &Store, tree: &Tree) -> bool {
    let manifest = tree.manifest();
    store.manifest(&manifest.root) == Ok(Some(manifest))
        && tree.contents().iter().all(|it| store.content().has(it))
}

/// Every content that lies in the store.
fn files(dir: &Path) -> BTreeSet<String> {
    let directories = fs::read_dir(dir.join("content")).unwrap();
    let names = directories.flat_map(|directory| fs::read_dir(directory.unwrap().path()).unwrap());
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What happens to a store.
#[derive(Clone, Debug)]
enum Act {
    /// A capture begins, writes this, and its root is not named yet.
    Capture(Tree),
    /// The oldest capture's root is named, or given up.
    End { named: bool },
    /// A root is named, and then fetched.
    Fetch(Tree),
    /// A root is not needed any more.
    Drop(u8),
    /// A collection begins; what is in it happens between its steps.
    Collect(Vec<Tree>),
}

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 6 {
            0 => Self::Capture(Tree::arbitrary(g)),
            1 => Self::End { named: bool::arbitrary(g) },
            2 => Self::Fetch(Tree::arbitrary(g)),
            3 => Self::Drop(u8::arbitrary(g)),
            _ => Self::Collect((0..u8::arbitrary(g) % 3).map(|_| Tree::arbitrary(g)).collect()),
        }
    }
}

/// A store with what its user knows of it.
struct User {
    store: Store,
    kept: BTreeMap<Hash, Tree>,
    capturing: Vec<(Tree, Unnamed)>,
}

impl User {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Capture(tree) => {
                let unnamed = self.store.unnamed();
                put(&self.store, tree);
                self.capturing.push((tree.clone(), unnamed));
            }
            Act::End { named } => {
                if !self.capturing.is_empty() {
                    let (tree, _unnamed) = self.capturing.remove(0);
                    if *named {
                        self.kept.insert(tree.manifest().root, tree);
                    }
                }
            }
            Act::Fetch(tree) => {
                self.kept.insert(tree.manifest().root, tree.clone());
                put(&self.store, tree);
            }
            Act::Drop(which) => {
                let root = self.kept.keys().nth(usize::from(*which) % self.kept.len().max(1)).copied();
                root.map(|root| self.kept.remove(&root));
            }
            Act::Collect(meanwhile) => self.collect(meanwhile),
        }
    }

    fn collect(&mut self, meanwhile: &[Tree]) {
        let roots = self.kept.keys().copied().collect();
        let mut collection = self.store.collection(|| roots).unwrap();
        for tree in meanwhile {
            for _ in 0..100 {
                collection.step().unwrap();
            }
            // Not named before the collection began, and complete in the middle of it.
            self.kept.insert(tree.manifest().root, tree.clone());
            put(&self.store, tree);
        }
        collection.finish().unwrap();
    }

    fn has_everything(&self) -> bool {
        let capturing = self.capturing.iter().map(|(tree, _)| tree);
        self.kept.values().chain(capturing).all(|tree| is_whole(&self.store, tree))
    }
}

#[test]
fn everything_kept_is_there_and_after_a_quiet_collection_nothing_else() {
    fn check(acts: Vec<Act>) -> bool {
        let dir = scratch();
        let mut user = User { store: open(dir.path()), kept: BTreeMap::new(), capturing: Vec::new() };
        let whole = acts.iter().take(20).all(|act| {
            user.act(act);
            user.has_everything()
        });
        user.capturing.clear();
        user.collect(&[]);
        let wanted: BTreeSet<String> =
            user.kept.values().flat_map(Tree::contents).map(|content| content.hex()).collect();
        whole && user.has_everything() && files(dir.path()) == wanted
    }
    QuickCheck::new().tests(60).quickcheck(check as fn(Vec<Act>) -> bool);
}

#[test]
fn what_is_removed_is_counted_and_what_is_not_ours_stays() {
    let dir = scratch();
    let store = open(dir.path());
    let [kept, gone] = [Tree([(0, 1), (1, 2)].into()), Tree([(0, 1), (2, 3)].into())];
    let (root, _) = (put(&store, &kept), put(&store, &gone));
    fs::write(dir.path().join("content/00/notes.txt"), b"not ours").unwrap();
    let freed = store.collection(|| vec![root]).unwrap().finish().unwrap();
    assert_eq!(freed, Freed { files: 1, bytes: 3, directories: 2 });
    assert!(is_whole(&store, &kept) && !is_whole(&store, &gone));
    assert!(dir.path().join("content/00/notes.txt").exists());
    let again = store.collection(|| vec![root]).unwrap().finish().unwrap();
    assert_eq!(again, Freed::default());
}

#[test]
fn what_is_relied_upon_during_a_collection_stays() {
    let dir = scratch();
    let store = open(dir.path());
    let tree = Tree([(0, 1)].into());
    let root = put(&store, &tree);
    let content = *tree.contents().first().unwrap();
    let mut collection = store.collection(Vec::new).unwrap();
    assert!(store.content().rely_on(&content, 3) && !store.content().rely_on(&content, 4));
    assert!(store.rely_on_directory(&root).unwrap().is_some());
    while collection.step().unwrap().is_some() {}
    assert!(store.content().has(&content) && store.directory(&root).unwrap().is_some());
    store.collection(Vec::new).unwrap().finish().unwrap();
    assert!(!store.content().has(&content) && store.directory(&root).unwrap().is_none());
}
