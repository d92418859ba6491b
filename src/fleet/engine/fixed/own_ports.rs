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
            (StreamAddr::Unix(addr), StreamAddr::Unix(at)) => addr.is_same_file(at),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_unix_socket_is_our_own_by_each_path_to_its_folder() {
        let name = format!("ringmaster-own-ports-{}", std::process::id());
        let base = std::env::temp_dir().join(name);
        std::fs::create_dir_all(base.join("a")).unwrap();
        symlink(base.join("a"), base.join("link")).unwrap();
        let base = base.to_str().unwrap();
        let unix = |path: &str| StreamAddr::Unix(format!("{base}/{path}").parse().unwrap());
        let reached = |own: &str, backend: &str| {
            let own = OwnPorts(vec![(unix(own), "--listen")]);
            own.reached_by(ReplicaAddr(unix(backend))).is_some()
        };
        for (own, backend, is_own) in [
            ("a/lp.sock", "a/lp.sock", true),
            ("a/lp.sock", "a/../a/lp.sock", true),
            ("a/./lp.sock", "a//lp.sock", true),
            ("a/lp.sock", "link/lp.sock", true),
            ("a/lp.sock", "a/../lp.sock", false),
            ("a/lp.sock", "a/other.sock", false),
            // There is no such folder, so that texts are compared.
            ("b/lp.sock", "b/lp.sock", true),
            ("b/lp.sock", "c/lp.sock", false),
        ] {
            assert_eq!(reached(own, backend), is_own, "{own} {backend}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
