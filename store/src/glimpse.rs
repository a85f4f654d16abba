//! A look at what was settled in a store that somebody else may have open. Nothing is locked, written, repaired or
//! checked: what was acknowledged a moment ago may be missing, and what is damaged may be taken for the end. So nothing
//! that binds a member may be read here; who votes opens the [`Store`](crate::Store).

use std::path::Path;

use althing_protocol::effect::Family;

use crate::database::{self, Database, Failure};
use crate::error::{OpenError, ReadError};
use crate::{Pair, layout, votes};

/// Its process may put files in others' place while they are opened.
const ATTEMPTS: usize = 5;

/// Settlement as it was when this was made.
#[derive(Debug)]
pub struct Glimpse {
    database: Database,
}

impl Glimpse {
    /// Of the store in a directory.
    pub fn of(dir: &Path) -> Result<Self, OpenError> {
        if !dir.is_dir() || !layout::is_complete(dir) {
            return Err(OpenError::Absent { path: dir.to_owned() });
        }
        layout::origin(dir, layout::FORMAT)?;
        let path = dir.join("votes");
        let mut attempt = 1;
        loop {
            match Database::look(&path, &votes::FAMILIES, &database::cache()) {
                Ok(database) => return Ok(Self { database }),
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(Failure::System(source)) => return Err(OpenError::Io { doing: "look at", path, source }),
                Err(Failure::Damaged(detail)) => return Err(OpenError::Corrupt { path, detail }),
            }
        }
    }

    /// Every pair of a family, ordered by key.
    pub fn read_all(&self, family: Family) -> Result<Vec<Pair>, ReadError> {
        votes::read_from(&self.database, family, &[], usize::MAX)
    }
}
