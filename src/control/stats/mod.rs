//! What the balancer does and how fast, in lines and in JSON: `stats` and `GET /stats`.
//!
//! It only renders: the counting is done by the workers and the fleet, the subtracting in `stats`. In both
//! forms counts are those since the start, while rates, shares and times are those of the window, which are
//! the last seconds. Names and meanings of JSON fields and of words in lines stay; new ones may be added.

mod text;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::ControlContext;
use super::command::ControlCommand;
use super::command_table::{CommandSpec, no_args};
use super::ring_report::{Report, health};
use crate::metrics::{HistogramSnapshot, Retry};
use crate::ring::Seat;
use crate::roster::Roster;
use crate::stats::{PortCounts, Rates, Sampler, SeatCounts, TICK, WindowedStats};

/// The command.
pub(super) const STATS: CommandSpec = CommandSpec {
    name: "stats",
    usage: "stats",
    about: "what each seat and the port have served, and how fast",
    more: &[
        "Lines begin with load, time and way: one of each for a seat and one for all, under a line with",
        "their names. Counts are since the start; req/s, home-share and times are of the last 5 seconds.",
    ],
    read: |words| no_args(words, ControlCommand::Stats),
};

/// Where it comes from.
#[derive(Clone)]
pub struct StatsSources {
    /// Where counts are read.
    pub recorder: Sampler,
    /// How the fleet stands.
    pub standing: Arc<dyn Fn() -> FleetCounts + Send + Sync>,
    /// How replicas are started, in a word.
    pub engine: &'static str,
    /// When the program began.
    pub started: SystemTime,
}

impl fmt::Debug for StatsSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("recorder", &self.recorder)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// How the fleet stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetCounts {
    /// How many replicas are wanted.
    pub wanted: usize,
    /// How many `rep` lists.
    pub answered: usize,
    /// How many of them requests are routed to without hesitation.
    pub up: usize,
    /// How many more are warm and wait for a seat.
    pub standbys: usize,
}

/// What there is to show, all of one moment.
struct StatsReport<'a> {
    standing: FleetCounts,
    roster: &'a Roster,
    look: WindowedStats,
    all: (SeatCounts, Rates),
}

/// When a reading is to be kept; after a delay there is no hurry to catch up.
pub(super) fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Reads and renders, beside the port's own thread.
///
/// # Errors
/// When the thread for it panicked.
pub(super) async fn report(context: &ControlContext) -> Result<Report, String> {
    let context = context.clone();
    let work = move || report_at(&context, Instant::now());
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| "the counts could not be read".into())
}

/// The lines and the JSON of this moment. The JSON is
///
/// ```json
/// {"version": "0.1.0", "uptime_s": 93.214, "window_s": 4.6, "workers": 2,
///  "engine": "process", "engine_up": true, "ring": "uniform", "bound": 1.03,
///  "wanted": 3, "N": 3, "up": 3, "standby": 0,
///  "seats": [
///   {"seat": 1, "name": "S1", "address": "127.0.0.1:40001", "state": "up",
///    "requests": 1200, "requests_per_s": 12.5, "share": 0.3334,
///    "responses": {"1xx": 0, "2xx": 1198, "3xx": 0, "4xx": 2, "5xx": 0},
///    "in_flight": 1, "awaiting": 1,
///    "home": 1190, "spilled": 10, "diverted": 0, "failed_over": 0, "private": 0,
///    "home_share": 0.9917,
///    "first_byte_ms": {"p50": 0.31, "p99": 1.2}, "total_ms": {"p50": 0.33, "p99": 1.4},
///    "bytes_from_client": 96000, "bytes_to_client": 260000,
///    "bytes_from_client_per_s": 1000.0, "bytes_to_client_per_s": 2700.0,
///    "retries": {"refused": 0, "connect_timeout": 0, "stale": 1, "lost": 0, "doubted": 0},
///    "saved": 1, "truncated": 0,
///    "heartbeats": 372, "heartbeats_missed": 0, "heartbeat_ms": {"p50": 0.2, "p99": 0.6},
///    "deaths": 0, "replacements": 0, "failed_starts": 0}],
///  "totals": {
///    "connections": {"open": 4, "limit": 10000, "accepted": 97, "evicted": 0},
///    "refused": {"1xx": 0, …}, "own_replies": {"1xx": 0, …},
///    "retries_denied": 0,
///    "pool": {"hits": 3500, "misses": 12},
///    "splice": {"bytes": 0, "fallbacks": 0},
///    "access_log": {"written": 0, "lost": 0},
///    … and the sums of all that a seat has, but for name, address and state}}
/// ```
///
/// `state` is `up`, `slow` (the slow guard goes around it), `suspect`, `down`, or `empty` while nobody has sat there, and then `name` and `address` are
/// null. `in_flight` and `awaiting` (a reply's head) are of now; `home_share`, `share` (of all requests) and
/// times are null when nothing came within the window. Seats are those on the ring, in order; the totals hold
/// what others served before they left it, too. `refused` are malformed requests, of which `own_replies` are
/// more than that: errors of ours and admin replies. `retries_denied` are the requests that the retry budget
/// kept from being sent again. `evicted` are the idle clients that were closed for newcomers, at the limit of
/// connections. A `bound` of 0 is none.
pub(super) fn report_at(context: &ControlContext, now: Instant) -> Report {
    let look = context.sources.recorder.windowed(now);
    let sheet = StatsReport {
        standing: (context.sources.standing)(),
        roster: &context.roster.latest(),
        all: look.total(),
        look,
    };
    (sheet.lines(), sheet.message(context.sources.engine))
}

