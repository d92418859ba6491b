//! Log of wrong tokens: the sender's address and the total, never the token. Its rate is limited,
//! so that guessing cannot flood the log.
//!
//! It takes no lock, because requests of the data port use it too.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::log_interval::LogInterval;

/// Minimum interval between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Counts wrong tokens and logs them.
#[derive(Debug)]
pub struct WrongTokenLog {
    /// Number of wrong tokens.
    count: AtomicU64,
    interval: LogInterval,
}

impl Default for WrongTokenLog {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            interval: LogInterval::new(LOG_INTERVAL),
        }
    }
}

impl WrongTokenLog {
    /// Records a wrong token from `addr`.
    pub(super) fn record(&self, addr: IpAddr) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if self.interval.is_due() {
            let addr = addr.to_canonical();
            tracing::warn!("{addr} showed a wrong token; so far {count}");
        }
    }

    /// Returns the number of wrong tokens.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tokens_are_counted_whether_they_are_logged_or_not() {
        let log = WrongTokenLog::default();
        for _ in 0..3 {
            log.record(IpAddr::from([192, 0, 2, 1]));
        }
        assert_eq!(log.count(), 3);
    }
}
