//! What settlement must never forget: families meta, votes and chain, in a database of their own.
//!
//! Commits are made one at a time, each one record of the log and synced before the next begins. So only the last
//! record of the log can be incomplete without having been acknowledged, and everything else that is bad is damage:
//! [`log`] tells the two apart before the database is opened, [`mark`](crate::mark) after.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use althing_protocol::effect::{Family, Write};
use rocksdb::{Cache, WriteBatch};

use crate::Pair;
use crate::database::{Creation, Database, Failure, check_bounds};
use crate::error::{CommitError, OpenError, ReadError};
use crate::layout::Origin;
use crate::log;
use crate::mark::Mark;
use crate::room::{Purpose, Room};

/// Where the number of commits is, with nothing else in its family.
const COUNT_FAMILY: &str = "count";
const COUNT_KEY: &[u8] = b"commits";
pub(crate) const FAMILIES: [&str; 4] = [COUNT_FAMILY, "meta", "votes", "chain"];
/// As [`Write::key`] promises.
const KEY_BYTES: usize = 255;

/// The database with its mark.
#[derive(Debug)]
pub(crate) struct Votes {
    database: Database,
    mark: Mark,
    room: Room,
    /// Commits so far. Held while committing: one at a time.
    commits: Mutex<u64>,
}

impl Votes {
    /// Opens, or refuses if anything that was acknowledged is missing.
    pub(crate) fn open(dir: &Path, cache: &Cache, origin: Origin, room: Room) -> Result<Self, OpenError> {
        let path = dir.join("votes");
        let corrupt = |detail: String| OpenError::Corrupt { path: path.clone(), detail };
        let io = |source| OpenError::Io { doing: "open", path: path.clone(), source };
        let mark = match origin {
            Origin::Fresh => Mark::create(dir).map_err(io)?,
            Origin::Existing => Mark::open(dir).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    corrupt("the count of acknowledged commits is missing".into())
                }
                _ => io(error),
            })?,
        };
        let acknowledged = mark
            .read()
            .map_err(io)?
            .ok_or_else(|| corrupt("the count of acknowledged commits cannot be read".into()))?;
        log::check(&path).map_err(|failure| match failure {
            log::Failure::Io(source) => io(source),
            log::Failure::Damaged(detail) => corrupt(detail),
        })?;
        let creation = if origin == Origin::Fresh { Creation::IfMissing } else { Creation::Never };
        let database =
            Database::open(&path, &FAMILIES, cache, creation).map_err(|failure| match failure {
                Failure::System(source) => io(source),
                Failure::Damaged(detail) => corrupt(detail),
            })?;
        let found = count(&database).map_err(|error| corrupt(error.to_string()))?;
        if found < acknowledged {
            let lost = acknowledged - found;
            return Err(corrupt(format!(
                "{acknowledged} commits were acknowledged and {found} are there: the last {lost} are lost"
            )));
        }
        if origin == Origin::Fresh && found > 0 {
            return Err(corrupt(format!("there are {found} commits, but the file `format` is missing")));
        }
        Ok(Self { database, mark, room, commits: Mutex::new(found) })
    }

    /// One atomic, synced change. Without room for it nothing is changed.
    pub(crate) fn commit(&self, writes: &[Write]) -> Result<(), CommitError> {
        let mut batch = WriteBatch::default();
        for write in writes {
            check_bounds(&write.key, write.value.as_deref(), KEY_BYTES)?;
            let family = self.database.family(name(write.family));
            match &write.value {
                Some(value) => batch.put_cf(family, &write.key, value),
                None => batch.delete_cf(family, &write.key),
            }
        }
        // A panic elsewhere cannot have left a half-made commit: the count is raised last.
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *commits + 1;
        batch.put_cf(self.database.family(COUNT_FAMILY), COUNT_KEY, number.to_be_bytes());
        crate::admit(&self.room, Purpose::Settlement, &batch)?;
        self.database.write_synced(batch)?;
        *commits = number;
        if let Err(error) = self.mark.write(number) {
            // The commit is durable; only the check at the next start is weaker.
            tracing::warn!(%error, number, "the count of acknowledged commits was not written");
        }
        Ok(())
    }

    /// One value.
    pub(crate) fn read(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.database.get(name(family), key)
    }

    /// At most `limit` pairs from a key on.
    pub(crate) fn read_from(
        &self,
        family: Family,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Pair>, ReadError> {
        read_from(&self.database, family, from, limit)
    }
}

/// At most `limit` pairs from a key on.
pub(crate) fn read_from(
    database: &Database,
    family: Family,
    from: &[u8],
    limit: usize,
) -> Result<Vec<Pair>, ReadError> {
    let mut pairs = Vec::new();
    if limit == 0 {
        return Ok(pairs);
    }
    database.visit(name(family), from, |key, value| {
        pairs.push((key.into_vec(), value.into_vec()));
        pairs.len() < limit
    })?;
    Ok(pairs)
}

impl Drop for Votes {
    fn drop(&mut self) {
        if let Err(error) = self.mark.sync() {
            tracing::warn!(%error, "the count of acknowledged commits was not synced");
        }
    }
}

fn count(database: &Database) -> Result<u64, ReadError> {
    let Some(bytes) = database.get(COUNT_FAMILY, COUNT_KEY)? else { return Ok(0) };
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|bytes| ReadError::Damaged {
        what: "the number of commits".into(),
        detail: format!("{} bytes", bytes.len()),
    })?;
    Ok(u64::from_be_bytes(bytes))
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Meta => "meta",
        Family::Votes => "votes",
        Family::Chain => "chain",
    }
}
