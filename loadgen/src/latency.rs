//! Latency histogram. Its memory does not grow with the number of values, and quantiles are exact
//! to three digits (HdrHistogram).

use std::time::Duration;

use hdrhistogram::Histogram;

/// Highest latency that is distinguished, in nanoseconds, and the number of significant digits.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
const LATENCY_DIGITS: u8 = 3;

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

    /// Returns the latency that the share `quantile` of the values did not exceed; 0 without
    /// values.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_latency_beyond_all_bounds_is_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_secs(1_000_000));
        assert!(latencies.quantile(1.0) >= Duration::from_secs(60));
    }
}
