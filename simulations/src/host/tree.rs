//! Live trees: what applications' roots hold, and how an apply changes them step by step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use althing_protocol::attributes::Attributes;
use althing_protocol::effect::Applied;
use althing_protocol::hash::Hash;
use althing_protocol::limits::LARGE_FILE;
use althing_protocol::manifest::{Extent, Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::Action;
use althing_protocol::rng::Rng;

/// Items of a directory, where a tree is made of a size.
const TOGETHER: u64 = 20;

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
    /// The root that an apply made last.
    pub(crate) applied: Option<Hash>,
    /// Users that this host does not have: what should be theirs is `root`'s.
    pub(crate) unknown_users: BTreeSet<String>,
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

    /// What this host can make of an item.
    pub(crate) fn rendering(&self, item: &Item) -> Item {
        let mut attributes = item.attributes().clone();
        if attributes.owner.as_deref().is_some_and(|name| self.unknown_users.contains(name)) {
            attributes.owner = Some("root".into());
        }
        item.clone().with(attributes)
    }

    /// Whether the tree is all that this host can make of what was applied last, and something else.
    pub(crate) fn is_rendering(&self, applied: &Manifest) -> bool {
        let (Some(tree), Ok(wanted)) = (&self.tree, applied.items()) else { return false };
        *tree != wanted
            && *tree == wanted.iter().map(|(path, item)| (path.clone(), self.rendering(item))).collect()
    }

    /// One step of an apply: whatever it finds in its way goes to the trash.
    pub(crate) fn act(&mut self, action: &Action) -> (u64, u64) {
        self.version += 1;
        let path = action.path().clone();
        let before = self.trash.len();
        let tree = self.tree.get_or_insert_default();
        make_parents(tree, &path, &mut self.trash);
        match action {
            Action::Remove(..) => remove(tree, &path, &mut self.trash),
            Action::MakeDirectory(_) => {
                if !matches!(tree.get(&path), Some(Item::Directory { .. })) {
                    remove(tree, &path, &mut self.trash);
                    tree.insert(path.clone(), Item::directory(0o700));
                }
            }
            Action::WriteFile { mode, size, content, attributes, .. } => {
                remove(tree, &path, &mut self.trash);
                let item = Item::file(*mode, *size, *content);
                tree.insert(path.clone(), item.with(attributes.clone()));
            }
            Action::MakeLink { target, attributes, .. } => {
                remove(tree, &path, &mut self.trash);
                tree.insert(path.clone(), Item::symlink(target).with(attributes.clone()));
            }
            Action::Set { mode: new, attributes, .. } => {
                if let Some(item) = tree.get_mut(&path) {
                    let mut changed = item.clone().with(attributes.clone());
                    if let (Item::File { mode, .. } | Item::Directory { mode, .. }, Some(new)) =
                        (&mut changed, new)
                    {
                        *mode = *new;
                    }
                    *item = changed;
                }
            }
        }
        if let Some(item) = self.tree.as_ref().and_then(|tree| tree.get(&path)) {
            let item = self.rendering(item);
            self.tree.get_or_insert_default().insert(path, item);
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
    tree.insert(parent, Item::directory(0o755));
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

/// Whose an item is, where that is asked for: half of them are as they are in applications that do not ask.
fn owner(number: u8) -> Attributes {
    match number % 6 {
        0 => Attributes::owned("root", "root"),
        1 => Attributes::owned("www-data", "www-data"),
        2 => Attributes::owned("#1007", "#1007"),
        _ => Attributes::default(),
    }
}

fn file(rng: &mut Rng) -> Item {
    let bytes: [u8; 16] = rng.bytes();
    let mode = if rng.chance(200) { 0o755 } else { 0o644 };
    let size = 1 + rng.below(200_000);
    Item::file(mode, size, Hash::of(&bytes)).with(owner(bytes[0]))
}

/// The first file becomes one that is had in parts.
pub(crate) fn enlarge(tree: &mut Tree) {
    let file = tree.values_mut().find(|item| matches!(item, Item::File { .. }));
    if let Some(Item::File { size, content, .. }) = file {
        *size = LARGE_FILE + 1 + content.low() % LARGE_FILE;
    }
}

/// A tree as an administrator might deploy it.
pub(crate) fn random(rng: &mut Rng) -> Tree {
    let mut tree = Tree::new();
    for at in 0..1 + rng.below(4) {
        tree.insert(path(&format!("page{at}.html")), file(rng));
    }
    for directory in ["bin", "conf", "conf/sites"] {
        if rng.chance(600) && (directory != "conf/sites" || tree.contains_key(&path("conf"))) {
            tree.insert(path(directory), Item::directory(0o755));
            for at in 0..rng.below(3) {
                tree.insert(path(&format!("{directory}/f{at}")), file(rng));
            }
        }
    }
    if rng.chance(300) {
        tree.insert(path("current"), Item::symlink(b"page0.html"));
    }
    tree
}

/// A tree of so many items and bytes: files in directories of some twenty, all about as large.
pub(crate) fn of(extent: Extent, rng: &mut Rng) -> Tree {
    let mut tree = Tree::new();
    let directories = extent.items / TOGETHER;
    let files = extent.items - directories;
    for number in 0..directories {
        tree.insert(path(&format!("d{number}")), Item::directory(0o755));
    }
    for number in 0..files {
        let size = extent.bytes / files + if number == 0 { extent.bytes % files } else { 0 };
        let name = match number.checked_rem(directories) {
            Some(directory) => path(&format!("d{directory}/f{number}")),
            None => path(&format!("f{number}")),
        };
        tree.insert(name, Item::file(0o644, size, Hash::of(&rng.bytes::<16>())));
    }
    tree
}

/// One file of ten is another one, and at least one is.
pub(crate) fn revised(tree: &Tree, rng: &mut Rng) -> Tree {
    let mut revised = tree.clone();
    let files = revised.values_mut().filter(|item| matches!(item, Item::File { .. }));
    for item in files.step_by(10) {
        if let Item::File { content, .. } = item {
            *content = Hash::of(&rng.bytes::<16>());
        }
    }
    revised
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
    match (rng.below(9), some) {
        (0 | 1, Some(path)) => drop(tree.insert(path, file(rng))),
        (2, Some(path)) => drop(tree.remove(&path)),
        (3, Some(path)) => {
            if let Some(Item::File { mode, .. }) = tree.get_mut(&path) {
                *mode ^= 0o111;
            }
        }
        (8, Some(path)) => {
            if let Some(item) = tree.get_mut(&path) {
                *item = item.clone().with(owner(rng.bytes::<1>()[0]));
            }
        }
        (4, Some(path)) => drop(tree.insert(path, Item::symlink(b"/etc/passwd"))),
        (5, Some(file_path)) => {
            tree.remove(&file_path);
            tree.insert(file_path.clone(), Item::directory(0o755));
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
