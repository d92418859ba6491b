//! Figures as text for the terminal: bars, shares, grouped numbers, durations. Pure.
//!
//! Bars are drawn in eighths of a character, so that 33.9 % and 33.3 % differ visibly. The text has
//! no colour and does not depend on the terminal, so it looks the same in a file.

use std::time::Duration;

use crate::float::as_f64;

/// Eighths of a character cell, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Number of characters of the longest bar.
pub(crate) const MAX_BAR_CHARS: u64 = 40;

/// Bar for `count`; `longest` fills `width` characters. Any count above 0 is visible.
pub(crate) fn bar(count: u64, longest: u64, width: u64) -> String {
    if count == 0 || longest == 0 {
        return String::new();
    }
    let scaled = u128::from(count) * u128::from(width * 8) / u128::from(longest);
    let eighths = usize::try_from(scaled).unwrap_or_default().max(1);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[part]);
    }
    bar
}

/// Share of a whole: `33.9 %`; `0.0 %` if the whole is 0.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * as_f64(part) / as_f64(whole.max(1)))
}

/// Number with grouped thousands: `12,345`.
pub(crate) fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Number and noun: `1 server`, `2 servers`.
pub(crate) fn count_noun(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", group_thousands(count))
}

/// Duration with three significant digits and a unit: `850 µs`, `12.3 ms`, `1.20 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        ..1e3 => return format!("{micros:.0} µs"),
        ..1e6 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}"),
        ..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Duration that is a round number of a unit: `500 µs`, `2 ms`, `10 s`.
pub(crate) fn bound(duration: Duration) -> String {
    let micros = duration.as_micros();
    match (micros / 1_000_000, micros / 1_000) {
        (0, 0) => format!("{micros} µs"),
        (0, millis) => format!("{millis} ms"),
        (seconds, _) => format!("{seconds} s"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Asserts that `text` contains `part`.
    #[track_caller]
    pub(crate) fn assert_contains(text: &str, part: &str) {
        assert!(text.contains(part), "no {part:?} in {text}");
    }

    #[test]
    fn bar_lengths_are_proportional() {
        let cases = [
            (0, 10, ""),
            (10, 10, "████"),
            (5, 10, "██"),
            (1, 16, "▎"),
            (1, 1_000_000, "▏"),
            (9, 16, "██▎"),
            (0, 0, ""),
        ];
        for (count, longest, expected) in cases {
            assert_eq!(bar(count, longest, 4), expected, "{count}/{longest}");
        }
        assert_eq!(bar(u64::MAX, u64::MAX, 40).chars().count(), 40);
    }

    #[test]
    fn numbers_are_grouped() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ];
        for (number, text) in cases {
            assert_eq!(group_thousands(number), text);
        }
    }

    #[test]
    fn shares_and_durations() {
        assert_eq!(
            (share(1, 3), share(0, 0)),
            ("33.3 %".into(), "0.0 %".into())
        );
        let cases = [
            (850, "850 µs"),
            (1_234, "1.23 ms"),
            (12_345, "12.3 ms"),
            (123_456, "123 ms"),
            (1_200_000, "1.20 s"),
        ];
        for (micros, text) in cases {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }
}
