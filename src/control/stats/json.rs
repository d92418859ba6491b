//! The JSON form of the statistics.

use serde_json::{Value, json};

use super::report::{StatsReport, millis};
use crate::metrics::{HistogramSnapshot, Retry};
use crate::stats::{PortCounts, Rates, SeatCounts, TICK, TimelinePoint};

/// Returns the JSON message:
///
/// ```json
/// {"version": "0.2.0", "uptime_s": 93.214, "window_s": 4.6, "workers": 2,
///  "engine": "process", "engine_up": true, "ring": "uniform", "bound": 1.03,
///  "ring_hash": "21fba7d6d3c1b0b6", "service": {"version": 1359, "age_s": 0.214},
///  "wanted": 3, "N": 3, "up": 3, "standby": 0,
///  "seats": [
///   {"seat": 1, "name": "S1", "address": "127.0.0.1:40001", "state": "up",
///    "weight": 1,
///    "requests": 1200, "requests_per_s": 12.5, "share": 0.3334,
///    "responses": {"1xx": 0, "2xx": 1198, "3xx": 0, "4xx": 2, "5xx": 0},
///    "in_flight": 1, "awaiting": 1, "queued": 0,
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
///    "connections": {"open": 4, "limit": 10000, "accepted": 97, "evicted": 0, "unserved": 0},
///    "refused": {"1xx": 0, …}, "own_replies": {"1xx": 0, …},
///    "retries_denied": 0,
///    "pool": {"hits": 3500, "misses": 12},
///    "splice": {"bytes": 0, "fallbacks": 0},
///    "access_log": {"written": 0, "lost": 0},
///    … and the sums of all fields of a seat except name, address, state and
///    weight}}
/// ```
///
/// `state` is `up`, `slow` (the slow guard diverts requests from it), `drained`, `suspect`, `down`,
/// or `empty` before the seat's first replica; then `name` and `address` are null. `in_flight` and
/// `awaiting` (a reply head) are of this moment, as is `queued` (at the limit of requests in
/// flight). `home_share`, `share` (of all requests) and times
/// are null if nothing came within the window.
/// `service` is the followed service, by its version and the age of the latest reading; null with
/// other engines.
///
/// Seats are those on the ring, in order; the totals include seats that have left it. `refused` are
/// malformed requests. `own_replies` includes them, and errors and admin replies of the balancer.
/// `retries_denied` are requests that were not retried because of the retry budget. `evicted` are
/// clients that were closed for new ones, at the limit of connections. A `bound` of 0 is no
/// bound. Balancers with an equal `ring_hash` have the same ring, bound and weights.
pub(super) fn render(report: &StatsReport<'_>) -> Value {
    let (all, recent) = &report.all;
    let mut totals = counts_json(all, recent, recent);
    add_port_json(&mut totals, &report.stats.now.port);
    let seats = report.seats().map(|(seat, counts, recent)| {
        let holder = report.holder(seat);
        let mut fields = counts_json(&counts, &recent, &report.all.1);
        fields["seat"] = seat.0.into();
        fields["name"] = holder.name.into();
        fields["address"] = holder.address.into();
        fields["state"] = holder.state.into();
        fields["weight"] = holder.weight.into();
        fields
    });
    let service = report
        .service
        .map(|(version, age)| json!({"version": version, "age_s": rounded(age.as_secs_f64(), 3)}));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": rounded(report.stats.uptime.as_secs_f64(), 3),
        "window_s": rounded(report.stats.window.as_secs_f64(), 3),
        "workers": report.stats.workers,
        "engine": report.engine,
        "engine_up": report.stats.now.fleet.engine_up,
        "ring": report.roster.ring.spec().to_string(),
        "bound": report.roster.bound.limit().unwrap_or(0.0),
        "ring_hash": report.roster.ring_hash().to_string(),
        "service": service,
        "wanted": report.fleet.wanted,
        "N": report.fleet.answered,
        "up": report.fleet.up,
        "standby": report.fleet.standbys,
        "seats": seats.collect::<Vec<Value>>(),
        "totals": totals,
    })
}

/// Returns the JSON message:
///
/// ```json
/// {"interval_s": 1.0,
///  "requests_per_s": [0.0, null, 12.5],
///  "total_ms": {"p50": [null, null, 0.33], "p99": [null, null, 1.4]},
///  "bytes_to_client_per_s": [0.0, null, 2700.0]}
/// ```
///
/// Each list has a value for each second, the oldest first, and at most those of two minutes. A
/// value is that of the same name in the totals of `/stats` at that moment; null if that second was
/// missed, and for times also if nothing came within the window.
pub(super) fn render_timeline(points: &[Option<TimelinePoint>]) -> Value {
    let column = |value: fn(&TimelinePoint) -> Option<f64>, digits| {
        let values = points.iter().map(|point| point.as_ref().and_then(value));
        let values = values.map(|value| Value::from(value.map(|value| rounded(value, digits))));
        Value::from_iter(values)
    };
    json!({
        "interval_s": TICK.as_secs_f64(),
        "requests_per_s": column(|point| Some(point.requests_per_s), 2),
        "total_ms": {
            "p50": column(|point| point.p50.map(millis), 3),
            "p99": column(|point| point.p99.map(millis), 3),
        },
        "bytes_to_client_per_s": column(|point| Some(point.to_client_per_s), 1),
    })
}

/// Returns the fields that a seat and the totals have in common.
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
        "queued": counts.queue.as_ref().map_or(0, |queue| queue.waiting),
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

/// Adds the fields that only the totals have.
fn add_port_json(totals: &mut Value, port: &PortCounts) {
    totals["connections"] = json!({
        "open": port.open,
        "limit": port.limit,
        "accepted": port.accepted,
        "evicted": port.evicted,
        "unserved": port.unserved,
    });
    totals["refused"] = classes(port.refused);
    totals["own_replies"] = classes(port.local_replies());
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

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}
