//! Timeline of the last two minutes: one point for each tick, over all seats.
//!
//! Pure: the sampler computes a point when it takes a snapshot, so that a reader only copies
//! [`TIMELINE_POINTS`] small values. A tick that was missed, as when the machine was suspended, is
//! a gap: the newest point is always at the end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::history::{Rates, TICK};

/// Number of points kept: two minutes of ticks, in 6 KB.
pub const TIMELINE_POINTS: usize = 120;

/// Rates and times of the window that ends at one tick. They are those of `stats` at that moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelinePoint {
    /// Requests per second.
    pub requests_per_s: f64,
    /// Bytes of replies per second.
    pub to_client_per_s: f64,
    /// Median time from a request's head to its end; `None` without requests.
    pub p50: Option<Duration>,
    /// Time that 99 % of the requests do not exceed; `None` without requests.
    pub p99: Option<Duration>,
}

impl From<&Rates> for TimelinePoint {
    fn from(recent: &Rates) -> Self {
        Self {
            requests_per_s: recent.requests_per_s(),
            to_client_per_s: recent.to_client_per_s(),
            p50: recent.total.quantile(0.5),
            p99: recent.total.quantile(0.99),
        }
    }
}

/// Last points, the oldest first; `None` for a gap.
#[derive(Debug, Default)]
pub struct Timeline {
    points: VecDeque<Option<TimelinePoint>>,
    last: Option<Instant>,
}

impl Timeline {
    /// Appends the point of the tick at `at`, after a gap for each tick that was missed.
    pub fn push(&mut self, at: Instant, point: TimelinePoint) {
        let pause = self.last.replace(at);
        let pause = pause.map_or(TICK, |last| at.saturating_duration_since(last));
        // A tick that is late by less than half an interval is not missed.
        let ticks = (pause.as_secs_f64() / TICK.as_secs_f64()).round();
        let missed = (1..TIMELINE_POINTS).take_while(|tick| (*tick as f64) < ticks);
        for _ in missed {
            self.append(None);
        }
        self.append(Some(point));
    }

    /// Returns all points.
    #[must_use]
    pub fn points(&self) -> Vec<Option<TimelinePoint>> {
        self.points.iter().copied().collect()
    }

    fn append(&mut self, point: Option<TimelinePoint>) {
        if self.points.len() == TIMELINE_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(requests_per_s: f64) -> TimelinePoint {
        TimelinePoint {
            requests_per_s,
            to_client_per_s: 0.0,
            p50: None,
            p99: None,
        }
    }

    /// Returns the rates of the points after ticks at these times, in seconds.
    fn rates(ticks: &[f64]) -> Vec<Option<f64>> {
        let (mut timeline, begin) = (Timeline::default(), Instant::now());
        for at in ticks {
            timeline.push(begin + Duration::from_secs_f64(*at), point(*at));
        }
        let points = timeline.points().into_iter();
        let rate = |point: TimelinePoint| point.requests_per_s;
        points.map(|point| point.map(rate)).collect()
    }

    #[test]
    fn a_timeline_keeps_two_minutes() {
        let ticks: Vec<f64> = (0..300).map(f64::from).collect();
        let last: Vec<Option<f64>> = ticks[180..].iter().copied().map(Some).collect();
        assert_eq!(rates(&ticks), last);
        assert_eq!(rates(&[]), []);
    }

    #[test]
    fn a_missed_tick_is_a_gap_and_a_late_one_is_not() {
        assert_eq!(
            rates(&[0.0, 1.4, 2.4, 5.3]),
            [Some(0.0), Some(1.4), Some(2.4), None, None, Some(5.3)]
        );
    }

    #[test]
    fn a_long_pause_leaves_only_the_point_after_it() {
        let after = rates(&[0.0, 1e9]);
        assert_eq!(after.len(), TIMELINE_POINTS);
        assert!(after[..TIMELINE_POINTS - 1].iter().all(Option::is_none));
        assert_eq!(after.last(), Some(&Some(1e9)));
    }
}
