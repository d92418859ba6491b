//! Experiment 2: N = 2 to 6 servers, the same number of requests each, several seeds.
//!
//! The average per server is requests/N for any balancer. The charts therefore also show the
//! busiest server against the mean, and the variation of the counts.

use serde_json::{Value, json};

use crate::balancer::BalancerUnderTest;
use crate::chart::{Body, Chart, Line};
use crate::chi_square::{Judgement, Tally};
use crate::counters::Counters;
use crate::float::as_f64;
use crate::load_stats::{LoadPoint, failure_summary};
use crate::progress::Progress;
use crate::results::ExperimentResult;
use crate::spread::Spread;

/// Smallest and largest number of servers.
pub(crate) const MIN_SERVERS: u64 = 2;
pub(crate) const MAX_SERVERS: u64 = 6;

/// Runs the experiment.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(
    balancer: &mut BalancerUnderTest,
    repeats: u64,
) -> anyhow::Result<ExperimentResult> {
    let progress =
        Progress::new(balancer.load.requests * repeats * (MAX_SERVERS - MIN_SERVERS + 1));
    balancer.open(MIN_SERVERS, None).await?;
    let points = sweep(balancer, repeats, "scaling", &progress).await?;
    drop(progress);
    Ok(result(&points, balancer.load.requests))
}

/// Measures all N on the open balancer.
///
/// # Errors
/// The number of replicas could not be changed.
pub(crate) async fn sweep(
    balancer: &BalancerUnderTest,
    repeats: u64,
    what: &str,
    progress: &Progress,
) -> anyhow::Result<Vec<LoadPoint>> {
    let mut points = Vec::new();
    for n in MIN_SERVERS..=MAX_SERVERS {
        balancer.scale(n).await?;
        let seats = balancer.seats(n).await?;
        progress.start_part(&format!("{what}: N={n}"));
        for repeat in 0..repeats {
            let seed = balancer.load.seed.wrapping_add(repeat);
            let report = balancer.measure(seed, Counters::new()?, progress).await?;
            points.push(LoadPoint::from_report(&report, &seats));
        }
    }
    Ok(points)
}

/// Spread of a quantity over the seeds, for each N.
pub(crate) fn by_n(points: &[LoadPoint], of: impl Fn(&LoadPoint) -> f64) -> Vec<(u64, Spread)> {
    let spread = |n| {
        let points = points.iter().filter(|point| point.n == n);
        (n, Spread::from_values(points.map(&of)).unwrap_or_default())
    };
    (MIN_SERVERS..=MAX_SERVERS).map(spread).collect()
}

/// Chart line of the medians, with a band from lowest to highest.
pub(crate) fn line(name: &str, spreads: &[(u64, Spread)], colour: usize) -> Line {
    let point = |(n, spread): &(u64, Spread)| (as_f64(*n), spread.median);
    let band = |(n, spread): &(u64, Spread)| (as_f64(*n), spread.min, spread.max);
    Line {
        name: name.to_owned(),
        points: spreads.iter().map(point).collect(),
        band: spreads.iter().map(band).collect(),
        expected: false,
        colour,
    }
}

