//! How often a wrong token may be shown: a few at once from one address, then a few a second.
//!
//! A token bucket for each address, as one moment (the generic cell rate algorithm). While an address has used its
//! bucket up, its tokens are not even compared, the right one included: otherwise guessing would be as fast as
//! before. So someone who guesses without a pause from an address that others share (a gateway, this machine)
//! makes them wait. The table is bounded: when it is full, the address that has waited longest is forgotten. An
//! attacker with many addresses gets as many buckets, so the real protection is a long token.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many wrong tokens an address may show at once.
const WRONG_TOKEN_BURST: u32 = 10;
/// After so long it may show another one.
const WRONG_TOKEN_INTERVAL: Duration = Duration::from_millis(250);
/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 1024;
/// What `Retry-After` says: the header has whole seconds.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The buckets of all addresses.
#[derive(Debug)]
pub struct TokenThrottle {
    begun: Instant,
    /// When the bucket of each address is full again, since the beginning.
    full: Mutex<HashMap<IpAddr, Duration>>,
}

impl Default for TokenThrottle {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            full: Mutex::default(),
        }
    }
}

/// What comes of a token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenVerdict {
    Right,
    Wrong,
    /// The address has shown too many wrong ones: this one does not count.
    TooMany,
}

impl TokenThrottle {
    /// Takes a token that `addr` has shown.
    pub(super) fn check(&self, addr: IpAddr, is_right: bool) -> TokenVerdict {
        self.check_at(self.begun.elapsed(), addr, is_right)
    }

    fn check_at(&self, now: Duration, addr: IpAddr, is_right: bool) -> TokenVerdict {
        let addr = subscriber(addr);
        // Nothing panics while it is held.
        let mut table = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.get(&addr).map_or(now, |full| now.max(*full));
        if full - now > WRONG_TOKEN_INTERVAL * (WRONG_TOKEN_BURST - 1) {
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
        table.insert(addr, full + WRONG_TOKEN_INTERVAL);
        TokenVerdict::Wrong
    }
}

/// What stands for one subscriber: an IPv4 address, or the first 64 bits of one of IPv6, since who has one of
/// those has all that begin with them (RFC 4291 §2.5.4).
fn subscriber(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_at_once_and_then_one_every_250_ms() {
        let throttle = TokenThrottle::default();
        let at = |millis, right| {
            throttle.check_at(Duration::from_millis(millis), ip("192.0.2.1"), right)
        };
        for _ in 0..WRONG_TOKEN_BURST {
            assert_eq!(at(0, false), TokenVerdict::Wrong);
        }
        for right in [false, true, false] {
            assert_eq!(at(0, right), TokenVerdict::TooMany);
            assert_eq!(at(249, right), TokenVerdict::TooMany);
        }
        // What was refused has not made it longer.
        assert_eq!(at(250, true), TokenVerdict::Right);
        assert_eq!(at(250, false), TokenVerdict::Wrong);
        assert_eq!(at(499, false), TokenVerdict::TooMany);
        assert_eq!(at(500, false), TokenVerdict::Wrong);
        // After a while all is as at first.
        for _ in 0..WRONG_TOKEN_BURST {
            assert_eq!(at(60_000, false), TokenVerdict::Wrong);
        }
        assert_eq!(at(60_000, false), TokenVerdict::TooMany);
    }

    #[test]
    fn each_address_has_its_own_and_ipv6_goes_by_64_bits() {
        let throttle = TokenThrottle::default();
        let shows = |addr| throttle.check_at(Duration::ZERO, ip(addr), false);
        for _ in 0..WRONG_TOKEN_BURST {
            shows("192.0.2.1");
            shows("2001:db8::1");
        }
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::ffff:1"] {
            assert_eq!(shows(same), TokenVerdict::TooMany, "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert_eq!(shows(other), TokenVerdict::Wrong, "{other}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_has_waited_longest() {
        let throttle = TokenThrottle::default();
        let nth = |n: u32| IpAddr::from(n.to_be_bytes());
        let shows = |n, millis| throttle.check_at(Duration::from_millis(millis), nth(n), false);
        let size = || throttle.full.lock().unwrap().len();
        for _ in 0..WRONG_TOKEN_BURST {
            shows(0, 0);
        }
        (1..=5_000).for_each(|n| assert_eq!(shows(n, 0), TokenVerdict::Wrong));
        assert_eq!(size(), MAX_ADDRESSES);
        assert_eq!(
            shows(0, 0),
            TokenVerdict::TooMany,
            "the busiest is remembered"
        );
        shows(9_000, 10_000);
        assert_eq!(size(), 1, "those with a full bucket are forgotten first");
    }
}
