//! Counts of answers over time, per server, in steps of 1 ms, and latencies in windows.
//!
//! Memory grows with the duration, not with the number of answers, and stops growing after ten
//! minutes: later answers count in the last step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::float::as_f64;
use crate::latency::Latencies;
use crate::outcome::Server;

/// Highest number of steps.
const MAX_STEPS: usize = 600_000;

/// Mean number of answers in a window, and shortest window in steps.
const WINDOW_ANSWERS: f64 = 200.0;
const MIN_WINDOW: usize = 50;

/// Quantiles of the answers in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Middle of the window, in milliseconds after the start.
    pub(crate) at_ms: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Counts over time.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    began: SystemTime,
    by_server: BTreeMap<Server, Vec<u32>>,
    failed: Vec<u32>,
    window_steps: usize,
    /// Latencies of the window that is under way, and its number.
    current: (usize, Latencies),
    windows: Vec<Window>,
}

impl Timeline {
    /// Returns an empty timeline that starts at this moment, for a load of this rate.
    ///
    /// # Errors
    /// The latency bounds are invalid, which a test would find.
    pub(crate) fn start(per_second: f64) -> anyhow::Result<Self> {
        let millis = crate::float::round_u64(WINDOW_ANSWERS / per_second * 1e3);
        Ok(Self {
            start: Instant::now(),
            began: SystemTime::now(),
            by_server: BTreeMap::new(),
            failed: Vec::new(),
            window_steps: usize::try_from(millis)?.clamp(MIN_WINDOW, MAX_STEPS),
            current: (0, Latencies::new()?),
            windows: Vec::new(),
        })
    }

    /// Counts an answer of a server, or a failure (`None`). Answers of unidentified servers are
    /// ignored.
    pub(crate) fn record(&mut self, outcome: Option<Option<Server>>, latency: Duration) {
        let millis = usize::try_from(self.start.elapsed().as_millis());
        let step = millis.unwrap_or(MAX_STEPS).min(MAX_STEPS - 1);
        if outcome.is_some() {
            self.record_latency(step, latency);
        }
        let counts = match outcome {
            Some(Some(server)) => self.by_server.entry(server).or_default(),
            Some(None) => return,
            None => &mut self.failed,
        };
        if counts.len() <= step {
            counts.resize(step + 1, 0);
        }
        counts[step] += 1;
    }

    /// Milliseconds from the start to a wall-clock time; negative before the start.
    pub(crate) fn millis_since_start(&self, moment: SystemTime) -> f64 {
        let span = |time: Duration| time.as_secs_f64() * 1e3;
        match moment.duration_since(self.began) {
            Ok(after) => span(after),
            Err(before) => -span(before.duration()),
        }
    }

    fn record_latency(&mut self, step: usize, latency: Duration) {
        let window = step / self.window_steps;
        if window > self.current.0 {
            self.windows.extend(self.current_window());
            self.current.0 = window;
            self.current.1.clear();
        }
        self.current.1.record(latency);
    }

    fn current_window(&self) -> Option<Window> {
        let (number, latencies) = &self.current;
        let middle = as_f64(*number as u64) + 0.5;
        (!latencies.is_empty()).then(|| Window {
            at_ms: middle * as_f64(self.window_steps as u64),
            p50: latencies.quantile(0.5),
            p99: latencies.quantile(0.99),
        })
    }

    /// Quantiles over time. A window without answers is absent.
    pub(crate) fn windows(&self) -> Vec<Window> {
        let windows = self.windows.iter().copied();
        windows.chain(self.current_window()).collect()
    }

    /// Length of a window, in milliseconds.
    pub(crate) fn window_ms(&self) -> usize {
        self.window_steps
    }

    /// Answers of a server in each `step` milliseconds. All servers have the same number of steps.
    pub(crate) fn counts(&self, server: Server, step: usize) -> Vec<u32> {
        self.sums(self.by_server.get(&server).map_or(&[], Vec::as_slice), step)
    }

    /// Failures in each `step` milliseconds.
    pub(crate) fn failed(&self, step: usize) -> Vec<u32> {
        self.sums(&self.failed, step)
    }

    fn sums(&self, counts: &[u32], step: usize) -> Vec<u32> {
        let sums = counts.chunks(step).map(|chunk| chunk.iter().sum());
        let mut sums: Vec<u32> = sums.collect();
        sums.resize(self.steps().div_ceil(step), 0);
        sums
    }

    /// Number of milliseconds up to the last answer or failure.
    pub(crate) fn steps(&self) -> usize {
        let all = self.by_server.values().map(Vec::len);
        all.chain([self.failed.len()]).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_counts_in_a_step() {
        let mut timeline = Timeline::start(4_000.0).unwrap();
        let ms = Duration::from_millis(1);
        timeline.record(Some(Some(2)), ms);
        timeline.record(Some(Some(2)), ms);
        timeline.record(Some(None), ms);
        timeline.record(None, ms);
        assert_eq!(timeline.counts(2, 10).iter().sum::<u32>(), 2);
        assert_eq!(timeline.failed(1).iter().sum::<u32>(), 1);
        assert_eq!(timeline.counts(2, 1).len(), timeline.counts(9, 1).len());
        let before = timeline.began - Duration::from_millis(20);
        assert!((timeline.millis_since_start(before) + 20.0).abs() < 1e-6);
    }

    #[test]
    fn a_window_has_the_quantiles_of_its_own_answers() {
        let mut timeline = Timeline::start(1_000.0).unwrap();
        assert_eq!(timeline.window_ms(), 200);
        for (step, millis) in [(0, 1), (199, 3), (199, 2), (450, 9)] {
            timeline.record_latency(step, Duration::from_millis(millis));
        }
        let found = timeline.windows();
        let found = found.iter().map(|window| {
            let ms = |time: Duration| (time.as_secs_f64() * 1e3).round();
            (window.at_ms, ms(window.p50), ms(window.p99))
        });
        // Nothing was answered from 200 to 400 ms.
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(100.0, 2.0, 3.0), (500.0, 9.0, 9.0)]
        );
    }
}
