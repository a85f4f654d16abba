//! A host's content store, and the library that knows what every hash stands for.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::effect::Want;
use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Directory, Manifest, Node};

/// Every directory that was ever seen, by name: the simulation keeps bytes of directories once for all hosts.
#[derive(Default)]
pub(crate) struct Library {
    directories: BTreeMap<Hash, Directory>,
}

impl Library {
    /// Remembers the directories of a tree.
    pub(crate) fn learn(&mut self, manifest: &Manifest) {
        for (name, directory) in &manifest.directories {
            self.directories.entry(*name).or_insert_with(|| directory.clone());
        }
    }

    pub(crate) fn directory(&self, name: &Hash) -> Option<&Directory> {
        self.directories.get(name)
    }

    /// Everything that a root consists of, as far as the library knows it.
    pub(crate) fn pieces(&self, root: &Hash) -> BTreeSet<Hash> {
        let (mut pieces, mut open) = (BTreeSet::from([*root]), vec![*root]);
        while let Some(name) = open.pop() {
            for entry in self.directories.get(&name).into_iter().flat_map(|directory| &directory.entries) {
                match &entry.node {
                    Node::Directory(_, below) => {
                        pieces.insert(*below);
                        open.push(*below);
                    }
                    Node::File(_, _, content) => drop(pieces.insert(*content)),
                    Node::Symlink(_) => {}
                }
            }
        }
        pieces
    }

    /// The whole manifest of a root.
    pub(crate) fn manifest(&self, root: &Hash) -> Option<Manifest> {
        let mut directories = BTreeMap::new();
        for piece in self.pieces(root) {
            if let Some(directory) = self.directories.get(&piece) {
                directories.insert(piece, directory.clone());
            }
        }
        directories.contains_key(root).then_some(Manifest { root: *root, directories })
    }
}

/// Which pieces one host has, durably, and since when.
#[derive(Default)]
pub(crate) struct Content {
    pieces: BTreeMap<Hash, u64>,
}

impl Content {
    pub(crate) fn has(&self, piece: &Hash) -> bool {
        self.pieces.contains_key(piece)
    }

    /// A piece is synced.
    pub(crate) fn put(&mut self, piece: Hash, now: u64) {
        self.pieces.insert(piece, now);
    }

    /// What of a root is not here.
    pub(crate) fn lacking(&self, library: &Library, root: &Hash) -> Vec<Hash> {
        library.pieces(root).into_iter().filter(|piece| !self.has(piece)).collect()
    }

    /// Throws away what no root needs and what is older than `before`.
    pub(crate) fn sweep(&mut self, library: &Library, keep: &BTreeSet<Hash>, before: u64) -> usize {
        let kept: BTreeSet<Hash> = keep.iter().flat_map(|root| library.pieces(root)).collect();
        let count = self.pieces.len();
        self.pieces.retain(|piece, since| kept.contains(piece) || *since >= before);
        count - self.pieces.len()
    }
}

/// The name of something wanted.
pub(crate) fn name_of(want: &Want) -> Hash {
    match want {
        Want::Directory(name) | Want::File(name, _) => *name,
    }
}
