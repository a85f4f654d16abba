//! Times and batches as people type them: `500ms`, `30s`, `15m`, `1h`, `7d`; `2`, `25%`.

use std::time::Duration;

use althing_protocol::rollout::Batch;

/// Reads a time; several may follow each other, as in `1h30m`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a time; write it as 500ms, 30s, 15m, 1h30m or 7d");
    let (mut rest, mut total) = (text.trim(), Duration::ZERO);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let milliseconds = match unit.trim() {
            "ms" => 1,
            "s" | "sec" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let span = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(span).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(total)
}

/// Reads a batch: a number of members, or a share of them.
pub(crate) fn batch(text: &str) -> Result<Batch, String> {
    let wrong = || format!("'{text}' is not a batch; write it as a number of members, or as a share: 2, 25%");
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong());
    let batch = match text.trim().strip_suffix('%') {
        Some(percent) => Batch::Percent(number(percent)?),
        None => Batch::Members(number(text.trim())?),
    };
    if batch.is_sensible() { Ok(batch) } else { Err(wrong()) }
}

/// Splits an example of a help text into words, as a shell does with plain double quotes.
#[cfg(test)]
pub(crate) fn words(line: &str) -> Vec<String> {
    let pieces = line.trim().split('"').enumerate();
    pieces
        .flat_map(|(at, piece)| {
            let quoted = at % 2 == 1;
            if quoted {
                vec![piece.to_owned()]
            } else {
                piece.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_read() {
        assert_eq!(batch("2"), Ok(Batch::Members(2)));
        assert_eq!(batch("25%"), Ok(Batch::Percent(25)));
        for text in ["", "0", "0%", "101%", "-1", "a", "1.5", "%"] {
            assert!(batch(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read() {
        for (text, milliseconds) in
            [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "30", "s", "1x", "-1s", "1.5h", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
