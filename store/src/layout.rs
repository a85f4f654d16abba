//! The files of a store and its format version.
//!
//! | name | what |
//! |---|---|
//! | `lock` | held while open; the holder's pid and the machine's start; `-` after an orderly end |
//! | `format` | which programs may open it ([`FORMAT`]); written last when a store is made, raised once for each version |
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

/// The newest format that this program reads: the protocol version whose values may be in a store. A store is made with
/// [`OLDEST`], and raised when its entity begins to use a newer version: until then an older program may open it, so
/// that new software can be taken back.
pub(crate) const FORMAT: u32 = 2;
/// What a store begins with.
const OLDEST: u32 = 1;

const NAME: &str = "format";

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

/// Whether a store was made here, and completed.
pub(crate) fn is_complete(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// Reads the format, and refuses one that is newer than what the program reads.
pub(crate) fn origin(dir: &Path, supported: u32) -> Result<Origin, OpenError> {
    let path = dir.join(NAME);
    let found = match read(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Origin::Fresh),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(OpenError::Corrupt { path, detail: error.to_string() });
        }
        Err(source) => return Err(OpenError::Io { doing: "read", path, source }),
    };
    if found > supported {
        return Err(OpenError::Newer { path: dir.to_owned(), found, supported });
    }
    Ok(Origin::Existing)
}

/// Writes the format: from now on everything in the store counts.
pub(crate) fn complete(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(NAME);
    write_durably(&path, format!("{OLDEST}\n").as_bytes()).map_err(|source| OpenError::Io {
        doing: "write",
        path,
        source,
    })
}

/// The format of a complete store.
pub(crate) fn format(dir: &Path) -> io::Result<u32> {
    read(&dir.join(NAME))
}

/// Raises the format, durably; it never goes back.
pub(crate) fn raise(dir: &Path, to: u32) -> io::Result<()> {
    if format(dir)? >= to {
        return Ok(());
    }
    write_durably(&dir.join(NAME), format!("{to}\n").as_bytes())
}

fn read(path: &Path) -> io::Result<u32> {
    let text = fs::read_to_string(path)?;
    let bad = |_| io::Error::new(io::ErrorKind::InvalidData, "it does not hold a format version");
    text.trim().parse().map_err(bad)
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
