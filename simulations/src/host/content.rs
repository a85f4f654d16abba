//! A host's content store, and the library that knows what every hash stands for.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::effect::Want;
use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Directory, Manifest, Node};
use althing_protocol::parts::Division;

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

/// The pieces on a disk at one time.
#[derive(Default)]
pub(crate) struct Pieces {
    good: BTreeSet<Hash>,
    /// What rotted is on the image of a disk too, whether or not it was had again since.
    rotten: BTreeSet<Hash>,
    damaged: BTreeSet<Hash>,
}

/// Which pieces one host has, durably, and which of them no collection may take: the rules of the real store, with
/// none of its code.
#[derive(Default)]
pub(crate) struct Content {
    pieces: BTreeSet<Hash>,
    /// Put or relied upon since the last collection began.
    young: BTreeSet<Hash>,
    /// Captures under way: no root names yet what they put here.
    unnamed: BTreeSet<u64>,
    /// Pieces whose bytes are not what they were, and nobody has looked yet.
    rotten: BTreeSet<Hash>,
    /// Pieces that were found rotten, put aside and not fetched again yet.
    damaged: BTreeSet<Hash>,
    /// Pieces that were here before an earlier state of the disk was put back, and were not put again since.
    lost: BTreeSet<Hash>,
    /// Large files that are being gathered: their parts, once the outline is here.
    gathered: BTreeMap<Hash, BTreeSet<u32>>,
    /// What the collection under way leaves.
    marked: Option<BTreeSet<Hash>>,
}

impl Content {
    pub(crate) fn has(&self, piece: &Hash) -> bool {
        self.pieces.contains(piece)
    }

    /// The bytes of a piece change on the disk.
    pub(crate) fn rot(&mut self, piece: Hash) {
        self.pieces.remove(&piece);
        self.rotten.insert(piece);
    }

    /// Somebody reads a piece and finds that it is not what it was.
    pub(crate) fn find_rotten(&mut self, piece: &Hash) -> bool {
        let found = self.rotten.remove(piece);
        if found {
            self.damaged.insert(*piece);
        }
        found
    }

    /// Whether a piece rotted and was not fetched again.
    pub(crate) fn is_damaged(&self, piece: &Hash) -> bool {
        self.rotten.contains(piece) || self.damaged.contains(piece)
    }

    /// Whether something that was put aside has not been had again.
    pub(crate) fn lacks_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// The files among what is here.
    pub(crate) fn files(&self, library: &Library) -> Vec<Hash> {
        self.pieces.iter().filter(|piece| library.directory(piece).is_none()).copied().collect()
    }

    /// What of a root is neither here nor, unknown to all, rotten.
    pub(crate) fn forgotten(&self, library: &Library, root: &Hash) -> Vec<Hash> {
        let mut lacking = self.lacking(library, root);
        lacking.retain(|piece| !self.rotten.contains(piece) && !self.damaged.contains(piece));
        lacking
    }

    /// Everything that is here, to put it back later.
    pub(crate) fn image(&self) -> Pieces {
        let (good, rotten, damaged) = (self.pieces.clone(), self.rotten.clone(), self.damaged.clone());
        Pieces { good, rotten, damaged }
    }

    /// What was here once is here again, as it was, and nothing else.
    pub(crate) fn put_back(&mut self, image: Pieces) {
        let Pieces { good, rotten, damaged } = image;
        let had = self.pieces.iter().chain(&self.lost);
        let lost = had.filter(|piece| !good.contains(piece)).copied().collect();
        *self = Self { pieces: good, lost, rotten, damaged, ..Self::default() };
    }

    /// The disk is a new one.
    pub(crate) fn lose(&mut self) {
        self.put_back(Pieces::default());
    }

    /// Whether a piece went with the disk that had it. Trees, and the applies under way there, are on disks of their own.
    pub(crate) fn is_lost(&self, piece: &Hash) -> bool {
        self.lost.contains(piece)
    }

    /// A piece is synced, or found to be here by somebody who goes on to rely on it.
    pub(crate) fn put(&mut self, piece: Hash) {
        self.rotten.remove(&piece);
        self.damaged.remove(&piece);
        self.lost.remove(&piece);
        self.pieces.insert(piece);
        self.young.insert(piece);
    }

    /// Whether what is wanted is here, put together from parts if need be.
    pub(crate) fn holds(&mut self, want: &Want) -> bool {
        match want {
            Want::Directory(name) => self.has(name),
            Want::File(name, size) => {
                let count = Division::of(*size).map_or(0, |division| division.count() as usize);
                if count > 0 && self.gathered.get(name).is_some_and(|parts| parts.len() == count) {
                    self.gathered.remove(name);
                    self.put(*name);
                }
                self.has(name)
            }
            Want::Outline(name, _) => self.gathered.contains_key(name),
            Want::Part(name, _, index) => self.gathered.get(name).is_some_and(|parts| parts.contains(index)),
        }
    }

