//! From two manifests to what must be done: the differences, the action list of the member that is to change, and
//! the update list that answers it (design §2, §6). Costs visits only to directories whose names differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attributes::Attributes;
use crate::hash::Hash;
use crate::limits;
use crate::manifest::{Entry, Item, Manifest, ManifestError, Node};
use crate::path::ItemPath;

/// One item that is not the same in two trees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Which item.
    pub path: ItemPath,
    /// What the tree that is to change has there.
    pub have: Option<Item>,
    /// What it shall have.
    pub want: Option<Item>,
}

/// The kind of a difference, by the letters of cli.md.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// Only in the wanted tree.
    #[serde(rename = "+")]
    Missing,
    /// Only in the tree there is.
    #[serde(rename = "-")]
    Surplus,
    /// Other content.
    #[serde(rename = "M")]
    Content,
    /// Same content, other attributes.
    #[serde(rename = "U")]
    Attributes,
    /// Another kind of item.
    #[serde(rename = "T")]
    Kind,
}

impl Difference {
    /// What kind of difference this is.
    pub fn change(&self) -> Change {
        match (&self.have, &self.want) {
            (None, _) => Change::Missing,
            (_, None) => Change::Surplus,
            (Some(Item::File { content: a, .. }), Some(Item::File { content: b, .. })) if a == b => {
                Change::Attributes
            }
            (Some(Item::File { .. }), Some(Item::File { .. })) => Change::Content,
            (Some(Item::Symlink { target: a, .. }), Some(Item::Symlink { target: b, .. })) if a == b => {
                Change::Attributes
            }
            (Some(Item::Symlink { .. }), Some(Item::Symlink { .. })) => Change::Content,
            (Some(Item::Directory { .. }), Some(Item::Directory { .. })) => Change::Attributes,
            _ => Change::Kind,
        }
    }
}

/// What is to be changed in `have` to get `want`, by path.
pub fn diff(have: &Manifest, want: &Manifest) -> Result<Vec<Difference>, ManifestError> {
    let mut differences = Vec::new();
    walk(&ItemPath::root(), (have, Some(have.root)), (want, Some(want.root)), &mut differences)?;
    differences.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(differences)
}

/// The differences without what is to be left alone: those paths, what lies below them, and the removal of a directory
/// that holds one of them. `leave` need not exist in either tree.
pub fn except(differences: Vec<Difference>, leave: &[ItemPath]) -> Vec<Difference> {
    if leave.is_empty() {
        return differences;
    }
    let is_there = |left: &ItemPath| {
        let at = differences.binary_search_by(|difference| difference.path.cmp(left));
        at.is_ok_and(|at| differences[at].have.is_some())
    };
    let there: Vec<ItemPath> = leave.iter().filter(|left| is_there(left)).cloned().collect();
    let holds = |difference: &Difference| {
        let goes = matches!(difference.have, Some(Item::Directory { .. }))
            && !matches!(difference.want, Some(Item::Directory { .. }));
        goes && there.iter().any(|left| left.lies_in(&difference.path))
    };
    let is_left = |difference: &Difference| leave.iter().any(|left| difference.path.lies_in(left));
    let (stay, replaced): (Vec<bool>, Vec<&ItemPath>) = (
        differences.iter().map(|difference| is_left(difference) || holds(difference)).collect(),
        differences
            .iter()
            .filter(|difference| holds(difference))
            .map(|difference| &difference.path)
            .collect(),
    );
    // What was to come where such a directory stays cannot come.
    let blocked = |difference: &Difference| {
        difference.have.is_none() && replaced.iter().any(|path| difference.path.lies_in(path))
    };
    let kept: Vec<bool> =
        differences.iter().zip(stay).map(|(difference, stays)| !stays && !blocked(difference)).collect();
    differences.into_iter().zip(kept).filter_map(|(difference, kept)| kept.then_some(difference)).collect()
}

type Side<'a> = (&'a Manifest, Option<Hash>);

fn walk(
    path: &ItemPath,
    have: Side<'_>,
    want: Side<'_>,
    out: &mut Vec<Difference>,
) -> Result<(), ManifestError> {
    if have.1 == want.1 {
        return Ok(());
    }
    let mut pairs: BTreeMap<&[u8], [Option<&Entry>; 2]> = BTreeMap::new();
    for (at, (manifest, name)) in [have, want].into_iter().enumerate() {
        let entries: &[Entry] =
            name.map_or(Ok(&[][..]), |name| manifest.directory(&name).map(|d| &d.entries[..]))?;
        for entry in entries {
            pairs.entry(&entry.name).or_default()[at] = Some(entry);
        }
    }
    for (name, [a, b]) in pairs {
        if a == b {
            continue;
        }
        let path = path.join(name)?;
        let items = [a.map(Entry::item), b.map(Entry::item)];
        if items[0] != items[1] {
            let [have, want] = items;
            out.push(Difference { path: path.clone(), have, want });
            if out.len() > 2 * limits::ITEMS as usize {
                return Err(ManifestError::TooMany);
            }
        }
        let below = [a, b].map(|entry| {
            if let Some(Node::Directory(_, name)) = entry.map(|entry| &entry.node) {
                Some(*name)
            } else {
                None
            }
        });
        walk(&path, (have.0, below[0]), (want.0, below[1]), out)?;
    }
    Ok(())
}

