//! Peers that are not local: this machine by an address that is not loopback, and a balancer that
//! listens there too.

use std::net::{IpAddr, UdpSocket};

use super::Ringmaster;

/// An address of this machine that is not loopback; a UDP socket that is connected sends nothing.
pub(crate) fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// A balancer with one replica and `args`, whose control port listens on all addresses, and an
/// address from which a caller counts as remote. `None` with a message on a machine that has no
/// such address.
#[track_caller]
pub(crate) fn reachable_by_remote_peers(args: &[&str]) -> Option<(Ringmaster, IpAddr)> {
    let Some(ip) = own_address() else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return None;
    };
    let open = ["--control", "0.0.0.0:0", "--replicas", "1"];
    Some((Ringmaster::start(&[&open, args].concat()), ip))
}
