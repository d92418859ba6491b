//! The median of repeated measurements, and the range around it. Pure.

use serde::Serialize;

/// Median, lowest and highest of some values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Returns the spread of the values; `None` without values.
    pub(crate) fn from_values(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[half - 1], values[half])
        } else {
            values[half]
        };
        Some(Self { median, min, max })
    }
}

/// Returns the median of the values; `None` without values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    Spread::from_values(values).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_and_the_ends() {
        assert_eq!(Spread::from_values([]), None);
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::from_values([3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(Spread::from_values([9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
        assert_eq!(
            Spread::from_values([4.0, 1.0, 2.0, 9.0]),
            spread(3.0, 1.0, 9.0)
        );
    }
}
