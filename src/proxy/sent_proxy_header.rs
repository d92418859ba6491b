//! PROXY headers towards replicas (`--send-proxy`), which name the client of a whole connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::client::Client;
use super::generated_id::{GeneratedId, RequestIdKind};
use super::worker::Worker;
use crate::wire::peer_addr::PeerAddr;

/// Returns the header of a client's connection to a replica; empty if none is sent. The ID in it
/// goes to the access log.
pub(super) fn of(worker: &Worker, client: &mut Client) -> Vec<u8> {
    let Some(form) = worker.settings.send_proxy else {
        return Vec::new();
    };
    let id = form.has_unique_id().then(|| unique_id(worker, client));
    let id_bytes = id.as_deref().unwrap_or_default();
    let header = match client.addr {
        PeerAddr::Tcp(addr) => {
            let named_server = client.named().and_then(|named| named.server);
            // A Unix socket has no address that the header could have.
            let server = named_server.or_else(|| client.stream.local_addr().ok());
            let server = server.unwrap_or_else(|| unspecified(addr));
            form.header(addr, server, id_bytes)
        }
        PeerAddr::Unix => form.unnamed_header(id_bytes),
    };
    if let (Some(record), Some(id)) = (&mut client.record, id) {
        record.set_unique_id(id);
    }
    header
}

/// Returns the ID that a proxy has given to the connection, otherwise a new one.
fn unique_id(worker: &Worker, client: &Client) -> Vec<u8> {
    match client.named() {
        Some(named) if !named.unique_id.is_empty() => named.unique_id.clone(),
        _ => {
            let random = &mut worker.random.borrow_mut();
            let id = GeneratedId::draw(RequestIdKind::Uuid, random);
            id.as_bytes().to_vec()
        }
    }
}

/// Returns the address of the same family that stands for none.
fn unspecified(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
