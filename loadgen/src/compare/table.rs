//! Results as text for the terminal. Pure.
//!
//! Each scenario has a table: first the CPU per request as a ratio to the baseline, then throughput
//! and latencies. `-` stands for a value that was not, or cannot be, measured.

use super::bulk::BULK_CLIENTS;
use super::cell::{MISSING, format_micros, format_spread, or_missing, three_digits};
use super::fairness::{FairnessResult, SMALL_PER_SECOND};
use super::memory_table::memory_tables;
use super::peer::Peer;
use super::results::{PeerResult, Results, ScenarioResult};
use super::scenario::Scenario;
use crate::float::round_u64;
use crate::text::group_thousands;

/// Share of the time from which a CPU counts as saturated.
const SATURATED_SHARE: f64 = 0.95;

/// Returns the whole report.
pub(crate) fn text(results: &Results) -> String {
    let mut text = machine_lines(results);
    for scenario in &results.scenarios {
        text += "\n";
        text += &scenario_table(scenario);
    }
    text += &memory_tables(&results.memory);
    text += &fairness_table(&results.fairness);
    if !results.faults.is_empty() {
        text += "\nfaults\n";
        for fault in &results.faults {
            text += &format!("  {fault}\n");
        }
    }
    text
}

fn machine_lines(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}, {} CPUs, Linux {}, TCP {}; proxies on CPU {:?}, load and backends on {:?}; {} rounds\n",
        machine.processor,
        machine.cpus,
        machine.kernel,
        machine.congestion_control,
        machine.proxy_cpus,
        machine.load_cpus,
        results.rounds
    );
    for peer in results.peers.iter().filter(|peer| !peer.about.is_empty()) {
        text += &format!("{:<14} {}\n", peer.name, peer.about);
    }
    for peer in &results.skipped {
        text += &format!("{:<14} skipped: {}\n", peer.name, peer.about);
    }
    text
}

fn scenario_table(scenario: &ScenarioResult) -> String {
    let mut text = format!("{}: {}", scenario.name, scenario.title);
    if let Some(rate) = scenario.rate {
        text += &format!(
            "; p50' to p99.9' at {} requests/s",
            group_thousands(round_u64(rate))
        );
    }
    text.push('\n');
    let open = ["p50'", "p99'", "p99.9'"].map(|name| match scenario.rate {
        Some(_) => name,
        None => "",
    });
    text += &table_line([
        "",
        "CPU/req",
        "ratio",
        " (spread)",
        "user",
        "req/s",
        "busy",
        "load",
        "p50",
        "p99",
        "calls",
        open[0],
        open[1],
        open[2],
    ]);
    for peer in &scenario.peers {
        text += &peer_line(peer);
    }
    text + &growth_notes(scenario) + &aim_notes(scenario) + &load_bound_note(scenario)
}

/// Notes on how the cost grows from the first setting of a scenario.
fn growth_notes(scenario: &ScenarioResult) -> String {
    let note = |peer: &PeerResult| {
        let growth = peer.summary.as_ref()?.growth?;
        Some(format!(
            "{}: {:.2} times the CPU of {}{}\n",
            peer.name,
            growth.median,
            peer.first,
            format_spread(growth)
        ))
    };
    scenario.peers.iter().filter_map(note).collect()
}

/// Aims of ringmaster in this scenario, with their verdicts.
fn aim_notes(scenario: &ScenarioResult) -> String {
    let notes = scenario.peers.iter().flat_map(|peer| {
        verdicts(scenario, peer)
            .into_iter()
            .map(|verdict| format!("aim of {}: {verdict}\n", peer.name))
    });
    notes.collect()
}

/// Verdicts on the aims of a peer: ratio to the baseline, and growth. Only ringmaster has aims.
pub(crate) fn verdicts(scenario: &ScenarioResult, peer: &PeerResult) -> Vec<String> {
    let own = peer.name.starts_with(Peer::Ringmaster.name());
    let Some(summary) = peer.summary.as_ref().filter(|_| own) else {
        return Vec::new();
    };
    let Some(measured) = Scenario::from_name(scenario.name) else {
        return Vec::new();
    };
    let last = measured.last_label();
    let is_last = last.is_some_and(|label| peer.name.ends_with(label));
    let ratio = measured.cpu_aim().zip(summary.ratio);
    let growth = measured
        .growth_aim()
        .zip(summary.growth.filter(|_| is_last));
    let ratio = ratio.map(|(aim, spread)| format!("ratio {}", aim.verdict(spread, "")));
    let growth = growth.map(|(aim, spread)| format!("growth {}", aim.verdict(spread, "")));
    ratio.into_iter().chain(growth).collect()
}

