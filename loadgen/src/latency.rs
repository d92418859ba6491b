//! Latency histogram. Its memory does not grow with the number of values, and quantiles are exact
//! to three digits (HdrHistogram).

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::float::as_f64;

/// Highest latency that is distinguished, in nanoseconds, and the number of significant digits.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Smallest factor between two points of a curve: the 200th root of ten.
const CURVE_STEP: f64 = 1.0116;

/// Latencies of one load.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Returns an empty histogram.
    ///
    /// # Errors
    /// The bounds are invalid, which a test would find.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY_NS, LATENCY_DIGITS)?;
        Ok(Self(histogram))
    }

    /// Records a latency. Latencies above the highest count as the highest.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// Removes all values.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns `true` without values.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns points of the cumulative distribution, at most 200 in a factor of ten: a latency,
    /// and the share of the values that did not exceed it.
    pub(crate) fn cumulative(&self) -> Vec<(Duration, f64)> {
        let mut points: Vec<(Duration, f64)> = Vec::new();
        let (mut sum, mut last) = (0, 0);
        for value in self.0.iter_recorded() {
            sum += value.count_since_last_iteration();
            let nanos = value.value_iterated_to();
            let is_last = sum == self.0.len();
            if is_last || as_f64(nanos) > as_f64(last) * CURVE_STEP {
                points.push((
                    Duration::from_nanos(nanos),
                    as_f64(sum) / as_f64(self.0.len()),
                ));
                last = nanos;
            }
        }
        points
    }

    /// Mean latency; 0 without values.
    pub(crate) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }

    /// Shortest latency; 0 without values.
    pub(crate) fn min(&self) -> Duration {
        Duration::from_nanos(self.0.min())
    }

    /// Returns the number of values in each bucket, with the bucket's highest latency. The bounds
    /// are 1, 2 and 5 times a power of ten, from the bucket of the shortest value to that of the
    /// longest.
    pub(crate) fn buckets(&self) -> Vec<(Duration, u64)> {
        let mut buckets: Vec<(Duration, u64)> = Vec::new();
        let mut bounds = bucket_bounds();
        for value in self.0.iter_recorded() {
            // The whole bin counts below a bound that it contains.
            let nanos = self.0.lowest_equivalent(value.value_iterated_to());
            let latency = Duration::from_nanos(nanos);
            while buckets.last().is_none_or(|(bound, _)| *bound < latency) {
                let Some(bound) = bounds.next() else { break };
                if bound >= latency || !buckets.is_empty() {
                    buckets.push((bound, 0));
                }
            }
            if let Some((_, count)) = buckets.last_mut() {
                *count += value.count_since_last_iteration();
            }
        }
        buckets
    }

    /// Returns the latency that the share `quantile` of the values did not exceed; 0 without
    /// values.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }
}

/// Bounds of the buckets, from 1 µs to 100 s.
fn bucket_bounds() -> impl Iterator<Item = Duration> {
    let powers = (0..8).map(|power| 10_u64.pow(power));
    let bounds = powers.flat_map(|power| [1, 2, 5].map(|factor| factor * power));
    bounds
        .map(Duration::from_micros)
        .chain([Duration::from_secs(100)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bucket() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.buckets(), []);
        // 1, 2 and 5 ms are bounds, and belong to the bucket below. Nothing is between 2 and 5 ms.
        for micros in [900, 1_000, 1_100, 2_000, 7_000, 9_000] {
            latencies.record(Duration::from_micros(micros));
        }
        let ms = Duration::from_millis;
        let expected = [(ms(1), 2), (ms(2), 2), (ms(5), 0), (ms(10), 2)];
        assert_eq!(latencies.buckets(), expected);
        assert_eq!(latencies.min().as_micros(), 899);
        assert!(latencies.mean().as_micros().abs_diff(3_500) < 5);
        latencies.record(Duration::from_secs(1_000_000));
        assert_eq!(latencies.buckets().last(), Some(&(ms(100_000), 1)));
    }

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        for micros in 1..=1_000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (quantile, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            let off = latencies.quantile(quantile).as_secs_f64() * 1e6 / micros - 1.0;
            assert!(off.abs() < 0.001, "{quantile}: {off}");
        }
    }

    #[test]
    fn the_cumulative_distribution_ends_at_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.cumulative(), []);
        for micros in 1..=10_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let points = latencies.cumulative();
        assert!((200..850).contains(&points.len()), "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0] < pair[1]));
        let half = points
            .iter()
            .find(|point| point.0.as_micros() >= 5_000)
            .unwrap();
        assert!((half.1 - 0.5).abs() < 0.01, "{half:?}");
        assert_eq!(points.last().unwrap().1, 1.0);
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_secs(1_000_000));
        assert!(latencies.quantile(1.0) >= Duration::from_secs(60));
    }
}
