//! A disk that is full at a chosen moment, for tests of everything that writes. Nothing arms it but
//! `run --allow-faults`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Every step that writes passes through [`Faults::point`]; one of them is where the disk is found full.
#[derive(Debug, Default)]
pub struct Faults {
    /// Whether there is anything to look at: a point costs one load otherwise.
    armed: AtomicBool,
    plan: Mutex<Plan>,
    /// Stamps of files say nothing: what is known of a path is believed.
    blind: AtomicBool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Plan {
    #[default]
    None,
    /// So many points pass, then the disk is full for so long.
    Waits { points: u64, lasts: Duration },
    /// The disk is full until then.
    Full { until: Instant },
}

impl Faults {
    /// The disk is full at the write after `points` more, and then for so long; without any, from now on.
    pub fn fill_after(&self, points: u64, lasts: Duration) {
        let now = Plan::Full { until: Instant::now() + lasts };
        *self.plan() = if points == 0 { now } else { Plan::Waits { points, lasts } };
        self.armed.store(true, Ordering::Release);
    }

    /// Scans believe what they know of a path, whatever its stamp says: as if no change left one.
    pub fn set_blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::Release);
    }

    /// Whether scans are to believe what they know.
    pub fn is_blind(&self) -> bool {
        self.blind.load(Ordering::Acquire)
    }

    /// A step that writes: fails as a full disk does, if it is to.
    pub fn point(&self) -> io::Result<()> {
        if !self.armed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut plan = self.plan();
        if let Plan::Waits { points, lasts } = &mut *plan {
            match points.checked_sub(1) {
                Some(left) => *points = left,
                None => *plan = Plan::Full { until: Instant::now() + *lasts },
            }
        }
        if self.is_full_by(&mut plan) { Err(rustix::io::Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Whether the disk is full at the moment.
    pub fn is_full(&self) -> bool {
        self.armed.load(Ordering::Acquire) && self.is_full_by(&mut self.plan())
    }

    fn is_full_by(&self, plan: &mut Plan) -> bool {
        match plan {
            Plan::Full { until } if Instant::now() < *until => true,
            Plan::Full { .. } => {
                *plan = Plan::None;
                self.armed.store(false, Ordering::Release);
                false
            }
            Plan::None | Plan::Waits { .. } => false,
        }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_full_at_the_point_and_for_the_time_that_was_said() {
        let faults = Faults::default();
        assert!(faults.point().is_ok());
        faults.fill_after(2, Duration::from_millis(50));
        assert!(faults.point().is_ok() && faults.point().is_ok() && !faults.is_full());
        let full = faults.point().unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert!(faults.is_full() && faults.point().is_err());
        std::thread::sleep(Duration::from_millis(60));
        assert!(!faults.is_full() && faults.point().is_ok());
    }
}
