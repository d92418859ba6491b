//! Interim replies (RFC 9110 §15.2): passed on as they come, bounded by their rate. Each of them is a sign
//! of life, so the final reply has its whole time again.

use std::time::Duration;

use bytes::Buf;
use tokio::time::Instant;

use super::download::{Broken, Download};
use super::forward::{self, Ending, Facts};
use crate::wire::head::Version;

/// Interim replies to one request that are passed on within a second; more are malice or a fault. Their
/// number is not bounded: a server may send them as a sign of life for as long as it computes.
const MAX_INTERIM_PER_SECOND: u32 = 1000;

/// How many interim replies came in the second that began at `since`.
#[derive(Debug, Default)]
pub(super) struct Interim {
    since: Option<Instant>,
    count: u32,
}

impl Interim {
    /// Counts one that came now.
    pub(super) fn count(&mut self, now: Instant) -> Result<(), Broken> {
        let since = *self.since.get_or_insert(now);
        if now - since >= Duration::from_secs(1) {
            *self = Self {
                since: Some(now),
                count: 0,
            };
        }
        self.count += 1;
        match self.count {
            ..=MAX_INTERIM_PER_SECOND => Ok(()),
            _ => Err(Broken::Bad("more than 1000 interim replies in a second")),
        }
    }
}

impl Download<'_> {
    /// Passes an interim reply on, whose head is laid out but for its end.
    pub(super) async fn pass_interim(&mut self, facts: &Facts) -> Result<(), Broken> {
        self.reply.advance(facts.len);
        self.in_flight.pool().cell().replies.count(facts.status);
        let now = Instant::now();
        if facts.status == 100 {
            self.progress.release(now);
        }
        // A sign of life: the final reply has its whole time again.
        let due = self.progress.reply_due.get();
        let renewed = due.map(|_| now + self.worker.settings.limits.reply_timeout);
        self.progress.reply_due.set(renewed);
        // RFC 9110 §15.2: never to an HTTP/1.0 client.
        if self.asked.version == Version::Http10 {
            return Ok(());
        }
        forward::finish(Ending::Plain, &mut self.out);
        self.progress.amid.set(true);
        self.write_out().await?;
        self.progress.amid.set(false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_replies_are_counted_by_the_second() {
        let mut interim = Interim::default();
        let begun = Instant::now();
        for second in 0..3 {
            let now = begun + Duration::from_secs(second);
            for _ in 0..MAX_INTERIM_PER_SECOND {
                assert!(interim.count(now).is_ok());
            }
            let late = now + Duration::from_millis(999);
            assert!(matches!(interim.count(late), Err(Broken::Bad(why)) if
                why.contains(&MAX_INTERIM_PER_SECOND.to_string())));
        }
    }
}
