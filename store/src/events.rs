//! The event log: numbered from 1 without gaps, the oldest dropped.

use std::sync::PoisonError;

use rocksdb::WriteBatch;

use crate::Store;
use crate::database::{Database, check_bounds};
use crate::error::{CommitError, ReadError};
use crate::room::Purpose;

pub(crate) const FAMILY: &str = "events";
/// Events that are kept: months of a quiet entity, an afternoon of a bad one.
pub const EVENTS_KEPT: u64 = 20_000;

/// Which numbers are in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The oldest that may be there.
    first: u64,
    /// The newest; 0 if there never was one.
    last: u64,
}

impl Range {
    /// As found in the database.
    pub(crate) fn read(index: &Database) -> Result<Self, ReadError> {
        let last = index.last_key(FAMILY)?.map_or(Ok(0), |key| number(&key))?;
        Ok(Self { first: first_kept(last), last })
    }
}

impl Store {
    /// Appends events, all or none, durably, and gives the number of the last one (of the last there is, if `events`
    /// is empty).
    pub fn append_events(&self, events: &[Vec<u8>]) -> Result<u64, CommitError> {
        let mut range = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.is_empty() {
            return Ok(range.last);
        }
        let family = self.index.family(FAMILY);
        let mut batch = WriteBatch::default();
        let last = range.last + events.len() as u64;
        let first = first_kept(last);
        for (at, event) in (range.last + 1..).zip(events) {
            let key = at.to_be_bytes();
            check_bounds(&key, Some(event), key.len())?;
            if at >= first {
                batch.put_cf(family, key, event);
            }
        }
        for at in range.first..first.min(range.last + 1) {
            batch.delete_cf(family, at.to_be_bytes());
        }
        self.write_index(Purpose::Settlement, batch)?;
        *range = Range { first, last };
        Ok(last)
    }

    /// At most `limit` events with numbers above `number`, oldest first. A first number above `number + 1` says that
    /// those between were dropped.
    pub fn events_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let first = self.events.lock().unwrap_or_else(PoisonError::into_inner).first;
        let mut events = Vec::new();
        let mut wrong = None;
        if limit == 0 || number == u64::MAX {
            return Ok(events);
        }
        // Beginning at the first that is kept passes by the remains of dropped ones.
        let from = first.max(number + 1);
        self.index.visit(FAMILY, &from.to_be_bytes(), |key, value| {
            match self::number(&key) {
                Ok(at) => events.push((at, value.into_vec())),
                Err(error) => wrong = Some(error),
            }
            wrong.is_none() && events.len() < limit
        })?;
        wrong.map_or(Ok(events), Err)
    }

    /// The number of the newest event; 0 if there never was one.
    pub fn last_event(&self) -> u64 {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).last
    }
}

fn first_kept(last: u64) -> u64 {
    last.saturating_sub(EVENTS_KEPT) + 1
}

fn number(key: &[u8]) -> Result<u64, ReadError> {
    <[u8; 8]>::try_from(key).map(u64::from_be_bytes).map_err(|_| ReadError::Damaged {
        what: "an event".into(),
        detail: format!("its key has {} bytes", key.len()),
    })
}