    /// What came from a holder.
    pub(crate) fn take(&mut self, want: &Want) -> bool {
        match want {
            Want::Directory(name) | Want::File(name, _) => self.put(*name),
            Want::Outline(name, _) => {
                self.gathered.entry(*name).or_default();
                self.young.insert(*name);
            }
            Want::Part(name, _, index) => {
                let Some(parts) = self.gathered.get_mut(name) else { return false };
                parts.insert(*index);
            }
        }
        true
    }

    /// What of a root is not here.
    pub(crate) fn lacking(&self, library: &Library, root: &Hash) -> Vec<Hash> {
        library.pieces(root).into_iter().filter(|piece| !self.has(piece)).collect()
    }

    /// Parts of a large file that were gathered.
    #[cfg(test)]
    pub(crate) fn gathered(&self, file: &Hash) -> BTreeSet<u32> {
        self.gathered.get(file).cloned().unwrap_or_default()
    }

    /// Everything that is here.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> &BTreeSet<Hash> {
        &self.pieces
    }

    /// A capture begins to put pieces here.
    pub(crate) fn capture_begins(&mut self, capture: u64) {
        self.unnamed.insert(capture);
    }

    /// The member was told of a capture's end, and has named its root if it wants it.
    pub(crate) fn capture_ended(&mut self, capture: u64) {
        self.unnamed.remove(&capture);
    }

    /// What came since the last collection began was not durable (a planted bug).
    pub(crate) fn forget_young(&mut self) -> bool {
        let (young, before) = (std::mem::take(&mut self.young), self.pieces.len());
        self.pieces.retain(|piece| !young.contains(piece));
        self.pieces.len() < before
    }

    /// The collection under way takes what came since it began too (a planted bug).
    pub(crate) fn hurry(&mut self) -> bool {
        !std::mem::take(&mut self.young).is_empty()
    }

    /// The process died: what was under way was not durable.
    pub(crate) fn crash(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        let (rotten, damaged) = (std::mem::take(&mut self.rotten), std::mem::take(&mut self.damaged));
        let (mut gathered, lost) = (std::mem::take(&mut self.gathered), std::mem::take(&mut self.lost));
        // Parts are not synced one by one: which of them the disk has nobody knows.
        gathered.values_mut().for_each(|parts| parts.retain(|index| index % 3 != 0));
        *self = Self { pieces, rotten, damaged, gathered, lost, ..Self::default() };
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.marked.is_some()
    }

    /// A collection begins. `careless` forgets all promises, and what is young (a planted bug).
    pub(crate) fn mark(&mut self, library: &Library, keep: &BTreeSet<Hash>, careless: bool) {
        if self.unnamed.is_empty() || careless {
            self.young.clear();
        }
        let roots = if careless { &BTreeSet::new() } else { keep };
        self.marked = Some(roots.iter().flat_map(|root| self.reached(library, root)).collect());
    }

    /// What a root leads to through the directories that are here: the real store knows no others.
    fn reached(&self, library: &Library, root: &Hash) -> BTreeSet<Hash> {
        let (mut reached, mut open) = (BTreeSet::from([*root]), vec![*root]);
        while let Some(name) = open.pop() {
            let directory = library.directory(&name).filter(|_| self.has(&name));
            for entry in directory.into_iter().flat_map(|directory| &directory.entries) {
                match &entry.node {
                    Node::Directory(_, below) => {
                        reached.insert(*below);
                        open.push(*below);
                    }
                    Node::File(_, _, content) => drop(reached.insert(*content)),
                    Node::Symlink(_) => {}
                }
            }
        }
        reached
    }

    /// The collection ends: throws away what was not marked and is not young.
    pub(crate) fn sweep(&mut self) -> usize {
        let Some(marked) = self.marked.take() else { return 0 };
        let count = self.pieces.len();
        self.pieces.retain(|piece| marked.contains(piece) || self.young.contains(piece));
        let wanted = |file: &Hash| marked.contains(file) || self.young.contains(file);
        self.gathered.retain(|file, _| wanted(file) && !self.pieces.contains(file));
        count - self.pieces.len()
    }
}

/// The name of something wanted.
pub(crate) fn name_of(want: &Want) -> Hash {
    match want {
        Want::Directory(name) | Want::File(name, _) | Want::Outline(name, _) | Want::Part(name, ..) => *name,
    }
}
