//! Token buckets: a number of actions at once, then one per interval.
//!
//! A bucket is stored as one time, that at which it is full again (the generic cell rate algorithm,
//! ITU-T I.371 Annex A). The caller keeps that time, and says what time it is.

use std::time::Duration;

/// Rate and depth of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketSize {
    /// Time in which one token comes back.
    pub interval: Duration,
    /// Number of tokens in a full bucket, at least 1.
    pub burst: u32,
}

impl BucketSize {
    /// Decides whether a bucket that is full again at `full_at` has a token.
    ///
    /// # Errors
    /// The time until it has one.
    pub fn check(self, full_at: Duration, now: Duration) -> Result<(), Duration> {
        let missing = full_at.saturating_sub(now);
        let spare = self.interval.saturating_mul(self.burst.saturating_sub(1));
        match missing.saturating_sub(spare) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Returns the time at which the bucket is full again once a token is taken.
    #[must_use]
    pub fn without_token(self, full_at: Duration, now: Duration) -> Duration {
        full_at.max(now).saturating_add(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_per_interval() {
        let ms = Duration::from_millis;
        let size = BucketSize {
            interval: ms(100),
            burst: 3,
        };
        let mut full_at = Duration::ZERO;
        let mut take = |now| {
            size.check(full_at, ms(now)).inspect(|()| {
                full_at = size.without_token(full_at, ms(now));
            })
        };
        for _ in 0..3 {
            assert_eq!(take(1_000), Ok(()));
        }
        assert_eq!(take(1_000), Err(ms(100)));
        assert_eq!(take(1_099), Err(ms(1)));
        assert_eq!(take(1_100), Ok(()));
        assert_eq!(take(1_100), Err(ms(100)));
        // A pause fills the bucket, and not more than that.
        for _ in 0..3 {
            assert_eq!(take(9_000), Ok(()));
        }
        assert_eq!(take(9_000), Err(ms(100)));
    }
}
