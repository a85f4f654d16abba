//! Giving items the owners and extended attributes that were settled, as far as this member can. What it cannot is said,
//! and everything else is done: content is complete, and an item whose owner is not the wanted one has no set-user-id or
//! set-group-id bit, for it would lend the rights of somebody else (finding 26).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{MutexGuard, PoisonError};

use althing_protocol::attributes::Attributes;
use althing_protocol::manifest::{Item, Manifest};
use althing_protocol::path::ItemPath;
use althing_protocol::repair::{self, Change, Difference};
use rustix::fs::{AtFlags, FileType, Gid, Uid, XattrFlags};
use rustix::io::Errno;

use super::asked::{extended_of, path_of};
use super::beneath::{self, Beneath};
use super::modes::{self, SetMode};
use super::names::Names;
use super::stamp::Stamp;
use super::{Files, StoreFault};

/// Set-user-id and set-group-id.
const LENDS_RIGHTS: u32 = 0o6000;

/// The extended attribute by which a program has rights of its own.
const CAPABILITY: &str = "security.capability";

/// What the kernel refused in the last apply, and why: of each item its [`OWNER`], its [`GROUP`], or an extended
/// attribute by name.
pub(crate) type Refused = BTreeMap<ItemPath, BTreeMap<Box<str>, String>>;

/// No extended attribute is called so: their names have a dot.
const OWNER: &str = "owner";
const GROUP: &str = "group";

/// Gives, for one scan or apply.
pub(crate) struct Giving<'a> {
    files: &'a Files,
    names: Names,
    may_give: bool,
    groups: Vec<u32>,
}

impl<'a> Giving<'a> {
    pub(crate) fn of(files: &'a Files) -> Self {
        let groups = rustix::process::getgroups().unwrap_or_default();
        let groups = groups.into_iter().chain([rustix::process::getegid()]).map(Gid::as_raw).collect();
        Self { files, names: Names::default(), may_give: modes::may_give(), groups }
    }

    /// What this member can make of an item as it is, and why that is not all that is wanted.
    fn rendering(&mut self, path: &ItemPath, want: &Item, have: &Item) -> (Item, Option<String>) {
        let refused = self.files.refused().get(path).cloned().unwrap_or_default();
        let (wanted, is) = (want.attributes(), have.attributes());
        let mut attributes = wanted.clone();
        let mut why = None;
        if wanted.owner != is.owner
            && let Some(name) = &wanted.owner
            && let Some(reason) = refused.get(OWNER).cloned().or_else(|| self.against_user(name))
        {
            attributes.owner.clone_from(&is.owner);
            why.get_or_insert(reason);
        }
        if wanted.group != is.group
            && let Some(name) = &wanted.group
            && let Some(reason) = refused.get(GROUP).cloned().or_else(|| self.against_group(name))
        {
            attributes.group.clone_from(&is.group);
            why.get_or_insert(reason);
        }
        for (name, reason) in &refused {
            let [want, is] = [wanted, is].map(|attributes| attributes.extended.get(&**name));
            if want != is {
                match is {
                    Some(value) => attributes.extended.insert(name.clone(), value.clone()),
                    None => attributes.extended.remove(name),
                };
                why.get_or_insert_with(|| reason.clone());
            }
        }
        let is_right = (&attributes.owner, &attributes.group) == (&wanted.owner, &wanted.group);
        let mut item = want.clone().with(attributes);
        if let Item::File { mode, .. } | Item::Directory { mode, .. } = &mut item
            && !is_right
        {
            *mode &= !LENDS_RIGHTS;
        }
        (item, why)
    }

    /// Why this member gives nothing to this user.
    fn against_user(&mut self, name: &str) -> Option<String> {
        match self.names.user_named(name) {
            Ok(None) => Some(unknown("user", name)),
            Ok(Some(_)) if !self.may_give => Some(self.not_root(&format!("to {name}"))),
            Ok(Some(_)) => None,
            Err(error) => Some(format!("users cannot be looked up: {error}")),
        }
    }

    fn against_group(&mut self, name: &str) -> Option<String> {
        match self.names.group_named(name) {
            Ok(None) => Some(unknown("group", name)),
            Ok(Some(id)) if !self.may_give && !self.groups.contains(&id) => {
                Some(self.not_root(&format!("to group {name}, which it is not in")))
            }
            Ok(Some(_)) => None,
            Err(error) => Some(format!("groups cannot be looked up: {error}")),
        }
    }

