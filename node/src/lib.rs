//! node

pub mod files;
