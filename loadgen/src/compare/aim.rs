//! Aims of the figures. An aim is met only if the worst round meets it. Pure.

use crate::spread::Spread;

/// Highest value of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Aim(pub(crate) f64);

impl Aim {
    /// Returns `true` if the worst round, and so the median, meets the aim.
    pub(crate) fn is_met(self, spread: Spread) -> bool {
        spread.max <= self.0
    }

    /// Aim and verdict for a table, with the unit.
    pub(crate) fn verdict(self, spread: Spread, unit: &str) -> String {
        let verdict = match self.is_met(spread) {
            true => "met",
            false if spread.median <= self.0 => "missed by the worst round",
            false => "missed",
        };
        format!("{}{unit}: {verdict}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_by_the_worst_round_too() {
        let spread = |values: [f64; 3]| Spread::from_values(values).unwrap();
        let aim = Aim(0.8);
        for (values, verdict) in [
            ([0.7, 0.75, 0.8], "0.8: met"),
            ([0.7, 0.75, 0.81], "0.8: missed by the worst round"),
            ([0.7, 0.81, 0.9], "0.8: missed"),
        ] {
            assert_eq!(aim.verdict(spread(values), ""), verdict);
        }
    }
}