/// Widths of the columns; negative ones are left-aligned.
const WIDTHS: [isize; 14] = [-15, 9, 8, -13, 6, 9, 7, 7, 9, 9, 7, 10, 9, 9];

/// Line of a table, each column as wide as its widest value.
fn table_line(columns: [&str; 14]) -> String {
    let mut line = String::new();
    for (column, width) in columns.iter().zip(WIDTHS) {
        let chars = width.unsigned_abs();
        line += &match width {
            ..0 => format!("{column:<chars$}"),
            _ => format!("{column:>chars$}"),
        };
    }
    line.trim_end().to_owned() + "\n"
}

fn peer_line(peer: &PeerResult) -> String {
    let Some(summary) = &peer.summary else {
        return format!("{:<15}{MISSING:>9}\n", peer.name);
    };
    let share = |share: f64| format!("{:.0} %", 100.0 * share);
    let cpu = summary.cpu_us.map(|spread| format_micros(spread.median));
    let ratio = summary.ratio.map(|spread| format!("{:.3}", spread.median));
    let calls = peer.calls.as_ref();
    let calls = calls.map(|calls| three_digits(calls.per_request));
    let open = match summary.open {
        Some(open) => [open.p50_us, open.p99_us, open.p999_us].map(format_micros),
        None => Default::default(),
    };
    table_line([
        &peer.name,
        &or_missing(cpu),
        &or_missing(ratio),
        &summary.ratio.map(format_spread).unwrap_or_default(),
        &or_missing(summary.user_share.map(share)),
        &group_thousands(round_u64(summary.per_second.median)),
        &or_missing(summary.busy.map(share)),
        &share(summary.load_busy),
        &format_micros(summary.p50_us),
        &format_micros(summary.p99_us),
        &or_missing(calls),
        &open[0],
        &open[1],
        &open[2],
    ])
}

/// Note about peers whose throughput was limited by the load.
fn load_bound_note(scenario: &ScenarioResult) -> String {
    let load_bound = |peer: &PeerResult| {
        let summary = peer.summary.as_ref()?;
        let idled = summary.busy? < SATURATED_SHARE && summary.load_busy >= SATURATED_SHARE;
        idled.then(|| peer.name.clone())
    };
    let names: Vec<String> = scenario.peers.iter().filter_map(load_bound).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "the load's CPU, not the proxy's, bounds the requests/s of {}\n",
        names.join(", ")
    )
}

fn fairness_table(lines: &[FairnessResult]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\nfairness: 200-byte bodies at {SMALL_PER_SECOND} requests/s, beside {BULK_CLIENTS} clients at full speed\n\
         {:<11}{:<15}{:>9}{:>9}{:>9}\n",
        "beside", "", "p50", "p99", "MiB/s",
    );
    for line in lines {
        let (bulk, name) = (line.bulk.name(), line.name);
        text += &match &line.summary {
            Some(summary) => format!(
                "{bulk:<11}{name:<15}{:>9}{:>9}{:>9}\n",
                format_micros(summary.p50_us),
                format_micros(summary.p99_us),
                group_thousands(round_u64(summary.mib_per_second)),
            ),
            None => format!("{bulk:<11}{name:<15}{MISSING:>9}\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::sample_peer;

    #[test]
    fn every_peer_has_a_row() {
        let mut scenario = ScenarioResult {
            name: "small",
            title: "200-byte body".into(),
            rate: Some(26_000.0),
            peers: vec![
                sample_peer("direct", &[0.0]),
                sample_peer("ringmaster", &[8.1, 8.2]),
                sample_peer("haproxy-http", &[10.0, 10.0]),
                sample_peer("gone", &[]),
            ],
        };
        scenario.peers[1].open = scenario.peers[1].closed.clone();
        scenario.summarise();
        let text = scenario_table(&scenario);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "small: 200-byte body; p50' to p99.9' at 26,000 requests/s"
        );
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(
            words[..6],
            ["ringmaster", "8.15", "µs", "0.815", "(0.81-0.82)", "10"],
            "{text}"
        );
        assert!(
            lines[3].contains("10,000") && lines[3].contains("300 µs"),
            "{text}"
        );
        assert_eq!(lines[5], "gone                   -");
        assert_eq!(lines[6..], ["aim of ringmaster: ratio 0.78: missed"]);
    }

    #[test]
    fn a_load_that_is_the_bottleneck_is_reported() {
        let mut slow = sample_peer("ringmaster", &[50.0]);
        slow.closed[0].load_cpu_us = 99.0;
        let mut scenario = ScenarioResult {
            name: "small",
            title: String::new(),
            rate: None,
            peers: vec![slow],
        };
        scenario.summarise();
        assert!(scenario_table(&scenario).ends_with("bounds the requests/s of ringmaster\n"));
    }
}
