//! The rules of althing, pure: no I/O, no clock, no randomness, no async, no hash order.
//!
//! A map of the crate, bottom up: what is hashed, signed and encoded ([`hash`], [`identity`], [`codec`],
//! [`statement`]); what is settled and by whom ([`record`], [`state`], [`validity`], [`ballot`]); what spreads it
//! ([`wire`], [`gossip`], [`liveness`]); what is on disks ([`path`], [`manifest`], [`repair`], [`fetch`]); how well
//! everybody does ([`metrics`]); and the machine that owns all of it, with its one seam ([`member`], [`effect`],
//! [`control`], [`event`]).

pub mod ballot;
pub mod codec;
pub mod control;
pub mod effect;
pub mod event;
pub mod fetch;
pub mod gossip;
pub mod hash;
pub mod identity;
pub mod invitation;
pub mod limits;
pub mod liveness;
pub mod manifest;
pub mod member;
pub mod metrics;
pub mod path;
pub mod record;
pub mod repair;
pub mod rng;
pub mod state;
pub mod statement;
pub mod time;
pub mod trouble;
pub mod validity;
pub mod view;
pub mod wire;
