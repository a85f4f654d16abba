//! The apply: makes the tree equal to a settled manifest, from the store alone, always forward.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::{self, Action, ActionList, Difference};

pub use self::error::ApplyError;
use super::beneath::Beneath;
use super::cache::Cache;
use super::carry_out::{self, Engine, Scanned};
use super::giving::Giving;
use super::job::Job;
use super::journal::Journal;
use super::leftovers;
use super::scan::{self, ScanError};
use super::trash::{self, Bin, TrashId};
use super::walk::{OURS, Special, Unmanaged, Walked};
use super::{Files, ScanMode, StoreFault};

/// How often the tree is looked at again because others changed it during the apply.
const ROUNDS: u32 = 4;
/// Room that is left on the disk beside what is written.
pub(crate) const SPARE_BYTES: u64 = 1 << 20;

/// What an apply did. The tree was equal to the manifest but for what others changed meanwhile; the next scan tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Actions carried out.
    pub changed: usize,
    /// What was taken away.
    pub trashed: Vec<TrashId>,
    /// What was different before, and was not left alone.
    pub differences: Vec<Difference>,
    /// Differences that were left alone: because they were to be, because what is not managed lies there, or because
    /// this member cannot bring them nearer.
    pub left: usize,
}

impl Files {
    /// Makes the tree equal to the manifest `root`, which `epoch` settled. The root directory is made if need be.
    pub fn apply(&self, root: Hash, epoch: u64, reason: &str, job: Job<'_>) -> Result<Applied, ApplyError> {
        self.apply_but((root, epoch), reason, &[], job)
    }

    /// The same, but for the paths in `leave` and what lies below them.
    pub fn apply_but(
        &self,
        (root, epoch): (Hash, u64),
        reason: &str,
        leave: &[ItemPath],
        job: Job<'_>,
    ) -> Result<Applied, ApplyError> {
        let mut guard = self.exclusive();
        let earlier = self.journal()?;
        self.refused().clear();
        let cache = self.cache(&mut guard)?;
        let apply = Apply { files: self, root, epoch, reason, leave, job };
        let applied =
            if self.has_releases() { apply.switch(cache, earlier) } else { apply.run(cache, earlier) };
        cache.save(&self.store, &self.application)?;
        applied
    }

    /// Finishes what an apply left undone, if there is such a thing; to be called at start, before any scan.
    pub fn recover(&self, job: Job<'_>) -> Result<Option<Applied>, ApplyError> {
        let Some(journal) = self.journal()? else { return Ok(None) };
        self.apply(journal.root, journal.epoch, "an apply that was interrupted", job).map(Some)
    }

    /// Whether an apply began and did not end.
    pub fn is_applying(&self) -> Result<bool, StoreFault> {
        Ok(self.journal()?.is_some())
    }
}

/// One apply, of one root.
pub(crate) struct Apply<'a> {
    pub(crate) files: &'a Files,
    pub(crate) root: Hash,
    pub(crate) epoch: u64,
    pub(crate) reason: &'a str,
    pub(crate) leave: &'a [ItemPath],
    pub(crate) job: Job<'a>,
}

