//! How a tree goes that is not wanted any more. What is as it was settled is removed: the store had it for as long as
//! its revision was kept. Everything else, what somebody wrote into it first of all, goes to the trash.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use althing_protocol::hash::Hash;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::files::asked::Scope;
use crate::files::beneath::{self, Beneath};
use crate::files::cache::Cache;
use crate::files::carry_out::{Engine, StepError, scanned};
use crate::files::job::Job;
use crate::files::journal::Journal;
use crate::files::trash::{Bin, TrashId};
use crate::files::unmanaged::Patterns;
use crate::files::{ApplyError, Files, ScanMode, StoreFault, scan};

/// What goes, and where it is listed.
pub(super) struct Parting<'a> {
    pub(super) files: &'a Files,
    pub(super) journal: &'a Journal,
    pub(super) reason: &'a str,
    pub(super) job: Job<'a>,
}

impl Parting<'_> {
    /// Removes the tree that is called `name` in `parent`. What equals `settled` is only removed.
    pub(super) fn part(
        &self,
        (parent, name): (&OwnedFd, &[u8]),
        settled: BTreeMap<ItemPath, Item>,
    ) -> Result<Vec<TrashId>, ApplyError> {
        let at_root = |error: StepError| ApplyError::at(ItemPath::root(), error, 0);
        let tree = beneath::enter(parent, name).map_err(|error| at_root(error.into()))?;
        let beneath = Beneath::of(&tree).map_err(|error| at_root(error.into()))?;
        let none = Patterns::default();
        let scope = Scope { patterns: &none, handling: &self.files.handling };
        let (scan, walked) =
            scan::scan_tree(&beneath, &mut Cache::default(), scope, ScanMode::ReadAll, self.job)?;
        let list = repair::actions(&repair::diff(&scan.manifest, &Manifest::empty())?);
        let bin = Bin::open(self.files, self.journal, self.reason)?;
        let nothing = BTreeMap::new();
        let mut engine = Engine::new(self.files, &beneath, bin, &nothing, self.job).forgoing(settled);
        let have = scan.manifest.items()?;
        engine
            .run(&list.actions, scanned(&walked, &have))
            .and_then(|()| engine.empty_all().map_err(|error| (ItemPath::root(), error)))
            .map_err(|(path, error)| ApplyError::at(path, error, engine.done))?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(at_root(io::Error::from(error).into())),
        }
        rustix::fs::fsync(parent).map_err(|error| at_root(io::Error::from(error).into()))?;
        Ok(engine.bin.into_taken())
    }

    /// The items of a root, if its manifest is still here.
    pub(super) fn settled(&self, root: &Hash) -> Result<BTreeMap<ItemPath, Item>, ApplyError> {
        match self.files.store.manifest(root).map_err(StoreFault::from)? {
            Some(manifest) => Ok(manifest.items()?),
            None => Ok(BTreeMap::new()),
        }
    }
}
