//! Interim replies (1xx), passed on as they come: all of them (RFC 9110 §15.2), but no faster than one each
//! [`INTERVAL`] after the first [`BURST`]. A flood of them then costs a fixed share of a worker, and the
//! replica waits for its socket.

use std::time::Duration;

use bytes::Buf;
use tokio::time::Instant;

use super::response::{Response, ResponseError};
use super::rewrite::{self, HeadEnding, ResponseMeta};
use crate::wire::head::Version;

/// Interim replies to one request that are passed on without delay.
const BURST: u32 = 100;
/// Time between two more of them.
const INTERVAL: Duration = Duration::from_millis(1);

/// Pace of the interim replies to one request: a bucket of [`BURST`] that fills by one each [`INTERVAL`].
#[derive(Debug, Default)]
pub(super) struct InterimRate(Option<Instant>);

impl InterimRate {
    /// Counts an interim reply that came `now`. Returns when the next may be read, if not at once.
    fn count(&mut self, now: Instant) -> Option<Instant> {
        let full = self.0.map_or(now, |full| full.max(now)) + INTERVAL;
        self.0 = Some(full);
        full.checked_sub(BURST * INTERVAL).filter(|at| *at > now)
    }
}

impl Response<'_> {
    /// Passes on an interim reply, whose head is in `out`. The final one has its whole time again.
    pub(super) async fn pass_interim(
        &mut self,
        facts: &ResponseMeta,
        pace: &mut InterimRate,
    ) -> Result<(), ResponseError> {
        let now = Instant::now();
        self.reply.advance(facts.len);
        self.in_flight.pool().cell().replies.count(facts.status);
        if facts.status == 100 {
            self.progress.release(now);
        }
        self.progress
            .renew(now + self.worker.settings.limits.reply_timeout);
        // RFC 9110 §15.2: never to an HTTP/1.0 client.
        if self.asked.version == Version::Http11 {
            rewrite::push_head_end(HeadEnding::Plain, &mut self.out);
            self.progress.amid.set(true);
            self.write_out().await?;
            self.progress.amid.set(false);
        }
        if let Some(at) = pace.count(now) {
            tokio::time::sleep_until(at).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_each_interval() {
        let begun = Instant::now();
        let mut pace = InterimRate::default();
        for _ in 0..BURST {
            assert_eq!(pace.count(begun), None);
        }
        for n in 1..=3 {
            assert_eq!(pace.count(begun), Some(begun + n * INTERVAL));
        }
        // Those that come no faster are never delayed.
        let mut now = begun + 4 * INTERVAL;
        for _ in 0..10_000 {
            assert_eq!(pace.count(now), None);
            now += INTERVAL;
        }
        // After a silence, a whole burst again and no more.
        now += 1000 * BURST * INTERVAL;
        for _ in 0..BURST {
            assert_eq!(pace.count(now), None);
        }
        assert_eq!(pace.count(now), Some(now + INTERVAL));
    }
}
