//! What an apply that died left in the tree under names of our own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::beneath::{self, Beneath};
use super::carry_out::StepError;
use super::hashing::{self, BUFFER, HashError};
use super::job::Job;
use super::modes;
use super::stamp::Stamp;
use super::swap::Temporary;
use super::trash::Bin;

/// Removes what was not finished and puts into the trash what was swapped out. `ours` are paths of things whose
/// names begin as ours do; what only looks so is left alone.
pub(crate) fn clear(
    beneath: &Beneath,
    bin: &mut Bin<'_>,
    ours: &[ItemPath],
    want: &BTreeMap<ItemPath, Item>,
    job: Job<'_>,
) -> Result<(), StepError> {
    for path in ours {
        let Some((parent, name)) = path.split() else { continue };
        let Some(temporary) = Temporary::parse(name) else { continue };
        let directory = modes::open_passable(beneath, &parent, &mut BTreeMap::new())?;
        let stamp = match Stamp::of_entry(&directory, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        };
        match temporary {
            Temporary::Unfinished if stamp.kind() == FileType::RegularFile => {
                rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
            }
            Temporary::Aside(mark) => {
                let wanted = name_of(mark, &parent, want);
                if let Some((_, item)) = wanted
                    && is_fresh(&directory, name, &stamp, item, job)?
                {
                    rustix::fs::unlinkat(&directory, name, AtFlags::empty())?;
                } else {
                    // Of something that is not wanted any more the name is not known; its own says that much.
                    let path = wanted.map_or(path, |(path, _)| path);
                    bin.take(&directory, name, path, None)?;
                }
            }
            Temporary::Unfinished => bin.take(&directory, name, path, None)?,
        }
        rustix::fs::fsync(&directory)?;
    }
    Ok(bin.save()?)
}

/// The item in `parent` whose name has this mark.
fn name_of<'w>(
    mark: u64,
    parent: &ItemPath,
    want: &'w BTreeMap<ItemPath, Item>,
) -> Option<(&'w ItemPath, &'w Item)> {
    want.iter().find(|(path, _)| {
        path.split().is_some_and(|(above, name)| above == *parent && Temporary::mark(name) == mark)
    })
}

/// Whether this is what was to be swapped in and not what was swapped out.
fn is_fresh(
    directory: &OwnedFd,
    name: &[u8],
    stamp: &Stamp,
    wanted: &Item,
    job: Job<'_>,
) -> Result<bool, StepError> {
    match (wanted, stamp.kind()) {
        (Item::Symlink { target, .. }, FileType::Symlink) => {
            Ok(rustix::fs::readlinkat(directory, name, Vec::new())?.as_bytes() == target.as_slice())
        }
        (Item::File { size, content, .. }, FileType::RegularFile) if *size == stamp.size => {
            let mut file = File::from(beneath::read_in(directory, name)?).take(size + 1);
            match hashing::hash_content(&mut file, job, &mut vec![0; BUFFER]) {
                Ok((found, _)) => Ok(found == *content),
                Err(HashError::Cancelled) => Err(StepError::Cancelled),
                Err(HashError::Read(error)) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => {
                    Ok(false)
                }
                Err(HashError::Read(error)) => Err(error.into()),
            }
        }
        _ => Ok(false),
    }
}
