//! What the log says of wrong tokens: who showed one, and how many there were; never the token, and never
//! so often that guessing floods the log.
//!
//! It takes no lock, since requests of the data port come by here too.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least time between two lines of the log.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Tells of wrong tokens.
#[derive(Debug)]
pub struct WrongTokenLog {
    begun: Instant,
    /// How many were shown.
    count: AtomicU64,
    /// From when on the next is told of, in milliseconds since the beginning.
    next: AtomicU64,
}

impl Default for WrongTokenLog {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            count: AtomicU64::new(0),
            next: AtomicU64::new(0),
        }
    }
}

impl WrongTokenLog {
    /// Somebody at `addr` has shown a wrong token.
    pub(super) fn record(&self, addr: IpAddr) {
        if let Some(count) = self.should_log(self.begun.elapsed()) {
            let addr = addr.to_canonical();
            tracing::warn!("{addr} showed a wrong token; so far {count}");
        }
    }

    /// Counts one more, at this time since the beginning. How many there were, if that is to be told.
    fn should_log(&self, now: Duration) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = millis(now + TELL_INTERVAL);
        let is_news = millis(now) >= next
            && (self.next)
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_news.then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_second_and_all_are_counted() {
        let alarm = WrongTokenLog::default();
        let before = TELL_INTERVAL - Duration::from_millis(1);
        let at = |time| alarm.should_log(time);
        assert_eq!(at(Duration::ZERO), Some(1));
        assert_eq!((at(Duration::ZERO), at(before)), (None, None));
        assert_eq!((at(TELL_INTERVAL), at(TELL_INTERVAL)), (Some(4), None));
    }
}
