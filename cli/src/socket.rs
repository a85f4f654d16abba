//! Where the node of this machine answers (cli.md, principle 4).

use std::path::{Path, PathBuf};

use crate::args::DIRECTORY;

/// Below this, whoever is in the group may look; the data directory is for the node alone.
const SHARED: &str = "/run/althing/althing.sock";

/// The socket of the node that keeps its data there.
pub(crate) fn of(dir: &Path) -> PathBuf {
    if dir == Path::new(DIRECTORY) { PathBuf::from(SHARED) } else { dir.join("althing.sock") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_node_has_a_socket_that_a_group_can_reach() {
        assert_eq!(of(Path::new("/var/lib/althing")), Path::new("/run/althing/althing.sock"));
        assert_eq!(of(Path::new("/tmp/a")), Path::new("/tmp/a/althing.sock"));
    }
}
