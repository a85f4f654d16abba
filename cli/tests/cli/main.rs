//! The real program against a node that answers what a test says.

mod changing;
mod failing;
mod fake;
mod reading;
mod waiting;