    fn not_root(&mut self, to: &str) -> String {
        let user = self.names.user(rustix::process::geteuid().as_raw());
        let user = user.unwrap_or_else(|_| "somebody else".into());
        format!("the daemon runs as {user} and may not give files {to}: run it as root")
    }

    /// Whether nothing can be done about a difference here.
    pub(crate) fn is_as_near(&mut self, difference: &Difference) -> bool {
        self.beyond(difference).is_some()
    }

    /// Why not, if nothing can be done about it.
    fn beyond(&mut self, difference: &Difference) -> Option<String> {
        let Difference { path, have: Some(have), want: Some(want) } = difference else { return None };
        if !self.files.handling.asks() || difference.change() != Change::Attributes {
            return None;
        }
        let (item, why) = self.rendering(path, want, have);
        why.filter(|_| item == *have)
    }

    /// Gives an open or pinned item its owner, its mode, which may not lend rights that are not its owner's, and its
    /// extended attributes, in this order: the first takes bits and capabilities away, the last completes the mode. Whether
    /// it has the owner that was settled, if any was.
    pub(crate) fn give(
        &mut self,
        item: impl AsFd,
        path: &ItemPath,
        (mode, attributes): (Option<u32>, &Attributes),
    ) -> io::Result<bool> {
        let mut is_right = true;
        if self.files.handling.owners {
            is_right = self.give_owner(&item, path, attributes)?;
        }
        if let Some(mode) = mode {
            modes::set_open(&item, if is_right { mode } else { mode & !LENDS_RIGHTS })?;
        }
        if mode.is_some() && !self.files.handling.xattrs.is_empty() {
            self.give_extended(&item, path, attributes)?;
        }
        Ok(is_right)
    }

    /// Whether the item has both owners now.
    fn give_owner(&mut self, item: impl AsFd, path: &ItemPath, wanted: &Attributes) -> io::Result<bool> {
        let stamp = Stamp::of(&item)?;
        let (owner, group) = (wanted.owner.as_deref(), wanted.group.as_deref());
        let user = owner.and_then(|name| self.names.user_named(name).ok().flatten());
        let of_group = group.and_then(|name| self.names.group_named(name).ok().flatten());
        let mut is_right = user.is_some() && of_group.is_some();
        // The group first: once it is somebody else's, it may not be changed any more.
        if let (Some(id), Some(name)) = (of_group.filter(|id| *id != stamp.group), group) {
            is_right &= self.against_group(name).is_none()
                && self.try_to(path, GROUP, || chown(&item, None, Some(Gid::from_raw(id))))?;
        }
        if let (Some(id), Some(name)) = (user.filter(|id| *id != stamp.user), owner) {
            is_right &= self.against_user(name).is_none()
                && self.try_to(path, OWNER, || chown(&item, Some(Uid::from_raw(id)), None))?;
        }
        Ok(is_right)
    }

    fn give_extended(&self, item: impl AsFd, path: &ItemPath, wanted: &Attributes) -> io::Result<()> {
        let at = path_of(&item);
        let found = extended_of(&item, &self.files.handling)?;
        for name in found.keys().filter(|name| !wanted.extended.contains_key(*name)) {
            self.try_to(path, name, || rustix::fs::removexattr(&at[..], &**name))?;
        }
        for (name, value) in wanted.extended.iter().filter(|(name, value)| found.get(*name) != Some(*value)) {
            self.try_to(path, name, || rustix::fs::setxattr(&at[..], &**name, value, XattrFlags::empty()))?;
        }
        Ok(())
    }

