//! The member's key: 32 bytes in `DIR/key`, readable by the daemon alone.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use althing_protocol::hash::{hex, unhex};
use anyhow::{Context, bail};

/// Reads the seed of the key, or makes one. A new key is on disk before it is used.
pub(crate) fn load(dir: &Path) -> anyhow::Result<[u8; 32]> {
    let path = dir.join("key");
    if path.exists() {
        return read(&path);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random bytes")?;
    let temporary = dir.join("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{}", hex(&seed))?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(dir)?.sync_all()?;
    Ok(seed)
}

fn read(path: &Path) -> anyhow::Result<[u8; 32]> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:o}): chmod 600 it, or better make a new member",
            path.display(),
            mode & 0o777
        );
    }
    let mut text = String::new();
    File::open(path)?.take(128).read_to_string(&mut text)?;
    let bytes = unhex(text.trim()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.with_context(|| format!("{} does not hold a key", path.display()))
}
