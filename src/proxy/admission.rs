//! Admission of connections, before their first byte is read. Networks and limits are those of
//! [`crate::clients`].

use std::net::TcpStream;

use tokio::time::Instant;

use super::worker::Worker;
use crate::clients::{Admission, ConnectionRefused};
use crate::wire::peer_addr::PeerAddr;

/// A connection that was accepted, and has no session yet.
pub(super) struct NewClient {
    pub(super) stream: TcpStream,
    pub(super) addr: PeerAddr,
    /// Count of the connection among those of its client; `None` without limits.
    pub(super) admission: Option<Admission>,
}

/// Admits a connection of the client at `addr`. `None` means that the connection is to be closed;
/// the refusal is counted and logged. Clients of a Unix socket have no address, and no limit.
pub(super) fn admit(worker: &Worker, addr: PeerAddr) -> Option<Option<Admission>> {
    let Some(ip) = addr.ip() else {
        return Some(None);
    };
    let clients = &worker.settings.clients;
    let admitted = clients.admit(ip).and_then(|admission| {
        // A connection whose requests are not read counts as one.
        if let Some(of_client) = &admission
            && !worker.settings.balance.reads_requests()
        {
            let taken = clients.take_request(of_client, Instant::now().into());
            taken.map_err(|_| ConnectionRefused::TooFast)?;
        }
        Ok(admission)
    });
    let refused = match admitted {
        Ok(admission) => return Some(admission),
        Err(refused) => refused,
    };
    let port = worker.port();
    match refused {
        ConnectionRefused::Denied => port.clients_denied.add(1),
        ConnectionRefused::TooMany => port.clients_over_connections.add(1),
        ConnectionRefused::TooFast => port.clients_over_rate.add(1),
    }
    if clients.log_interval.is_due() {
        tracing::warn!("connection from {addr} closed: {refused}");
    }
    None
}
