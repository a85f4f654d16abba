//! The rules of althing, pure: no I/O, no clock, no randomness, no async, no hash order.

pub mod ballot;
pub mod codec;
pub mod effect;
pub mod hash;
pub mod identity;
pub mod limits;
pub mod manifest;
pub mod metrics;
pub mod path;
pub mod record;
pub mod repair;
pub mod rng;
pub mod state;
pub mod statement;
pub mod time;
pub mod validity;
