//! Minimum interval between two log lines of one kind, so that an event that recurs a thousand
//! times a second does not flood the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Interval of one kind of log line. It takes no lock, so that threads may share it.
#[derive(Debug)]
pub(crate) struct LogInterval {
    interval: Duration,
    started: Instant,
    /// Time of the next line, in milliseconds since the start.
    next: AtomicU64,
}

/// The usual interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

impl Default for LogInterval {
    fn default() -> Self {
        Self::new(DEFAULT_INTERVAL)
    }
}

impl LogInterval {
    /// Returns an interval after which the first line is due immediately.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            started: Instant::now(),
            next: AtomicU64::new(0),
        }
    }

    /// Returns `true` if a line is due now, at most once per interval.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due_at(self.started.elapsed())
    }

    fn is_due_at(&self, now: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = millis(now.saturating_add(self.interval));
        millis(now) >= next
            && (self.next)
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_at_once_and_then_once_per_interval() {
        let interval = Duration::from_secs(1);
        let log = LogInterval::new(interval);
        let before = interval - Duration::from_millis(1);
        let due = [Duration::ZERO, Duration::ZERO, before, interval, interval];
        assert_eq!(
            due.map(|now| log.is_due_at(now)),
            [true, false, false, true, false]
        );
    }
}
