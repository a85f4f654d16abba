//! The althing daemon: sockets, disks, clocks and threads around the protocol.

pub mod net;
