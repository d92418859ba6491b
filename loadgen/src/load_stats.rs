//! Counts of one load on N servers, and statistics of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::counters::max_to_mean;
use crate::float::as_f64;
use crate::outcome::Server;
use crate::text_report::LoadReport;

/// Counts of one load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoadPoint {
    pub(crate) n: u64,
    pub(crate) seed: u64,
    /// Answers of each expected server.
    pub(crate) answers: BTreeMap<Server, u64>,
    /// Answers that name a server that does not exist.
    #[serde(rename = "lies")]
    pub(crate) unknown_server: u64,
    /// Failures by kind.
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
}

impl LoadPoint {
    /// Returns the counts of a finished load on these servers.
    pub(crate) fn from_report(report: &LoadReport, servers: &BTreeSet<Server>) -> Self {
        let by_server = report.counters.by_server();
        let count = |server: &Server| (*server, by_server.get(server).copied().unwrap_or_default());
        let unknown_server = by_server
            .iter()
            .filter(|(server, _)| !servers.contains(server));
        let failures = report.counters.failures().iter();
        Self {
            n: servers.len() as u64,
            seed: report.load.seed,
            answers: servers.iter().map(count).collect(),
            unknown_server: unknown_server.map(|(_, count)| count).sum(),
            failed: failures
                .map(|(kind, count)| (kind.to_string(), *count))
                .collect(),
            seconds: report.took.as_secs_f64(),
        }
    }

    /// Number of requests that failed or were answered by an unknown server.
    pub(crate) fn wrong(&self) -> u64 {
        self.unknown_server + self.failed.values().sum::<u64>()
    }

    /// Answers per server, in order.
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.answers.values().copied().collect()
    }

    /// Largest count divided by the mean; 1 if all counts are 0.
    pub(crate) fn ratio(&self) -> f64 {
        max_to_mean(&self.counts()).unwrap_or(1.0)
    }

    /// Mean of the answers per server.
    pub(crate) fn mean(&self) -> f64 {
        let counts = self.counts();
        as_f64(counts.iter().sum()) / as_f64(counts.len().max(1) as u64)
    }

    /// Coefficient of variation: standard deviation of the counts divided by their mean.
    pub(crate) fn variation(&self) -> f64 {
        let (mean, counts) = (self.mean(), self.counts());
        let squares: f64 = counts
            .iter()
            .map(|count| (as_f64(*count) - mean).powi(2))
            .sum();
        let deviation = (squares / as_f64(counts.len().max(1) as u64)).sqrt();
        if mean > 0.0 { deviation / mean } else { 0.0 }
    }
}

/// Sentence about failures and unknown servers; empty if there were none.
pub(crate) fn failure_summary(points: &[LoadPoint]) -> String {
    let unknown_server: u64 = points.iter().map(|point| point.unknown_server).sum();
    let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in points.iter().flat_map(|point| &point.failed) {
        *failed.entry(kind).or_default() += count;
    }
    let mut parts: Vec<String> = Vec::new();
    if unknown_server > 0 {
        parts.push(format!("{unknown_server} answers name an unknown server"));
    }
    parts.extend(failed.iter().map(|(kind, count)| format!("{count} {kind}")));
    if parts.is_empty() {
        return String::new();
    }
    format!("not answered as expected: {}\n", parts.join(", "))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::text_report::tests::sample_report;

    /// A load with these answers of servers 1, 2, …
    pub(crate) fn point(counts: &[u64]) -> LoadPoint {
        let servers: Vec<(u64, u64)> = (1..).zip(counts.iter().copied()).collect();
        LoadPoint::from_report(
            &sample_report(&servers, false),
            &servers.iter().map(|pair| pair.0).collect(),
        )
    }

    #[test]
    fn ratios_and_variation_are_computed() {
        let point = point(&[90, 110]);
        assert_eq!((point.mean(), point.ratio(), point.n), (100.0, 1.1, 2));
        assert!((point.variation() - 0.1).abs() < 1e-9);
        assert_eq!(
            (point.wrong(), failure_summary(&[point])),
            (0, String::new())
        );
    }

    #[test]
    fn answers_of_unknown_servers_are_failures() {
        let point = LoadPoint::from_report(
            &sample_report(&[(1, 5), (9, 2)], true),
            &BTreeSet::from([1, 2]),
        );
        assert_eq!(
            (point.unknown_server, point.wrong(), point.counts()),
            (2, 3, vec![5, 0])
        );
        assert_eq!(
            failure_summary(&[point.clone(), point]),
            "not answered as expected: 4 answers name an unknown server, 2 status 503\n"
        );
    }
}
