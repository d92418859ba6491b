//! `GET /metrics`: all counters, for Prometheus. src/control/README.md lists its families.
//!
//! Labels are seats, classes and reasons, never names, keys, paths or addresses. So the number of
//! series is bounded by the number of seats, however often replicas are replaced and whatever
//! clients send. The counters of a seat are kept when its replica dies or the seat leaves the ring;
//! its state is shown only while it is on the ring.

mod connections;
mod exposition;
mod port;
mod process;
mod queues;
mod samples;

use std::time::{Instant, UNIX_EPOCH};

use self::exposition::Families;
use self::samples::{DURATION_BUCKETS, by_seat, by_seat_and, classes, seat_label, unlabelled};
use super::context::ControlContext;
use super::seat_state::{SEAT_STATES, seat_state};
use crate::fleet::RolloutStage;
use crate::metrics::{HistogramSnapshot, Retry};
use crate::ring::Seat;
use crate::stats::{FleetCountsSnapshot, SeatCounts};

pub(super) use self::exposition::MEDIA_TYPE;

/// Number of these buckets for heartbeats, which time out soon: 0.1 ms to 1 s.
const HEARTBEAT_BUCKETS: usize = 13;

/// Renders the metrics on a helper thread, since with many seats it takes milliseconds.
///
/// # Errors
/// A sentence, which would be a bug in this program.
pub(super) async fn scrape(context: &ControlContext) -> Result<String, String> {
    let context = context.clone();
    let work = move || render(&context, Instant::now());
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("the metrics could not be read".into()))
}

/// Renders the metrics of this moment.
///
/// # Errors
/// As [`Families::text`].
fn render(context: &ControlContext, now: Instant) -> Result<String, String> {
    let counters = context.sources.recorder.read(now);
    let mut families = Families::default();
    about(&mut families, context, &counters.fleet);
    process::add(&mut families, context);
    states(&mut families, context);
    let seats: Vec<(Seat, SeatCounts)> = counters.seats.into_iter().collect();
    requests(&mut families, &seats);
    times(&mut families, &seats);
    connections::add(&mut families, &seats);
    queues::add(&mut families, &seats);
    life_counters(&mut families, &seats, &counters.fleet);
    port::add(&mut families, &counters.port);
    families.text()
}

fn about(families: &mut Families, context: &ControlContext, fleet: &FleetCountsSnapshot) {
    let sources = &context.sources;
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let help = "Constant 1, labelled with the version of this program.";
    families.gauge("build_info", help, [(version, 1.0)]);
    let started = sources.started.duration_since(UNIX_EPOCH);
    let started = started.unwrap_or_default().as_secs_f64();
    let help = "Start time of this program, in seconds since the Unix epoch.";
    families.gauge("start_time_seconds", help, unlabelled(started));
    let engine = vec![("engine", sources.engine.to_owned())];
    let help = "1 if the engine that starts replicas answered the last call to it, 0 if not.";
    families.gauge(
        "engine_up",
        help,
        [(engine, f64::from(u8::from(fleet.engine_up)))],
    );
    if let Some((version, age)) = sources.service_reading(Instant::now()) {
        let help = "Version of the followed service, as this balancer has read it last.";
        families.gauge("service_version", help, unlabelled(version as f64));
        let help = "Time since this balancer has last read the followed service.";
        families.gauge("engine_age_seconds", help, unlabelled(age.as_secs_f64()));
    }
    let fleet = (sources.fleet_counts)();
    let help = "Number of replicas that are wanted.";
    families.gauge("replicas_wanted", help, unlabelled(fleet.wanted as f64));
    let help = "Number of replicas that have answered and are not dead.";
    families.gauge("replicas_answered", help, unlabelled(fleet.answered as f64));
    let help = "Number of replicas that get new requests.";
    families.gauge("replicas_up", help, unlabelled(fleet.up as f64));
    let help = "Number of standbys that are warm and wait for a seat.";
    families.gauge("standbys", help, unlabelled(fleet.standbys as f64));
    let help = "Number of distinct versions that the replicas in seats run.";
    families.gauge("versions", help, unlabelled(fleet.versions as f64));
    let help = "1 while a replacement by order is under way, 0 otherwise.";
    let replacing = f64::from(u8::from(fleet.replacing));
    families.gauge("replacing", help, unlabelled(replacing));
}

fn states(families: &mut Families, context: &ControlContext) {
    let roster = context.roster.latest();
    let samples = roster.ring.seats().iter().flat_map(|at| {
        let state = seat_state(roster.member(*at));
        SEAT_STATES.map(|word| {
            let labels = vec![seat_label(*at), ("state", word.to_owned())];
            (labels, f64::from(u8::from(word == state)))
        })
    });
    let help =
        "State of the replica in each seat on the ring: 1 for the one it is in, 0 for the others.";
    families.gauge("replica_state", help, samples.collect::<Vec<_>>());
    let weights = roster.ring.seats().iter().map(|at| {
        let weight = roster.ring.weights().of(*at).get();
        (vec![seat_label(*at)], f64::from(weight))
    });
    let help =
        "Weight of each seat on the ring: its shares of the keys, compared with a seat of 1.";
    families.gauge("replica_weight", help, weights.collect::<Vec<_>>());
    let help = "Upper 48 bits of the hash of the ring, the bound and the weights of the seats; equal for balancers \
                that assign keys in the same way.";
    families.gauge("ring_hash", help, unlabelled(roster.ring_hash().as_f64()));
}

