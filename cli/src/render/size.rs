//! Numbers, bytes and ratios for people.

/// `4,118`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `812 B`, `1.2 MB`, `212 MB`: powers of a thousand, two or three figures.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64;
    for unit in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        value /= 1000.0;
        if value < 9.95 {
            return format!("{value:.1} {unit}");
        }
        if value < 999.5 || unit == "EB" {
            return format!("{value:.0} {unit}");
        }
    }
    format!("{number} B")
}

/// `31 %` of 0.31, or `-`.
pub(crate) fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0))
}

/// `13.2 %` of 0.132.
pub(crate) fn share(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

/// `1 item`, `4 items`
pub(crate) fn of_things(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 812, 1204, 13_600, 212_000_000, 999_600, 9_960, u64::MAX].map(bytes),
            ["0 B", "812 B", "1.2 kB", "14 kB", "212 MB", "1.0 MB", "10 kB", "18 EB"]
        );
        assert_eq!([Some(0.314), None].map(percent), ["31 %", "-"]);
        assert_eq!(of_things(1, "item") + &of_things(2, "item"), "1 item2 items");
    }
}
