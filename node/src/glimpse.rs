//! What a member's directory says of its entity, read without touching anything, whether its daemon runs or not.

use std::path::Path;

use althing_protocol::effect::Family;
use althing_protocol::member::saved::Saved;
use althing_protocol::state::State;
use althing_store::{Glimpse, OpenError};

/// What is in a directory.
#[derive(Clone, PartialEq, Debug)]
pub enum Glimpsed {
    /// No store, or no directory.
    Nothing,
    /// A store that is in no entity.
    Outside,
    /// The newest settled state that is there.
    Member(Box<State>),
}

/// Looks into a data directory. Keys are not read.
pub fn glimpse(dir: &Path) -> anyhow::Result<Glimpsed> {
    let glimpse = match Glimpse::of(dir) {
        Err(OpenError::Absent { .. }) => return Ok(Glimpsed::Nothing),
        glimpse => glimpse?,
    };
    let saved = Saved::read(glimpse.read_all(Family::Meta)?, [])?;
    Ok(saved.head.map_or(Glimpsed::Outside, |head| Glimpsed::Member(Box::new(head.state))))
}
