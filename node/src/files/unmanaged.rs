//! Patterns of paths that an application does not manage: never seen, captured or changed.

use althing_protocol::path::ItemPath;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The patterns of one application. `*` and `?` stay within a name, `**` spans names, `[a-z]` and `{a,b}` choose; what
/// lies below a directory that matches is not managed either, and `cache/**` matches `cache` as well.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    set: Option<GlobSet>,
}

impl Patterns {
    /// Reads them. An error names the pattern.
    pub fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            set.add(glob(pattern)?);
            if let Some(directory) = pattern.strip_suffix("/**") {
                set.add(glob(directory)?);
            }
        }
        Ok(Self { set: Some(set.build()?) })
    }

    /// Whether this path is not managed; asked of a directory before what lies in it.
    pub(crate) fn matches(&self, path: &ItemPath) -> bool {
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        self.set.as_ref().is_some_and(|set| set.is_match(path))
    }
}

fn glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], path: &[u8]) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Patterns::new(&patterns).unwrap().matches(&ItemPath::new(path).unwrap())
    }

    #[test]
    fn stars_stay_within_a_name_and_two_of_them_do_not() {
        assert!(matches(&["*.log"], b"debug.log") && !matches(&["*.log"], b"var/debug.log"));
        assert!(matches(&["**/*.log"], b"var/debug.log") && matches(&["**/*.log"], b"debug.log"));
        assert!(matches(&["cache/**"], b"cache") && matches(&["cache/**"], b"cache/a/b"));
        assert!(!matches(&["cache/**"], b"cached") && !matches(&["cache/**"], b"var/cache"));
        assert!(matches(&["up?oads", "tmp"], b"uploads") && !matches(&[], b"tmp"));
        assert!(matches(&["*.log"], b"\xff\xfe.log"), "a name need not be text");
        assert!(matches(&["**"], b"anything/at/all"));
    }

    #[test]
    fn a_pattern_that_means_nothing_is_named() {
        let error = Patterns::new(&["[a".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("[a"), "{error}");
    }
}
