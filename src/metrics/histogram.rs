//! Times in fixed classes, so that the counts of workers and runs can be summed.

use std::time::Duration;

use super::Counter;

/// The upper bounds of the classes, in microseconds: 0.5 ms to 30 s. One class more is for what is longer.
pub const BOUNDS_MICROS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 20_000_000, 30_000_000,
];

/// How many times fell into which class. One writer.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [Counter; BOUNDS_MICROS.len() + 1],
    /// The sum of all times.
    micros: Counter,
}

impl Histogram {
    /// Counts a time.
    pub fn count(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // Most are among the first, so this is as quick as halving.
        let class = BOUNDS_MICROS.iter().position(|bound| micros <= *bound);
        self.counts[class.unwrap_or(BOUNDS_MICROS.len())].add(1);
        self.micros.add(micros);
    }

    /// How many times fell into each class; the last is for those above all bounds.
    #[must_use]
    pub fn counts(&self) -> [u64; BOUNDS_MICROS.len() + 1] {
        self.counts.each_ref().map(Counter::get)
    }

    /// The sum of all times.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_at_a_bound_lies_below_it() {
        assert!(BOUNDS_MICROS.is_sorted());
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            histogram.count(Duration::from_micros(micros));
        }
        let counts = histogram.counts();
        assert_eq!(counts[..2], [2, 1]);
        assert_eq!(counts[15..], [1, 1]);
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!(histogram.sum(), Duration::from_micros(60_001_002));
    }
}
