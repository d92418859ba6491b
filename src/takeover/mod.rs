//! Hot restart: a new process takes the sockets and the fleet from the running one (`serve
//! --takeover`) without a client noticing.
//!
//! 1. The new process connects to a Unix socket named after the control port, on which every
//!    balancer listens, and receives the listening sockets.
//! 2. It sends *yield*. The old process refuses changes from then on and leaves its containers to
//!    the new one. Child processes end with their parent, so the old process keeps them until the
//!    new one has its own. It replies with the seats, the ring and the bound.
//! 3. When all of its replicas have answered, the new process accepts clients and sends *go*. The
//!    old process finishes the requests under way and ends.
//!
//! Whatever happens to the new process before *go*, the old one continues with all of its
//! containers.
//!
//! The socket has no file (unix(7), abstract sockets): its name is free once every process has
//! closed it. A process of another user is refused.

mod client;
mod protocol;
mod server;

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as unix;

pub(crate) use client::{Handoff, connect};
pub(crate) use protocol::{FleetState, InheritedBackends, InstanceInfo, SocketKinds};
pub(crate) use server::{HandoffRequest, HandoffServer, PassedSockets, listen};

use crate::config::ListenOn;
use crate::wire::stream_addr::StreamAddr;

/// Beginning of the name of a balancer's Unix socket.
const NAME_PREFIX: &str = "ringmaster-takeover-";
/// Longest path of a control socket after it, in bytes. A name has 107 (unix(7), `sun_path`).
const MAX_CONTROL_PATH: usize = 107 - NAME_PREFIX.len();

/// Returns the name of the Unix socket of the balancer with this control port.
fn socket_name(control: &ListenOn) -> io::Result<unix::SocketAddr> {
    // The port has the name, also if a Unix socket is beside it.
    let addr = control.addrs().next().map(|addr| match addr {
        StreamAddr::Tcp(addr) => addr.to_string(),
        StreamAddr::Unix(path) => path.as_path().display().to_string(),
    });
    let addr = addr.unwrap_or_default();
    if addr.len() > MAX_CONTROL_PATH {
        let sentence = format!(
            "the path of the control socket has more than {MAX_CONTROL_PATH} bytes, and the takeover's socket is named after it"
        );
        return Err(io::Error::other(sentence));
    }
    unix::SocketAddr::from_abstract_name(format!("{NAME_PREFIX}{addr}"))
}

#[cfg(test)]
mod tests;
