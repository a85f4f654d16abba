//! A harness for tests with real daemons: processes with real keys, sockets and disks, on loopback.
//!
//! [`story`] builds an entity, hands it to a test, and shows what every daemon logged if the test fails. Nothing is
//! left behind: processes die with the test, even if that is killed, and directories go with it. `ALTHING_KEEP=1`
//! keeps them.

mod cluster;
mod disk;
mod json;
mod member;
mod ports;
mod program;
mod random;
mod site;
mod socket;
mod tree;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use cluster::{Cluster, story, story_on_disks};
pub use disk::Disk;
pub use json::Json;
pub use member::{Member, Ran};
pub use program::{older, program};
pub use random::Random;
pub use site::Site;
pub use socket::post;
pub use tree::Tree;

/// How often conditions are looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `condition` holds and returns how long that took; after `limit` fails, with what it said last.
pub fn wait_until(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<(), String>,
) -> Result<Duration> {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(()) => return Ok(start.elapsed()),
            Err(instead) if start.elapsed() >= limit => {
                bail!("{what}: not so within {limit:?}; instead: {instead}");
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// A number from the environment, or the default.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
