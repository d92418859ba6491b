//! Histograms with fixed classes, so that the counts of workers, replicas and seconds can be summed
//! and subtracted.
//!
//! There are ten classes per decade (the preferred numbers of ISO 3, R10), so a quantile derived
//! from them is less than 30 % off, and mostly much less. Every 1, 2.5 and 5 is among the bounds:
//! coarser classes made of them stay exact.

use std::time::Duration;

use super::Counter;

/// Class bounds of one decade.
const STEPS: [u64; 10] = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800];
/// Index of the first bound within a decade.
const FIRST_STEP: usize = 7;

/// Upper bounds of the classes, in microseconds: 0.05 ms to 50 s. One more class holds longer
/// times.
pub const BOUNDS_MICROS: [u64; 61] = bounds();

/// Number of classes.
const CLASSES: usize = BOUNDS_MICROS.len() + 1;

const fn bounds() -> [u64; 61] {
    let mut bounds = [0; 61];
    let (mut at, mut tens) = (0, 1);
    while at < bounds.len() {
        bounds[at] = STEPS[(at + FIRST_STEP) % STEPS.len()] * tens / 10;
        at += 1;
        if (at + FIRST_STEP).is_multiple_of(STEPS.len()) {
            tens *= 10;
        }
    }
    bounds
}

/// Number of times in each class. One writer.
#[derive(Debug)]
pub struct Histogram {
    /// Sum of all times.
    micros: Counter,
    counts: [Counter; CLASSES],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            micros: Counter::default(),
            counts: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.counts[class].add(1);
        self.micros.add(micros);
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn read(&self) -> HistogramSnapshot {
        // The sum first: times observed in between are missing from the sum, and not from the
        // classes.
        let micros = self.micros.get();
        HistogramSnapshot {
            micros,
            counts: self.counts.each_ref().map(Counter::get),
        }
    }
}

/// Counts of a histogram at one moment, or their increase between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    micros: u64,
    counts: [u64; CLASSES],
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self {
            micros: 0,
            counts: [0; CLASSES],
        }
    }
}

impl HistogramSnapshot {
    /// Adds the counts of another writer.
    pub fn add(&mut self, other: &Self) {
        self.micros = self.micros.wrapping_add(other.micros);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    /// Returns the increase since `before`, an earlier snapshot of the same histograms.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut gained = *self;
        gained.micros = gained.micros.saturating_sub(before.micros);
        for (count, less) in gained.counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(less);
        }
        gained
    }

    /// Returns the number of times.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of the times.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// Returns the number of times at or below each of these `bounds`, in microseconds. They must
    /// be ascending and among [`BOUNDS_MICROS`].
    pub fn at_most<'a>(&'a self, bounds: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        let (mut class, mut below) = (0, 0);
        bounds.iter().map(move |bound| {
            while BOUNDS_MICROS.get(class).is_some_and(|edge| edge <= bound) {
                below += self.counts[class];
                class += 1;
            }
            below
        })
    }

    /// Returns the quantile `q`, from 0 to 1, to the precision of the classes.
    ///
    /// Within a class, times are assumed to be spread evenly. Times above all bounds count as the
    /// highest bound. `None` without times.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let all = self.count();
        if all == 0 {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * all as f64).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        for (class, count) in self.counts.iter().enumerate() {
            let count = *count as f64;
            if below + count >= rank {
                let low = class.checked_sub(1).map_or(0, |under| BOUNDS_MICROS[under]);
                let high = BOUNDS_MICROS.get(class).copied().unwrap_or(low);
                let micros = low as f64 + (high - low) as f64 * (rank - below) / count;
                return Some(Duration::from_secs_f64(micros / 1e6));
            }
            below += count;
        }
        BOUNDS_MICROS.last().copied().map(Duration::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(micros: &[u64]) -> HistogramSnapshot {
        let histogram = Histogram::default();
        for micros in micros {
            histogram.observe(Duration::from_micros(*micros));
        }
        histogram.read()
    }

    fn at_most(times: &HistogramSnapshot, bounds: &[u64]) -> Vec<u64> {
        times.at_most(bounds).collect()
    }

    #[test]
    fn bounds_are_preferred_numbers() {
        assert!(BOUNDS_MICROS.is_sorted());
        assert_eq!(BOUNDS_MICROS[..6], [50, 63, 80, 100, 125, 160]);
        assert_eq!(BOUNDS_MICROS[12..15], [800, 1_000, 1_250]);
        assert_eq!(BOUNDS_MICROS[60], 50_000_000);
        for decade in [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
            for step in [decade, decade * 5 / 2, decade * 5] {
                assert!(BOUNDS_MICROS.contains(&step), "{step}");
            }
        }
    }

    #[test]
    fn a_time_at_a_bound_belongs_to_the_class_below() {
        let times = times(&[0, 50, 51, 50_000_000, 50_000_001]);
        assert_eq!(times.counts[..3], [2, 1, 0]);
        assert_eq!(times.counts[60..], [1, 1]);
        assert_eq!(times.count(), 5);
        assert_eq!(times.sum(), Duration::from_micros(100_000_102));
    }

    #[test]
    fn coarser_classes_stay_exact() {
        let times = times(&[100, 101, 250, 251, 60_000_000]);
        let bounds = [100, 250, 50_000_000];
        assert_eq!(at_most(&times, &bounds), [1, 3, 4]);
        assert_eq!(at_most(&times, &[]), [0; 0]);
    }

    #[test]
    fn snapshots_are_summed_and_subtracted() {
        let (before, after) = (times(&[70, 90]), times(&[70, 90, 90, 300]));
        let gained = after.since(&before);
        assert_eq!(gained, times(&[90, 300]));
        let mut sum = before;
        sum.add(&gained);
        assert_eq!(sum, after);
        assert_eq!(before.since(&after), HistogramSnapshot::default());
    }

    #[test]
    fn quantiles_are_interpolated_within_a_class() {
        assert_eq!(HistogramSnapshot::default().quantile(0.5), None);
        let even = times(&[101; 100]);
        let (median, most) = (even.quantile(0.5), even.quantile(1.0));
        assert_eq!(median, Some(Duration::from_nanos(112_500)));
        assert_eq!(most, Some(Duration::from_micros(125)));
        assert!(even.quantile(0.0).unwrap() >= Duration::from_micros(100));
        let longest = times(&[60_000_000]).quantile(0.99);
        assert_eq!(longest, Some(Duration::from_secs(50)));
    }

    proptest! {
        #[test]
        fn a_quantile_is_at_most_one_class_off(
            mut all in prop::collection::vec(51u64..50_000_000, 1..200),
            q in 0.0..=1.0f64,
        ) {
            let estimate = times(&all).quantile(q).unwrap().as_secs_f64() * 1e6;
            all.sort_unstable();
            let mut rank = 1;
            while (rank as f64) < q * all.len() as f64 {
                rank += 1;
            }
            let exact = all[rank - 1] as f64;
            prop_assert!(estimate <= exact * 1.3 && estimate >= exact / 1.3, "{estimate} for {exact}");
        }
    }
}
