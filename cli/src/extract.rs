//! The trees of a backup as plain files: contents first, each under its hash, then every tree out of them.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use althing_protocol::backup::{Contents, Part, Reader};
use althing_protocol::control::Code;
use althing_protocol::manifest::Item;
use althing_protocol::path::ItemPath;

use crate::error::{Failure, Result};

/// Where contents wait until their trees are made; no application can have this name.
const CONTENTS: &str = ".contents";

/// Trees that are being made below a new directory.
pub(crate) struct Trees {
    to: PathBuf,
    open: Option<File>,
}

impl Trees {
    /// Below a directory that is new or empty: paths of a backup then lead nowhere else.
    pub(crate) fn new(to: &Path) -> Result<Self> {
        if fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) {
            let text = format!("{} is not empty: nothing is written over what is there", to.display());
            return Err(Failure::new(Code::Unsafe, text).into());
        }
        let contents = to.join(CONTENTS);
        fs::create_dir_all(&contents).map_err(|error| cannot(&contents, &error))?;
        Ok(Self { to: to.to_owned(), open: None })
    }

    /// The next part, which was judged.
    pub(crate) fn take(&mut self, part: &Part) -> Result<()> {
        match part {
            Part::File(name, _) => {
                let path = self.content(&name.hex());
                self.open = Some(File::create(&path).map_err(|error| cannot(&path, &error))?);
            }
            Part::Piece(piece) => {
                if let Some(file) = &mut self.open {
                    file.write_all(piece).map_err(|error| cannot(&self.to, &error))?;
                }
            }
            Part::Beginning { .. } | Part::Link(_) | Part::Directory(_) | Part::End(_) => self.open = None,
        }
        Ok(())
    }

    fn content(&self, name: &str) -> PathBuf {
        self.to.join(CONTENTS).join(name)
    }

    /// Makes the trees, when all contents are here.
    pub(crate) fn finish(mut self, reader: &Reader, contents: &Contents) -> Result<()> {
        self.open = None;
        for kept in &contents.applications {
            let top = self.to.join(&kept.name);
            fs::create_dir(&top).map_err(|error| cannot(&top, &error))?;
            let Some(root) = kept.root else { continue };
            let items = reader.manifest(root).items();
            let items = items.map_err(|error| Failure::new(Code::BackupInvalid, error.to_string()))?;
            self.plant(&top, &items)?;
        }
        let contents = self.to.join(CONTENTS);
        Ok(fs::remove_dir_all(&contents).map_err(|error| cannot(&contents, &error))?)
    }

    /// One tree. Parents come before what is in them; modes of directories last, for they may forbid writing.
    fn plant(&self, top: &Path, items: &BTreeMap<ItemPath, Item>) -> Result<()> {
        let place = |path: &ItemPath| top.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        for (path, item) in items {
            let at = place(path);
            let made = match item {
                Item::Directory { .. } => fs::create_dir(&at),
                Item::Symlink { target, .. } => symlink(std::ffi::OsStr::from_bytes(target), &at),
                Item::File { mode, content, .. } => {
                    let copied = fs::copy(self.content(&content.hex()), &at);
                    copied.and_then(|_| fs::set_permissions(&at, Permissions::from_mode(*mode)))
                }
            };
            made.map_err(|error| cannot(&at, &error))?;
        }
        for (path, item) in items.iter().rev() {
            if let Item::Directory { mode, .. } = item {
                let at = place(path);
                fs::set_permissions(&at, Permissions::from_mode(*mode))
                    .map_err(|error| cannot(&at, &error))?;
            }
        }
        Ok(())
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Failed, format!("{} cannot be written", path.display())).fact("reason", error)
}
