//! Hot restart: a new process takes the sockets and the fleet from the one that serves (`serve --takeover`), and
//! no client notices.
//!
//! The way: the new one connects to a Unix socket that every balancer listens on, named after its control port,
//! and is sent the listening sockets. It says *yield*: the old one refuses changes from then on, leaves its
//! containers to the new one (child processes, which end with their parent, it keeps until the new one has its
//! own), and says which seats there are and how keys are given out. When all of its replicas have answered the
//! new one begins to accept, says *go*, and the old one answers what it has begun and ends. Whatever happens
//! to the new one before that, the old one goes on, with all of its containers.
//!
//! Surprising: the socket has no file (unix(7), abstract sockets). Its name is free once nobody has it open, and
//! whoever is of another user is turned away.

mod client;
mod protocol;
mod server;

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as unix;

pub(crate) use client::{Handoff, connect};
pub(crate) use protocol::{FleetState, InstanceInfo};
pub(crate) use server::{HandoffRequest, HandoffServer, listen};

/// The name of the Unix socket of the balancer whose control port this is.
fn socket_name(control: SocketAddr) -> io::Result<unix::SocketAddr> {
    unix::SocketAddr::from_abstract_name(format!("ringmaster-takeover-{control}"))
}

#[cfg(test)]
mod tests;
