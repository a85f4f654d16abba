//! The files of a store and its format version.
//!
//! | name | what |
//! |---|---|
//! | `lock` | held while open; the holder's pid and the machine's start; `-` after an orderly end |
//! | `format` | version of all of this; written last when a store is made |
//! | `acknowledged` | how many commits were acknowledged ([`mark`](crate::mark)) |
//! | `reserve` | room kept for votes ([`room`](crate::room)) |
//! | `votes/` | RocksDB: meta, votes, chain |
//! | `index/` | RocksDB: manifests, scan, events, records |
//! | `content/ab/<hash>` | file bytes by plain BLAKE3 |
//! | `staging/` | content that is not complete; emptied at start |
//! | `damaged/` | content that turned out to be damaged, for a person to look at |

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// What this program writes.
pub(crate) const FORMAT: u32 = 1;

/// Whether a store is being made or was there. What is missing from one that was there was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Never completed before.
    Fresh,
    /// Acknowledged things may be in it.
    Existing,
}

/// The directory itself, for its owner only.
pub(crate) fn prepare(dir: &Path) -> Result<(), OpenError> {
    make_directory(dir).map_err(|source| OpenError::Io { doing: "create", path: dir.to_owned(), source })?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|source| OpenError::Io {
        doing: "protect",
        path: dir.to_owned(),
        source,
    })
}

/// Reads the format version.
pub(crate) fn origin(dir: &Path) -> Result<Origin, OpenError> {
    let path = dir.join("format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Origin::Fresh),
        Err(source) => return Err(OpenError::Io { doing: "read", path, source }),
    };
    let Ok(found) = text.trim().parse() else {
        return Err(OpenError::Corrupt { path, detail: "it does not hold a format version".into() });
    };
    if found > FORMAT {
        return Err(OpenError::Newer { path: dir.to_owned(), found, supported: FORMAT });
    }
    Ok(Origin::Existing)
}

/// Writes the format version: from now on everything in the store counts.
pub(crate) fn complete(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join("format");
    write_durably(&path, format!("{FORMAT}\n").as_bytes()).map_err(|source| OpenError::Io {
        doing: "write",
        path,
        source,
    })
}

/// Makes a directory and its parents, for the owner only, if they are not there.
pub(crate) fn make_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a small file: never half of it, and durable when this returns.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = PathBuf::from(path);
    temporary.set_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}
