//! Experiment 4: experiments 1 and 2 for several rings, beside the expected shares of each ring.
//!
//! A ring that the balancer refuses is reported and left out.

use serde_json::json;

use crate::balancer::BalancerUnderTest;
use crate::chart::{Bars, Body, Chart, Line, Series};
use crate::expected_shares::Ring;
use crate::float::as_f64;
use crate::load_stats::{LoadPoint, failure_summary};
use crate::progress::Progress;
use crate::results::ExperimentResult;
use crate::scaling::{self, MAX_SERVERS, MIN_SERVERS, by_n, line};
use crate::spawn::{DEFAULT_REPLICAS, Refusal};

/// Measurements of one ring.
#[derive(Debug)]
struct RingResult {
    spec: String,
    points: Vec<LoadPoint>,
    /// Expected shares of seats 1 to N for each N, if they can be computed.
    expected: Vec<Option<Vec<f64>>>,
}

impl RingResult {
    fn expected(&self, n: u64) -> Option<&Vec<f64>> {
        self.expected
            .get(usize::try_from(n - MIN_SERVERS).ok()?)?
            .as_ref()
    }

    /// Name in charts. All custom classic rings are called `custom`.
    fn short(&self) -> &str {
        if self.spec.starts_with("classic:") {
            "custom"
        } else {
            &self.spec
        }
    }
}

/// Runs the experiment on these rings.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(
    balancer: &mut BalancerUnderTest,
    repeats: u64,
    rings: &[String],
) -> anyhow::Result<ExperimentResult> {
    let loads = repeats * (MAX_SERVERS - MIN_SERVERS + 1) * rings.len() as u64;
    let progress = Progress::new(balancer.load.requests * loads);
    let (mut all, mut skipped) = (Vec::new(), Vec::new());
    for spec in rings {
        match balancer.open(MIN_SERVERS, Some(spec)).await {
            Ok(()) => {}
            Err(err) => match err.downcast_ref::<Refusal>() {
                Some(Refusal(sentence)) => {
                    progress.start_part(&format!("hashes: ring {spec} is refused: {sentence}"));
                    skipped.push((spec.clone(), sentence.clone()));
                    continue;
                }
                None => return Err(err),
            },
        }
        let points =
            scaling::sweep(balancer, repeats, &format!("hashes: {spec}"), &progress).await?;
        let ring = Ring::from_spec(spec);
        let shares = |n: u64| ring.as_ref()?.shares(u32::try_from(n).ok()?);
        let expected = (MIN_SERVERS..=MAX_SERVERS).map(shares).collect();
        all.push(RingResult {
            spec: spec.clone(),
            points,
            expected,
        });
    }
    drop(progress);
    anyhow::ensure!(
        !all.is_empty(),
        "the balancer has none of these rings: {}",
        rings.join(" ")
    );
    Ok(result(&all, &skipped, balancer.load.requests))
}

fn result(all: &[RingResult], skipped: &[(String, String)], requests: u64) -> ExperimentResult {
    let mut notes = String::new();
    for (spec, sentence) in skipped {
        notes += &format!("left out: {spec}: {sentence}\n");
    }
    for ring in all.iter().filter(|ring| ring.short() != ring.spec) {
        notes += &format!("custom is {}\n", ring.spec);
    }
    let points: Vec<LoadPoint> = all.iter().flat_map(|ring| ring.points.clone()).collect();
    notes += &failure_summary(&points);
    let count = crate::text::group_thousands(requests);
    let charts = vec![
        Chart {
            stem: "hashes-distribution",
            title: format!("Answers per server, {count} requests on 3 servers"),
            sentence: "One group per ring. The mark across a bar is the expected share of the ring alone, counted over all 900,000 request IDs. The IDs of a load are random, so a bar differs from its mark by chance; a large difference comes from a bound on the load, or from a slow replica.".into(),
            x: "ring".into(),
            y: "answers".into(),
            body: Body::Bars(distribution(all, requests)),
        },
        Chart {
            stem: "hashes-scaling",
            title: "Busiest server against the mean, for each ring".into(),
            sentence: "Filled points are measured: the median over the seeds, with a band from the best to the worst. Hollow points are expected of the ring alone. 1 means equal shares.".into(),
            x: "number of servers N".into(),
            y: "max/mean; band: lowest to highest seed".into(),
            body: Body::Lines(all.iter().enumerate().flat_map(lines).collect(), 1.0),
        },
    ];
    let rings: Vec<_> = all
        .iter()
        .map(|ring| json!({"ring": ring.spec, "points": ring.points, "expected_shares": ring.expected}))
        .collect();
    let left_out: Vec<_> = skipped.iter().map(|pair| &pair.0).collect();
    ExperimentResult {
        name: "hashes",
        title: "Hash functions".into(),
        notes,
        csv: csv(all, requests),
        json: json!({"rings": rings, "left_out": left_out}),
        charts,
        charts_in_notes: false,
        clean: points.iter().all(|point| point.wrong() == 0),
    }
}

