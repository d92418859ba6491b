//! Our own ports: a backend there would be this balancer, and each request would go round for ever.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::orders::BackendAddr;
use crate::roster::ReplicaAddr;
use crate::wire::socket;
use crate::wire::stream_addr::StreamAddr;

/// Addresses on which this program listens, each with its flag.
#[derive(Clone, Debug, Default)]
pub struct OwnPorts(pub Vec<(StreamAddr, &'static str)>);

impl OwnPorts {
    /// Returns the flag and the address of the port that a connection to `addr` reaches, in a
    /// phrase: `--listen 0.0.0.0:5000`.
    #[must_use]
    pub fn reached_by(&self, addr: ReplicaAddr) -> Option<String> {
        let mut own = self.0.iter();
        let (at, flag) = own.find(|(at, _)| match (addr.0, at) {
            (StreamAddr::Tcp(addr), StreamAddr::Tcp(at)) => socket::reaches(addr, *at),
            (addr, at) => addr == *at,
        })?;
        Some(format!("{flag} {at}"))
    }

    /// Returns the same for a backend, as far as its addresses are known without a lookup: that of
    /// an IP address, and those of `localhost` (RFC 6761 §6.3).
    #[must_use]
    pub fn reached_by_backend(&self, addr: &BackendAddr) -> Option<String> {
        if let Some(literal) = addr.literal() {
            return self.reached_by(literal);
        }
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let is_local = addr.host().eq_ignore_ascii_case("localhost");
        let mut known = loopback.into_iter().filter(|_| is_local);
        known.find_map(|ip| self.reached_by(ReplicaAddr((ip, addr.port()).into())))
    }
}
