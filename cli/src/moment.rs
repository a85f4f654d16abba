//! Moments as people type them: a time of day, a span ago, or RFC 3339.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// Since 1970-01-01T00:00:00Z.
    pub(crate) fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }
}

/// Reads a moment, by this machine's clock and time zone.
pub(crate) fn parse(text: &str) -> Result<Moment, String> {
    at(text, &Timestamp::now().to_zoned(TimeZone::system()))
}

fn at(text: &str, now: &Zoned) -> Result<Moment, String> {
    let wrong = || format!("'{text}' is not a moment; write it as 14:02, 30m (ago) or 2026-11-23T14:02:11Z");
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Moment(moment));
    }
    if let Ok(ago) = crate::span::parse(text) {
        return now.timestamp().checked_sub(ago).map(Moment).map_err(|_| wrong());
    }
    let time: Time =
        Some(text).filter(|text| text.contains(':')).and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let today = now.with().time(time).build().map_err(|_| wrong())?;
    // A time of day that is still to come was meant for yesterday.
    let meant = if today > *now { today.yesterday().map_err(|_| wrong())? } else { today };
    Ok(Moment(meant.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_ways() {
        let now: Timestamp = "2026-11-23T14:05:07Z".parse().expect("a moment");
        let now = now.to_zoned(TimeZone::UTC);
        for (text, moment) in [
            ("14:02", "2026-11-23T14:02:00Z"),
            ("14:02:11", "2026-11-23T14:02:11Z"),
            ("23:30", "2026-11-22T23:30:00Z"),
            ("30m", "2026-11-23T13:35:07Z"),
            ("2026-11-20T01:02:03Z", "2026-11-20T01:02:03Z"),
        ] {
            let wanted = Moment(moment.parse().expect("a moment"));
            assert_eq!(at(text, &now), Ok(wanted), "{text}");
        }
        for text in ["", "soon", "25:00", "14"] {
            assert!(at(text, &now).is_err(), "{text}");
        }
    }
}
