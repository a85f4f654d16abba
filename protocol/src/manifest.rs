//! The manifest: a Merkle tree that names every item of an application and its content by hash (design §6).
//!
//! A directory is a sorted list of entries; its name is the BLAKE3 of its canonical bytes; the root is the name of
//! the topmost directory. Two equal trees have one root, however they were built, and differences are found by
//! visiting only the directories whose names differ. A file's content is named by the plain BLAKE3 of its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::attributes::Attributes;
use crate::codec::{self, DecodeError};
use crate::hash::Hash;
use crate::limits;
use crate::path::{ItemPath, PathError, check_name};

/// The format of a directory's bytes; the first field of each.
pub const FORMAT: u8 = 1;

/// Permission bits that are managed: rwx for all, set-uid, set-gid, sticky.
pub const MODE_MASK: u32 = 0o7777;

/// What an item is, as seen from the whole tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Item {
    /// A regular file.
    File {
        /// Permission bits, within [`MODE_MASK`].
        mode: u32,
        /// Length in bytes.
        size: u64,
        /// BLAKE3 of the bytes.
        content: Hash,
        /// Its owner and the like, where asked for.
        attributes: Attributes,
    },
    /// A directory; its entries are items of their own.
    Directory {
        /// Permission bits, within [`MODE_MASK`].
        mode: u32,
        /// Its owner and the like, where asked for.
        attributes: Attributes,
    },
    /// A symbolic link. Never followed.
    Symlink {
        /// The target, as stored.
        target: Vec<u8>,
        /// Its owner, where asked for.
        attributes: Attributes,
    },
}

/// An entry of an encoded directory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Entry {
    /// Raw bytes of the name.
    pub name: ByteBuf,
    /// What it is.
    pub node: Node,
    /// Its owner and the like, where the application asks for them. Since protocol version 2.
    #[serde(default, skip_serializing_if = "codec::is_left_out")]
    pub attributes: Attributes,
}

/// What an entry of a directory is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Node {
    /// mode, size, content
    #[serde(rename = "f")]
    File(u32, u64, Hash),
    /// mode, name of the directory
    #[serde(rename = "d")]
    Directory(u32, Hash),
    /// target
    #[serde(rename = "l")]
    Symlink(ByteBuf),
}

/// One directory of a manifest. Its name is the hash of its canonical bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize_tuple, Deserialize_tuple)]
pub struct Directory {
    /// [`FORMAT`].
    pub format: u8,
    /// Sorted by name, each name once.
    pub entries: Vec<Entry>,
}

