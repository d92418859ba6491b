//! Ratios within a round. Pure.
//!
//! The speed of a machine drifts, but two peers in the same round saw the same machine. A ratio is
//! therefore taken within each round, and the median is a median of ratios, not a ratio of medians.

/// Round and value.
pub(crate) type RoundValue = (u32, f64);

/// Divides each value by the baseline's value of the same round. A round that lacks either is
/// ignored.
pub(crate) fn ratios(own: &[RoundValue], base: &[RoundValue]) -> Vec<f64> {
    own.iter()
        .filter_map(|(round, value)| {
            let (_, base) = base.iter().find(|(other, _)| other == round)?;
            (*base > 0.0).then(|| value / base)
        })
        .collect()
}

/// Rounds `rate` down to two significant digits, which are easy to repeat by hand.
pub(crate) fn round_down_to_two_digits(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 1.0);
    (rate / unit).floor() * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine halves its speed in round 2, and the ratios stay equal.
        let (own, base) = ([(1, 8.0), (2, 16.0), (3, 9.0)], [(1, 10.0), (2, 20.0)]);
        assert_eq!(ratios(&own, &base), [0.8, 0.8]);
        assert_eq!(ratios(&own, &[(1, 0.0)]), [0.0; 0]);
    }

    #[test]
    fn rates_are_rounded_down_to_two_digits() {
        for (rate, rounded) in [(26_789.0, 26_000.0), (99.9, 99.0), (7.25, 7.2)] {
            assert!(
                (round_down_to_two_digits(rate) - rounded).abs() < 1e-6,
                "{rate}"
            );
        }
    }
}
