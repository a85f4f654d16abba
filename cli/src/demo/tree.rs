//! What is in a directory, read completely: the demo believes no digest, it compares bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Everything below a directory, by path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<PathBuf, Item>);

/// An item as far as althing looks after it.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    File { mode: u32, bytes: Vec<u8> },
    Directory { mode: u32 },
    Link(PathBuf),
    Other,
}

impl Tree {
    /// Reads everything.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.add(root, Path::new(""))?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let (at, path) = (entry.path(), below.join(entry.file_name()));
            let metadata = fs::symlink_metadata(&at)?;
            let mode = metadata.permissions().mode() & 0o7777;
            let item = if metadata.is_dir() {
                self.add(root, &path)?;
                Item::Directory { mode }
            } else if metadata.is_file() {
                Item::File { mode, bytes: fs::read(&at)? }
            } else if metadata.is_symlink() {
                Item::Link(fs::read_link(&at)?)
            } else {
                Item::Other
            };
            self.0.insert(path, item);
        }
        Ok(())
    }

    /// How many files.
    pub(super) fn files(&self) -> usize {
        self.0.values().filter(|item| matches!(item, Item::File { .. })).count()
    }

    /// How many bytes in files.
    pub(super) fn bytes(&self) -> u64 {
        let size = |item: &Item| if let Item::File { bytes, .. } = item { bytes.len() as u64 } else { 0 };
        self.0.values().map(size).sum()
    }

    /// The first few items that are not the same here and there, by the letters of `app diff`; nothing if all are.
    pub(super) fn differences(&self, there: &Self) -> Option<String> {
        let mut found: Vec<String> = Vec::new();
        for (path, item) in &self.0 {
            match there.0.get(path) {
                Some(other) if other == item => {}
                Some(_) => found.push(format!("M {}", path.display())),
                None => found.push(format!("- {}", path.display())),
            }
        }
        let more = there.0.keys().filter(|path| !self.0.contains_key(*path));
        found.extend(more.map(|path| format!("+ {}", path.display())));
        let rest = found.len().saturating_sub(5);
        found.truncate(5);
        let text = found.join(", ");
        match rest {
            _ if text.is_empty() => None,
            0 => Some(text),
            rest => Some(format!("{text} and {rest} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_modes_links_and_names_count() {
        let (one, two) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
        let both = |what: &dyn Fn(&Path)| [one.path(), two.path()].map(what);
        both(&|root| {
            fs::create_dir(root.join("d")).expect("d");
            fs::write(root.join("d/same"), "same").expect("same");
            fs::write(root.join("mode"), "").expect("mode");
            fs::write(root.join("bytes"), root.as_os_str().as_encoded_bytes()).expect("bytes");
            std::os::unix::fs::symlink(root, root.join("link")).expect("link");
        });
        fs::set_permissions(two.path().join("mode"), fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::set_permissions(one.path().join("mode"), fs::Permissions::from_mode(0o640)).expect("chmod");
        fs::write(two.path().join("new"), "").expect("new");
        let read = |root: &Path| Tree::read(root).expect("readable");
        let found = read(one.path()).differences(&read(two.path())).expect("differences");
        assert_eq!(found, "M bytes, M link, M mode, + new");
        assert_eq!(read(one.path()).differences(&read(one.path())), None);
        assert_eq!(read(two.path()).files(), 4);
    }
}
