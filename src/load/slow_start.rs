//! Slow start: after a replica joins, its seat takes a part of its keys that grows to all of them.
//!
//! The ring does not change. A hash of the key decides, so that each key comes home once during the
//! slow start, and stays there. Pure: the time is a parameter.

use std::time::{Duration, Instant};

use crate::ring::Key;

/// Part of the whole time that has passed at the least: 10 %, which is Envoy's default. So a
/// replica takes 10 % of its keys at once.
const MIN_PART: u32 = 10;

/// Slow start of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    since: Instant,
    time: Duration,
}

impl SlowStart {
    /// Returns the slow start of a replica that joined at `since`, over `time`; `None` if it is
    /// over at `now`.
    #[must_use]
    pub fn new(since: Instant, time: Duration, now: Instant) -> Option<Self> {
        let started = Self { since, time };
        (!started.is_over(now)).then_some(started)
    }

    /// Returns `true` if the replica takes all keys of its seat.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.time
    }

    /// Returns `true` if the replica takes this key of its seat: from the moment on at which the
    /// part of the time that has passed is above the hash of the key.
    #[must_use]
    pub fn takes(&self, key: Key, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        let passed = passed.max(self.time / MIN_PART).as_nanos();
        let hash = u128::from(key.second_hash());
        // At most 366 days, in nanoseconds, so the products fit in 128 bits.
        hash * self.time.as_nanos() < passed << u64::BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    /// Returns the number of 10,000 keys that are taken after this time.
    fn taken(started: SlowStart, after: Duration) -> usize {
        let keys = (0..10_000).map(|n| Key(100_000 + 13 * n));
        keys.filter(|key| started.takes(*key, started.since + after))
            .count()
    }

    #[test]
    fn the_share_grows_from_a_tenth_to_all_in_proportion_to_the_time() {
        let now = Instant::now();
        let started = SlowStart::new(now, TIME, now).unwrap();
        for (after, share) in [
            (0, 10),
            (500, 10),
            (1_000, 10),
            (2_500, 25),
            (5_000, 50),
            (9_900, 99),
        ] {
            let taken = taken(started, Duration::from_millis(after));
            // Five standard deviations of a binomial share.
            assert!(taken.abs_diff(share * 100) < 250, "{after} ms: {taken}");
        }
        assert_eq!(taken(started, TIME), 10_000);
        // The clock of the fleet may be ahead of that of a worker.
        let before = now.checked_sub(TIME).unwrap();
        assert!(!started.is_over(before));
        let keys = (0..1_000).map(Key);
        let early = keys.filter(|key| started.takes(*key, before)).count();
        assert!(early.abs_diff(100) < 50, "{early}");
    }

    #[test]
    fn a_key_comes_home_once_and_stays() {
        let now = Instant::now();
        let started = SlowStart::new(now, TIME, now).unwrap();
        for key in (0..300).map(Key) {
            let at = |ms| started.takes(key, now + Duration::from_millis(ms));
            let times: Vec<bool> = (0..=10_100).step_by(50).map(at).collect();
            assert!(times.is_sorted() && times[200], "{key}");
        }
    }

    #[test]
    fn it_is_over_exactly_after_its_time() {
        let now = Instant::now();
        let started = SlowStart::new(now, TIME, now).unwrap();
        let last = now + TIME - Duration::from_nanos(1);
        assert!(!started.is_over(last) && started.is_over(now + TIME));
        assert_eq!(SlowStart::new(now, TIME, last), Some(started));
        assert_eq!(SlowStart::new(now, TIME, now + TIME), None);
        assert_eq!(SlowStart::new(now, Duration::ZERO, now), None);
        let longest = Duration::from_secs(366 * 24 * 3600);
        let started = SlowStart::new(now, longest, now).unwrap();
        assert!((0..1_000).all(|n| started.takes(Key(n), now + longest)));
    }

    #[test]
    fn the_taken_keys_are_spread_evenly_over_the_seats_of_a_ring() {
        use crate::ring::{Seat, Spec};

        let ring = Spec::Uniform.build(&(1..=4).map(Seat).collect()).unwrap();
        let now = Instant::now();
        let started = SlowStart::new(now, TIME, now).unwrap();
        let mut shares = [(0, 0); 4];
        for key in (0..40_000).map(Key) {
            let seat = ring.owner(key).unwrap().0 as usize - 1;
            shares[seat].0 += 1;
            shares[seat].1 += u32::from(started.takes(key, now + TIME / 2));
        }
        for (all, taken) in shares {
            let share = f64::from(taken) / f64::from(all);
            assert!((share - 0.5).abs() < 0.03, "{share}");
        }
    }
}
