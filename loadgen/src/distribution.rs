//! Experiment 1: how evenly three replicas share requests with random IDs.
//!
//! Equal shares are expected. The verdict judges the arcs of the ring, not correctness: some
//! consistent-hash rings have uneven arcs by design.

use std::collections::BTreeSet;

use serde_json::json;

use crate::balancer::BalancerUnderTest;
use crate::chart::{Bars, Body, Chart, Series};
use crate::chi_square::{self, Judgement, judge_equal};
use crate::counters::{Counters, max_to_mean};
use crate::float::as_f64;
use crate::latency_chart;
use crate::load_stats::{LoadPoint, failure_summary};
use crate::progress::Progress;
use crate::results::ExperimentResult;
use crate::spawn::DEFAULT_REPLICAS;
use crate::text::{MAX_BAR_CHARS, bar, count_noun, group_thousands, share};
use crate::text_report::LoadReport;

/// Runs the experiment. A target without a known control port is measured unchanged, so it may also
/// be a single server.
///
/// # Errors
/// Nothing could be measured.
pub(crate) async fn run(balancer: &mut BalancerUnderTest) -> anyhow::Result<ExperimentResult> {
    let control = balancer.has_control();
    if control {
        balancer.open(DEFAULT_REPLICAS, None).await?;
    } else {
        balancer.attach().await?;
    }
    let mut seats: BTreeSet<u64> = match balancer.control() {
        Ok(_) if !balancer.is_spawned() => balancer.seats(DEFAULT_REPLICAS).await?,
        _ => (1..=DEFAULT_REPLICAS).collect(),
    };
    let progress = Progress::new(balancer.load.requests);
    let report = balancer
        .measure(balancer.load.seed, Counters::new()?, &progress)
        .await?;
    drop(progress);
    if !control {
        // Nothing is known of the target, so every server that answered belongs to it.
        seats.extend(report.counters.by_server().keys());
    }
    let point = LoadPoint::from_report(&report, &seats);
    let mut result = result(&report, &point);
    // Answers of other servers are already a note. They are failures only if the seats are known.
    if control {
        result.notes += &failure_summary(std::slice::from_ref(&point));
    }
    result.clean = report.is_clean() && (point.unknown_server == 0);
    Ok(result)
}

fn result(report: &LoadReport, point: &LoadPoint) -> ExperimentResult {
    let requests = report.load.requests;
    let count = as_f64(requests);
    let fair = count / as_f64(point.n.max(1));
    let names = point
        .answers
        .keys()
        .map(|server| format!("server {server}"));
    let counts = point.counts().into_iter().map(as_f64);
    let mut csv = "server,answers,equal_share\n".to_owned();
    for (server, answers) in &point.answers {
        csv += &format!("{server},{answers},{fair:.1}\n");
    }
    let chart = Chart {
        stem: "distribution",
        title: format!(
            "Answers per server, {} requests on {} servers",
            group_thousands(requests),
            point.n
        ),
        sentence: "One bar per server; the mark across it is an equal share.".into(),
        x: "server".into(),
        y: "answers".into(),
        body: Body::Bars(Bars {
            groups: names.collect(),
            series: vec![Series {
                name: "answers".into(),
                values: counts.collect(),
                expected: vec![Some(fair); point.answers.len()],
            }],
        }),
    };
    let latency = latency_chart::cumulative(report, "distribution-latency");
    ExperimentResult {
        name: "distribution",
        title: format!("Distribution: {}", count_noun(point.n, "server")),
        verdict: verdict(&point.counts()),
        notes: report.summary() + &table(report),
        csv,
        json: json!({"load": point, "max_to_mean": point.ratio(), "variation": point.variation()}),
        charts: [chart].into_iter().chain(latency).collect(),
        charts_in_notes: true,
        clean: true,
    }
}