    /// Whether it was done. What the kernel does not let this member do is noted, and no failure of the apply.
    fn try_to(
        &self,
        path: &ItemPath,
        what: &str,
        act: impl FnOnce() -> rustix::io::Result<()>,
    ) -> io::Result<bool> {
        match act() {
            Ok(()) => Ok(true),
            Err(error) if is_refusal(error) => {
                let error = io::Error::from(error);
                let why = format!("the system does not take its {what}: {error}");
                self.files.refused().entry(path.clone()).or_default().insert(what.into(), why);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same for an item of the tree that is not a directory.
    pub(crate) fn set(
        &mut self,
        beneath: &Beneath,
        path: &ItemPath,
        (mode, attributes): (Option<u32>, &Attributes),
    ) -> io::Result<SetMode> {
        let item = beneath.pin(path)?;
        let stamp = Stamp::of(&item)?;
        let is_meant = match stamp.kind() {
            FileType::RegularFile => mode.is_some(),
            FileType::Symlink => mode.is_none(),
            _ => false,
        };
        if !is_meant {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "another kind of item by now"));
        }
        if stamp.links > 1 || self.lends_rights(mode, attributes) {
            return Ok(SetMode::Shared);
        }
        self.give(&item, path, (mode, attributes))?;
        Ok(SetMode::Done)
    }

    /// Whether it will run with rights that are not those of whoever runs it. Whoever had it open, or mapped, before it
    /// was given could go on writing in it: such a file is always a new one. What this member cannot give lends nothing.
    pub(crate) fn lends_rights(&mut self, mode: Option<u32>, attributes: &Attributes) -> bool {
        let bits = mode.is_some_and(|mode| mode & LENDS_RIGHTS != 0);
        let capability = attributes.extended.contains_key(CAPABILITY) && modes::may_set_capabilities();
        (bits && (!self.files.handling.owners || self.may_own(attributes))) || capability
    }

    fn may_own(&mut self, attributes: &Attributes) -> bool {
        let user = attributes.owner.as_deref().is_some_and(|name| self.against_user(name).is_none());
        user && attributes.group.as_deref().is_some_and(|name| self.against_group(name).is_none())
    }

    /// Whether it must not be anybody else's before it is given.
    pub(crate) fn is_nobodys_first(&mut self, mode: u32, attributes: &Attributes) -> bool {
        self.files.handling.owners && self.lends_rights(Some(mode), attributes)
    }

    /// The same for a directory. What is none any more, or is gone, is left as it is.
    pub(crate) fn set_directory(
        &mut self,
        beneath: &Beneath,
        path: &ItemPath,
        (mode, attributes): (u32, &Attributes),
    ) -> io::Result<()> {
        let item: OwnedFd = match beneath.pin(path) {
            Err(error) if beneath::has_moved(&error) => return Ok(()),
            result => result?,
        };
        if Stamp::of(&item)?.kind() != FileType::Directory {
            return Ok(());
        }
        self.give(&item, path, (Some(mode), attributes)).map(drop)
    }
}

impl Files {
    /// What the kernel refused in the last apply.
    pub(crate) fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a tree is not what was applied last, if that is only because this member cannot make it so.
    pub(crate) fn beyond(&self, seen: &Manifest) -> Result<Option<String>, StoreFault> {
        if !self.handling.asks() {
            return Ok(None);
        }
        let Some(root) = self.applied_root()?.filter(|root| *root != seen.root) else { return Ok(None) };
        let Some(want) = self.store.manifest(&root)? else { return Ok(None) };
        let Ok(differences) = repair::diff(seen, &want) else { return Ok(None) };
        let mut giving = Giving::of(self);
        let mut first = None;
        for difference in &differences {
            let Some(why) = giving.beyond(difference) else { return Ok(None) };
            first.get_or_insert((&difference.path, why));
        }
        let others = differences.len().saturating_sub(1);
        Ok(first.map(|(path, why)| {
            let path: String = path.lossy().chars().filter(|letter| !letter.is_control()).collect();
            let more = if others == 0 { String::new() } else { format!(" (and {others} items more)") };
            format!("{path}: {why}{more}")
        }))
    }
}

fn unknown(kind: &str, name: &str) -> String {
    format!("there is no {kind} {name} on this machine: make it there, or deploy files of another one")
}

fn chown(item: impl AsFd, user: Option<Uid>, group: Option<Gid>) -> rustix::io::Result<()> {
    rustix::fs::chownat(item, "", user, group, AtFlags::EMPTY_PATH)
}

/// Answers that another try will get, too, until somebody changes the machine.
fn is_refusal(error: Errno) -> bool {
    matches!(
        error,
        Errno::PERM
            | Errno::ACCESS
            | Errno::INVAL
            | Errno::NOTSUP
            | Errno::TOOBIG
            | Errno::RANGE
            | Errno::NOSPC
            | Errno::DQUOT
            | Errno::OVERFLOW
    )
}
