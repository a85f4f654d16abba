//! Random trees, made on disk and read back from it without any code of the driver.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use althing_protocol::path::ItemPath;
use quickcheck::{Arbitrary, Gen};

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Thing {
    File(u32, Vec<u8>),
    Directory(u32),
    Link(Vec<u8>),
}

/// A tree with every kind of item, few names (so that two trees clash), and names that are no text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tree(pub(super) BTreeMap<ItemPath, Thing>);

const NAMES: [&[u8]; 7] = [b"a", b"b", b"index.html", b"\xff\xfe", b"with space", b"-rf", b"new\nline"];

impl Arbitrary for Tree {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut directories = vec![ItemPath::root()];
        let mut things = BTreeMap::new();
        for _ in 0..u8::arbitrary(g) % 20 {
            let parent = g.choose(&directories).unwrap().clone();
            let Ok(path) = parent.join(g.choose(&NAMES).unwrap()) else { continue };
            if things.contains_key(&path) {
                continue;
            }
            let thing = match u8::arbitrary(g) % 5 {
                0 | 1 => Thing::Directory(*g.choose(&[0o755, 0o700, 0o555, 0o1777, 0o2750]).unwrap()),
                2 => Thing::Link(g.choose(&[&b"a"[..], b"/etc/passwd", b"../..", b"gone"]).unwrap().to_vec()),
                _ => {
                    let mode = *g.choose(&[0o644, 0o600, 0o444, 0o755, 0o4755]).unwrap();
                    Thing::File(mode, vec![u8::arbitrary(g) % 4; usize::from(u8::arbitrary(g) % 3) * 1000])
                }
            };
            if matches!(thing, Thing::Directory(_)) {
                directories.push(path.clone());
            }
            things.insert(path, thing);
        }
        Self(things)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let leaves: Vec<ItemPath> = self
            .0
            .keys()
            .filter(|path| {
                !self.0.keys().any(|other| other.split().is_some_and(|(parent, _)| parent == **path))
            })
            .cloned()
            .collect();
        let tree = self.0.clone();
        Box::new(leaves.into_iter().map(move |leaf| {
            let mut smaller = tree.clone();
            smaller.remove(&leaf);
            Self(smaller)
        }))
    }
}

impl Tree {
    /// Makes it in `root`, which is emptied before.
    pub(super) fn make(&self, root: &Path) {
        clear(root);
        for (path, thing) in &self.0 {
            let at = below(root, path);
            match thing {
                Thing::File(mode, bytes) => {
                    fs::write(&at, bytes).unwrap();
                    fs::set_permissions(&at, Permissions::from_mode(*mode)).unwrap();
                }
                Thing::Directory(_) => fs::create_dir(&at).unwrap(),
                Thing::Link(target) => symlink(OsStr::from_bytes(target), &at).unwrap(),
            }
        }
        for (path, thing) in self.0.iter().rev() {
            if let Thing::Directory(mode) = thing {
                fs::set_permissions(below(root, path), Permissions::from_mode(*mode)).unwrap();
            }
        }
    }

    /// Reads what is in `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut things = BTreeMap::new();
        read_into(root, &ItemPath::root(), &mut things);
        Self(things)
    }
}

/// Removes everything in `root`, if there is one, whatever its modes.
pub(super) fn clear(root: &Path) {
    if !root.exists() {
        return;
    }
    for entry in fs::read_dir(root).unwrap() {
        let at = entry.unwrap().path();
        if at.symlink_metadata().unwrap().is_dir() {
            fs::set_permissions(&at, Permissions::from_mode(0o700)).unwrap();
            clear(&at);
            fs::remove_dir(&at).unwrap();
        } else {
            fs::remove_file(&at).unwrap();
        }
    }
}

pub(super) fn below(root: &Path, path: &ItemPath) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(path.as_bytes()))
}

fn read_into(directory: &Path, path: &ItemPath, things: &mut BTreeMap<ItemPath, Thing>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (at, path) = (entry.path(), path.join(entry.file_name().as_bytes()).unwrap());
        let found = at.symlink_metadata().unwrap();
        let mode = found.permissions().mode() & 0o7777;
        let thing = if found.is_dir() {
            read_into(&at, &path, things);
            Thing::Directory(mode)
        } else if found.is_symlink() {
            Thing::Link(fs::read_link(&at).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            Thing::File(mode, fs::read(&at).unwrap())
        };
        things.insert(path, thing);
    }
}
