//! Deterministic simulations of the althing protocol: one seed makes a whole world of members, disks, networks,
//! administrators and disasters, and the same seed makes the same world again.
//!
//! [`simulate`] runs one seed and says what happened; `bin/swarm.rs` runs many. [`model`] is the exhaustive check of
//! the rules of voting.

mod faults;
mod host;
mod invariants;
mod liveness;
pub mod model;
mod mutation;
mod network;
mod options;
mod plan;
mod reference;
mod run;
pub mod scale;
pub mod seeds;
mod shrink;
mod signatures;
mod timeline;
mod workload;
mod world;

#[cfg(test)]
mod scenarios;

pub use mutation::Mutation;
pub use options::{Options, Strike};
pub use run::{plan_of, simulate};
pub use shrink::{Shrunk, shrink};
pub use timeline::{Entry, Outcome, SOMETIMES, STRUCK, Violation};
