//! Clocks and spans for people. What is old is told relative to the answer, never to this machine's clock.

use jiff::{Timestamp, Unit};

use super::Look;

/// This machine's clock, as documents have it.
pub(crate) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// A moment in milliseconds since 1970, as documents have it.
pub(crate) fn of_millis(milliseconds: u64) -> String {
    i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .map_or_else(|| milliseconds.to_string(), |moment| moment.to_string())
}

/// `0.3 s`, `40 s`, `3 min`, `2 h 5 min`, `6 d 4 h`
pub(crate) fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        _ if seconds < 9.95 && seconds.fract() > 0.0 => format!("{seconds:.1} s"),
        0..120 => format!("{whole} s"),
        120..3600 => format!("{} min", whole / 60),
        3600..172_800 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        return format!("{large} {large_unit}");
    }
    format!("{large} {large_unit} {small} {small_unit}")
}

/// Seconds from `from` to `to`; negative if `to` is earlier.
pub(crate) fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some(to.duration_since(from).as_secs_f64())
}

impl Look {
    /// `14:02:11` of the answer's day, `2026-11-22 14:02:11` of another.
    pub(crate) fn clock(&self, moment: &str, now: &str) -> String {
        self.on_day(moment, now, "%H:%M:%S", "%Y-%m-%d %H:%M:%S")
    }

    /// `13:41` of the answer's day, `3 d ago` before it.
    pub(crate) fn lately(&self, moment: &str, now: &str) -> String {
        let clock = self.on_day(moment, now, "%H:%M", "");
        if !clock.is_empty() {
            return clock;
        }
        match seconds_between(moment, now) {
            Some(seconds) if seconds >= 0.0 => {
                let span = span(seconds.floor());
                let largest: Vec<&str> = span.split(' ').take(2).collect();
                format!("{} ago", largest.join(" "))
            }
            _ => self.on_day(moment, now, "%H:%M", "%Y-%m-%d %H:%M"),
        }
    }

    /// `15:04` of the answer's day, `2026-11-24 15:04` of another.
    pub(crate) fn until(&self, moment: &str, now: &str) -> String {
        self.on_day(moment, now, "%H:%M", "%Y-%m-%d %H:%M")
    }

    fn on_day(&self, moment: &str, now: &str, same: &str, other: &str) -> String {
        let zoned = |text: &str| text.parse::<Timestamp>().ok().map(|at| at.to_zoned(self.zone.clone()));
        match (zoned(moment), zoned(now)) {
            (Some(moment), Some(now)) if moment.date() == now.date() => moment.strftime(same).to_string(),
            (Some(moment), _) => moment.strftime(other).to_string(),
            (None, _) => moment.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_parts() {
        let spans = [0.0, 0.3, 9.94, 40.0, 40.7, 180.0, 7500.0, 7200.0, 532_800.0];
        let texts = ["0 s", "0.3 s", "9.9 s", "40 s", "40 s", "3 min", "2 h 5 min", "2 h", "6 d 4 h"];
        assert_eq!(spans.map(span), texts);
    }

    #[test]
    fn clocks_depend_on_the_day_of_the_answer() {
        let (look, now) = (Look::plain(), "2026-11-23T14:05:07Z");
        assert_eq!(look.clock("2026-11-23T14:02:11.5Z", now), "14:02:11");
        assert_eq!(look.clock("2026-11-22T14:02:11Z", now), "2026-11-22 14:02:11");
        assert_eq!(look.lately("2026-11-23T13:41:07Z", now), "13:41");
        assert_eq!(look.lately("2026-11-20T13:41:07Z", now), "3 d ago");
        assert_eq!(look.until("2026-11-24T13:41:07Z", now), "2026-11-24 13:41");
        assert_eq!(look.clock("nonsense", now), "nonsense");
        assert_eq!(of_millis(1_795_442_707_000), "2026-11-23T14:05:07Z");
    }
}