impl StatsReport<'_> {
    fn seats(&self) -> impl Iterator<Item = (Seat, SeatCounts, Rates)> + '_ {
        self.roster.ring.seats().iter().map(|seat| {
            let (counts, recent) = self.look.seat(*seat);
            (*seat, counts, recent)
        })
    }

    /// Name, address and state of whoever sits there.
    fn holder(&self, seat: Seat) -> (Option<&str>, Option<String>, &'static str) {
        let member = self.roster.member(seat);
        (
            member.map(|member| member.name.as_ref()),
            member.map(|member| member.addr.to_string()),
            health(member),
        )
    }

    fn message(&self, engine: &str) -> Value {
        let (all, recent) = &self.all;
        let mut totals = counts_json(all, recent, recent);
        add_port_json(&mut totals, &self.look.now.port);
        let seats = self.seats().map(|(seat, counts, recent)| {
            let (name, address, state) = self.holder(seat);
            let mut fields = counts_json(&counts, &recent, &self.all.1);
            fields["seat"] = seat.0.into();
            fields["name"] = name.into();
            fields["address"] = address.into();
            fields["state"] = state.into();
            fields
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": rounded(self.look.uptime.as_secs_f64(), 3),
            "window_s": rounded(self.look.window.as_secs_f64(), 3),
            "workers": self.look.workers,
            "engine": engine,
            "engine_up": self.look.now.fleet.engine_up,
            "ring": self.roster.ring.spec().to_string(),
            "bound": self.roster.bound.limit().unwrap_or(0.0),
            "wanted": self.standing.wanted,
            "N": self.standing.answered,
            "up": self.standing.up,
            "standby": self.standing.standbys,
            "seats": seats.collect::<Vec<Value>>(),
            "totals": totals,
        })
    }
}

/// All that a seat and the totals have in common.
fn counts_json(counts: &SeatCounts, recent: &Rates, all: &Rates) -> Value {
    let retries = Retry::ALL.iter().zip(counts.retries);
    let retries = retries.map(|(why, count)| (why.as_str().to_owned(), Value::from(count)));
    json!({
        "requests": counts.requests,
        "requests_per_s": rounded(recent.requests_per_s(), 2),
        "share": recent.share_of(all).map(|share| rounded(share, 4)),
        "responses": classes(counts.replies),
        "in_flight": counts.in_flight,
        "awaiting": counts.awaiting,
        "home": counts.home(),
        "spilled": counts.spilled,
        "diverted": counts.diverted,
        "failed_over": counts.failed_over,
        "private": counts.private,
        "home_share": recent.home_share().map(|share| rounded(share, 4)),
        "first_byte_ms": quantiles(&recent.first_byte),
        "total_ms": quantiles(&recent.total),
        "bytes_from_client": counts.from_client,
        "bytes_to_client": counts.to_client,
        "bytes_from_client_per_s": rounded(recent.from_client_per_s(), 1),
        "bytes_to_client_per_s": rounded(recent.to_client_per_s(), 1),
        "retries": retries.collect::<serde_json::Map<_, _>>(),
        "saved": counts.saved,
        "truncated": counts.truncated,
        "heartbeats": counts.heartbeats.count(),
        "heartbeats_missed": counts.missed,
        "heartbeat_ms": quantiles(&recent.heartbeats),
        "deaths": counts.deaths,
        "replacements": counts.replaced,
        "failed_starts": counts.failed_starts,
    })
}

/// What the totals have beside.
fn add_port_json(totals: &mut Value, port: &PortCounts) {
    totals["connections"] = json!({
        "open": port.open,
        "limit": port.limit,
        "accepted": port.accepted,
        "evicted": port.evicted,
    });
    totals["refused"] = classes(port.refused);
    totals["own_replies"] = classes(port.own_replies);
    totals["retries_denied"] = json!(port.retries_denied);
    totals["pool"] = json!({"hits": port.pool_hits, "misses": port.pool_misses});
    totals["splice"] = json!({"bytes": port.spliced, "fallbacks": port.splice_fallbacks});
    totals["access_log"] = json!({"written": port.log_written, "lost": port.log_lost});
}

fn classes(counts: [u64; 5]) -> Value {
    let named = (1..).zip(counts);
    let named = named.map(|(class, count)| (format!("{class}xx"), Value::from(count)));
    Value::Object(named.collect())
}

fn quantiles(times: &HistogramSnapshot) -> Value {
    let ms = |q| times.quantile(q).map(|time| rounded(millis(time), 3));
    json!({"p50": ms(0.5), "p99": ms(0.99)})
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}
