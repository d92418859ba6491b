//! Our own ports: a backend there would be this balancer, and each request would go round for ever.

use std::net::SocketAddr;

use crate::roster::ReplicaAddr;
use crate::wire::socket;

/// Addresses on which this program listens, each with its flag.
#[derive(Clone, Debug, Default)]
pub struct OwnPorts(pub Vec<(SocketAddr, &'static str)>);

impl OwnPorts {
    /// Returns the flag and the address of the port that a connection to `addr` reaches, in a
    /// phrase: `--listen 0.0.0.0:5000`.
    #[must_use]
    pub fn reached_by(&self, addr: ReplicaAddr) -> Option<String> {
        let mut own = self.0.iter();
        let (at, flag) = own.find(|(at, _)| socket::reaches(addr.0, *at))?;
        Some(format!("{flag} {at}"))
    }
}
