//! The lines of `stats`: three tables with a row for each seat and one for all, and what belongs to no seat.
//!
//! Each line begins with a word that tells what it is of, and within a table columns are aligned; what has no
//! value is `-`. So eyes find their way, and scripts too: `awk '$1 == "load" && $2 == 1 { print $6 }'`.

use super::{Sheet, Standing, millis};
use crate::metrics::Times;
use crate::stats::{PortCounts, Recent, SeatCounts};

impl Sheet<'_> {
    pub(super) fn lines(&self) -> Vec<String> {
        let Standing {
            wanted,
            answered,
            up,
        } = self.standing;
        let mut lines = vec![
            format!("N {answered} wanted {wanted} up {up}"),
            format!(
                "uptime {:.1} s window {:.1} s",
                self.look.uptime.as_secs_f64(),
                self.look.window.as_secs_f64()
            ),
            LOAD_HEAD.to_owned(),
        ];
        let all = ("all".to_owned(), "-", "-", &self.all);
        let rows: Vec<_> = self
            .seats()
            .map(|(seat, counts, recent)| (seat, (counts, recent)))
            .collect();
        let rows = rows.iter().map(|(seat, both)| {
            let (name, _, state) = self.holder(*seat);
            (seat.to_string(), name.unwrap_or("-"), state, both)
        });
        let rows: Vec<_> = rows.chain([all]).collect();
        for (seat, name, state, (counts, recent)) in &rows {
            lines.push(load(seat, name, state, counts, recent));
        }
        lines.push(TIME_HEAD.to_owned());
        for (seat, name, _, (_, recent)) in &rows {
            lines.push(time(seat, name, recent));
        }
        lines.push(WAY_HEAD.to_owned());
        for (seat, name, _, (counts, recent)) in &rows {
            lines.push(way(seat, name, counts, recent));
        }
        port_lines(&mut lines, &self.look.now.port);
        lines
    }
}

const LOAD_HEAD: &str =
    "load seat replica      state     requests   req/s       2xx     3xx     4xx     5xx in-flight";

fn load(seat: &str, name: &str, state: &str, counts: &SeatCounts, recent: &Recent) -> String {
    let [_, ok, moved, theirs, ours] = counts.replies;
    format!(
        "load {seat:>4} {name:<12} {state:<7} {:>10} {:>7.1} {ok:>9} {moved:>7} {theirs:>7} {ours:>7} {:>9}",
        counts.requests,
        recent.requests_per_s(),
        counts.in_flight,
    )
}

const TIME_HEAD: &str = "time seat replica      first-p50 first-p99 total-p50 total-p99 heartbeat-p50 heartbeat-p99  ms";

fn time(seat: &str, name: &str, recent: &Recent) -> String {
    let ms = |times: &Times, q| match times.quantile(q) {
        Some(time) => format!("{:.2}", millis(time)),
        None => "-".to_owned(),
    };
    format!(
        "time {seat:>4} {name:<12} {:>9} {:>9} {:>9} {:>9} {:>13} {:>13}",
        ms(&recent.first_byte, 0.5),
        ms(&recent.first_byte, 0.99),
        ms(&recent.total, 0.5),
        ms(&recent.total, 0.99),
        ms(&recent.heartbeats, 0.5),
        ms(&recent.heartbeats, 0.99),
    )
}

const WAY_HEAD: &str =
    "way  seat replica      home-share   spilled failed-over   retries     bytes-in    bytes-out";

fn way(seat: &str, name: &str, counts: &SeatCounts, recent: &Recent) -> String {
    let share = recent.home_share();
    let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3}"));
    let retries: u64 = counts.retries.iter().sum();
    format!(
        "way  {seat:>4} {name:<12} {share:>10} {:>9} {:>11} {retries:>9} {:>12} {:>12}",
        counts.spilled, counts.failed_over, counts.from_client, counts.to_client,
    )
}

fn port_lines(lines: &mut Vec<String>, port: &PortCounts) {
    let own: u64 = port.own_replies.iter().sum();
    let refused: u64 = port.refused.iter().sum();
    lines.extend([
        format!("connections open {} accepted {}", port.open, port.accepted),
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