/// Table of answers per server, beside equal shares, with the statistics of their spread.
fn table(report: &LoadReport) -> String {
    let by_server = report.counters.by_server();
    if by_server.is_empty() {
        return String::new();
    }
    let mut servers: Vec<u64> = (1..=DEFAULT_REPLICAS)
        .chain(by_server.keys().copied())
        .collect();
    servers.sort_unstable();
    servers.dedup();
    let counts = servers.iter().map(|server| by_server.get(server).copied());
    let counts: Vec<u64> = counts.map(Option::unwrap_or_default).collect();

    let total = counts.iter().sum();
    let longest = counts.iter().copied().max().unwrap_or_default();
    let fair = share(1, servers.len() as u64);
    let mut text = "\nserver     answers    share  expected\n".to_owned();
    for (server, count) in servers.iter().zip(&counts) {
        let row = format!(
            "{server:>6}{:>12}{:>9}{fair:>10}  {}",
            group_thousands(*count),
            share(*count, total),
            bar(*count, longest, MAX_BAR_CHARS),
        );
        text += row.trim_end();
        text.push('\n');
    }
    text += &spread(&counts);
    text += &format!(
        "seed        {} fixes the IDs: without a bound the counts are the same each time; order and times are not\n",
        report.load.seed
    );
    text + &unexpected_servers_note(&servers, by_server.len() as u64)
}

fn spread(counts: &[u64]) -> String {
    let freedom = counts.len() as u64 - 1;
    let ratio = max_to_mean(counts).unwrap_or_default();
    let mut text = format!("max/mean    {ratio:.3}  (equal shares: 1.000)\n");
    if freedom > 0 {
        let shares = vec![1.0 / as_f64(counts.len() as u64); counts.len()];
        text += &format!(
            "chi-square  {:.2}  (fair draws: below {:.2} in 95 % of runs)\n",
            chi_square::sum(counts, &shares),
            chi_square::limit_95(freedom),
        );
    }
    text
}

/// Verdict on the counts.
fn verdict(counts: &[u64]) -> String {
    let text = match judge_equal(counts) {
        Judgement::Unknown => "unknown: too few answers for a verdict",
        Judgement::Near => "fair: as even as random draws are",
        Judgement::Doubtful => {
            "perhaps uneven: of fair draws, 1 run in 20 is that far from equal shares; try more seeds"
        }
        Judgement::Far => "uneven: fair draws are never that far from equal shares",
    };
    text.to_owned()
}

/// Note about servers that answered unexpectedly or not at all.
fn unexpected_servers_note(servers: &[u64], answering: u64) -> String {
    if servers.len() as u64 == DEFAULT_REPLICAS && answering == DEFAULT_REPLICAS {
        return String::new();
    }
    let answered = count_noun(answering, "server");
    format!("note: {answered} answered; the experiment expects servers 1 to {DEFAULT_REPLICAS}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::assert_contains;
    use crate::text_report::tests::sample_report;

    #[test]
    fn counts_stand_beside_equal_shares() {
        let text = table(&sample_report(&[(1, 3_400), (2, 3_300), (3, 3_300)], false));
        assert_contains(&text, "     1       3,400   34.0 %    33.3 %  ████");
        assert_contains(&text, "max/mean    1.020  (equal shares: 1.000)\n");
        assert_contains(&text, "chi-square  2.00  (fair draws: below 5.9");
        assert_contains(&text, "\nseed        7 fixes the IDs");
        assert!(!text.contains("note"), "{text}");
    }

    #[test]
    fn the_verdict_follows_the_counts() {
        let begins = |counts: [u64; 3], word| verdict(&counts).starts_with(word);
        assert!(begins([3_334, 3_333, 3_333], "fair: "));
        assert!(begins([3_450, 3_275, 3_275], "perhaps uneven: "));
        assert!(begins([8_359, 469, 1_172], "uneven: "));
        assert!(begins([4, 4, 4], "unknown: "));
    }

    #[test]
    fn a_silent_server_counts_as_zero_and_an_unknown_server_is_reported() {
        let text = table(&sample_report(&[(1, 10), (3, 10)], false));
        assert_contains(&text, "     2           0    0.0 %    33.3 %");
        assert_contains(&text, "note: 2 servers answered");
        let text = table(&sample_report(&[(1, 1), (2, 1), (3, 1), (9, 1)], false));
        assert_contains(&text, "25.0 %");
        assert_contains(&text, "note: 4 servers");
        assert_eq!(table(&sample_report(&[], true)), "");
    }
}
