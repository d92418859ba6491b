//! The second experiment: N = 2 to 6, the same number of requests each, several seeds.
//!
//! The average per server is requests/N whatever the balancer does, so beside it stands what could go
//! wrong: the busiest server against the mean, and how far the counts lie apart.

use serde_json::json;

use crate::balancer::Lab;
use crate::chart::{Body, Chart, Line};
use crate::counters::{Tally, as_f64};
use crate::load_stats::{Point, Spread, complaint};
use crate::progress::Progress;
use crate::results::Findings;

/// The numbers of servers.
pub(crate) const FROM: u64 = 2;
pub(crate) const TO: u64 = 6;

/// Makes the experiment.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn perform(lab: &mut Lab, repeats: u64) -> anyhow::Result<Findings> {
    let progress = Progress::of(lab.load.requests * repeats * (TO - FROM + 1));
    lab.open(FROM, None).await?;
    let points = sweep(lab, repeats, "scaling", &progress).await?;
    drop(progress);
    Ok(findings(&points, lab.load.requests))
}

/// The loads for all N on what is open.
///
/// # Errors
/// The number of replicas could not be changed.
pub(crate) async fn sweep(
    lab: &Lab,
    repeats: u64,
    what: &str,
    progress: &Progress,
) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for n in FROM..=TO {
        lab.scale(n).await?;
        let seats = lab.seats(n).await?;
        progress.part(&format!("{what}: N={n}"));
        for repeat in 0..repeats {
            let seed = lab.load.seed.wrapping_add(repeat);
            let measured = lab.measure(seed, Tally::new()?, progress).await?;
            points.push(Point::of(&measured, &seats));
        }
    }
    Ok(points)
}

/// A quantity for each N, over the seeds.
pub(crate) fn by_n(points: &[Point], of: impl Fn(&Point) -> f64) -> Vec<(u64, Spread)> {
    let spread = |n| {
        let points = points.iter().filter(|point| point.n == n);
        (n, Spread::of(points.map(&of)))
    };
    (FROM..=TO).map(spread).collect()
}

/// The line of such a quantity, with its band.
pub(crate) fn line(name: &str, spreads: &[(u64, Spread)], colour: usize) -> Line {
    let point = |(n, spread): &(u64, Spread)| (as_f64(*n), spread.median);
    let band = |(n, spread): &(u64, Spread)| (as_f64(*n), spread.lowest, spread.highest);
    Line {
        name: name.to_owned(),
        points: spreads.iter().map(point).collect(),
        band: spreads.iter().map(band).collect(),
        expected: false,
        colour,
    }
}

fn findings(points: &[Point], requests: u64) -> Findings {
    let quietest = |point: &Point| as_f64(point.counts().into_iter().min().unwrap_or_default());
    let busiest = |point: &Point| point.ratio() * point.mean();
    let (lows, highs) = (by_n(points, quietest), by_n(points, busiest));
    let mut average = line("average", &by_n(points, Point::mean), 0);
    let ends = lows.iter().zip(&highs);
    average.band = ends
        .map(|((n, low), (_, high))| (as_f64(*n), low.lowest, high.highest))
        .collect();
    let ratios = by_n(points, Point::ratio);
    let variations = by_n(points, |point| point.variation() * 100.0);
    let chart = |stem, title: &str, sentence: &str, y: &str, (line, floor): (Line, f64)| Chart {
        stem,
        title: title.to_owned(),
        sentence: sentence.to_owned(),
        x: "number of servers N".into(),
        y: y.to_owned(),
        body: Body::Lines(vec![line], floor),
    };
    let count = crate::text::grouped(requests);
    let charts = vec![
        chart(
            "scaling-average",
            &format!("Average load per server, {count} requests"),
            "The average falls as requests/N whatever the balancer does; the band from the quietest to the busiest server of all seeds is what it can do something about.",
            "requests per server; band: quietest to busiest",
            (average, 0.0),
        ),
        chart(
            "scaling-balance",
            "Busiest server against the mean",
            "1 means equal shares; the line is the median over the seeds, the band reaches from the best to the worst seed.",
            "max/mean; band: lowest to highest seed",
            (line("max/mean", &ratios, 1), 1.0),
        ),
        chart(
            "scaling-variation",
            "How far the servers lie apart",
            "The coefficient of variation is the standard deviation of the counts in percent of their mean: it counts all servers, not only the busiest.",
            "coefficient of variation in %; band: lowest to highest seed",
            (line("coefficient of variation", &variations, 2), 0.0),
        ),
    ];
    let mut csv = "n,seed,server,answers,lies,failed\n".to_owned();
    for point in points {
        let failed = point.wrong() - point.lies;
        for (server, answers) in &point.answers {
            csv += &format!(
                "{},{},{server},{answers},{},{failed}\n",
                point.n, point.seed, point.lies
            );
        }
    }
    Findings {
        name: "scaling",
        title: "Scaling: N = 2 to 6".into(),
        notes: complaint(points),
        csv,
        json: json!({"points": points, "max_to_mean": ratios, "variation_percent": variations}),
        charts,
        told: false,
        clean: points.iter().all(|point| point.wrong() == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_stats::tests::point;

    #[test]
    fn medians_and_bands_are_drawn() {
        let points = [point(&[40, 60]), point(&[50, 50]), point(&[30, 30, 30])];
        let findings = findings(&points, 100);
        assert!(findings.clean && findings.notes.is_empty());
        let Body::Lines(lines, _) = &findings.charts[1].body else {
            panic!("lines")
        };
        assert_eq!(lines[0].points[0], (2.0, 1.1));
        assert_eq!(lines[0].band[0], (2.0, 1.0, 1.2));
        assert!(
            findings.csv.contains("\n2,7,2,60,0,0\n"),
            "{}",
            findings.csv
        );
        let Body::Lines(lines, _) = &findings.charts[0].body else {
            panic!("lines")
        };
        assert_eq!(lines[0].band[0], (2.0, 40.0, 60.0));
    }
}