/// One step of an apply. The order of the list is the order of doing: what is in the way goes first, directories
/// are made before what lies in them, surplus items are removed after everything wanted is there (children before
/// parents), and the modes of directories come last, so that a read-only directory can still be filled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Move this item to the trash (a directory is empty by then).
    Remove(ItemPath, Item),
    /// Make a directory that can be filled.
    MakeDirectory(ItemPath),
    /// Write a file, replacing a file or link atomically.
    WriteFile {
        /// Where.
        path: ItemPath,
        /// Permission bits.
        mode: u32,
        /// Bytes.
        size: u64,
        /// Which content.
        content: Hash,
        /// Its owner and the like.
        attributes: Attributes,
        /// What it replaces, to be kept in the trash.
        replaces: Option<Item>,
    },
    /// Make a symbolic link, replacing a file or link atomically.
    MakeLink {
        /// Where.
        path: ItemPath,
        /// To what.
        target: Vec<u8>,
        /// Its owner.
        attributes: Attributes,
        /// What it replaces.
        replaces: Option<Item>,
    },
    /// Set permission bits of a file or directory, and owner and the like of anything. No content moves.
    Set {
        /// Where.
        path: ItemPath,
        /// Permission bits; a link has none.
        mode: Option<u32>,
        /// Its owner and the like.
        attributes: Attributes,
    },
}

/// What a member has to do, and what content it needs for that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActionList {
    /// In the order of doing.
    pub actions: Vec<Action>,
    /// Contents to have first, with their sizes.
    pub fetch: BTreeMap<Hash, u64>,
}

