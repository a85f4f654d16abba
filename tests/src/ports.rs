//! Free pairs of ports: PORT for messages and PORT+1 for content, kept for a member as long as it exists, across its
//! restarts and across test processes.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};

/// Below the ports that Linux gives to outgoing connections.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A pair that nobody else takes while this lives.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    _kept: File,
}

impl Ports {
    pub(crate) fn take() -> Result<Self> {
        let user = rustix::process::getuid().as_raw();
        let directory = std::env::temp_dir().join(format!("althing-ports-{user}"));
        std::fs::create_dir_all(&directory)?;
        let begin = FIRST + (std::process::id() % 500) as u16 * 20;
        let candidates = (begin..LAST).chain(FIRST..begin).step_by(2);
        for first in candidates {
            let path = directory.join(first.to_string());
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            let ours = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            if ours && free(first) && free(first + 1) {
                return Ok(Self { first, _kept: file });
            }
        }
        None.context("no pair of ports is free")
    }
}
