//! An abstract model of how the majority decides (design §5.2), checked exhaustively with Stateright.
//!
//! Messages are a growing board: a member may act on any subset of all that was ever sent. That covers loss,
//! delay, reordering, duplication and a crash that keeps the disk, all at once. Proposals need no state: any
//! member may propose any value in any round, so every proposer policy is covered. Round changes are free, so
//! no time-out and no threshold is assumed for agreement (rules 7 and 8 matter for [`progress`] only). A liar
//! is not a member of the state: its votes can be added to any count at any time.
//!
//! - [`guards`]: rules 1-8 as pure functions. The simulator asks them about each vote of the real machine ([`judged`]).
//! - [`quorum`]: how many votes are enough; written down here a second time, on purpose.
//! - [`mutation`]: planted bugs, one per finding; each must fire and must do the harm it is there to do.
//! - [`board`], [`voting`]: the state, and the checker's view of it.
//! - [`progress`]: after a member died for ever, can the survivors still decide?
//! - [`roster`], [`parting`]: who decides what follows a change of the roster, and whether those who stay learn of it.
//! - [`content`]: when content may be settled, over a chain that settles at once.
//! - [`claims`], [`address`]: what happens once, and what one member has at a time.
//! - [`bound`]: the program's own ballot on the same board.
//! - [`configurations`], [`table`]: M1-M9 of `settlement-review.md` §8 with what each must show.

pub mod address;
pub mod board;
pub mod bound;
pub mod claims;
pub mod configurations;
pub mod content;
mod explore;
pub mod guards;
pub mod judged;
pub mod mutation;
pub mod parting;
pub mod progress;
pub mod quorum;
pub mod roster;
pub mod table;
pub mod verdict;
pub mod voting;

#[cfg(test)]
mod tests;
