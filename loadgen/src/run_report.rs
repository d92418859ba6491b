//! Report of `loadgen run`: the latency histogram for the terminal, and the figures as JSON and
//! CSV. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::counters::max_to_mean;
use crate::float::{as_f64, round_u64};
use crate::latency_chart;
use crate::results::ExperimentResult;
use crate::text::{MAX_BAR_CHARS, bar, bound, group_thousands, share};
use crate::text_report::LoadReport;

/// Quantiles in the JSON, with their names.
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99_9", 0.999),
];

/// Returns the result: the text for the terminal, and the contents of the files of `--out`.
pub(crate) fn result(report: &LoadReport) -> ExperimentResult {
    ExperimentResult {
        name: "run",
        title: "Load".into(),
        verdict: String::new(),
        notes: report.summary() + &histogram(report) + &report.servers(),
        csv: csv(report),
        json: json(report),
        charts: Vec::from_iter(latency_chart::cumulative(report, "run-latency")),
        charts_in_notes: true,
        clean: report.is_clean(),
    }
}

/// Table of answers per bucket of latency, with bars; empty without answers.
fn histogram(report: &LoadReport) -> String {
    let buckets = report.counters.latencies().buckets();
    let Some(longest) = buckets.iter().map(|bucket| bucket.1).max() else {
        return String::new();
    };
    let mut text = "\nlatency    answers    share\n".to_owned();
    for (highest, count) in buckets {
        let row = format!(
            "≤{:>7}{:>10}{:>9}  {}",
            bound(highest),
            group_thousands(count),
            share(count, report.counters.answered()),
            bar(count, longest, MAX_BAR_CHARS),
        );
        text += row.trim_end();
        text.push('\n');
    }
    text
}

/// Rounds to microseconds, in milliseconds.
fn millis(latency: Duration) -> f64 {
    as_f64(round_u64(latency.as_secs_f64() * 1e6)) / 1e3
}

/// The figures of the load. Without answers there is no latency.
fn json(report: &LoadReport) -> Value {
    let (load, counters) = (&report.load, &report.counters);
    let latencies = counters.latencies();
    let failures = counters.failures().iter();
    let failures: BTreeMap<String, u64> = failures
        .map(|(failure, count)| (failure.to_string(), *count))
        .collect();
    let mut latency = json!({
        "min": millis(latencies.min()),
        "mean": millis(latencies.mean()),
        "max": millis(latencies.quantile(1.0)),
    });
    for (name, quantile) in QUANTILES {
        latency[name] = millis(latencies.quantile(quantile)).into();
    }
    let bucket =
        |(highest, count): (Duration, u64)| json!({"up_to_ms": millis(highest), "answers": count});
    let histogram: Vec<Value> = latencies.buckets().into_iter().map(bucket).collect();
    let by_server = counters.by_server();
    json!({
        "method": report.method.to_string(),
        "url": report.url,
        "requests": load.is_counted.then_some(load.requests),
        "duration_seconds": load.duration.map(|time| time.as_secs_f64()),
        "connections": load.connections(),
        "rate": load.rate.map(crate::arrivals::Rate::per_second),
        "seed": load.seed,
        "interrupted": report.interrupted,
        "seconds": report.took.as_secs_f64(),
        "requests_per_second": report.per_second(),
        "answered": counters.answered(),
        "failed": counters.failed(),
        "failures": failures,
        "latency_ms": (counters.answered() > 0).then_some(latency),
        "histogram": histogram,
        "servers": by_server,
        "max_to_mean": max_to_mean(&by_server.values().copied().collect::<Vec<_>>()),
    })
}

/// The histogram, a bucket per row.
fn csv(report: &LoadReport) -> String {
    let buckets = report.counters.latencies().buckets().into_iter();
    let rows = buckets.map(|(highest, count)| format!("{},{count}\n", millis(highest)));
    "up_to_ms,answers\n".to_owned() + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;
    use crate::text_report::tests::sample_report;

    /// A report of answers after 0.9, 1.8 and 1.9 ms, and of one failure.
    fn sample() -> LoadReport {
        let mut report = sample_report(&[(1, 1)], true);
        report.counters = Counters::new().unwrap();
        for micros in [900, 1_800, 1_900] {
            let latency = Duration::from_micros(micros);
            report.counters.add(Ok(Some(4)), latency);
        }
        let failure = Err(crate::outcome::Failure::TimedOut);
        report.counters.add(failure, Duration::from_secs(10));
        report
    }

    #[test]
    fn the_histogram_has_a_row_per_bucket_and_leaves_failures_out() {
        let (half, full) = ("█".repeat(20), "█".repeat(40));
        let text = format!(
            "\nlatency    answers    share\n≤   1 ms         1   33.3 %  {half}\n≤   2 ms         2   66.7 %  {full}\n"
        );
        assert_eq!(histogram(&sample()), text);
        assert_eq!(csv(&sample()), "up_to_ms,answers\n1,1\n2,2\n");
        assert_eq!(histogram(&sample_report(&[], true)), "");
    }

    #[test]
    fn the_json_has_every_figure_of_the_text() {
        let found = json(&sample());
        assert_eq!(
            (&found["answered"], &found["failed"]),
            (&json!(3), &json!(1))
        );
        assert_eq!(found["failures"], json!({"timed out": 1}));
        assert_eq!(found["servers"], json!({"4": 3}));
        assert_eq!(
            found["histogram"][1],
            json!({"up_to_ms": 2.0, "answers": 2})
        );
        let p50 = found["latency_ms"]["p50"].as_f64().unwrap();
        assert!((p50 - 1.8).abs() < 0.01, "{found}");
        assert_eq!(found["latency_ms"]["p99_9"], found["latency_ms"]["max"]);
        assert_eq!(found["requests_per_second"], json!(8.0));
        let empty = json(&sample_report(&[], true));
        assert_eq!(
            (&empty["latency_ms"], &empty["max_to_mean"]),
            (&Value::Null, &Value::Null)
        );
    }
}
