//! The rules of althing, pure: no I/O, no clock, no randomness, no async, no hash order.

pub mod codec;
pub mod effect;
pub mod hash;
pub mod identity;
pub mod limits;
pub mod manifest;
pub mod path;
pub mod repair;
pub mod rng;
pub mod time;
