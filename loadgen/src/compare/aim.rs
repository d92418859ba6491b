//! Aims of the figures. An aim is met only if the worst round meets it. Pure.

use super::memory_row::MemoryRow;
use super::scenario::Scenario;
use crate::spread::Spread;

/// Highest value of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Aim(pub(crate) f64);

impl Aim {
    /// CPU per request of ringmaster, as a ratio to the baseline.
    pub(crate) fn cpu_ratio(scenario: &str) -> Option<Self> {
        let aims = [
            (Scenario::Small, 0.78),
            (Scenario::Close, 0.68),
            (Scenario::Body1MiB, 0.60),
            (Scenario::Body16MiB, 0.75),
            (Scenario::Chunks, 1.0),
            (Scenario::Connections, 0.90),
            (Scenario::Backends, 0.90),
            (Scenario::Workers, 0.90),
            (Scenario::Observed, 0.90),
        ];
        let mut aims = aims.into_iter();
        aims.find(|(aimed, _)| aimed.name() == scenario)
            .map(|(_, aim)| Self(aim))
    }

    /// CPU per request in the last setting of a scenario, as a ratio to its first setting.
    pub(crate) fn growth(scenario: &str) -> Option<Self> {
        (scenario == Scenario::Backends.name()).then_some(Self(1.1))
    }

    /// Memory of ringmaster for each connection, in KiB.
    pub(crate) fn kib_per_connection(row: MemoryRow) -> Option<Self> {
        Some(Self(match row {
            MemoryRow::Idle => 0.9,
            MemoryRow::Waiting => 6.0,
            MemoryRow::StuckUploads => 16.0,
            MemoryRow::SlowUploads => 20.0,
            MemoryRow::SlowReaders | MemoryRow::SlowChunks => 25.0,
            MemoryRow::Burst => 2.0,
            MemoryRow::Rounds => return None,
        }))
    }

    /// Memory of ringmaster in all, in MiB.
    pub(crate) fn mib_in_all(row: MemoryRow) -> Option<Self> {
        matches!(row, MemoryRow::Waiting | MemoryRow::Rounds).then_some(Self(60.0))
    }

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

    #[test]
    fn aims_belong_to_scenarios() {
        assert_eq!(Aim::cpu_ratio("small"), Some(Aim(0.78)));
        assert_eq!(Aim::cpu_ratio("16k"), None);
        assert_eq!(Aim::growth("backends"), Some(Aim(1.1)));
        assert_eq!(Aim::growth("connections"), None);
    }
}
