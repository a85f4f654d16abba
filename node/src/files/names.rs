//! Users and groups by name, as this machine's system knows them (its files, and whatever else it was set up to ask).
//! Every number has one name, and every name counts only if its number has no other: what is given is what is seen.

use std::collections::BTreeMap;
use std::io;

use althing_protocol::attributes::is_owner;
use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};

/// Begins the name of a user or group that has none; its number follows.
const NAMELESS: char = '#';

/// Names that were looked up, for one scan or apply.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: BTreeMap<u32, Box<str>>,
    groups: BTreeMap<u32, Box<str>>,
    users_named: BTreeMap<Box<str>, Option<u32>>,
    groups_named: BTreeMap<Box<str>, Option<u32>>,
}

impl Names {
    /// Of a user.
    pub(crate) fn user(&mut self, id: u32) -> io::Result<Box<str>> {
        name_of(&mut self.users, id, || Ok(User::from_uid(Uid::from_raw(id))?.map(|user| user.name)))
    }

    /// Of a group.
    pub(crate) fn group(&mut self, id: u32) -> io::Result<Box<str>> {
        name_of(&mut self.groups, id, || Ok(Group::from_gid(Gid::from_raw(id))?.map(|group| group.name)))
    }

    /// The user that has this name here, if any.
    pub(crate) fn user_named(&mut self, name: &str) -> io::Result<Option<u32>> {
        if let Some(known) = self.users_named.get(name) {
            return Ok(*known);
        }
        let id = match number(name) {
            Some(id) => Some(id),
            None => found(User::from_name(name))?.map(|user| user.uid.as_raw()),
        };
        let id = match id {
            Some(id) if *self.user(id)? == *name => Some(id),
            _ => None,
        };
        self.users_named.insert(name.into(), id);
        Ok(id)
    }

    /// The group that has this name here, if any.
    pub(crate) fn group_named(&mut self, name: &str) -> io::Result<Option<u32>> {
        if let Some(known) = self.groups_named.get(name) {
            return Ok(*known);
        }
        let id = match number(name) {
            Some(id) => Some(id),
            None => found(Group::from_name(name))?.map(|group| group.gid.as_raw()),
        };
        let id = match id {
            Some(id) if *self.group(id)? == *name => Some(id),
            _ => None,
        };
        self.groups_named.insert(name.into(), id);
        Ok(id)
    }
}

fn name_of(
    known: &mut BTreeMap<u32, Box<str>>,
    id: u32,
    ask: impl FnOnce() -> Result<Option<String>, Errno>,
) -> io::Result<Box<str>> {
    if let Some(name) = known.get(&id) {
        return Ok(name.clone());
    }
    let name = found(ask())?.filter(|name| is_owner(name) && !name.starts_with(NAMELESS));
    let name: Box<str> = name.unwrap_or_else(|| format!("{NAMELESS}{id}")).into();
    known.insert(id, name.clone());
    Ok(name)
}

/// What says that there is none is no error, on whatever system.
fn found<T>(answer: Result<Option<T>, Errno>) -> io::Result<Option<T>> {
    match answer {
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        answer => Ok(answer?),
    }
}

/// The number in a name that says one; not the one that means nobody's in system calls.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(NAMELESS)?;
    digits.parse::<u32>().ok().filter(|id| *id != u32::MAX && id.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_if_its_number_has_no_other() {
        let mut names = Names::default();
        assert_eq!(&*names.user(0).unwrap(), "root");
        assert_eq!(
            (names.user_named("root").unwrap(), names.group_named("root").unwrap()),
            (Some(0), Some(0))
        );
        assert_eq!(names.user_named("#0").unwrap(), None, "it has a name");
        let nobody = 3_999_999_999;
        assert_eq!(&*names.user(nobody).unwrap(), "#3999999999");
        assert_eq!(names.user_named("#3999999999").unwrap(), Some(nobody));
        assert_eq!(names.group_named("#3999999999").unwrap(), Some(nobody));
        for none in ["no-such-user-here", "#", "#-1", "#+5", "#007", "#4294967295", "#99999999999"] {
            assert_eq!(names.user_named(none).unwrap(), None, "{none}");
            assert_eq!(names.group_named(none).unwrap(), None, "{none}");
        }
    }
}
