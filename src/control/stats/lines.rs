//! The lines of `stats`: three tables with a row for each seat and one for all, and what belongs to no seat.
//!
//! Each line begins with a word that tells what it is of, and within a table columns are aligned; what has no
//! value is `-`. So eyes find their way, and scripts too: `awk '$1 == "load" && $2 == 1 { print $6 }'`.

use super::{FleetCounts, StatsReport, millis};
use crate::metrics::HistogramSnapshot;
use crate::stats::{PortCounts, Rates, SeatCounts};

/// A column: its name and its least width. Text stands to the left, numbers to the right.
type Column = (&'static str, usize);

/// The columns that every table begins with, after its own word.
const FIRST_COLUMNS: [Column; 2] = [("seat", 4), ("replica", 12)];
/// Those of them and of the others that hold text.
const TEXT_COLUMNS: [&str; 2] = ["replica", "state"];

const LOAD_COLUMNS: [Column; 8] = [
    ("state", 7),
    ("requests", 10),
    ("req/s", 7),
    ("2xx", 9),
    ("3xx", 7),
    ("4xx", 7),
    ("5xx", 7),
    ("in-flight", 9),
];
const TIME_COLUMNS: [Column; 6] = [
    ("first-p50-ms", 12),
    ("first-p99-ms", 12),
    ("total-p50-ms", 12),
    ("total-p99-ms", 12),
    ("beat-p50-ms", 11),
    ("beat-p99-ms", 11),
];
const ROUTE_COLUMNS: [Column; 7] = [
    ("home-share", 10),
    ("spilled", 8),
    ("diverted", 8),
    ("failed-over", 11),
    ("retries", 9),
    ("bytes-in", 12),
    ("bytes-out", 12),
];

/// A seat, or all of them: its number, who sits there and how they are, its counts.
struct StatsRow {
    seat: String,
    name: String,
    state: &'static str,
    counts: SeatCounts,
    recent: Rates,
}

impl StatsReport<'_> {
    pub(super) fn lines(&self) -> Vec<String> {
        let FleetCounts {
            wanted,
            answered,
            up,
            standbys,
        } = self.standing;
        let (uptime, window) = (
            self.look.uptime.as_secs_f64(),
            self.look.window.as_secs_f64(),
        );
        let mut lines = vec![
            format!("N {answered} wanted {wanted} up {up} standby {standbys}"),
            format!("uptime {uptime:.1} s window {window:.1} s"),
        ];
        let rows = self.rows();
        table(&mut lines, "load", &LOAD_COLUMNS, &rows, load_cells);
        table(&mut lines, "time", &TIME_COLUMNS, &rows, time_cells);
        table(&mut lines, "way", &ROUTE_COLUMNS, &rows, route_cells);
        port(&mut lines, &self.look.now.port);
        lines
    }

    fn rows(&self) -> Vec<StatsRow> {
        let seats = self.seats().map(|(seat, counts, recent)| {
            let (name, _, state) = self.holder(seat);
            StatsRow {
                seat: seat.to_string(),
                name: name.unwrap_or("-").to_owned(),
                state,
                counts,
                recent,
            }
        });
        let (counts, recent) = self.all.clone();
        let all = StatsRow {
            seat: "all".to_owned(),
            name: "-".to_owned(),
            state: "-",
            counts,
            recent,
        };
        seats.chain([all]).collect()
    }
}

/// Adds a table whose lines begin with `word`; `cells` are what stands in its columns.
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

fn load_cells(row: &StatsRow) -> [String; 8] {
    let [_, ok, moved, theirs, ours] = row.counts.replies;
    [
        row.state.to_owned(),
        row.counts.requests.to_string(),
        format!("{:.1}", row.recent.requests_per_s()),
        ok.to_string(),
        moved.to_string(),
        theirs.to_string(),
        ours.to_string(),
        row.counts.in_flight.to_string(),
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

fn route_cells(row: &StatsRow) -> [String; 7] {
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
    ]
}

fn port(lines: &mut Vec<String>, port: &PortCounts) {
    let own: u64 = port.own_replies.iter().sum();
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
