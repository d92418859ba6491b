//! The lines of `stats`: three tables with a row for each seat and one for all seats, and the
//! counters of the port.
//!
//! Each line begins with the word of its table, and columns are aligned; a missing value is `-`. So
//! scripts can select a value: `awk '$1 == "load" && $2 == 1 { print $6 }'`.

use super::report::{StatsReport, millis};
use crate::control::context::FleetCounts;
use crate::metrics::HistogramSnapshot;
use crate::stats::{PortCounts, Rates, SeatCounts};

/// Name and minimum width of a column. Text is aligned to the left, numbers to the right.
type Column = (&'static str, usize);

/// First columns of every table, after its first word.
const FIRST_COLUMNS: [Column; 2] = [("seat", 4), ("replica", 12)];
/// Columns that hold text.
const TEXT_COLUMNS: [&str; 2] = ["replica", "state"];

const LOAD_COLUMNS: [Column; 9] = [
    ("state", 7),
    ("requests", 10),
    ("req/s", 7),
    ("2xx", 9),
    ("3xx", 7),
    ("4xx", 7),
    ("5xx", 7),
    ("in-flight", 9),
    ("weight", 6),
];
const TIME_COLUMNS: [Column; 6] = [
    ("first-p50-ms", 12),
    ("first-p99-ms", 12),
    ("total-p50-ms", 12),
    ("total-p99-ms", 12),
    ("beat-p50-ms", 11),
    ("beat-p99-ms", 11),
];
const ROUTE_COLUMNS: [Column; 8] = [
    ("home-share", 10),
    ("spilled", 7),
    ("diverted", 8),
    ("failed-over", 11),
    ("retries", 7),
    ("bytes-in", 10),
    ("bytes-out", 10),
    ("private", 7),
];

/// The row of a seat, or of all seats.
struct StatsRow {
    seat: String,
    name: String,
    state: &'static str,
    weight: String,
    counts: SeatCounts,
    recent: Rates,
}

/// Returns the lines of the report.
pub(super) fn render(report: &StatsReport<'_>) -> Vec<String> {
    let FleetCounts {
        wanted,
        answered,
        up,
        standbys,
        ..
    } = report.fleet;
    let uptime = report.stats.uptime.as_secs_f64();
    let window = report.stats.window.as_secs_f64();
    let mut lines = vec![
        format!("N {answered} wanted {wanted} up {up} standby {standbys}"),
        format!("uptime {uptime:.1} s window {window:.1} s"),
    ];
    let rows = rows(report);
    table(&mut lines, "load", &LOAD_COLUMNS, &rows, load_cells);
    table(&mut lines, "time", &TIME_COLUMNS, &rows, time_cells);
    table(&mut lines, "way", &ROUTE_COLUMNS, &rows, route_cells);
    queue(&mut lines, &report.all.0);
    port(&mut lines, &report.stats.now.port);
    lines.push(format!("ring-hash {}", report.roster.ring_hash()));
    if let Some((version, age)) = report.service {
        let age = age.as_secs_f64();
        lines.push(format!("service version {version}, read {age:.1} s ago"));
    }
    lines
}

fn rows(report: &StatsReport<'_>) -> Vec<StatsRow> {
    let seats = report.seats().map(|(seat, counts, recent)| {
        let holder = report.holder(seat);
        StatsRow {
            seat: seat.to_string(),
            name: holder.name.unwrap_or("-").to_owned(),
            state: holder.state,
            weight: holder.weight.to_string(),
            counts,
            recent,
        }
    });
    let (counts, recent) = report.all.clone();
    let all = StatsRow {
        seat: "all".to_owned(),
        name: "-".to_owned(),
        state: "-",
        weight: "-".to_owned(),
        counts,
        recent,
    };
    seats.chain([all]).collect()
}

/// Adds a table whose lines begin with `word`. `cells` returns the values of a row.
fn table<const N: usize>(
    lines: &mut Vec<String>,
    word: &str,
    columns: &[Column; N],
    rows: &[StatsRow],
    cells: impl Fn(&StatsRow) -> [String; N],
) {
    let columns: Vec<Column> = FIRST_COLUMNS.iter().chain(columns).copied().collect();
    let head = columns.iter().map(|(name, _)| (*name).to_owned());
    let mut all: Vec<Vec<String>> = vec![head.collect()];
    all.extend(rows.iter().map(|row| {
        let first = [row.seat.clone(), row.name.clone()];
        first.into_iter().chain(cells(row)).collect()
    }));
    let widest = |at: usize| all.iter().map(|row| row[at].len()).max().unwrap_or(0);
    let widths = columns.iter().enumerate();
    let widths: Vec<usize> = widths
        .map(|(at, (_, least))| widest(at).max(*least))
        .collect();
    for row in &all {
        let mut line = format!("{word:<4}");
        for ((cell, (name, _)), width) in row.iter().zip(&columns).zip(&widths) {
            line += &match TEXT_COLUMNS.contains(name) {
                true => format!(" {cell:<width$}"),
                false => format!(" {cell:>width$}"),
            };
        }
        lines.push(line);
    }
}

fn load_cells(row: &StatsRow) -> [String; 9] {
    let [_, success, redirect, client_error, server_error] = row.counts.replies;
    [
        row.state.to_owned(),
        row.counts.requests.to_string(),
        format!("{:.1}", row.recent.requests_per_s()),
        success.to_string(),
        redirect.to_string(),
        client_error.to_string(),
        server_error.to_string(),
        row.counts.in_flight.to_string(),
        row.weight.clone(),
    ]
}

fn time_cells(row: &StatsRow) -> [String; 6] {
    let ms = |times: &HistogramSnapshot, q| match times.quantile(q) {
        Some(time) => format!("{:.2}", millis(time)),
        None => "-".to_owned(),
    };
    let recent = &row.recent;
    [
        ms(&recent.first_byte, 0.5),
        ms(&recent.first_byte, 0.99),
        ms(&recent.total, 0.5),
        ms(&recent.total, 0.99),
        ms(&recent.heartbeats, 0.5),
        ms(&recent.heartbeats, 0.99),
    ]
}

fn route_cells(row: &StatsRow) -> [String; 8] {
    let share = row.recent.home_share();
    let counts = &row.counts;
    [
        share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}")),
        counts.spilled.to_string(),
        counts.diverted.to_string(),
        counts.failed_over.to_string(),
        counts.retries.iter().sum::<u64>().to_string(),
        counts.from_client.to_string(),
        counts.to_client.to_string(),
        counts.private.to_string(),
    ]
}

/// Adds the queues of all seats, if there is a limit of requests in flight.
fn queue(lines: &mut Vec<String>, all: &SeatCounts) {
    let Some(queue) = &all.queue else {
        return;
    };
    let [served, timed_out, moved, client_left, full] = queue.ends;
    lines.push(format!(
        "queue waiting {} served {served} timed-out {timed_out} moved {moved} client-left {client_left} full {full}",
        queue.waiting
    ));
}

fn port(lines: &mut Vec<String>, port: &PortCounts) {
    let own: u64 = port.local_replies().iter().sum();
    let refused: u64 = port.refused.iter().sum();
    lines.extend([
        format!(
            "connections open {} accepted {} limit {} evicted {}",
            port.open, port.accepted, port.limit, port.evicted
        ),
        format!("own-replies {own} refused {refused}"),
        format!("pool hits {} misses {}", port.pool_hits, port.pool_misses),
        format!(
            "splice bytes {} fallbacks {}",
            port.spliced, port.splice_fallbacks
        ),
        format!(
            "access-log written {} lost {}",
            port.log_written, port.log_lost
        ),
    ]);
}
