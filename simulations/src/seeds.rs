//! `seeds.txt`: every case that ever failed, one a line, in the words of `swarm`; what follows a `#` says why.

use crate::options::Options;

/// The file, as it is in this program.
pub const SEEDS: &str = include_str!("../seeds.txt");

/// The cases of such a file.
pub fn read(text: &str) -> Result<Vec<Options>, String> {
    let words = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    words
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().map_err(|why| format!("{line}: {why}")))
        .collect()
}
