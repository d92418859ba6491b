//! Samples of a metric: one value, or one for each seat, status class or other label. Also the
//! buckets of most histograms.

use super::exposition::MetricLabels;
use crate::ring::Seat;

/// Buckets of requests and starts, in microseconds: 0.1 ms to 50 s.
pub(super) const DURATION_BUCKETS: [u64; 18] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
];

pub(super) fn unlabelled<T>(value: T) -> [(MetricLabels, T); 1] {
    [(MetricLabels::new(), value)]
}

pub(super) fn seat_label(seat: Seat) -> (&'static str, String) {
    ("seat", seat.to_string())
}

/// Returns a sample for each seat.
pub(super) fn by_seat<'a, C: 'a, T: 'a>(
    seats: &'a [(Seat, C)],
    value: impl Fn(&C) -> T + 'a,
) -> impl Iterator<Item = (MetricLabels, T)> + 'a {
    let sample = move |(at, counts): &(Seat, C)| (vec![seat_label(*at)], value(counts));
    seats.iter().map(sample)
}

/// Returns a sample for each seat and each of its `values`. The label `name` distinguishes the
/// values.
pub(super) fn by_seat_and<'a, C: 'a, const N: usize>(
    seats: &'a [(Seat, C)],
    name: &'static str,
    values: impl Fn(&C) -> [(&'static str, u64); N] + 'a,
) -> impl Iterator<Item = (MetricLabels, u64)> + 'a {
    seats.iter().flat_map(move |(at, counts)| {
        let labels = |value: &str| vec![seat_label(*at), (name, value.to_owned())];
        values(counts).map(|(value, count)| (labels(value), count))
    })
}

pub(super) fn classes(counts: [u64; 5]) -> [(&'static str, u64); 5] {
    let [one, two, three, four, five] = counts;
    [
        ("1xx", one),
        ("2xx", two),
        ("3xx", three),
        ("4xx", four),
        ("5xx", five),
    ]
}

pub(super) fn by_class(counts: [u64; 5]) -> impl Iterator<Item = (MetricLabels, u64)> {
    let labelled = |(class, count): (&str, u64)| (vec![("class", class.to_owned())], count);
    classes(counts).into_iter().map(labelled)
}
