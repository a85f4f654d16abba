//! The apply of an application that is switched as a whole. Always forward: what a crash leaves is a tree that is not
//! complete and is built anew, a complete one that the next apply finds, a link beside the root that leads nowhere
//! new, or trees that are still to go.

use std::collections::BTreeMap;
use std::io;

use althing_protocol::hash::Hash;
use althing_protocol::limits::REVISIONS_KEPT;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::{self, Difference};
use rustix::fs::{Gid, Mode, Uid};
use rustix::io::Errno;

use super::Standing;
use super::name::{Name, base_of};
use super::parting::Parting;
use super::site::Site;
use crate::files::apply::{Apply, Look, SPARE_BYTES};
use crate::files::asked::Scope;
use crate::files::beneath::{self, Beneath};
use crate::files::cache::Cache;
use crate::files::carry_out::{Engine, Scanned, StepError};
use crate::files::job::Job;
use crate::files::journal::Journal;
use crate::files::stamp::Stamp;
use crate::files::swap::Temporary;
use crate::files::trash::{self, Bin};
use crate::files::unmanaged::Patterns;
use crate::files::walk::OURS;
use crate::files::{Applied, ApplyError, Files, ScanMode, StoreFault, modes, place, scan};

impl Apply<'_> {
    /// Brings the root into force as a whole.
    pub(crate) fn switch(&self, cache: &mut Cache, earlier: Option<Journal>) -> Result<Applied, ApplyError> {
        let want = self.wanted()?;
        let items = want.items()?;
        self.check_names(&items)?;
        self.check_form(&items)?;
        self.files.neighbours.check(&self.files.application, &self.files.root)?;
        self.files.check_ground()?;
        let site = Site::make(self.files)?;
        let journal = Journal::new(self.root, self.epoch, trash::new_batch().map_err(ApplyError::Root)?);
        let was = site.standing().map_err(ApplyError::Root)?;
        let found = self.look_at(&was, cache, &want)?;
        let is_it = matches!(&was, Standing::Release(name) if name.root == self.root);
        let mut applied =
            Applied { differences: found.differences.clone(), left: found.left, ..Applied::default() };
        if is_it && found.differences.is_empty() && earlier.is_none() {
            self.files.remember_ground()?;
            self.files.end(&journal)?;
            return Ok(applied);
        }
        if let Some(earlier) = &earlier {
            let mut bin = Bin::open(self.files, earlier, "an apply that was interrupted")?;
            bin.adopt().map_err(|error| at_root(error.into()))?;
            applied.trashed.extend(bin.into_taken());
        }
        self.check_trash(&journal, &was, &found)?;
        self.files.begin(&journal)?;
        self.clear_unfinished(&site)?;
        let current = match was {
            Standing::Release(name) if is_it && found.differences.is_empty() => name,
            _ => self.ready(&site, &was, &want, &items, &journal)?,
        };
        if was != Standing::Release(current) {
            site.link(&current).map_err(at_root_io)?;
            self.files.remember_ground()?;
        }
        let parting = Parting { files: self.files, journal: &journal, reason: self.reason, job: self.job };
        for name in site.swapped_out().map_err(at_root_io)? {
            applied.trashed.extend(self.part_from(&site, &parting, &name, &items)?);
        }
        applied.trashed.extend(self.let_go(&site, &parting, current)?);
        self.files.end(&journal)?;
        applied.changed = found.differences.len();
        Ok(applied)
    }

    fn check_names(&self, items: &BTreeMap<ItemPath, Item>) -> Result<(), ApplyError> {
        let ours = |path: &&ItemPath| path.components().any(|name| name.starts_with(OURS));
        match items.keys().find(ours) {
            Some(path) => Err(ApplyError::Reserved { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// The tree there is, compared with the one that is wanted.
    fn look_at(&self, was: &Standing, cache: &mut Cache, want: &Manifest) -> Result<Look, ApplyError> {
        match was {
            Standing::Directory | Standing::Release(_) => {
                let beneath = self.files.open_on_ground()?;
                self.look(&beneath, cache, want)
            }
            Standing::Other if !self.files.was_applied()? => {
                // The same words as the scan's.
                Err(self
                    .files
                    .open_on_ground()
                    .map(|_| ())
                    .err()
                    .map_or_else(|| ApplyError::Root(Errno::EXIST.into()), ApplyError::from))
            }
            Standing::Nothing | Standing::Other => {
                let all = repair::diff(&Manifest::empty(), want)?;
                let count = all.len();
                let differences = repair::except(all, self.leave);
                Ok(Look { left: count - differences.len(), differences, ..Look::default() })
            }
        }
    }

    /// What is displaced at once and is not as it is wanted has to fit into the trash.
    fn check_trash(&self, journal: &Journal, was: &Standing, found: &Look) -> Result<(), ApplyError> {
        let goes = match was {
            Standing::Directory => true,
            Standing::Release(name) => name.root == self.root,
            Standing::Nothing | Standing::Other => false,
        };
        let mut room = Bin::open(self.files, journal, self.reason)?.room();
        for Difference { path, have, .. } in found.differences.iter().filter(|_| goes) {
            let size = have.as_ref().map_or(0, Item::size);
            room = room
                .checked_sub(size)
                .ok_or_else(|| ApplyError::TrashFull { path: path.clone(), done: 0 })?;
        }
        Ok(())
    }

    /// What an apply that died was building is a copy of what the store has.
    fn clear_unfinished(&self, site: &Site<'_>) -> Result<(), ApplyError> {
        for fresh in site.list().map_err(at_root_io)?.1 {
            place::remove_item(&site.releases, &fresh).map_err(at_root_io)?;
        }
        Ok(())
    }

    /// A complete release of the wanted root: one that lies here and is whole, or a new one.
    fn ready(
        &self,
        site: &Site<'_>,
        was: &Standing,
        want: &Manifest,
        items: &BTreeMap<ItemPath, Item>,
        journal: &Journal,
    ) -> Result<Name, ApplyError> {
        let of_root = site.list().map_err(at_root_io)?.0.into_iter().filter(|name| name.root == self.root);
        for name in of_root.rev().filter(|name| *was != Standing::Release(*name)) {
            if self.is_whole(site, &name)? {
                return Ok(name);
            }
        }
        self.check_store_and_disk(site, want, items)?;
        let fresh = Temporary::Unfinished.name().map_err(at_root_io)?;
        let built = self.build((site, &fresh), was, (want, items), journal);
        let named = built.and_then(|()| site.finish(&fresh, self.root).map_err(at_root_io));
        if named.is_err() {
            let _ = place::remove_item(&site.releases, &fresh);
        }
        named
    }

    /// Reads everything: what was damaged while nobody looked does not come into force.
    fn is_whole(&self, site: &Site<'_>, name: &Name) -> Result<bool, ApplyError> {
        let Ok(beneath) = site.open(name) else { return Ok(false) };
        let none = Patterns::default();
        let scope = Scope { patterns: &none, handling: &self.files.handling };
        match scan::scan_tree(&beneath, &mut Cache::default(), scope, ScanMode::ReadAll, self.job) {
            Ok((scan, _)) => Ok(scan.manifest.root == self.root && scan.unmanaged.is_empty()),
            Err(scan::ScanError::Cancelled) => Err(ApplyError::Cancelled { done: 0 }),
            Err(_) => Ok(false),
        }
    }

    fn check_store_and_disk(
        &self,
        site: &Site<'_>,
        want: &Manifest,
        items: &BTreeMap<ItemPath, Item>,
    ) -> Result<(), ApplyError> {
        let content = self.files.store.content();
        let lacks = |item: &Item| match item {
            Item::File { size, content: hash, .. } if content.size(hash) != Some(*size) => Some(*hash),
            _ => None,
        };
        let missing: Vec<Hash> = items.values().filter_map(lacks).collect();
        if !missing.is_empty() {
            return Err(ApplyError::Missing(missing));
        }
        let need = want.extent()?.bytes + SPARE_BYTES;
        let found = rustix::fs::fstatvfs(&site.releases).map_err(|error| ApplyError::Root(error.into()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if need > free { Err(ApplyError::NoRoom { need, free }) } else { Ok(()) }
    }

    /// Builds the whole tree under a name of ours, durable when this returns.
    fn build(
        &self,
        (site, fresh): (&Site<'_>, &[u8]),
        was: &Standing,
        (want, items): (&Manifest, &BTreeMap<ItemPath, Item>),
        journal: &Journal,
    ) -> Result<(), ApplyError> {
        rustix::fs::mkdirat(&site.releases, fresh, Mode::RWXU).map_err(|error| at_root_io(error.into()))?;
        let directory = beneath::enter(&site.releases, fresh).map_err(at_root_io)?;
        let model = matches!(was, Standing::Directory | Standing::Release(_))
            .then(|| self.files.open_tree().ok())
            .flatten();
        let top = match &model {
            Some(model) => model.directory(&ItemPath::root()).and_then(Stamp::of),
            None => Stamp::of(&site.parent),
        };
        let top = top.map_err(at_root_io)?;
        if modes::may_give() {
            let (user, group) = (Uid::from_raw(top.user), Gid::from_raw(top.group));
            rustix::fs::fchown(&directory, Some(user), Some(group))
                .map_err(|error| at_root_io(error.into()))?;
        }
        let beneath = Beneath::of(&directory).map_err(at_root_io)?;
        let list = repair::actions(&repair::diff(&Manifest::empty(), want)?);
        let bin = Bin::open(self.files, journal, self.reason)?;
        let mut engine = Engine::new(self.files, &beneath, bin, items, self.job);
        engine
            .run(&list.actions, Scanned::new())
            .map_err(|(path, error)| ApplyError::at(path, error, engine.done))?;
        if let Some(model) = model.as_ref().filter(|_| !self.files.handling.owners) {
            modes::take_owners(model, &beneath, items).map_err(at_root_io)?;
        }
        let mode = if model.is_some() { top.permissions() } else { 0o755 };
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))
            .map_err(|error| at_root_io(error.into()))?;
        self.job.check().map_err(|_| ApplyError::Cancelled { done: engine.done })?;
        // Owners and modes of everything, too.
        rustix::fs::syncfs(&directory).map_err(|error| at_root_io(error.into()))
    }

    /// What was at the root and is no link of ours.
    fn part_from(
        &self,
        site: &Site<'_>,
        parting: &Parting<'_>,
        name: &[u8],
        items: &BTreeMap<ItemPath, Item>,
    ) -> Result<Vec<trash::TrashId>, ApplyError> {
        let stamp = Stamp::of_entry(&site.parent, name).map_err(at_root_io)?;
        if stamp.kind() == rustix::fs::FileType::Directory {
            return parting.part((&site.parent, name), items.clone());
        }
        // It has no path below the root; it is listed by the root's own name.
        let path =
            ItemPath::new(base_of(&self.files.root)).map_err(|error| at_root_io(io::Error::other(error)))?;
        let mut bin = Bin::open(self.files, parting.journal, self.reason)?;
        bin.take(&site.parent, name, &path, None).map_err(|error| at_root(error.into()))?;
        bin.save().map_err(|error| at_root(error.into()))?;
        Ok(bin.into_taken())
    }

    /// Keeps the releases that were current last, one of each root, as many as revisions are kept.
    fn let_go(
        &self,
        site: &Site<'_>,
        parting: &Parting<'_>,
        current: Name,
    ) -> Result<Vec<trash::TrashId>, ApplyError> {
        let there = site.list().map_err(at_root_io)?.0;
        let mut order = site.order()?;
        order.retain(|name| *name != current && there.contains(name));
        order.push(current);
        let mut kept: Vec<Name> = Vec::new();
        for name in order.iter().rev() {
            if kept.len() <= REVISIONS_KEPT && kept.iter().all(|other| other.root != name.root) {
                kept.push(*name);
            }
        }
        order.retain(|name| kept.contains(name));
        site.remember(&order)?;
        let mut taken = Vec::new();
        for name in there.iter().filter(|name| !kept.contains(name)) {
            match parting.part((&site.releases, name.text().as_bytes()), parting.settled(&name.root)?) {
                Ok(more) => taken.extend(more),
                // Something is mounted in it: it is in nobody's way, and the next apply tries again.
                Err(ApplyError::Stopped { source, .. })
                    if Errno::from_io_error(&source) == Some(Errno::BUSY) =>
                {
                    tracing::warn!(release = name.text(), "a release that is not kept is in use, and stays");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }
}

impl Files {
    /// Moves the tree of a removed application to the trash, and removes its releases and the link to them.
    pub(crate) fn clear_releases(&self, job: Job<'_>) -> Result<usize, ApplyError> {
        let _exclusive = self.exclusive();
        self.check_ground()?;
        let was = super::standing(&self.root).map_err(ApplyError::Root)?;
        if was == Standing::Nothing && !super::releases_of(&self.root).is_dir() {
            return Ok(0);
        }
        let site = Site::make(self)?;
        let nothing = Manifest::empty();
        self.store.put_directories(nothing.directories.iter()).map_err(StoreFault::from)?;
        if let Some(earlier) = self.journal()? {
            let mut bin = Bin::open(self, &earlier, "an apply that was interrupted")?;
            bin.adopt().map_err(|error| at_root(error.into()))?;
        }
        let journal = Journal::new(nothing.root, 0, trash::new_batch().map_err(ApplyError::Root)?);
        self.begin(&journal)?;
        let reason = format!("{} was removed", self.application);
        let parting = Parting { files: self, journal: &journal, reason: &reason, job };
        let mut taken = match was {
            Standing::Release(name) => {
                parting.part((&site.releases, name.text().as_bytes()), BTreeMap::new())?.len()
            }
            Standing::Directory => parting.part((&site.parent, base_of(&self.root)), BTreeMap::new())?.len(),
            Standing::Nothing | Standing::Other => 0,
        };
        site.unlink().map_err(at_root_io)?;
        let (there, unfinished) = site.list().map_err(at_root_io)?;
        for name in there {
            let settled = parting.settled(&name.root)?;
            taken += parting.part((&site.releases, name.text().as_bytes()), settled)?.len();
        }
        for fresh in unfinished {
            place::remove_item(&site.releases, &fresh).map_err(at_root_io)?;
        }
        self.forget_order()?;
        self.end(&journal)?;
        let releases = super::releases_of(&self.root);
        if let Err(error) = std::fs::remove_dir(&releases) {
            tracing::info!(releases = %releases.display(), %error, "the directory of the releases stays");
        }
        Ok(taken)
    }
}

fn at_root(error: StepError) -> ApplyError {
    ApplyError::at(ItemPath::root(), error, 0)
}

fn at_root_io(error: io::Error) -> ApplyError {
    at_root(error.into())
}
