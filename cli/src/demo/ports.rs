//! Ports for members: pairs, one for messages and the next one for content.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use althing_protocol::control::Code;

use crate::error::{Failure, Result};

/// Below the range from which systems take ports for outgoing connections: a port that a member leaves for a moment
/// is still free when it comes back.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// The first ports of so many free pairs. Somebody else may still take one before a member does.
pub(super) fn pairs(count: usize) -> Result<Vec<u16>> {
    // Two demos at once begin at different places.
    let random = RandomState::new().build_hasher().finish();
    let all: Vec<u16> = RANGE.step_by(2).collect();
    let first = usize::try_from(random % all.len() as u64).unwrap_or_default();
    let listen = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
    let is_free = |port: &u16| listen(*port).zip(listen(*port + 1)).is_some();
    let found: Vec<u16> =
        all.iter().cycle().skip(first).take(all.len()).copied().filter(is_free).take(count).collect();
    if found.len() < count {
        let text = format!("no {count} pairs of free ports from {} to {} here", RANGE.start, RANGE.end);
        return Err(Failure::new(Code::Failed, text).into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_do_not_overlap() {
        let mut found = pairs(25).expect("free ports");
        found.sort_unstable();
        assert!(found.windows(2).all(|pair| pair[1] >= pair[0] + 2));
    }
}
