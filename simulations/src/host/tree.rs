//! Live trees: what applications' roots hold, and how an apply changes them step by step.

use std::collections::{BTreeMap, VecDeque};

use althing_protocol::effect::Applied;
use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::Action;
use althing_protocol::rng::Rng;

/// Items by path.
pub(crate) type Tree = BTreeMap<ItemPath, Item>;

/// An apply under way; it survives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    /// The protocol's name for it, and the life that asked.
    pub(crate) apply: u64,
    pub(crate) life: u64,
    pub(crate) root: Hash,
    pub(crate) actions: VecDeque<Action>,
    /// What it did so far.
    pub(crate) applied: Applied,
}

/// An application on one host.
#[derive(Default)]
pub(crate) struct Live {
    /// What is there; `None` when the root directory is absent.
    pub(crate) tree: Option<Tree>,
    /// Counts changes.
    pub(crate) version: u64,
    /// Apply under way.
    pub(crate) journal: Option<Journal>,
    /// What every scan shows, whatever is there (a planted bug).
    pub(crate) shown: Option<Manifest>,
    /// A scan is under way, and whether another must follow.
    pub(crate) scanning: bool,
    pub(crate) again: bool,
    /// Everything that an apply replaced or removed.
    pub(crate) trash: Vec<(ItemPath, Item)>,
}

impl Live {
    /// The manifest of what is there.
    pub(crate) fn manifest(&self) -> Option<Manifest> {
        let whole = |tree| Manifest::from_items(tree).expect("administrators and applies leave whole trees");
        self.tree.as_ref().map(whole)
    }

    /// The root of what is there.
    pub(crate) fn root(&self) -> Option<Hash> {
        self.manifest().map(|manifest| manifest.root)
    }

    /// Puts a tree there, as an administrator does.
    pub(crate) fn set(&mut self, tree: Option<Tree>) {
        self.tree = tree;
        self.version += 1;
    }

    /// One step of an apply: whatever it finds in its way goes to the trash.
    pub(crate) fn act(&mut self, action: &Action) -> (u64, u64) {
        let tree = self.tree.get_or_insert_default();
        self.version += 1;
        let path = action.path().clone();
        let before = self.trash.len();
        make_parents(tree, &path, &mut self.trash);
        match action {
            Action::Remove(..) => remove(tree, &path, &mut self.trash),
            Action::MakeDirectory(_) => {
                if !matches!(tree.get(&path), Some(Item::Directory { .. })) {
                    remove(tree, &path, &mut self.trash);
                    tree.insert(path, Item::Directory { mode: 0o700 });
                }
            }
            Action::WriteFile { mode, size, content, .. } => {
                remove(tree, &path, &mut self.trash);
                tree.insert(path, Item::File { mode: *mode, size: *size, content: *content });
            }
            Action::MakeLink { target, .. } => {
                remove(tree, &path, &mut self.trash);
                tree.insert(path, Item::Symlink { target: target.clone() });
            }
            Action::SetMode(_, new) => match tree.get_mut(&path) {
                Some(Item::File { mode, .. } | Item::Directory { mode }) => *mode = *new,
                Some(Item::Symlink { .. }) | None => {}
            },
        }
        (1, (self.trash.len() - before) as u64)
    }
}

/// Directories that an administrator removed meanwhile are made again.
fn make_parents(tree: &mut Tree, path: &ItemPath, trash: &mut Vec<(ItemPath, Item)>) {
    let Some((parent, _)) = path.split() else { return };
    if parent.is_root() || matches!(tree.get(&parent), Some(Item::Directory { .. })) {
        return;
    }
    make_parents(tree, &parent, trash);
    remove(tree, &parent, trash);
    tree.insert(parent, Item::Directory { mode: 0o755 });
}

/// Moves an item and everything below it to the trash.
fn remove(tree: &mut Tree, path: &ItemPath, trash: &mut Vec<(ItemPath, Item)>) {
    let below = |other: &ItemPath| {
        other == path
            || other.as_bytes().strip_prefix(path.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
    };
    let gone: Vec<ItemPath> = tree.keys().filter(|other| below(other)).cloned().collect();
    for path in gone {
        if let Some(item) = tree.remove(&path) {
            trash.push((path, item));
        }
    }
}

fn path(text: &str) -> ItemPath {
    ItemPath::new(text.as_bytes()).unwrap_or_default()
}

fn file(rng: &mut Rng) -> Item {
    let bytes: [u8; 16] = rng.bytes();
    let mode = if rng.chance(200) { 0o755 } else { 0o644 };
    Item::File { mode, size: 1 + rng.below(200_000), content: Hash::of(&bytes) }
}

/// A tree as an administrator might deploy it.
pub(crate) fn random(rng: &mut Rng) -> Tree {
    let mut tree = Tree::new();
    for at in 0..1 + rng.below(4) {
        tree.insert(path(&format!("page{at}.html")), file(rng));
    }
    for directory in ["bin", "conf", "conf/sites"] {
        if rng.chance(600) && (directory != "conf/sites" || tree.contains_key(&path("conf"))) {
            tree.insert(path(directory), Item::Directory { mode: 0o755 });
            for at in 0..rng.below(3) {
                tree.insert(path(&format!("{directory}/f{at}")), file(rng));
            }
        }
    }
    if rng.chance(300) {
        tree.insert(path("current"), Item::Symlink { target: b"page0.html".to_vec() });
    }
    tree
}

/// What an administrator or a disk does to a tree behind everybody's back; `None` removes all of it.
pub(crate) fn meddle(tree: &Tree, rng: &mut Rng) -> Option<Tree> {
    let mut tree = tree.clone();
    let files: Vec<ItemPath> = tree
        .iter()
        .filter(|(_, item)| matches!(item, Item::File { .. }))
        .map(|(path, _)| path.clone())
        .collect();
    let some = rng.pick(&files).cloned();
    match (rng.below(8), some) {
        (0 | 1, Some(path)) => drop(tree.insert(path, file(rng))),
        (2, Some(path)) => drop(tree.remove(&path)),
        (3, Some(path)) => {
            if let Some(Item::File { mode, .. }) = tree.get_mut(&path) {
                *mode ^= 0o111;
            }
        }
        (4, Some(path)) => drop(tree.insert(path, Item::Symlink { target: b"/etc/passwd".to_vec() })),
        (5, Some(file_path)) => {
            tree.remove(&file_path);
            tree.insert(file_path.clone(), Item::Directory { mode: 0o755 });
            if let Ok(below) = file_path.join(b"surprise") {
                tree.insert(below, file(rng));
            }
        }
        (6, _) if rng.chance(300) => return None,
        _ => {
            let path = path(&format!("extra{}", rng.below(3)));
            remove(&mut tree, &path, &mut Vec::new());
            tree.insert(path, file(rng));
        }
    }
    Some(tree)
}
