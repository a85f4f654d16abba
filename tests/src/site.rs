//! A web site that follows from a seed: what real ones have, in small.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{Random, Tree};

/// Files of one directory.
const PER_DIRECTORY: usize = 25;

/// A site on disk, outside of any application.
#[derive(Debug)]
pub struct Site {
    /// Where it is.
    pub root: PathBuf,
    /// What it is.
    pub tree: Tree,
}

impl Site {
    /// Makes one of so many files: text of every size, some larger pictures, an empty file, programs, private files,
    /// links, an empty directory, and names that are hard on careless programs.
    pub fn make(root: &Path, files: usize, seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        fs::create_dir_all(root.join("empty"))?;
        for number in 0..files {
            let directory = root.join(format!("section-{:02}/part", number / PER_DIRECTORY));
            fs::create_dir_all(&directory)?;
            write(&directory, number, &mut random)?;
        }
        fs::write(root.join("index.html"), format!("<h1>Site {seed}</h1>\n"))?;
        fs::write(root.join("section-00").join(OsStr::from_bytes(b"caf\xe9 menu\n.txt")), b"name\n")?;
        fs::write(root.join("section-00/-rf"), b"")?;
        fs::set_permissions(root.join("section-00"), fs::Permissions::from_mode(0o750))?;
        symlink("index.html", root.join("home.html"))?;
        symlink("no/such/place", root.join("section-00/dangling"))?;
        Self::at(root)
    }

    /// What is there already.
    pub fn at(root: &Path) -> Result<Self> {
        Ok(Self { root: root.to_owned(), tree: Tree::read(root)? })
    }

    /// A copy elsewhere in which some files have other content, one is gone and one is new.
    pub fn next(&self, root: &Path, seed: u64) -> Result<Self> {
        let mut random = Random::new(seed ^ 0x5EED);
        copy(&self.root, root)?;
        let files = self.tree.files();
        for _ in 0..5 {
            let path = files[random.below(files.len())];
            fs::write(root.join(path), format!("revision of {seed}: {}\n", random.number()))?;
        }
        fs::remove_file(root.join(files[random.below(files.len())]))?;
        let length = random.below(3000);
        fs::write(root.join(format!("new-{seed}.bin")), random.bytes(length))?;
        Self::at(root)
    }
}

fn write(directory: &Path, number: usize, random: &mut Random) -> Result<()> {
    let (name, length, mode) = match number % 50 {
        7 => (format!("picture-{number}.bin"), 40_000 + random.below(60_000), 0o644),
        11 => (format!("empty-{number}"), 0, 0o644),
        13 => (format!("run-{number}.sh"), 200, 0o755),
        17 => (format!("secret-{number}.key"), 64, 0o600),
        23 => (format!("with space {number}.html"), 500, 0o644),
        _ => (format!("page-{number}.html"), 100 + random.below(4000), 0o644),
    };
    let path = directory.join(name);
    fs::write(&path, random.bytes(length))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if kind.is_symlink() {
            symlink(fs::read_link(path)?, target)?;
        } else if kind.is_dir() {
            copy(&path, &target)?;
            fs::set_permissions(target, entry.metadata()?.permissions())?;
        } else {
            fs::copy(path, target)?;
        }
    }
    Ok(())
}
