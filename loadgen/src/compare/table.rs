//! The record as text for the terminal. Pure.
//!
//! One table per scenario: the CPU of a request first, as a ratio to the base's, then what can be had for
//! it. `-` is what was not, or cannot be, measured.

use std::time::Duration;

use super::bulk::CLIENTS;
use super::fairness::{Beside, PER_SECOND};
use super::results::{Idle, Lane, Machine, Measured, Record};
use super::stats::Spread;
use crate::text::{duration, grouped};
use crate::text_report::whole;

/// At which share of its time a CPU counts as used up.
const USED_UP: f64 = 0.95;

/// What stands for nothing.
const NONE: &str = "-";

/// The whole report.
pub(crate) fn text(record: &Record) -> String {
    let mut text = machine(record);
    for measured in &record.scenarios {
        text += "\n";
        text += &scenario(measured);
    }
    text += &idle(&record.idle);
    text += &fairness(&record.fairness);
    if !record.faults.is_empty() {
        text += "\nfaults\n";
        for fault in &record.faults {
            text += &format!("  {fault}\n");
        }
    }
    text
}

fn machine(record: &Record) -> String {
    let Machine {
        kernel,
        congestion_control,
        processor,
        cpus,
        load_cpus,
        proxy_cpus,
    } = &record.machine;
    let mut text = format!(
        "{processor}, {cpus} CPUs, Linux {kernel}, TCP {congestion_control}; \
         proxies on CPU {proxy_cpus:?}, load and backends on {load_cpus:?}; {} rounds\n",
        record.rounds
    );
    for peer in record.peers.iter().filter(|peer| !peer.about.is_empty()) {
        text += &format!("{:<14} {}\n", peer.name, peer.about);
    }
    for peer in &record.skipped {
        text += &format!("{:<14} skipped: {}\n", peer.name, peer.about);
    }
    text
}

fn scenario(measured: &Measured) -> String {
    let mut text = format!("{}: {}", measured.name, measured.title);
    if let Some(rate) = measured.rate {
        text += &format!("; p50' to p99.9' at {} requests/s", grouped(whole(rate)));
    }
    text.push('\n');
    let open = ["p50'", "p99'", "p99.9'"].map(|name| match measured.rate {
        Some(_) => name,
        None => "",
    });
    text += &line([
        "", "CPU/req", "ratio", "(spread)", "user", "req/s", "busy", "load", "p50", "p99", "calls",
        open[0], open[1], open[2],
    ]);
    for lane in &measured.lanes {
        text += &row(lane);
    }
    text + &bounded(measured)
}

/// One line of a table, its columns as wide as they ever get.
fn line(columns: [&str; 14]) -> String {
    let [
        name,
        cpu,
        ratio,
        spread,
        user,
        rate,
        busy,
        load,
        p50,
        p99,
        calls,
        open @ ..,
    ] = columns;
    let closed = format!(
        "{name:<15}{cpu:>9}{ratio:>8} {spread:<12}{user:>6}{rate:>9}{busy:>7}{load:>7}{p50:>9}{p99:>9}{calls:>7}"
    );
    let open = format!("{:>10}{:>9}{:>9}", open[0], open[1], open[2]);
    (closed + &open).trim_end().to_owned() + "\n"
}

fn row(lane: &Lane) -> String {
    let Some(summary) = &lane.summary else {
        return format!("{:<15}{NONE:>9}\n", lane.name);
    };
    let share = |share: f64| format!("{:.0} %", 100.0 * share);
    let cpu = summary.cpu_us.map(|spread| micros(spread.median));
    let ratio = summary.ratio.map(|spread| format!("{:.3}", spread.median));
    let calls = lane
        .calls
        .as_ref()
        .map(|calls| three_digits(calls.per_request));
    let open = summary
        .open
        .map(|open| [open.p50_us, open.p99_us, open.p999_us].map(micros));
    let open = open.unwrap_or_default();
    line([
        &lane.name,
        &or_none(cpu),
        &or_none(ratio),
        &summary.ratio.map(spread).unwrap_or_default(),
        &or_none(summary.user_share.map(share)),
        &grouped(whole(summary.per_second.median)),
        &or_none(summary.busy.map(share)),
        &share(summary.load_busy),
        &micros(summary.p50_us),
        &micros(summary.p99_us),
        &or_none(calls),
        &open[0],
        &open[1],
        &open[2],
    ])
}

