//! The name of a release.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use althing_protocol::handling::RELEASES;
use althing_protocol::hash::Hash;

/// Digits of the number of a release, at most: so many of one root are never kept.
const DIGITS: usize = 9;

/// Which revision a release is of, and the how many-th of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name {
    /// The manifest that it was built from.
    pub(crate) root: Hash,
    /// 1 for the first, which has no number in its name.
    pub(crate) number: u32,
}

impl Name {
    /// As the directory is called.
    pub(crate) fn text(&self) -> String {
        let hex = self.root.hex();
        if self.number == 1 { hex } else { format!("{hex}.{}", self.number) }
    }

    /// The release of this name; nothing else that lies beside it.
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let (hex, number) = match text.split_once('.') {
            None => (text, 1),
            Some((hex, digits)) if digits.len() <= DIGITS => (hex, digits.parse().ok()?),
            Some(_) => return None,
        };
        let root: Hash = format!("b3:{hex}").parse().ok()?;
        let name = Self { root, number };
        (name.text() == text).then_some(name)
    }

    /// Where a link at `root` leads to that is this release's: relative, so that it also holds under a prefix.
    pub(crate) fn target(&self, root: &Path) -> Vec<u8> {
        [base_of(root), RELEASES.as_bytes(), b"/", self.text().as_bytes()].concat()
    }

    /// The release that a link at `root` with this target leads to.
    pub(crate) fn of_target(root: &Path, target: &[u8]) -> Option<Self> {
        let below = target.strip_prefix(base_of(root))?.strip_prefix(RELEASES.as_bytes())?;
        Self::parse(below.strip_prefix(b"/")?)
    }
}

/// The last component of a root.
pub(crate) fn base_of(root: &Path) -> &[u8] {
    root.file_name().map_or(&[], |name| name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_and_nothing_else_is_one() {
        let root = Path::new("/srv/web");
        for number in [1, 2, 17] {
            let name = Name { root: Hash::of(b"x"), number };
            assert_eq!(Name::parse(name.text().as_bytes()), Some(name));
            assert_eq!(Name::of_target(root, &name.target(root)), Some(name));
            assert_eq!(Name::of_target(Path::new("/srv/shop"), &name.target(root)), None);
        }
        let hex = Hash::of(b"x").hex();
        for other in ["", "current", &hex[1..], &format!("{hex}.1"), &format!("{hex}.02"), &format!("{hex}.")]
        {
            assert_eq!(Name::parse(other.as_bytes()), None, "{other}");
        }
        let absolute = format!("/srv/web.releases/{hex}");
        let nested = format!("web.releases/../{hex}");
        for other in [absolute.as_str(), nested.as_str(), "web.releases", "elsewhere"] {
            assert_eq!(Name::of_target(root, other.as_bytes()), None, "{other}");
        }
    }
}
