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
const BURST: u32 = 10;
/// After so long it may show another one.
const INTERVAL: Duration = Duration::from_millis(250);
/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 1024;
/// What `Retry-After` says: the header has whole seconds.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The buckets of all addresses.
#[derive(Debug)]
pub struct Throttle {
    begun: Instant,
    /// When the bucket of each address is full again, since the beginning.
    full: Mutex<HashMap<IpAddr, Duration>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            full: Mutex::default(),
        }
    }
}

/// What comes of a token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// The address has shown too many wrong ones: this one does not count.
    TooMany,
}

impl Throttle {
    /// Takes a token that `addr` has shown.
    pub(super) fn judge(&self, addr: IpAddr, is_right: bool) -> Verdict {
        self.judge_at(self.begun.elapsed(), addr, is_right)
    }

    fn judge_at(&self, now: Duration, addr: IpAddr, is_right: bool) -> Verdict {
        let addr = subscriber(addr);
        // Nothing panics while it is held.
        let mut table = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let full = table.get(&addr).map_or(now, |full| now.max(*full));
        if full - now > INTERVAL * (BURST - 1) {
            return Verdict::TooMany;
        }
        if is_right {
            return Verdict::Right;
        }
        if table.len() >= MAX_ADDRESSES && !table.contains_key(&addr) {
            table.retain(|_, full| *full > now);
            let oldest = table.iter().min_by_key(|(_, full)| **full);
            let oldest = oldest.map(|(addr, _)| *addr);
            if let Some(oldest) = oldest.filter(|_| table.len() >= MAX_ADDRESSES) {
                table.remove(&oldest);
            }
        }
        table.insert(addr, full + INTERVAL);
        Verdict::Wrong
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
        let throttle = Throttle::default();
        let at = |millis, right| {
            throttle.judge_at(Duration::from_millis(millis), ip("192.0.2.1"), right)
        };
        for _ in 0..BURST {
            assert_eq!(at(0, false), Verdict::Wrong);
        }
        for right in [false, true, false] {
            assert_eq!(at(0, right), Verdict::TooMany);
            assert_eq!(at(249, right), Verdict::TooMany);
        }
        // What was refused has not made it longer.
        assert_eq!(at(250, true), Verdict::Right);
        assert_eq!(at(250, false), Verdict::Wrong);
        assert_eq!(at(499, false), Verdict::TooMany);
        assert_eq!(at(500, false), Verdict::Wrong);
        // After a while all is as at first.
        for _ in 0..BURST {
            assert_eq!(at(60_000, false), Verdict::Wrong);
        }
        assert_eq!(at(60_000, false), Verdict::TooMany);
    }

    #[test]
    fn each_address_has_its_own_and_ipv6_goes_by_64_bits() {
        let throttle = Throttle::default();
        let shows = |addr| throttle.judge_at(Duration::ZERO, ip(addr), false);
        for _ in 0..BURST {
            shows("192.0.2.1");
            shows("2001:db8::1");
        }
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::ffff:1"] {
            assert_eq!(shows(same), Verdict::TooMany, "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert_eq!(shows(other), Verdict::Wrong, "{other}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_has_waited_longest() {
        let throttle = Throttle::default();
        let nth = |n: u32| IpAddr::from(n.to_be_bytes());
        let shows = |n, millis| throttle.judge_at(Duration::from_millis(millis), nth(n), false);
        let size = || throttle.full.lock().unwrap().len();
        for _ in 0..BURST {
            shows(0, 0);
        }
        (1..=5_000).for_each(|n| assert_eq!(shows(n, 0), Verdict::Wrong));
        assert_eq!(size(), MAX_ADDRESSES);
        assert_eq!(shows(0, 0), Verdict::TooMany, "the busiest is remembered");
        shows(9_000, 10_000);
        assert_eq!(size(), 1, "those with a full bucket are forgotten first");
    }
}
