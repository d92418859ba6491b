//! The peers: each proxy in each of its modes, and no proxy.

use clap::ValueEnum;

/// One way to the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// No proxy: what the load and the backends can do
    Direct,
    /// Ringmaster, with default flags
    Ringmaster,
    /// HAProxy, reading HTTP
    HaproxyHttp,
    /// HAProxy, moving bytes
    HaproxyTcp,
    /// nginx, reading HTTP
    NginxHttp,
    /// nginx, moving bytes
    NginxStream,
}

impl Peer {
    /// All are compared with this one.
    pub(crate) const BASELINE: Self = Self::HaproxyHttp;

    /// Its name in flags, tables and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
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
