//! Rate of interim replies (1xx). All of them are relayed (RFC 9110 §15.2), but after the first
//! [`BURST`] at most one each [`INTERVAL`]. A flood then costs a fixed share of a worker, and the
//! replica blocks on its socket.

use std::time::Duration;

use tokio::time::Instant;

/// Interim replies to one request that are relayed without delay.
const BURST: u32 = 100;
/// Interval between further interim replies.
const INTERVAL: Duration = Duration::from_millis(1);

/// Token bucket for the interim replies to one request: [`BURST`] tokens, refilled by one each
/// [`INTERVAL`].
#[derive(Debug, Default)]
pub(super) struct InterimRate(Option<Instant>);

impl InterimRate {
    /// Counts an interim reply that arrived at `now`. Returns the time at which the next may be
    /// read; `None` means at once.
    pub(super) fn count(&mut self, now: Instant) -> Option<Instant> {
        let full = self.0.map_or(now, |full| full.max(now)) + INTERVAL;
        self.0 = Some(full);
        full.checked_sub(BURST * INTERVAL).filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_reply_each_interval() {
        let begun = Instant::now();
        let mut rate = InterimRate::default();
        for _ in 0..BURST {
            assert_eq!(rate.count(begun), None);
        }
        for n in 1..=3 {
            assert_eq!(rate.count(begun), Some(begun + n * INTERVAL));
        }
        // Replies at this rate are never delayed.
        let mut now = begun + 4 * INTERVAL;
        for _ in 0..10_000 {
            assert_eq!(rate.count(now), None);
            now += INTERVAL;
        }
        // After a pause, a whole burst passes again and no more.
        now += 1000 * BURST * INTERVAL;
        for _ in 0..BURST {
            assert_eq!(rate.count(now), None);
        }
        assert_eq!(rate.count(now), Some(now + INTERVAL));
    }
}
