//! Metrics of whole connections, in the balance modes that have them. Without them, nothing is
//! added.

use super::exposition::Families;
use super::samples::{DURATION_BUCKETS, by_seat, by_seat_and};
use crate::metrics::{ConnectionEnd, DURATION_SCALE};
use crate::ring::Seat;
use crate::stats::{ConnectionCounts, SeatCounts};

/// Number of buckets for connects: 0.1 ms to 5 s. The connect timeout is 4 s by default.
const CONNECT_BUCKETS: usize = 15;

/// Adds the metrics.
pub(super) fn add(families: &mut Families, seats: &[(Seat, SeatCounts)]) {
    let with = |(seat, counts): &(Seat, SeatCounts)| Some((*seat, **counts.connections.as_ref()?));
    let all: Vec<(Seat, ConnectionCounts)> = seats.iter().filter_map(with).collect();
    let ends = |counts: &ConnectionCounts| {
        ConnectionEnd::ALL.map(|end| (end.as_str(), counts.ends[end as usize]))
    };
    let help = "Number of connections that the replica in a seat accepted and that are over, by their end: ended \
                (by both sides in order), client_reset, replica_reset or timed_out (silent for --tunnel-timeout).";
    families.counter(
        "tcp_connections_total",
        help,
        by_seat_and(&all, "end", ends),
    );
    let help =
        "Time from the start of a connection to a replica until it was accepted, in seconds.";
    let connects = by_seat(&all, |counts| counts.connects);
    families.histogram(
        "tcp_connect_seconds",
        help,
        &DURATION_BUCKETS[..CONNECT_BUCKETS],
        connects,
    );
    let help = "Time from the acceptance of a connection by its replica to its end, in seconds.";
    let durations = by_seat(&all, |counts| counts.durations);
    // 10 ms to 5,000 s.
    let buckets = (&DURATION_BUCKETS[..], DURATION_SCALE);
    families.scaled_histogram("tcp_connection_duration_seconds", help, buckets, durations);
}
