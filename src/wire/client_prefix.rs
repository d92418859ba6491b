//! The address that stands for a client in tables and limits.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that tell clients apart: a subscriber has all addresses with the same
/// first 64 bits (RFC 4291 §2.5.4, RFC 6177 §2).
const IPV6_BITS: u32 = 64;

/// Returns the address that stands for all addresses of one client: an IPv4 address itself, or the
/// first address of an IPv6 /64.
#[must_use]
pub fn client_prefix(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> IPV6_BITS << IPV6_BITS).into(),
    }
}