fn requests(families: &mut Families, seats: &[(Seat, SeatCounts)]) {
    let help = "Requests given to the replica in a seat, by how they came there: home (the ring names it), \
                spilled (their home was at its bound), diverted (it was slow, ejected or in slow start), failed_over (it was not up, or had \
                failed them) or private (the client has authenticated its connection there by NTLM or Negotiate).";
    let ways = |counts: &SeatCounts| {
        [
            ("home", counts.home()),
            ("spilled", counts.spilled),
            ("diverted", counts.diverted),
            ("failed_over", counts.failed_over),
            ("private", counts.private),
        ]
    };
    families.counter("requests_total", help, by_seat_and(seats, "way", ways));
    let help =
        "Number of replies by the replica in a seat, by status class, interim replies included.";
    let replies = |counts: &SeatCounts| classes(counts.replies);
    families.counter("replies_total", help, by_seat_and(seats, "class", replies));
    let help = "Number of requests that were sent again, from a seat to another connection or replica, by reason.";
    let retries = |counts: &SeatCounts| {
        let count = |why: Retry| (why.as_str(), counts.retries[why as usize]);
        Retry::ALL.map(count)
    };
    families.counter("retries_total", help, by_seat_and(seats, "reason", retries));
    let help = "Number of requests that another replica answered, because the one in the seat was not up, refused or lost them, or gave a status of --retry-on.";
    let saved = by_seat(seats, |counts| counts.saved);
    families.counter("saved_requests_total", help, saved);
    let help =
        "Number of times that a worker ejected the replica in a seat for its errors (--eject-5xx).";
    let ejections = by_seat(seats, |counts| counts.ejections);
    families.counter("ejections_total", help, ejections);
    let help = "Number of replies that broke off after a part had been sent to the client.";
    let truncated = by_seat(seats, |counts| counts.truncated);
    families.counter("truncated_replies_total", help, truncated);
    let help = "Number of requests in flight at the replica in a seat, tunnels included.";
    let in_flight = by_seat(seats, |counts| counts.in_flight as f64);
    families.gauge("requests_in_flight", help, in_flight);
    let help = "Size of the requests from clients for a seat, heads and bodies, in bytes.";
    let bytes = by_seat(seats, |counts| counts.from_client);
    families.counter("received_bytes_total", help, bytes);
    let help = "Size of the replies of a seat to clients, heads and bodies, in bytes.";
    let bytes = by_seat(seats, |counts| counts.to_client);
    families.counter("sent_bytes_total", help, bytes);
}

fn times(families: &mut Families, seats: &[(Seat, SeatCounts)]) {
    let mut add = |name, help, bounds, times: fn(&SeatCounts) -> HistogramSnapshot| {
        families.histogram(name, help, bounds, by_seat(seats, times));
    };
    let help = "Time from the head of a request to the head of its reply, in seconds.";
    add(
        "first_byte_seconds",
        help,
        &DURATION_BUCKETS[..],
        |counts| counts.first_byte,
    );
    let help = "Time from the head of a request to its end, in seconds, tunnels excluded.";
    add(
        "request_duration_seconds",
        help,
        &DURATION_BUCKETS[..],
        |counts| counts.total,
    );
    let help = "Time from a heartbeat to its answer, in seconds.";
    add(
        "heartbeat_seconds",
        help,
        &DURATION_BUCKETS[..HEARTBEAT_BUCKETS],
        |counts| counts.heartbeats,
    );
}

fn life_counters(
    families: &mut Families,
    seats: &[(Seat, SeatCounts)],
    fleet: &FleetCountsSnapshot,
) {
    let mut count = |name, help, count: fn(&SeatCounts) -> u64| {
        families.counter(name, help, by_seat(seats, count));
    };
    let help = "Number of heartbeats that were answered late, never, or with a failure.";
    count("heartbeats_missed_total", help, |counts| counts.missed);
    let help = "Number of replicas that died in a seat.";
    count("replica_deaths_total", help, |counts| counts.deaths);
    let help = "Number of successors that took a seat after a death.";
    count("replacements_total", help, |counts| counts.replaced);
    let help = "Number of replicas that could not be started for a seat.";
    count("failed_starts_total", help, |counts| counts.failed_starts);
    let help = "Time from the verdict that a replica is dead to the first answer of its successor, in seconds.";
    families.histogram(
        "replacement_seconds",
        help,
        &DURATION_BUCKETS,
        unlabelled(fleet.replacements),
    );
    let help = "Number of replacements by another version, by the stage that they reached: begun, completed, \
                stopped, turned_back (the former versions are brought back), rolled_back or failed.";
    let stages = RolloutStage::ALL.iter().zip(fleet.rollouts);
    let stages = stages.map(|(stage, count)| (vec![("stage", stage.as_str().to_owned())], count));
    families.counter("rollouts_total", help, stages);
    let help = "Time from the start of a replica to its first answer, in seconds.";
    families.histogram(
        "spawn_seconds",
        help,
        &DURATION_BUCKETS,
        unlabelled(fleet.spawns),
    );
}
