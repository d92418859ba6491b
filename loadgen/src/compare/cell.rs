//! Values in the cells of tables. Pure.

use std::time::Duration;

use crate::spread::Spread;
use crate::text::duration;

/// Text of a missing value.
pub(super) const MISSING: &str = "-";

/// Range of the rounds, to follow the median.
pub(super) fn format_spread(spread: Spread) -> String {
    format!(" ({:.2}-{:.2})", spread.min, spread.max)
}

/// Text, or the sign of a missing value.
pub(super) fn or_missing(text: Option<String>) -> String {
    text.unwrap_or_else(|| MISSING.to_owned())
}

/// Microseconds with a fitting unit.
pub(crate) fn format_micros(micros: f64) -> String {
    if micros < 1e3 {
        return format!("{} µs", three_digits(micros));
    }
    duration(Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default())
}

/// Number with three digits, if it has no more before its point.
pub(super) fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [8.123, 81.23, 812.3, 4_477.0].map(format_micros),
            ["8.12 µs", "81.2 µs", "812 µs", "4.48 ms"]
        );
    }
}
