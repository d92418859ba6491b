//! Chart of the latencies of one load: the cumulative distribution. Pure.

use std::time::Duration;

use crate::chart::{Body, Chart, Curve, Curves, Scale};
use crate::text::duration;
use crate::text_report::LoadReport;

/// Percentiles that are marked.
const MARKED: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// Returns the chart; `None` without answers.
pub(crate) fn cumulative(report: &LoadReport, stem: &'static str) -> Option<Chart> {
    let latencies = report.counters.latencies();
    let millis = |latency: Duration| latency.as_secs_f64() * 1e3;
    let points = latencies.cumulative().into_iter();
    let points = points.map(|(latency, share)| (millis(latency), share * 100.0));
    let mark = |(name, quantile): (&str, f64)| {
        let latency = latencies.quantile(quantile);
        (format!("{name} {}", duration(latency)), millis(latency))
    };
    let from = match report.load.rate {
        Some(_) => "from when each was due",
        None => "from its send",
    };
    (!latencies.is_empty()).then(|| Chart {
        stem,
        title: "Latency of the answers".into(),
        sentence: format!("The share of answers that took at most that long, {from}. The vertical lines are the percentiles of the legend."),
        x: "latency in ms".into(),
        y: "share of the answers in %".into(),
        body: Body::Curves(Curves {
            curves: vec![Curve {
                name: "answers".into(),
                points: points.collect(),
            }],
            x_scale: Scale::Log,
            y_scale: Scale::Linear,
            floor: 0.0,
            marks: MARKED.map(mark).to_vec(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_report::tests::sample_report;

    #[test]
    fn the_curve_ends_at_all_answers_and_percentiles_are_marked() {
        let chart = cumulative(&sample_report(&[(1, 10)], false), "run-latency").unwrap();
        let Body::Curves(curves) = &chart.body else {
            panic!("curves")
        };
        let last = curves.curves[0].points.last().unwrap();
        assert!(
            (last.0 - 2.0).abs() < 0.01 && (last.1 - 100.0).abs() < 1e-9,
            "{last:?}"
        );
        assert_eq!(curves.marks[1].0, "p99 2.00 ms");
        assert!(cumulative(&sample_report(&[], true), "run-latency").is_none());
    }
}
