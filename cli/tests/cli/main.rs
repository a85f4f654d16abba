//! The real program against a node that answers what a test says.

mod changing;
#[cfg(feature = "daemon")]
mod demo;
mod failing;
mod fake;
mod reading;
mod waiting;
