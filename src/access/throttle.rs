//! Rate limit on wrong tokens: a few at once from one address, then a few per second.
//!
//! Each address has a token bucket. While the bucket is empty, tokens of the address are not even
//! compared, the right one included: otherwise the limit would not slow down guessing. An attacker
//! at a shared address (a gateway, this machine) thus makes its other users wait.
//!
//! The table is bounded: when it is full, the address whose bucket fills up first is dropped. An
//! attacker with many addresses gets as many buckets, so the real protection is a long token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::token_bucket::BucketSize;
use crate::wire::client_prefix::client_prefix;

/// Number of wrong tokens that an address may show at once, and time after which it may show
/// another one.
const WRONG_TOKENS: BucketSize = BucketSize {
    interval: Duration::from_millis(250),
    burst: 10,
};
/// Maximum number of addresses in the table.
const MAX_ADDRESSES: usize = 1024;
/// Value of `Retry-After`, which has whole seconds.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Buckets of all addresses.
#[derive(Debug)]
pub struct TokenThrottle {
    started: Instant,
    /// Time at which the bucket of each address is full again, since the start.
    full_at: Mutex<HashMap<IpAddr, Duration>>,
}

impl Default for TokenThrottle {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            full_at: Mutex::default(),
        }
    }
}

/// Result of the check of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenVerdict {
    Right,
    Wrong,
    /// The address has shown too many wrong tokens: this one is not checked.
    TooMany,
}

impl TokenThrottle {
    /// Checks a token shown by `addr`.
    pub(super) fn check(&self, addr: IpAddr, is_right: bool) -> TokenVerdict {
        self.check_at(self.started.elapsed(), addr, is_right)
    }

    fn check_at(&self, now: Duration, addr: IpAddr, is_right: bool) -> TokenVerdict {
        let addr = client_prefix(addr);
        // No code panics while the lock is held.
        let mut table = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.get(&addr).copied().unwrap_or_default();
        if WRONG_TOKENS.check(full, now).is_err() {
            return TokenVerdict::TooMany;
        }
        if is_right {
            return TokenVerdict::Right;
        }
        if table.len() >= MAX_ADDRESSES && !table.contains_key(&addr) {
            table.retain(|_, full| *full > now);
            let oldest = table.iter().min_by_key(|(_, full)| **full);
            let oldest = oldest.map(|(addr, _)| *addr);
            if let Some(oldest) = oldest.filter(|_| table.len() >= MAX_ADDRESSES) {
                table.remove(&oldest);
            }
        }
        table.insert(addr, WRONG_TOKENS.without_token(full, now));
        TokenVerdict::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_wrong_tokens_pass_at_once_and_then_one_every_250_ms() {
        let throttle = TokenThrottle::default();
        let at = |millis, right| {
            throttle.check_at(Duration::from_millis(millis), ip("192.0.2.1"), right)
        };
        for _ in 0..WRONG_TOKENS.burst {
            assert_eq!(at(0, false), TokenVerdict::Wrong);
        }
        for right in [false, true, false] {
            assert_eq!(at(0, right), TokenVerdict::TooMany);
            assert_eq!(at(249, right), TokenVerdict::TooMany);
        }
        // The refused tokens have not extended the wait.
        assert_eq!(at(250, true), TokenVerdict::Right);
        assert_eq!(at(250, false), TokenVerdict::Wrong);
        assert_eq!(at(499, false), TokenVerdict::TooMany);
        assert_eq!(at(500, false), TokenVerdict::Wrong);
        // After a pause the bucket is full again.
        for _ in 0..WRONG_TOKENS.burst {
            assert_eq!(at(60_000, false), TokenVerdict::Wrong);
        }
        assert_eq!(at(60_000, false), TokenVerdict::TooMany);
    }

    #[test]
    fn each_address_has_its_own_bucket_and_ipv6_addresses_share_64_bits() {
        let throttle = TokenThrottle::default();
        let show = |addr| throttle.check_at(Duration::ZERO, ip(addr), false);
        for _ in 0..WRONG_TOKENS.burst {
            show("192.0.2.1");
            show("2001:db8::1");
        }
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::ffff:1"] {
            assert_eq!(show(same), TokenVerdict::TooMany, "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert_eq!(show(other), TokenVerdict::Wrong, "{other}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_drops_the_bucket_that_fills_first() {
        let throttle = TokenThrottle::default();
        let nth = |n: u32| IpAddr::from(n.to_be_bytes());
        let show = |n, millis| throttle.check_at(Duration::from_millis(millis), nth(n), false);
        let size = || throttle.full_at.lock().unwrap().len();
        for _ in 0..WRONG_TOKENS.burst {
            show(0, 0);
        }
        (1..=5_000).for_each(|n| assert_eq!(show(n, 0), TokenVerdict::Wrong));
        assert_eq!(size(), MAX_ADDRESSES);
        assert_eq!(
            show(0, 0),
            TokenVerdict::TooMany,
            "the busiest is remembered"
        );
        show(9_000, 10_000);
        assert_eq!(size(), 1, "those with a full bucket are forgotten first");
    }
}