impl Apply<'_> {
    fn run(&self, cache: &mut Cache, earlier: Option<Journal>) -> Result<Applied, ApplyError> {
        let want = self.wanted()?;
        let items = want.items()?;
        self.check_form(&items)?;
        let beneath = self.open_root()?;
        let journal = Journal::new(self.root, self.epoch, trash::new_batch().map_err(ApplyError::Root)?);
        let mut found = self.look(&beneath, cache, &want)?;
        let bin = Bin::open(self.files, &journal, self.reason)?;
        self.check(&beneath, &bin, &found)?;
        let mut applied =
            Applied { differences: found.differences.clone(), left: found.left, ..Applied::default() };
        if found.is_done() && earlier.is_none() {
            self.files.end(&journal)?;
            return Ok(applied);
        }
        if let Some(earlier) = &earlier {
            let mut bin = Bin::open(self.files, earlier, "an apply that was interrupted")?;
            bin.adopt().map_err(|error| ApplyError::at(ItemPath::root(), error.into(), 0))?;
            applied.trashed.extend(bin.into_taken());
        }
        self.files.begin(&journal)?;
        let mut engine = Engine::new(self.files, &beneath, bin, &items, self.job);
        leftovers::clear(&beneath, &mut engine.bin, &found.walked.ours, &items, self.job)
            .map_err(|error| ApplyError::at(ItemPath::root(), error, 0))?;
        let mut round = 1;
        while let Err((path, error)) = engine.run(&found.list.actions, found.scanned()) {
            if round == ROUNDS || !error.is_by_others() {
                return Err(ApplyError::at(path, error, engine.done));
            }
            round += 1;
            found = self.look(&beneath, cache, &want)?;
            self.check(&beneath, &engine.bin, &found)?;
        }
        self.files.end(&journal)?;
        applied.changed = engine.done;
        applied.trashed.extend(engine.bin.into_taken());
        Ok(applied)
    }

    /// The whole manifest, or what of it is not here.
    pub(crate) fn wanted(&self) -> Result<Manifest, ApplyError> {
        if let Some(manifest) = self.files.store.manifest(&self.root).map_err(StoreFault::from)? {
            return Ok(manifest);
        }
        let (mut missing, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![self.root]);
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            match self.files.store.directory(&name).map_err(StoreFault::from)? {
                None => missing.push(name),
                Some(directory) => {
                    open.extend(directory.entries.iter().filter_map(|entry| match entry.node {
                        althing_protocol::manifest::Node::Directory(_, below) => Some(below),
                        _ => None,
                    }))
                }
            }
        }
        Err(ApplyError::Missing(missing))
    }

    /// Nobody can bring a tree to what the application does not ask for.
    pub(crate) fn check_form(&self, items: &BTreeMap<ItemPath, Item>) -> Result<(), ApplyError> {
        match items.iter().find(|(_, item)| !self.files.handling.is_answered(item)) {
            Some((path, _)) => Err(ApplyError::Unasked { path: path.clone() }),
            None => Ok(()),
        }
    }

    fn open_root(&self) -> Result<Beneath, ApplyError> {
        match self.files.open_on_ground() {
            Err(ScanError::Absent) => self.make_root(),
            Err(ScanError::Unreadable { path, source })
                if path.is_root() && source.kind() == io::ErrorKind::NotFound =>
            {
                self.make_root()
            }
            result => Ok(result?),
        }
    }

    /// Only where the file system is that the tree lay on.
    fn make_root(&self) -> Result<Beneath, ApplyError> {
        let root = &self.files.root;
        DirBuilder::new().recursive(true).mode(0o755).create(root).map_err(ApplyError::Root)?;
        if let Some(parent) = root.parent() {
            std::fs::File::open(parent).and_then(|file| file.sync_all()).map_err(ApplyError::Root)?;
        }
        Ok(self.files.open_on_ground()?)
    }

    /// What is to be done to the tree.
    pub(crate) fn look(
        &self,
        beneath: &Beneath,
        cache: &mut Cache,
        want: &Manifest,
    ) -> Result<Look, ApplyError> {
        let (scan, walked) = scan::scan_tree(beneath, cache, self.files.scope(), ScanMode::Trust, self.job)?;
        let all = repair::diff(&scan.manifest, want)?;
        let count = all.len();
        let mut differences = repair::except(all, self.leave);
        // A directory stays while something lies in it that is nobody's business.
        differences.retain(|it| !removes_shelter(it, &walked.sheltered));
        // What this member cannot bring nearer is told by the scan.
        let mut giving = Giving::of(self.files);
        differences.retain(|it| !giving.is_as_near(it));
        let left = count - differences.len();
        let list = repair::actions(&differences);
        Ok(Look { differences, left, list, unmanaged: scan.unmanaged, walked, have: scan.manifest.items()? })
    }

    /// Everything that can be known to go wrong, before anything is changed.
    fn check(&self, beneath: &Beneath, bin: &Bin<'_>, found: &Look) -> Result<(), ApplyError> {
        let content = self.files.store.content();
        let lacks = |(hash, size): (&Hash, &u64)| (content.size(hash) != Some(*size)).then_some(*hash);
        let missing: Vec<Hash> = found.list.fetch.iter().filter_map(lacks).collect();
        if !missing.is_empty() {
            return Err(ApplyError::Missing(missing));
        }
        let (mut writes, mut replaced) = (0, 0);
        for action in &found.list.actions {
            check_name_and_mounts(action, &found.unmanaged)?;
            if let Action::WriteFile { size, .. } = action {
                writes += size;
            }
            replaced += match action {
                Action::Remove(_, item) => item.size(),
                Action::WriteFile { replaces, .. } | Action::MakeLink { replaces, .. } => {
                    replaces.as_ref().map_or(0, Item::size)
                }
                _ => 0,
            };
            if replaced > bin.room() {
                return Err(ApplyError::TrashFull { path: action.path().clone(), done: 0 });
            }
        }
        let need = writes + SPARE_BYTES;
        let free = free_bytes(beneath).map_err(ApplyError::Root)?;
        if writes > 0 && need > free { Err(ApplyError::NoRoom { need, free }) } else { Ok(()) }
    }
}

/// The tree as it is, and what is to be done to it.
#[derive(Default)]
pub(crate) struct Look {
    pub(crate) differences: Vec<Difference>,
    pub(crate) left: usize,
    pub(crate) list: ActionList,
    pub(crate) unmanaged: Vec<Unmanaged>,
    pub(crate) walked: Walked,
    pub(crate) have: BTreeMap<ItemPath, Item>,
}

impl Look {
    fn is_done(&self) -> bool {
        self.list.actions.is_empty()
    }

    fn scanned(&self) -> Scanned {
        carry_out::scanned(&self.walked, &self.have)
    }
}

fn removes_shelter(difference: &Difference, sheltered: &[ItemPath]) -> bool {
    let is_directory = |item: &Option<Item>| matches!(item, Some(Item::Directory { .. }));
    let goes = is_directory(&difference.have) && !is_directory(&difference.want);
    goes && sheltered.iter().any(|path| path.lies_in(&difference.path))
}

fn check_name_and_mounts(action: &Action, unmanaged: &[Unmanaged]) -> Result<(), ApplyError> {
    let path = action.path();
    if path.components().any(|name| name.starts_with(OURS)) {
        return Err(ApplyError::Reserved { path: path.clone() });
    }
    let is_in_the_way = |other: &&Unmanaged| {
        let rest = other.path.as_bytes().strip_prefix(path.as_bytes());
        let is_at = rest.is_some_and(<[u8]>::is_empty);
        let is_below = rest.is_some_and(|rest| rest.first() == Some(&b'/'));
        other.what == Special::Mount && (is_at || (is_below && matches!(action, Action::Remove(..))))
    };
    match unmanaged.iter().find(is_in_the_way) {
        Some(mount) => Err(ApplyError::InTheWay { path: mount.path.clone() }),
        None => Ok(()),
    }
}

fn free_bytes(beneath: &Beneath) -> io::Result<u64> {
    let found = rustix::fs::fstatvfs(beneath.directory(&ItemPath::root())?)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