/// Why a directory or tree was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes.
    #[error("a directory of the manifest: {0}")]
    Decode(#[from] DecodeError),
    /// Written by a newer program.
    #[error("a directory of the manifest has format {0}, and this program reads {FORMAT}")]
    Format(u8),
    /// A name is not a file name, or names are not in order.
    #[error("a directory of the manifest: {0}")]
    Path(#[from] PathError),
    /// Names out of order or twice.
    #[error("a directory of the manifest is not sorted")]
    NotSorted,
    /// A mode or a target outside its bounds.
    #[error("an entry of the manifest is out of bounds")]
    OutOfBounds,
    /// An item lies below something that is not a directory.
    #[error("{0:?} lies below something that is not a directory")]
    NoParent(ItemPath),
    /// More items than [`limits::ITEMS`].
    #[error("the manifest has more than {} items", limits::ITEMS as usize)]
    TooMany,
    /// A directory is not in the set.
    #[error("the manifest lacks directory {0}")]
    Missing(Hash),
}

impl Directory {
    /// Decodes and checks everything that a peer could get wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let directory: Self = codec::decode(bytes, limits::DIRECTORY_BYTES)?;
        if directory.format != FORMAT {
            return Err(ManifestError::Format(directory.format));
        }
        for entry in &directory.entries {
            check_name(&entry.name)?;
            let within = match &entry.node {
                Node::File(mode, size, _) => mode & !MODE_MASK == 0 && *size <= limits::FILE_BYTES,
                Node::Directory(mode, _) => mode & !MODE_MASK == 0,
                Node::Symlink(target) => {
                    !target.is_empty() && target.len() <= limits::LINK_BYTES && !target.contains(&0)
                }
            };
            let is_link = matches!(entry.node, Node::Symlink(_));
            let attributes = &entry.attributes;
            if !within || !attributes.is_within_bounds() || (is_link && !attributes.extended.is_empty()) {
                return Err(ManifestError::OutOfBounds);
            }
        }
        if directory.entries.windows(2).any(|pair| pair[0].name >= pair[1].name) {
            return Err(ManifestError::NotSorted);
        }
        Ok(directory)
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// A whole tree: the root and every directory below it, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Name of the topmost directory.
    pub root: Hash,
    /// Every directory of the tree.
    pub directories: BTreeMap<Hash, Directory>,
}

/// How many items of what size a manifest names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Extent {
    /// Files, directories and links.
    pub items: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

impl Manifest {
    /// The tree without an item.
    pub fn empty() -> Self {
        Self::from_items(&BTreeMap::new()).expect("no items, no parents to miss")
    }

    /// The tree of these items. Every parent must be there as a [`Item::Directory`].
    pub fn from_items(items: &BTreeMap<ItemPath, Item>) -> Result<Self, ManifestError> {
        let mut children: BTreeMap<ItemPath, Vec<(&ItemPath, &Item)>> = BTreeMap::new();
        for (path, item) in items {
            let (parent, _) = path.split().ok_or(ManifestError::OutOfBounds)?;
            if !parent.is_root() && !matches!(items.get(&parent), Some(Item::Directory { .. })) {
                return Err(ManifestError::NoParent(path.clone()));
            }
            children.entry(parent).or_default().push((path, item));
        }
        let mut directories = BTreeMap::new();
        let root = build(&ItemPath::root(), &children, &mut directories);
        Ok(Self { root, directories })
    }

    /// Every item by path. Fails if a directory is missing, or if there are too many.
    pub fn items(&self) -> Result<BTreeMap<ItemPath, Item>, ManifestError> {
        let mut items = BTreeMap::new();
        let mut open = vec![(ItemPath::root(), self.root)];
        while let Some((path, name)) = open.pop() {
            for entry in &self.directory(&name)?.entries {
                let path = path.join(&entry.name)?;
                if let Node::Directory(_, below) = entry.node {
                    open.push((path.clone(), below));
                }
                items.insert(path, entry.item());
                if items.len() > limits::ITEMS as usize {
                    return Err(ManifestError::TooMany);
                }
            }
        }
        Ok(items)
    }

    /// A directory by name.
    pub fn directory(&self, name: &Hash) -> Result<&Directory, ManifestError> {
        self.directories.get(name).ok_or(ManifestError::Missing(*name))
    }

    /// Counts items and bytes.
    pub fn extent(&self) -> Result<Extent, ManifestError> {
        let mut extent = Extent::default();
        for item in self.items()?.values() {
            extent.items += 1;
            extent.bytes += item.size();
        }
        Ok(extent)
    }
}

impl Entry {
    /// As an item of the whole tree.
    pub fn item(&self) -> Item {
        let attributes = self.attributes.clone();
        match &self.node {
            Node::File(mode, size, content) => {
                Item::File { mode: *mode, size: *size, content: *content, attributes }
            }
            Node::Directory(mode, _) => Item::Directory { mode: *mode, attributes },
            Node::Symlink(target) => Item::Symlink { target: target.to_vec(), attributes },
        }
    }
}

impl Item {
    /// A file of which nothing else is said.
    pub fn file(mode: u32, size: u64, content: Hash) -> Self {
        Self::File { mode, size, content, attributes: Attributes::default() }
    }

    /// A directory of which nothing else is said.
    pub fn directory(mode: u32) -> Self {
        Self::Directory { mode, attributes: Attributes::default() }
    }

    /// A symbolic link of which nothing else is said.
    pub fn symlink(target: &[u8]) -> Self {
        Self::Symlink { target: target.to_vec(), attributes: Attributes::default() }
    }

    /// Bytes of a file, 0 of anything else.
    pub fn size(&self) -> u64 {
        if let Self::File { size, .. } = self { *size } else { 0 }
    }

    /// Its owner and the like, where asked for.
    pub fn attributes(&self) -> &Attributes {
        match self {
            Self::File { attributes, .. }
            | Self::Directory { attributes, .. }
            | Self::Symlink { attributes, .. } => attributes,
        }
    }

    /// The same with other attributes.
    #[must_use]
    pub fn with(mut self, new: Attributes) -> Self {
        match &mut self {
            Self::File { attributes, .. }
            | Self::Directory { attributes, .. }
            | Self::Symlink { attributes, .. } => *attributes = new,
        }
        self
    }

    /// Permission bits, of what has them.
    pub fn mode(&self) -> Option<u32> {
        match self {
            Self::File { mode, .. } | Self::Directory { mode, .. } => Some(*mode),
            Self::Symlink { .. } => None,
        }
    }
}

fn build(
    path: &ItemPath,
    children: &BTreeMap<ItemPath, Vec<(&ItemPath, &Item)>>,
    directories: &mut BTreeMap<Hash, Directory>,
) -> Hash {
    let mut entries: Vec<Entry> = Vec::new();
    for (child, item) in children.get(path).into_iter().flatten() {
        let name = child.split().map_or(&[][..], |(_, name)| name);
        let node = match item {
            Item::File { mode, size, content, .. } => Node::File(*mode & MODE_MASK, *size, *content),
            Item::Symlink { target, .. } => Node::Symlink(ByteBuf::from(target.clone())),
            Item::Directory { mode, .. } => {
                Node::Directory(*mode & MODE_MASK, build(child, children, directories))
            }
        };
        entries.push(Entry { name: ByteBuf::from(name), node, attributes: item.attributes().clone() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let directory = Directory { format: FORMAT, entries };
    let name = Hash::of(&directory.encode());
    directories.insert(name, directory);
    name
}

#[cfg(test)]
pub(crate) mod tests {
    use quickcheck::{Arbitrary, Gen, quickcheck};

    use super::*;

    /// A random small tree with every kind of item.
    #[derive(Clone, Debug)]
    pub(crate) struct AnyTree(pub(crate) BTreeMap<ItemPath, Item>);

    impl Arbitrary for AnyTree {
        fn arbitrary(g: &mut Gen) -> Self {
            let mut directories = vec![ItemPath::root()];
            let mut items = BTreeMap::new();
            for _ in 0..u8::arbitrary(g) % 24 {
                let parent = g.choose(&directories).expect("the root is there").clone();
                let name = [b'a' + u8::arbitrary(g) % 6];
                let Ok(path) = parent.join(&name) else { continue };
                if items.contains_key(&path) {
                    continue;
                }
                let mode = *g.choose(&[0o644, 0o755, 0o600, 0o4755]).expect("not empty");
                let attributes = Attributes::arbitrary(g);
                let item = match u8::arbitrary(g) % 4 {
                    0 => Item::Directory { mode, attributes },
                    1 => Item::Symlink {
                        target: vec![b't', u8::arbitrary(g) | 1],
                        attributes: Attributes::default(),
                    },
                    _ => {
                        let content = [u8::arbitrary(g) % 4];
                        Item::File { mode, size: 1, content: Hash::of(&content), attributes }
                    }
                };
                if matches!(item, Item::Directory { .. }) {
                    directories.push(path.clone());
                }
                items.insert(path, item);
            }
            Self(items)
        }
    }

    quickcheck! {
        fn items_survive_the_tree(tree: AnyTree) -> bool {
            Manifest::from_items(&tree.0).expect("parents are there").items() == Ok(tree.0)
        }

        fn directories_survive_their_bytes(tree: AnyTree) -> bool {
            Manifest::from_items(&tree.0).expect("parents are there").directories.iter().all(|(name, directory)| {
                let bytes = directory.encode();
                Hash::of(&bytes) == *name && Directory::decode(&bytes).as_ref() == Ok(directory)
            })
        }

        fn roots_are_equal_exactly_when_trees_are(a: AnyTree, b: AnyTree) -> bool {
            let roots = [&a, &b].map(|tree| Manifest::from_items(&tree.0).expect("parents are there").root);
            (roots[0] == roots[1]) == (a.0 == b.0)
        }

        fn arbitrary_bytes_are_no_directory_or_a_checked_one(bytes: Vec<u8>) -> bool {
            Directory::decode(&bytes).map_or(true, |directory| directory.encode() == bytes)
        }
    }

    fn of(name: &[u8], node: Node, attributes: Attributes) -> Entry {
        Entry { name: ByteBuf::from(name), node, attributes }
    }

    /// What every program before wrote and reads: names and roots of applications that ask for nothing stay the same.
    #[test]
    fn a_directory_without_attributes_has_the_bytes_that_it_always_had() {
        let file = of(b"a", Node::File(0o644, 0, Hash::of(b"")), Attributes::default());
        let link = of(b"l", Node::Symlink(ByteBuf::from(b"a".to_vec())), Attributes::default());
        let bytes = Directory { format: FORMAT, entries: vec![file, link.clone()] }.encode();
        let mut before =
            vec![0x82, 0x01, 0x82, 0x82, 0x41, b'a', 0xa1, 0x61, b'f', 0x83, 0x19, 0x01, 0xa4, 0x00];
        before.extend([0x58, 0x20]);
        before.extend(Hash::of(b"").0);
        before.extend([0x82, 0x41, b'l', 0xa1, 0x61, b'l', 0x41, b'a']);
        assert_eq!(bytes, before);
        let spelt_out = codec::encode(&(FORMAT, vec![(link.name, link.node, Attributes::default())]));
        assert_eq!(Directory::decode(&spelt_out), Err(DecodeError::NotCanonical.into()));
    }

    #[test]
    fn hostile_directories_are_refused() {
        let entry = |name: &[u8]| of(name, Node::File(0o644, 0, Hash::of(b"")), Attributes::default());
        let check = |entries: Vec<Entry>, wanted: ManifestError| {
            let bytes = Directory { format: FORMAT, entries }.encode();
            assert_eq!(Directory::decode(&bytes), Err(wanted));
        };
        check(vec![entry(b"..")], ManifestError::Path(PathError::Component));
        check(vec![entry(b"a/b")], ManifestError::Path(PathError::Component));
        check(vec![entry(b"b"), entry(b"a")], ManifestError::NotSorted);
        check(vec![entry(b"a"), entry(b"a")], ManifestError::NotSorted);
        let plain = |mode: u32| Node::File(mode, 0, Hash::of(b""));
        check(vec![of(b"a", plain(0o020_644), Attributes::default())], ManifestError::OutOfBounds);
        check(vec![of(b"a", plain(0o644), Attributes::owned("a:0", "b"))], ManifestError::OutOfBounds);
        let huge = ByteBuf::from(vec![0; limits::XATTR_BYTES + 1]);
        let extended = Attributes { extended: [("user.a".into(), huge)].into(), ..Attributes::default() };
        check(vec![of(b"a", plain(0o644), extended)], ManifestError::OutOfBounds);
        let extended: BTreeMap<_, _> = [("user.a".into(), ByteBuf::from(b"x".to_vec()))].into();
        let of_a_link = Attributes { extended, ..Attributes::default() };
        check(
            vec![of(b"a", Node::Symlink(ByteBuf::from(b"t".to_vec())), of_a_link)],
            ManifestError::OutOfBounds,
        );
        let bytes = Directory { format: 9, entries: vec![] }.encode();
        assert_eq!(Directory::decode(&bytes), Err(ManifestError::Format(9)));
    }
}
