//! Deterministic simulations of the althing protocol: one seed makes a whole world of members, disks, networks,
//! administrators and disasters, and the same seed makes the same world again.
//!
//! [`simulate`] runs one seed and says what happened; `bin/swarm.rs` runs many. [`model`] is the exhaustive check of
//! the rules of voting.

mod faults;
mod host;
mod invariants;
mod likeness;
mod liveness;
pub mod model;
mod mutation;
mod network;
mod options;
mod plan;
pub mod processor;
mod reading;
mod reference;
mod run;
pub mod scale;
pub mod seeds;
mod shrink;
mod signatures;
mod story;
mod survey;
mod timeline;
mod words;
mod workload;
mod world;

#[cfg(test)]
mod scenarios;

pub use likeness::{Like, LikeApplication, Likeness};
pub use mutation::Mutation;
pub use options::{Deploy, Options, Strike, moments};
pub use run::{plan_of, simulate};
pub use shrink::{Shrunk, shrink};
pub use story::story;
pub use timeline::{Entry, Outcome, Placed, SOMETIMES, STRUCK, Seen, Survey, Tally, Violation};
