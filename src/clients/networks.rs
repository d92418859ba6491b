//! Networks whose clients are served, and networks whose clients are not.

use std::net::IpAddr;

use ipnet::IpNet;

/// Lists of networks. The longest prefix that holds an address decides; of two equal ones the
/// denied. An address in no network is denied if there is an allowed network, and served otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRules {
    /// Networks that are served.
    pub allowed: Vec<IpNet>,
    /// Networks that are not served.
    pub denied: Vec<IpNet>,
}

impl NetworkRules {
    /// Returns `true` if a client with this address is served.
    #[must_use]
    pub fn serves(&self, addr: IpAddr) -> bool {
        if self.allowed.is_empty() && self.denied.is_empty() {
            return true;
        }
        let addr = addr.to_canonical();
        let allowed = longest_prefix(&self.allowed, addr);
        let denied = longest_prefix(&self.denied, addr);
        match (allowed, denied) {
            (Some(allowed), Some(denied)) => allowed > denied,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => self.allowed.is_empty(),
        }
    }
}

/// Returns the bits of the longest prefix that holds the address.
fn longest_prefix(networks: &[IpNet], addr: IpAddr) -> Option<u8> {
    let holding = networks.iter().filter(|network| network.contains(&addr));
    holding.map(IpNet::prefix_len).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(allowed: &[&str], denied: &[&str], addr: &str) -> bool {
        let parse = |networks: &[&str]| networks.iter().map(|text| text.parse().unwrap()).collect();
        let rules = NetworkRules {
            allowed: parse(allowed),
            denied: parse(denied),
        };
        rules.serves(addr.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_decides() {
        let (ten, ten_one) = ("10.0.0.0/8", "10.1.0.0/16");
        for (allowed, denied, addr, expected) in [
            (&[][..], &[][..], "192.0.2.1", true),
            (&[ten], &[], "10.9.9.9", true),
            (&[ten], &[], "::ffff:10.9.9.9", true),
            (&[ten], &[], "11.0.0.1", false),
            (&[ten], &[], "2001:db8::1", false),
            (&[], &[ten], "10.0.0.1", false),
            (&[], &[ten], "11.0.0.1", true),
            (&[ten], &[ten_one], "10.1.0.1", false),
            (&[ten], &[ten_one], "10.2.0.1", true),
            (&[ten_one], &[ten], "10.1.0.1", true),
            (&[ten_one], &[ten], "10.2.0.1", false),
            (&[ten_one], &[ten], "192.0.2.1", false),
            (&[ten], &[ten], "10.0.0.1", false),
            (
                &["2001:db8::/32"],
                &["2001:db8:1::/48"],
                "2001:db8:1::1",
                false,
            ),
            (&["0.0.0.0/0"], &["10.0.0.7/32"], "10.0.0.7", false),
            (&["0.0.0.0/0"], &["10.0.0.7/32"], "10.0.0.8", true),
        ] {
            let found = served(allowed, denied, addr);
            assert_eq!(found, expected, "{allowed:?} {denied:?} {addr}");
        }
    }
}
