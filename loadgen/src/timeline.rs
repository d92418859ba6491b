//! Counts of answers over time, per server, in steps of 10 ms.
//!
//! Memory grows with the duration, not with the number of answers, and stops growing after ten
//! minutes: later answers count in the last step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::outcome::Server;

/// Length of a step, in milliseconds.
pub(crate) const STEP_MS: u32 = 10;

/// Highest number of steps.
const MAX_STEPS: usize = 60_000;

/// Counts over time.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    began: SystemTime,
    by_server: BTreeMap<Server, Vec<u32>>,
    failed: Vec<u32>,
}

impl Timeline {
    /// Returns an empty timeline that starts at this moment.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            began: SystemTime::now(),
            by_server: BTreeMap::new(),
            failed: Vec::new(),
        }
    }

    /// Counts an answer of a server, or a failure (`None`). Answers of unidentified servers are
    /// ignored.
    pub(crate) fn record(&mut self, outcome: Option<Option<Server>>) {
        let millis = self.start.elapsed().as_millis() / u128::from(STEP_MS);
        let step = usize::try_from(millis)
            .unwrap_or(MAX_STEPS)
            .min(MAX_STEPS - 1);
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

    /// Answers of a server per step. All servers have the same number of steps.
    pub(crate) fn counts(&self, server: Server) -> Vec<u32> {
        let mut counts = self.by_server.get(&server).cloned().unwrap_or_default();
        counts.resize(self.steps(), 0);
        counts
    }

    /// Failures per step.
    pub(crate) fn failed(&self) -> Vec<u32> {
        let mut counts = self.failed.clone();
        counts.resize(self.steps(), 0);
        counts
    }

    fn steps(&self) -> usize {
        let all = self.by_server.values().map(Vec::len);
        all.chain([self.failed.len()]).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_counts_in_a_step() {
        let mut timeline = Timeline::start();
        timeline.record(Some(Some(2)));
        timeline.record(Some(Some(2)));
        timeline.record(Some(None));
        timeline.record(None);
        assert_eq!(timeline.counts(2).iter().sum::<u32>(), 2);
        assert_eq!(timeline.failed().iter().sum::<u32>(), 1);
        assert_eq!(timeline.counts(2).len(), timeline.counts(9).len());
        let before = timeline.began - Duration::from_millis(20);
        assert!((timeline.millis_since_start(before) + 20.0).abs() < 1e-6);
    }
}
