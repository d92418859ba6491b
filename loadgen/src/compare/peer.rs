//! The peers: each proxy in each of its modes, and no proxy.

use clap::ValueEnum;

/// A way from the load to the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// No proxy: the limit of the load and the backends
    Direct,
    /// Passes bytes on unread: what the kernel alone costs
    Relay,
    /// Ringmaster, with default flags
    Ringmaster,
    /// HAProxy in HTTP mode
    HaproxyHttp,
    /// HAProxy in TCP mode
    HaproxyTcp,
    /// nginx with an HTTP proxy
    NginxHttp,
    /// nginx with a stream proxy
    NginxStream,
}

impl Peer {
    /// The peer that all others are compared with.
    pub(crate) const BASELINE: Self = Self::HaproxyHttp;

    /// Name in flags, tables and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Ringmaster => "ringmaster",
            Self::HaproxyHttp => "haproxy-http",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::NginxHttp => "nginx-http",
            Self::NginxStream => "nginx-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flags() {
        for peer in Peer::value_variants() {
            let flag = peer.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), peer.name());
        }
    }
}
