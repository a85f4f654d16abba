//! An abstract model of how the majority decides (design §5.2), checked exhaustively with Stateright.
//!
//! Messages are a growing board: a member may act on any subset of all that was ever sent. That covers loss,
//! delay, reordering, duplication and a crash that keeps the disk, all at once. Proposals need no state: any
//! member may propose any value in any round, so every proposer policy is covered. Round changes are free, so
//! no time-out and no threshold is assumed for agreement (rules 7 and 8 matter for [`progress`] only). A liar
//! is not a member of the state: its votes can be added to any count at any time.
//!
//! - [`guards`]: rules 1-8 as pure functions. The simulator asks them about each vote of the real machine.
//! - [`quorum`]: how many votes are enough; written down here a second time, on purpose.
//! - [`mutation`]: planted bugs, one per finding; each must fire and must do the harm it is there to do.
//! - [`board`], [`voting`]: the state, and the checker's view of it.
//! - [`progress`]: after a member died for ever, can the survivors still decide?
//! - [`configurations`]: M1-M6 of `settlement-review.md` §8 with what each must show.

pub mod board;
pub mod configurations;
pub mod guards;
pub mod mutation;
pub mod progress;
pub mod quorum;
pub mod verdict;
pub mod voting;

#[cfg(test)]
mod tests;
