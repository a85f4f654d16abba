//! Time as an argument: the protocol never asks a clock.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment on the host's monotonic clock, in milliseconds since some start of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(pub u64);

/// A moment of the civil clock: milliseconds since 1970-01-01T00:00:00Z. Never orders events; only licenses
/// proposals (an expiry) and labels what people read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct WallTime(pub u64);

/// Milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }
}

/// Both clocks at once: what every step of the protocol is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For time-outs and ages.
    pub mono: Instant,
    /// For expiry of windows and invitations, and for people.
    pub wall: WallTime,
}

impl Add<Millis> for Instant {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Instant {
    type Output = Millis;
    /// Zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Millis> for WallTime {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for WallTime {
    type Output = Millis;
    /// Zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}
