//! Metrics of the queues of replicas at their limit. Without a limit, nothing is added.

use super::exposition::Families;
use super::samples::{DURATION_BUCKETS, by_seat, by_seat_and};
use crate::metrics::QueueEnd;
use crate::ring::Seat;
use crate::stats::{QueueCounts, SeatCounts};

/// Adds the metrics.
pub(super) fn add(families: &mut Families, seats: &[(Seat, SeatCounts)]) {
    let with = |(seat, counts): &(Seat, SeatCounts)| Some((*seat, **counts.queue.as_ref()?));
    let all: Vec<(Seat, QueueCounts)> = seats.iter().filter_map(with).collect();
    let help = "Number of requests that wait because the replica in a seat is at --max-in-flight-per-replica.";
    families.gauge(
        "queued_requests",
        help,
        by_seat(&all, |counts| counts.waiting as f64),
    );
    let ends =
        |counts: &QueueCounts| QueueEnd::ALL.map(|end| (end.as_str(), counts.ends[end as usize]));
    let help = "Number of requests that found the replica in a seat at --max-in-flight-per-replica, by the end of \
                their wait: served, timed_out (--queue-timeout), moved (to another replica, because this one was \
                down, drained or gone), client_left or full (--queue).";
    families.counter("queue_requests_total", help, by_seat_and(&all, "end", ends));
    let help = "Time of a request in the queue of a replica, in seconds.";
    let waits = by_seat(&all, |counts| counts.waits);
    families.histogram("queue_wait_seconds", help, &DURATION_BUCKETS, waits);
}