/// Orders differences into actions.
pub fn actions(differences: &[Difference]) -> ActionList {
    let mut list = ActionList::default();
    let (mut clear, mut make, mut surplus, mut modes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for difference in differences {
        let Difference { path, have, want } = difference;
        let is_directory = |item: &Option<Item>| matches!(item, Some(Item::Directory { .. }));
        let in_the_way = have.is_some() && want.is_some() && is_directory(have) != is_directory(want);
        let replaces = if in_the_way { None } else { have.clone() };
        match (have, want) {
            (Some(have), None) => surplus.push(Action::Remove(path.clone(), have.clone())),
            (Some(have), Some(_)) if in_the_way => clear.push(Action::Remove(path.clone(), have.clone())),
            _ => {}
        }
        match want {
            None => {}
            Some(item @ Item::Directory { .. }) => {
                if !is_directory(have) {
                    make.push(Action::MakeDirectory(path.clone()));
                }
                modes.push(set(path, item));
            }
            Some(item) if difference.change() == Change::Attributes => modes.push(set(path, item)),
            Some(Item::Symlink { target, attributes }) => {
                let (path, target, attributes) = (path.clone(), target.clone(), attributes.clone());
                make.push(Action::MakeLink { path, target, attributes, replaces });
            }
            Some(Item::File { mode, size, content, attributes }) => {
                list.fetch.insert(*content, *size);
                let (path, mode, size, content) = (path.clone(), *mode, *size, *content);
                let attributes = attributes.clone();
                make.push(Action::WriteFile { path, mode, size, content, attributes, replaces });
            }
        }
    }
    // Everything below a directory that is in the way is surplus and must be gone before the directory is.
    let cleared: Vec<ItemPath> = clear.iter().map(|action| action.path().clone()).collect();
    let is_below = |path: &ItemPath| cleared.iter().any(|top| is_ancestor(top, path));
    let (below, surplus): (Vec<_>, Vec<_>) = surplus.into_iter().partition(|action| is_below(action.path()));
    list.actions.extend(below.into_iter().rev());
    list.actions.extend(clear.into_iter().rev());
    list.actions.extend(make);
    list.actions.extend(surplus.into_iter().rev());
    list.actions.extend(modes.into_iter().rev());
    list
}

fn set(path: &ItemPath, item: &Item) -> Action {
    Action::Set { path: path.clone(), mode: item.mode(), attributes: item.attributes().clone() }
}

fn is_ancestor(top: &ItemPath, path: &ItemPath) -> bool {
    path.as_bytes().strip_prefix(top.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
}

impl Action {
    /// Which item it touches.
    pub fn path(&self) -> &ItemPath {
        match self {
            Self::Remove(path, _) | Self::MakeDirectory(path) | Self::Set { path, .. } => path,
            Self::WriteFile { path, .. } | Self::MakeLink { path, .. } => path,
        }
    }
}

/// An entry of an update list: what the answer to an action list, or a commit, brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// An item that was not there.
    Add(ItemPath, Item),
    /// An item that becomes another.
    Set(ItemPath, Item),
    /// An item that goes.
    Del(ItemPath),
}

/// The update list of these differences. Content goes by pointer: the hash in the item.
pub fn updates(differences: &[Difference]) -> Vec<Update> {
    let update = |difference: &Difference| {
        let path = difference.path.clone();
        match (&difference.have, &difference.want) {
            (_, None) => Update::Del(path),
            (None, Some(item)) => Update::Add(path, item.clone()),
            (Some(_), Some(item)) => Update::Set(path, item.clone()),
        }
    };
    differences.iter().map(update).collect()
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::manifest::tests::AnyTree;

    /// Does what an engine does, on a map instead of a disk, refusing what a file system would refuse.
    fn carry_out(tree: &mut BTreeMap<ItemPath, Item>, list: &ActionList) {
        for action in &list.actions {
            let path = action.path().clone();
            let parent = path.split().expect("not the root").0;
            assert!(
                parent.is_root() || matches!(tree.get(&parent), Some(Item::Directory { .. })),
                "no parent: {path:?}"
            );
            match action {
                Action::Remove(..) => {
                    assert!(!tree.keys().any(|other| is_ancestor(&path, other)), "not empty: {path:?}");
                    tree.remove(&path).expect("there to be removed");
                }
                Action::MakeDirectory(_) => {
                    let item = Item::Directory { mode: 0o700, attributes: Attributes::default() };
                    assert!(tree.insert(path, item).is_none(), "in the way");
                }
                Action::WriteFile { mode, size, content, attributes, .. } => {
                    let (mode, size, content, attributes) = (*mode, *size, *content, attributes.clone());
                    let old = tree.insert(path, Item::File { mode, size, content, attributes });
                    assert!(!matches!(old, Some(Item::Directory { .. })), "a directory in the way");
                }
                Action::MakeLink { target, attributes, .. } => {
                    let (target, attributes) = (target.clone(), attributes.clone());
                    let old = tree.insert(path, Item::Symlink { target, attributes });
                    assert!(!matches!(old, Some(Item::Directory { .. })), "a directory in the way");
                }
                Action::Set { mode: new, attributes, .. } => {
                    let mut item = tree.remove(&path).expect("there").with(attributes.clone());
                    match (&mut item, new) {
                        (Item::File { mode, .. } | Item::Directory { mode, .. }, Some(new)) => *mode = *new,
                        (Item::Symlink { .. }, None) => {}
                        (item, new) => panic!("{item:?} with mode {new:?}"),
                    }
                    tree.insert(path, item);
                }
            }
        }
    }

    quickcheck! {
        fn diff_then_apply_gives_the_wanted_tree(a: AnyTree, b: AnyTree) -> bool {
            let [have, want] = [&a, &b].map(|tree| Manifest::from_items(&tree.0).expect("parents are there"));
            let mut tree = a.0.clone();
            carry_out(&mut tree, &actions(&diff(&have, &want).expect("complete")));
            tree == b.0
        }

        /// What is left alone is as it was, everything else is as it is wanted, and all of it can be carried out.
        fn what_is_left_alone_stays_and_the_rest_is_wanted(a: AnyTree, b: AnyTree, which: Vec<u8>) -> bool {
            let [have, want] = [&a, &b].map(|tree| Manifest::from_items(&tree.0).expect("parents are there"));
            let all = diff(&have, &want).expect("complete");
            let pick = |at: &u8| all.get(usize::from(*at) % all.len().max(1)).map(|it| it.path.clone());
            let leave: Vec<ItemPath> = which.iter().take(3).filter_map(pick).collect();
            let kept = except(all.clone(), &leave);
            let mut tree = a.0.clone();
            carry_out(&mut tree, &actions(&kept));
            let is_left = |path: &ItemPath| !kept.iter().any(|difference| difference.path == *path);
            let left_alone = leave.iter().all(|path| is_left(path) && tree.get(path) == a.0.get(path));
            let rest = kept.iter().all(|difference| tree.get(&difference.path) == b.0.get(&difference.path));
            left_alone && rest && (!leave.is_empty() || tree == b.0)
        }

        /// Where only owners and the like differ nothing is fetched, written or taken away.
        fn other_attributes_move_no_content(tree: AnyTree, attributes: Attributes) -> bool {
            let marked = tree.0.iter().map(|(path, item)| match item {
                Item::Symlink { .. } => (path.clone(), item.clone()),
                item => (path.clone(), item.clone().with(attributes.clone())),
            });
            let marked: BTreeMap<ItemPath, Item> = marked.collect();
            let [have, want] = [&tree.0, &marked].map(|tree| Manifest::from_items(tree).expect("parents are there"));
            let list = actions(&diff(&have, &want).expect("complete"));
            list.fetch.is_empty() && list.actions.iter().all(|action| matches!(action, Action::Set { .. }))
        }

        fn equal_trees_have_no_differences(a: AnyTree) -> bool {
            let tree = Manifest::from_items(&a.0).expect("parents are there");
            diff(&tree, &tree).expect("complete").is_empty()
        }

        fn every_difference_is_one_update(a: AnyTree, b: AnyTree) -> bool {
            let [have, want] = [&a, &b].map(|tree| Manifest::from_items(&tree.0).expect("parents are there"));
            let differences = diff(&have, &want).expect("complete");
            updates(&differences).len() == differences.len()
        }
    }
}