/// A word about peers that could have done more if the load had asked for more.
fn bounded(measured: &Measured) -> String {
    let idled = |lane: &&Lane| {
        let summary = lane.summary.as_ref();
        summary.is_some_and(|s| s.busy.is_some_and(|busy| busy < USED_UP) && s.load_busy >= USED_UP)
    };
    let names: Vec<&str> = measured
        .lanes
        .iter()
        .filter(idled)
        .map(|lane| lane.name.as_str())
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        "the load's CPU, not the proxy's, bounds the requests/s of {}\n",
        names.join(", ")
    )
}

fn idle(rows: &[Idle]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut text = format!(
        "\nidle: {} connections that have sent one request\n{:<15}{:>16}{:>12}{:>12}{:>14}\n",
        grouped(first.connections as u64),
        "",
        "KiB/connection",
        "KiB before",
        "KiB after",
        "CPU µs/s",
    );
    for row in rows {
        text += &format!(
            "{:<15}{:>16.2}{:>12}{:>12}{:>14}\n",
            row.name,
            row.kib_per_connection,
            grouped(row.kib_before),
            grouped(row.kib_after),
            grouped(whole(row.cpu_us_per_second)),
        );
    }
    text
}

fn fairness(lines: &[Beside]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\nfairness: 200-byte bodies at {PER_SECOND} requests/s, beside {CLIENTS} clients at full speed\n\
         {:<11}{:<15}{:>9}{:>9}{:>9}\n",
        "beside", "", "p50", "p99", "MiB/s",
    );
    for line in lines {
        let (bulk, name) = (line.bulk.name(), line.name);
        text += &match &line.summary {
            Some(summary) => format!(
                "{bulk:<11}{name:<15}{:>9}{:>9}{:>9}\n",
                micros(summary.p50_us),
                micros(summary.p99_us),
                grouped(whole(summary.mib_per_second)),
            ),
            None => format!("{bulk:<11}{name:<15}{NONE:>9}\n"),
        };
    }
    text
}

fn spread(spread: Spread) -> String {
    format!("({:.2}-{:.2})", spread.min, spread.max)
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

/// Microseconds with a unit that fits.
pub(crate) fn micros(micros: f64) -> String {
    if micros < 1e3 {
        return format!("{} µs", three_digits(micros));
    }
    duration(Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default())
}

fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::tests::lane;

    #[test]
    fn every_peer_has_a_row() {
        let mut measured = Measured {
            name: "small",
            title: "200-byte body".into(),
            base: "haproxy-http".into(),
            rate: Some(26_000.0),
            lanes: vec![
                lane("direct", &[0.0]),
                lane("ringmaster", &[8.1, 8.2]),
                lane("haproxy-http", &[10.0, 10.0]),
                lane("gone", &[]),
            ],
        };
        measured.lanes[1].open = measured.lanes[1].closed.clone();
        measured.summarise();
        let text = scenario(&measured);
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
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn a_load_that_is_the_bottleneck_is_named() {
        let mut slow = lane("ringmaster", &[50.0]);
        slow.closed[0].load_cpu_us = 99.0;
        let mut measured = Measured {
            name: "small",
            title: String::new(),
            base: String::new(),
            rate: None,
            lanes: vec![slow],
        };
        measured.summarise();
        assert!(scenario(&measured).ends_with("bounds the requests/s of ringmaster\n"));
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [8.123, 81.23, 812.3, 4_477.0].map(micros),
            ["8.12 µs", "81.2 µs", "812 µs", "4.48 ms"]
        );
    }
}
