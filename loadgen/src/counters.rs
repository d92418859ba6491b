//! Counters of a running load: answers per server, failures by kind, and latencies.
//!
//! Only answered requests have a latency: a refused request would be the fastest of all. Memory
//! does not grow with the number of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::float::as_f64;
use crate::latency::Latencies;
use crate::outcome::{Failure, Server};
use crate::timeline::Timeline;

/// Counters of one load.
#[derive(Debug)]
pub(crate) struct Counters {
    answered: u64,
    by_server: BTreeMap<Server, u64>,
    failures: BTreeMap<Failure, u64>,
    /// Latencies of answered requests.
    latencies: Latencies,
    /// Times of the answers, if requested.
    timeline: Option<Timeline>,
}

impl Counters {
    /// Returns counters at zero.
    ///
    /// # Errors
    /// The latency bounds are invalid, which a test would find.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            answered: 0,
            by_server: BTreeMap::new(),
            failures: BTreeMap::new(),
            latencies: Latencies::new()?,
            timeline: None,
        })
    }

    /// Returns counters at zero that also record a timeline, for a load of this rate.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub(crate) fn with_timeline(per_second: f64) -> anyhow::Result<Self> {
        let timeline = Some(Timeline::start(per_second)?);
        Ok(Self {
            timeline,
            ..Self::new()?
        })
    }

    /// Times of the answers, if requested.
    pub(crate) fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }

    /// Counts one request that took `latency`.
    pub(crate) fn add(&mut self, outcome: Result<Option<Server>, Failure>, latency: Duration) {
        if let Some(timeline) = &mut self.timeline {
            timeline.record(outcome.ok(), latency);
        }
        match outcome {
            Ok(server) => {
                self.answered += 1;
                self.latencies.record(latency);
                if let Some(server) = server {
                    *self.by_server.entry(server).or_default() += 1;
                }
            }
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }

    /// Number of requests answered as expected.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Number of failed requests.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Number of requests that were answered or failed.
    pub(crate) fn done(&self) -> u64 {
        self.answered + self.failed()
    }

    /// Answers per server number.
    pub(crate) fn by_server(&self) -> &BTreeMap<Server, u64> {
        &self.by_server
    }

    /// Failures by kind.
    pub(crate) fn failures(&self) -> &BTreeMap<Failure, u64> {
        &self.failures
    }

    /// Returns the latency that the share `quantile` of the answered requests did not exceed.
    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        self.latencies.quantile(quantile)
    }

    /// Latencies of answered requests.
    pub(crate) fn latencies(&self) -> &Latencies {
        &self.latencies
    }
}

/// Returns the largest count divided by the mean; `None` if all counts are 0.
pub(crate) fn max_to_mean(counts: &[u64]) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let max = counts.iter().max()?;
    (total > 0).then(|| as_f64(*max) * as_f64(counts.len() as u64) / as_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once() {
        let mut counters = Counters::new().unwrap();
        let ms = Duration::from_millis;
        counters.add(Ok(Some(2)), ms(1));
        counters.add(Ok(Some(2)), ms(3));
        counters.add(Ok(None), ms(2));
        counters.add(Err(Failure::Status(503)), ms(9_000));
        counters.add(Err(Failure::Refused), ms(9_000));
        assert_eq!((counters.answered(), counters.failed()), (3, 2));
        assert_eq!(counters.by_server(), &BTreeMap::from([(2, 2)]));
        let failures = BTreeMap::from([(Failure::Status(503), 1), (Failure::Refused, 1)]);
        assert_eq!(counters.failures(), &failures);
        assert_eq!(counters.latency(0.5).as_millis(), 2);
        assert_eq!(counters.latency(1.0).as_millis(), 3);
    }

    #[test]
    fn the_largest_share_against_the_mean() {
        assert_eq!(max_to_mean(&[]), None);
        assert_eq!(max_to_mean(&[0, 0]), None);
        assert_eq!(max_to_mean(&[5, 5, 5]), Some(1.0));
        assert_eq!(max_to_mean(&[9, 3, 0]), Some(2.25));
    }
}
