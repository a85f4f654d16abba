//! simulations

pub mod model;
