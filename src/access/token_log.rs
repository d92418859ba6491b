//! Log of wrong tokens: the sender's address and the total, never the token. Its rate is limited,
//! so that guessing cannot flood the log.
//!
//! It takes no lock, because requests of the data port use it too.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Minimum interval between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Counts wrong tokens and logs them.
#[derive(Debug)]
pub struct WrongTokenLog {
    started: Instant,
    /// Number of wrong tokens.
    count: AtomicU64,
    /// Time of the next log line, in milliseconds since the start.
    next: AtomicU64,
}

impl Default for WrongTokenLog {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            count: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }
}

impl WrongTokenLog {
    /// Records a wrong token from `addr`.
    pub(super) fn record(&self, addr: IpAddr) {
        if let Some(count) = self.should_log(self.started.elapsed()) {
            let addr = addr.to_canonical();
            tracing::warn!("{addr} showed a wrong token; so far {count}");
        }
    }

    /// Returns the number of wrong tokens.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts a wrong token at this time since the start. Returns the total if it must be logged.
    fn should_log(&self, now: Duration) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = millis(now + LOG_INTERVAL);
        let is_due = millis(now) >= next
            && (self.next)
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_due.then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tokens_are_logged_once_a_second_and_all_are_counted() {
        let log = WrongTokenLog::default();
        let before = LOG_INTERVAL - Duration::from_millis(1);
        let at = |time| log.should_log(time);
        assert_eq!(at(Duration::ZERO), Some(1));
        assert_eq!((at(Duration::ZERO), at(before)), (None, None));
        assert_eq!((at(LOG_INTERVAL), at(LOG_INTERVAL)), (Some(4), None));
    }
}
