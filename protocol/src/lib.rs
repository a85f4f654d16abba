//! The rules of althing, pure: no I/O, no clock, no randomness, no async, no hash order.
//!
//! A map of the crate, bottom up: what is hashed, signed and encoded ([`hash`], [`identity`], [`codec`],
//! [`statement`]); what is settled and by whom ([`record`], [`state`], [`validity`], [`ballot`]); what spreads it
//! ([`wire`], [`gossip`], [`liveness`]) and who abuses that ([`conduct`], [`budget`]); what is on disks ([`path`],
//! [`attributes`], [`manifest`], [`repair`], [`fetch`]); how well everybody does ([`metrics`]); the ugly days ([`evidence`],
//! [`succession`], [`trail`]); and the machine that owns all of it, with its one seam ([`member`], [`effect`],
//! [`control`], [`event`]), with what its errors and conditions mean ([`explain`]), and what the chain tells afterwards
//! ([`audit`], [`backup`]).

pub mod attributes;
pub mod audit;
pub mod backup;
pub mod ballot;
pub mod budget;
pub mod call;
pub mod candidate;
pub mod circle;
pub mod codec;
pub mod conduct;
pub mod control;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod explain;
pub mod fetch;
pub mod frame;
pub mod gossip;
pub mod governance;
pub mod handling;
pub mod hash;
pub mod identity;
pub mod invitation;
pub mod limits;
pub mod liveness;
pub mod manifest;
pub mod member;
pub mod members;
pub mod metrics;
pub mod order;
pub mod parts;
pub mod path;
pub mod placement;
pub mod record;
pub mod repair;
pub mod rng;
pub mod rollout;
pub mod state;
pub mod statement;
pub mod succession;
pub mod time;
pub mod trail;
pub mod trouble;
pub mod validity;
pub mod view;
pub mod wire;