fn result(points: &[LoadPoint], requests: u64) -> ExperimentResult {
    let quietest = |point: &LoadPoint| as_f64(point.counts().into_iter().min().unwrap_or_default());
    let busiest = |point: &LoadPoint| point.ratio() * point.mean();
    let (lows, highs) = (by_n(points, quietest), by_n(points, busiest));
    let mut average = line("average", &by_n(points, LoadPoint::mean), 0);
    let ends = lows.iter().zip(&highs);
    average.band = ends
        .map(|((n, low), (_, high))| (as_f64(*n), low.min, high.max))
        .collect();
    let ratios = by_n(points, LoadPoint::ratio);
    let variations = by_n(points, |point| point.variation() * 100.0);
    let chart = |stem, title: &str, sentence: &str, y: &str, (line, floor): (Line, f64)| Chart {
        stem,
        title: title.to_owned(),
        sentence: sentence.to_owned(),
        x: "number of servers N".into(),
        y: y.to_owned(),
        body: Body::Lines(vec![line], floor),
    };
    let count = crate::text::group_thousands(requests);
    let charts = vec![
        chart(
            "scaling-average",
            &format!("Average load per server, {count} requests"),
            "The line is the mean of the answers per server. The band reaches from the quietest to the busiest server of all seeds.",
            "requests per server; band: quietest to busiest",
            (average, 0.0),
        ),
        chart(
            "scaling-balance",
            "Busiest server against the mean",
            "1 means equal shares. The line is the median over the seeds; the band reaches from the lowest to the highest seed.",
            "max/mean; band: lowest to highest seed",
            (line("max/mean", &ratios, 1), 1.0),
        ),
        chart(
            "scaling-variation",
            "Variation between the servers",
            "The coefficient of variation is the standard deviation of the counts in percent of their mean. It covers all servers, not only the busiest.",
            "coefficient of variation in %; band: lowest to highest seed",
            (line("coefficient of variation", &variations, 2), 0.0),
        ),
    ];
    let mut csv = "n,seed,server,answers,lies,failed\n".to_owned();
    for point in points {
        let failed = point.wrong() - point.unknown_server;
        for (server, answers) in &point.answers {
            csv += &format!(
                "{},{},{server},{answers},{},{failed}\n",
                point.n, point.seed, point.unknown_server
            );
        }
    }
    ExperimentResult {
        name: "scaling",
        title: format!("Scaling: N = {MIN_SERVERS} to {MAX_SERVERS}"),
        verdict: verdict(points, &ratios),
        notes: failure_summary(points),
        csv,
        json: json!({"points": points, "max_to_mean": spreads_json(&ratios), "variation_percent": spreads_json(&variations)}),
        charts,
        charts_in_notes: false,
        clean: points.iter().all(|point| point.wrong() == 0),
    }
}

/// Verdict on the distances of all loads from equal shares.
fn verdict(points: &[LoadPoint], ratios: &[(u64, Spread)]) -> String {
    let mut tally = Tally::default();
    for point in points {
        let counts = point.counts();
        tally.add(
            point.seed,
            &counts,
            &vec![1.0 / as_f64(point.n); counts.len()],
        );
    }
    let word = match tally.judge() {
        Judgement::Unknown => return "unknown: too few answers for a verdict".into(),
        Judgement::Near => "fair",
        Judgement::Doubtful => "perhaps uneven",
        Judgement::Far => "uneven",
    };
    let worst = ratios.iter().max_by(|a, b| a.1.max.total_cmp(&b.1.max));
    let (n, ratio) = worst.map_or((0, 1.0), |(n, spread)| (*n, spread.max));
    format!(
        "{word}: {}; the busiest server had at most {ratio:.3} times the mean, at N = {n}",
        tally.clause()
    )
}

/// The spreads as written to the JSON file.
fn spreads_json(spreads: &[(u64, Spread)]) -> Vec<Value> {
    let json = |(n, Spread { median, min, max }): &(u64, Spread)| json!([n, {"lowest": min, "median": median, "highest": max}]);
    spreads.iter().map(json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_stats::tests::point;
    use crate::text::tests::assert_contains;

    #[test]
    fn medians_and_bands_are_drawn() {
        let points = [point(&[40, 60]), point(&[50, 50]), point(&[30, 30, 30])];
        let result = result(&points, 100);
        assert!(result.clean && result.notes.is_empty());
        assert_eq!(
            result.verdict,
            "perhaps uneven: 1 of 3 loads is above the 95 % limit of chi-square; random draws have up to 0 there; \
             the busiest server had at most 1.200 times the mean, at N = 2"
        );
        let verdict = |counts: &[u64]| super::result(&[point(counts)], 100).verdict;
        assert!(verdict(&[20, 80]).starts_with("uneven: 1 of 1 loads is above"));
        assert!(verdict(&[39, 61]).starts_with("perhaps uneven: "));
        assert!(verdict(&[1, 2]).starts_with("unknown: "));
        let Body::Lines(lines, _) = &result.charts[1].body else {
            panic!("lines")
        };
        assert_eq!(lines[0].points[0], (2.0, 1.1));
        assert_eq!(lines[0].band[0], (2.0, 1.0, 1.2));
        assert_contains(&result.csv, "\n2,7,2,60,0,0\n");
        let Body::Lines(lines, _) = &result.charts[0].body else {
            panic!("lines")
        };
        assert_eq!(lines[0].band[0], (2.0, 40.0, 60.0));
    }
}
