//! Experiment 4: experiments 1 and 2 for several rings, beside the expected shares of each ring.
//!
//! A ring that the balancer refuses is reported and left out.

use serde_json::json;

use crate::balancer::BalancerUnderTest;
use crate::chart::{Bars, Body, Chart, Line, Series, lane_name};
use crate::chi_square::{Judgement, Tally};
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
            sentence: "One group per ring. The mark across a bar is the expected share of the ring alone, counted over all 900,000 request IDs.".into(),
            x: "ring".into(),
            y: "answers".into(),
            body: Body::Bars(distribution(all, requests)),
        },
        Chart {
            stem: "hashes-scaling",
            title: "Busiest server against the mean, for each ring".into(),
            sentence: "Filled points are measured: the median over the seeds, with a band from the lowest to the highest. Hollow points are expected of the ring alone. 1 means equal shares.".into(),
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
        verdict: verdict(all),
        notes,
        csv: csv(all, requests),
        json: json!({"rings": rings, "left_out": left_out}),
        charts,
        charts_in_notes: false,
        clean: points.iter().all(|point| point.wrong() == 0),
    }
}

/// Verdict on each ring: the distances of its loads from its computed shares, and its evenness.
fn verdict(all: &[RingResult]) -> String {
    let lines = all.iter().map(|ring| {
        let mut tally = Tally::default();
        for point in &ring.points {
            if let Some(shares) = ring.expected(point.n) {
                tally.add(point.seed, &point.counts(), shares);
            }
        }
        let judged = match tally.judge() {
            Judgement::Unknown => "not judged: too few answers, or no computed shares".into(),
            Judgement::Near => format!("shared as computed: {}", tally.clause()),
            Judgement::Doubtful => format!("perhaps not shared as computed: {}", tally.clause()),
            Judgement::Far => format!("not shared as computed: {}", tally.clause()),
        };
        let ratios = by_n(&ring.points, LoadPoint::ratio);
        let median = ratios.iter().map(|(_, spread)| spread.median);
        let worst = median.fold(1.0, f64::max);
        format!("{}: max/mean up to {worst:.2}; {judged}", ring.short())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Bars of the first load on three servers, one group per ring.
fn distribution(all: &[RingResult], requests: u64) -> Bars {
    let first = all
        .iter()
        .flat_map(|ring| &ring.points)
        .find(|point| point.n == DEFAULT_REPLICAS);
    let servers: Vec<u64> = first
        .map(|point| point.answers.keys().copied().collect())
        .unwrap_or_default();
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
            name: lane_name(servers.get(index).copied().unwrap_or_default()),
            values: all.iter().map(value).collect(),
            expected: all.iter().map(expected).collect(),
        }
    };
    Bars {
        groups: all.iter().map(|ring| ring.short().to_owned()).collect(),
        series: (0..servers.len()).map(series).collect(),
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
        let begin = "classic: max/mean up to 2.52; not judged: ";
        assert!(result.verdict.starts_with(begin), "{}", result.verdict);
        assert_contains(&result.csv, "\"classic\",3,7,1,84,83.6\n");
        let Body::Bars(bars) = &result.charts[0].body else {
            panic!("bars")
        };
        assert_eq!(bars.series[0].values, [84.0]);
        let expected = bars.series[2].expected[0].unwrap();
        assert!((expected - 11.7).abs() < 1e-9, "{expected}");
    }

    #[test]
    fn each_ring_is_judged_by_its_own_shares() {
        let ring = |spec: &str, counts: &[u64]| RingResult {
            spec: spec.into(),
            points: vec![point(counts)],
            expected: vec![None, Some(vec![0.8, 0.1, 0.1])],
        };
        let all = [
            ring("a", &[802, 99, 99]),
            ring("b", &[770, 125, 105]),
            ring("c", &[400, 300, 300]),
        ];
        let found = verdict(&all);
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[0].starts_with("a: max/mean up to 2.41; shared as computed: 0 of 1 loads"));
        assert!(lines[1].starts_with("b: max/mean up to 2.31; perhaps not shared as computed: 1"));
        assert!(lines[2].starts_with("c: max/mean up to 1.20; not shared as computed: 1 of 1"));
    }
}
