//! The part of a client's address that is its key: clients of one network share a replica.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Bits of an IPv6 address that count unless they are given: one site has at least 64 bits of its
/// own (RFC 6177 §2).
const DEFAULT_IPV6_BITS: u8 = 64;

/// Bits of an IPv4 address, and of an IPv6 address.
const IPV4_BITS: u8 = 32;
const IPV6_BITS: u8 = 128;

/// Lengths of the prefixes that count, in bits: `24`, or `24/48` for IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressPrefix {
    /// From 1 to 32.
    ipv4: u8,
    /// From 1 to 128.
    ipv6: u8,
}

impl AddressPrefix {
    /// Returns the network of an address, as text: `192.0.2.0/24`.
    pub(super) fn network(self, addr: IpAddr) -> String {
        let addr = addr.to_canonical();
        let bits = match addr {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        };
        let network = IpNet::new(addr, bits).map(|network| network.trunc());
        // Both lengths were checked, so there is always a network.
        network.map_or_else(|_| addr.to_string(), |network| network.to_string())
    }
}

impl FromStr for AddressPrefix {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (ipv4, ipv6) = match text.split_once('/') {
            Some((ipv4, ipv6)) => (ipv4, parse_bits(ipv6, IPV6_BITS)?),
            None => (text, DEFAULT_IPV6_BITS),
        };
        let ipv4 = parse_bits(ipv4, IPV4_BITS)?;
        Ok(Self { ipv4, ipv6 })
    }
}

/// Parses a number of bits from 1 to `most`, of digits alone.
fn parse_bits(text: &str, most: u8) -> Result<u8, ()> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bits = text.parse().map_err(drop)?;
    if is_number && (1..=most).contains(&bits) {
        Ok(bits)
    } else {
        Err(())
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ipv4)?;
        match self.ipv6 {
            DEFAULT_IPV6_BITS => Ok(()),
            bits => write!(f, "/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(prefix: &str, addr: &str) -> String {
        let prefix: AddressPrefix = prefix.parse().unwrap();
        prefix.network(addr.parse().unwrap())
    }

    #[test]
    fn an_address_is_cut_to_its_network() {
        for (prefix, addr, expected) in [
            ("24", "192.0.2.77", "192.0.2.0/24"),
            ("24", "::ffff:192.0.2.77", "192.0.2.0/24"),
            ("32", "192.0.2.77", "192.0.2.77/32"),
            ("1", "192.0.2.77", "128.0.0.0/1"),
            ("24", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
            ("24/48", "2001:db8:1:2:3::4", "2001:db8:1::/48"),
            ("24/128", "2001:db8::4", "2001:db8::4/128"),
            ("24/1", "2001:db8::4", "::/1"),
        ] {
            assert_eq!(network(prefix, addr), expected, "{prefix} {addr}");
        }
    }

    #[test]
    fn a_prefix_has_as_many_bits_as_an_address_at_most() {
        for good in ["1", "32", "24/1", "24/128"] {
            let prefix: AddressPrefix = good.parse().unwrap();
            assert_eq!(prefix.to_string(), good);
        }
        for bad in [
            "", "0", "33", "+8", "24/", "24/0", "24/129", "/64", "24/64/1", "a",
        ] {
            assert_eq!(bad.parse::<AddressPrefix>(), Err(()), "{bad}");
        }
    }
}
