//! Forgetting an entity for good (`althing leave --purge`): the key, the votes and the chain go, so that this machine
//! can join anew as somebody else. Content, the trash, events and all live trees stay.
//!
//! It is asked for while the daemon runs, by a mark, and done at the next start, before anything is opened.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The mark. It goes last, so that a purge that was interrupted is finished.
const MARK: &str = "purged";
/// What binds this machine to its entity, and what says that a store was ever made here.
const BINDING: [&str; 4] = ["votes", "acknowledged", "format", "key"];

/// Has the next start forget the entity; durable when this returns.
pub(crate) fn ask(dir: &Path) -> io::Result<()> {
    File::create(dir.join(MARK))?.sync_all()?;
    File::open(dir)?.sync_all()
}

/// Forgets the entity, if that was asked for.
pub(crate) fn finish(dir: &Path) -> io::Result<()> {
    let mark = dir.join(MARK);
    if !mark.exists() {
        return Ok(());
    }
    for name in BINDING {
        let path = dir.join(name);
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(dir)?.sync_all()?;
    fs::remove_file(mark)?;
    File::open(dir)?.sync_all()?;
    tracing::info!("the entity that this machine was in is forgotten");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_binds_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["votes", "index", "content", "trash"] {
            fs::create_dir(at(name)).expect("made");
            fs::write(at(name).join("inside"), b"x").expect("written");
        }
        for name in ["key", "acknowledged", "format"] {
            fs::write(at(name), b"x").expect("written");
        }
        finish(dir.path()).expect("nothing was asked");
        assert!(at("key").exists());
        ask(dir.path()).expect("asked");
        finish(dir.path()).expect("done");
        for name in ["votes", "key", "acknowledged", "format", MARK] {
            assert!(!at(name).exists(), "{name}");
        }
        for name in ["index", "content", "trash"] {
            assert!(at(name).join("inside").exists(), "{name}");
        }
        // Interrupted and asked again, it ends the same.
        ask(dir.path()).expect("asked");
        finish(dir.path()).expect("done");
    }
}
