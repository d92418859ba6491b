//! Report of one load as text for the terminal. Pure.
//!
//! The summary is shared by all experiments. Each experiment has its own table; the table of
//! `loadgen run` is here.

use std::time::Duration;

use crate::arrivals::Rate;
use crate::counters::{Counters, max_to_mean};
use crate::float::{as_f64, round_u64};
use crate::load::Load;
use crate::request::Method;
use crate::text::{MAX_BAR_CHARS, bar, count_noun, duration, group_thousands, share};

/// A finished load.
#[derive(Debug)]
pub(crate) struct LoadReport {
    pub(crate) method: Method,
    /// Scheme, host, port and path.
    pub(crate) url: String,
    pub(crate) load: Load,
    pub(crate) took: Duration,
    /// A signal ended the load early.
    pub(crate) interrupted: bool,
    pub(crate) counters: Counters,
}

impl LoadReport {
    /// Returns `true` if every request of the load was sent and answered as expected.
    pub(crate) fn is_clean(&self) -> bool {
        let answered = self.counters.answered();
        let all_sent = self.load.duration.is_some() || answered == self.load.requests;
        !self.interrupted && self.counters.failed() == 0 && answered > 0 && all_sent
    }

    /// Requests that were answered or failed, per second.
    pub(crate) fn per_second(&self) -> f64 {
        as_f64(self.counters.done()) / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Requests, duration, latencies, and failures by kind.
    pub(crate) fn summary(&self) -> String {
        let Self { load, counters, .. } = self;
        let size = match load.duration {
            Some(time) if load.is_counted => format!(
                "{} of at most {}",
                humantime::format_duration(time),
                group_thousands(load.requests)
            ),
            Some(time) => format!("{} of", humantime::format_duration(time)),
            None => group_thousands(load.requests),
        };
        let method = match self.method == Method::get() {
            true => String::new(),
            false => format!("{} ", self.method),
        };
        let mut text = format!(
            "{size} {method}requests to {} over {}{}, seed {}\n",
            self.url,
            count_noun(load.connections(), "connection"),
            load.rate.map(at).unwrap_or_default(),
            load.seed,
        );
        let done = counters.done();
        if self.interrupted {
            text += &format!("interrupted after {} requests\n", group_thousands(done));
        }
        text += &format!(
            "took {}: {} requests/s; {} answered, {} failed\n",
            duration(self.took),
            group_thousands(round_u64(self.per_second())),
            group_thousands(counters.answered()),
            group_thousands(counters.failed()),
        );
        text += &self.latencies();
        text += &self.failures();
        text
    }

    /// Latencies of answered requests. At a fixed rate they count from the due time.
    fn latencies(&self) -> String {
        if self.counters.answered() == 0 {
            return String::new();
        }
        let at = |quantile| duration(self.counters.latency(quantile));
        let from = match self.load.rate {
            Some(_) => ", from when each was due",
            None => "",
        };
        let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
        format!("latency of the answered{from}: p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}\n")
    }

    fn failures(&self) -> String {
        let failures = self.counters.failures();
        if failures.is_empty() {
            return String::new();
        }
        let mut text = "\nfailed\n".to_owned();
        for (failure, count) in failures {
            text += &format!(
                "  {:<14}{:>12}\n",
                failure.to_string(),
                group_thousands(*count)
            );
        }
        text
    }

    /// Answers per server with bars, and the largest count against the mean.
    pub(crate) fn servers(&self) -> String {
        let counters = &self.counters;
        let by_server = counters.by_server();
        let counts: Vec<u64> = by_server.values().copied().collect();
        let Some(ratio) = max_to_mean(&counts) else {
            return String::new();
        };
        let longest = counts.iter().copied().max().unwrap_or_default();
        let mut text = "\nserver     answers    share\n".to_owned();
        for (server, count) in by_server {
            text += &format!(
                "{server:>6}{:>12}{:>9}  {}\n",
                group_thousands(*count),
                share(*count, counters.answered()),
                bar(*count, longest, MAX_BAR_CHARS),
            );
        }
        let servers = count_noun(counts.len() as u64, "server");
        text + &format!("max/mean {ratio:.3} over {servers}\n")
    }
}

/// The rate in a sentence: ` at 500 requests/s`.
fn at(rate: Rate) -> String {
    format!(" at {} requests/s", rate.per_second())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::outcome::Failure;
    use crate::text::tests::assert_contains;

    /// A report with the given (server, answers) pairs, and one 503 if `failing`.
    pub(crate) fn sample_report(servers: &[(u64, u64)], failing: bool) -> LoadReport {
        let mut counters = Counters::new().unwrap();
        let ms = Duration::from_millis(2);
        for &(server, answers) in servers {
            (0..answers).for_each(|_| counters.add(Ok(Some(server)), ms));
        }
        if failing {
            counters.add(Err(Failure::Status(503)), ms);
        }
        LoadReport {
            method: Method::get(),
            url: "http://a/home".into(),
            load: Load {
                requests: counters.answered() + counters.failed(),
                is_counted: true,
                duration: None,
                concurrency: 100,
                rate: None,
                seed: 7,
            },
            took: Duration::from_millis(500),
            interrupted: false,
            counters,
        }
    }

    #[test]
    fn a_clean_run_is_reported() {
        let report = sample_report(&[(1, 1_500), (2, 500)], false);
        assert!(report.is_clean());
        assert_eq!(
            report.summary(),
            "2,000 requests to http://a/home over 100 connections, seed 7\n\
             took 500 ms: 4,000 requests/s; 2,000 answered, 0 failed\n\
             latency of the answered: p50 2.00 ms, p99 2.00 ms, p99.9 2.00 ms, max 2.00 ms\n"
        );
        let full = "█".repeat(40);
        let third = "█".repeat(13) + "▎";
        assert_eq!(
            report.servers(),
            format!(
                "\nserver     answers    share\n     1       1,500   75.0 %  {full}\n     2         500   25.0 %  {third}\n\
                 max/mean 1.500 over 2 servers\n"
            )
        );
    }

    #[test]
    fn at_a_rate_latencies_count_from_when_a_request_was_due() {
        let mut report = sample_report(&[(1, 1)], false);
        report.load.rate = Rate::new(500.0);
        let summary = report.summary();
        assert!(summary.contains(" over 1 connection at 500 requests/s, seed 7\n"));
        assert!(summary.contains(", from when each was due: p50 2.00 ms, p99 2.00 ms, p99.9 2.00"));
    }

    #[test]
    fn a_load_of_a_duration_is_clean_with_any_number_of_answers() {
        let mut report = sample_report(&[(1, 3)], false);
        report.load.requests = 10_000;
        report.load.is_counted = false;
        assert!(!report.is_clean());
        report.load.duration = Some(Duration::from_secs(90));
        report.method = "PUT".parse().unwrap();
        assert!(report.is_clean());
        let begin = "1m 30s of PUT requests to http://a/home over 100 connections, seed 7\n";
        assert!(report.summary().starts_with(begin), "{}", report.summary());
        report.counters = Counters::new().unwrap();
        assert!(!report.is_clean());
    }

    #[test]
    fn failures_are_listed_by_kind() {
        let report = sample_report(&[(1, 1)], true);
        assert!(!report.is_clean());
        let summary = report.summary();
        assert_contains(&summary, "1 answered, 1 failed\n");
        assert!(
            summary.ends_with("\nfailed\n  status 503               1\n"),
            "{summary}"
        );
    }

    #[test]
    fn an_interrupted_run_is_not_clean_and_an_empty_one_has_no_table() {
        let mut none = sample_report(&[], false);
        none.interrupted = true;
        none.load.requests = 10;
        assert!(!none.is_clean());
        assert!(none.summary().contains("interrupted after 0 requests\n"));
        assert_eq!(none.servers(), "");
    }
}