/// Bars of the first load on three servers, one group per ring.
fn distribution(all: &[RingResult], requests: u64) -> Bars {
    let series = |index: usize| {
        let value = |ring: &RingResult| {
            let point = ring.points.iter().find(|point| point.n == DEFAULT_REPLICAS);
            let count = point.and_then(|point| point.counts().get(index).copied());
            as_f64(count.unwrap_or_default())
        };
        let expected = |ring: &RingResult| {
            let share = ring.expected(DEFAULT_REPLICAS)?.get(index)?;
            Some(share * as_f64(requests))
        };
        Series {
            name: format!("server {}", index + 1),
            values: all.iter().map(value).collect(),
            expected: all.iter().map(expected).collect(),
        }
    };
    Bars {
        groups: all.iter().map(|ring| ring.short().to_owned()).collect(),
        series: (0..3).map(series).collect(),
    }
}

fn lines((colour, ring): (usize, &RingResult)) -> Vec<Line> {
    let mut lines = vec![line(
        ring.short(),
        &by_n(&ring.points, LoadPoint::ratio),
        colour,
    )];
    let ratio = |n: u64| {
        let shares = ring.expected(n)?;
        Some((
            as_f64(n),
            shares.iter().copied().fold(0.0, f64::max) * as_f64(n),
        ))
    };
    let points: Option<Vec<(f64, f64)>> = (MIN_SERVERS..=MAX_SERVERS).map(ratio).collect();
    lines.extend(points.map(|points| Line {
        name: format!("{}, ring alone", ring.short()),
        points,
        band: Vec::new(),
        expected: true,
        colour,
    }));
    lines
}

fn csv(all: &[RingResult], requests: u64) -> String {
    let mut csv = "ring,n,seed,server,answers,expected\n".to_owned();
    for ring in all {
        for point in &ring.points {
            for (index, (server, answers)) in point.answers.iter().enumerate() {
                let share = ring.expected(point.n).and_then(|shares| shares.get(index));
                let expected = share.map(|share| format!("{:.1}", share * as_f64(requests)));
                csv += &format!(
                    "\"{}\",{},{},{server},{answers},{}\n",
                    ring.spec,
                    point.n,
                    point.seed,
                    expected.unwrap_or_default(),
                );
            }
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_stats::tests::point;
    use crate::text::tests::assert_contains;

    #[test]
    fn counts_stand_beside_expected_shares_and_refused_rings_are_listed() {
        let ring = RingResult {
            spec: "classic".into(),
            points: vec![point(&[84, 5, 11])],
            expected: vec![None, Some(vec![0.836, 0.047, 0.117])],
        };
        let skipped = [("maglev".to_owned(), "unknown ring".to_owned())];
        let result = result(&[ring], &skipped, 100);
        assert_eq!(result.notes, "left out: maglev: unknown ring\n");
        assert_contains(&result.csv, "\"classic\",3,7,1,84,83.6\n");
        let Body::Bars(bars) = &result.charts[0].body else {
            panic!("bars")
        };
        assert_eq!(bars.series[0].values, [84.0]);
        let expected = bars.series[2].expected[0].unwrap();
        assert!((expected - 11.7).abs() < 1e-9, "{expected}");
    }
}
