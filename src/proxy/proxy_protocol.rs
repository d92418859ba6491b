//! Connections from proxies that name their clients (`--accept-proxy`): the header is read before
//! anything else, and its address is the client's from there on.
//!
//! A connection from one of these proxies without a header is closed: the balancer would take the
//! proxy for the client. From all other peers a header is not read, so no client can claim another
//! address.

use bytes::Buf;
use tokio::time::Instant;

use super::admission;
use super::client::{Client, NamedByProxy};
use super::half_head::{MoreBytes, read_more};
use super::keep_alive::{AwaitedBytes, wait_for_bytes};
use super::settings::ProxySource;
use super::worker::Worker;
use crate::wire::lazy_stream::LazyStream;
use crate::wire::peer_addr::PeerAddr;
use crate::wire::proxy_header::{self, ProxyHeader};

/// Returns `true` if `peer` is one of the proxies, whose connections begin with a header.
pub(super) fn is_proxy(worker: &Worker, peer: PeerAddr) -> bool {
    let proxies = &worker.settings.accept_proxy;
    if proxies.is_empty() {
        return false;
    }
    let mut proxies = proxies.iter();
    match peer.ip() {
        Some(addr) => proxies
            .any(|proxy| matches!(proxy, ProxySource::Network(network) if network.contains(&addr))),
        None => proxies.any(|proxy| *proxy == ProxySource::Unix),
    }
}

/// Returns `true` if a proxy stands between this connection and its client, which then counts as
/// remote whatever its address is.
pub(super) fn has_proxy(worker: &Worker, stream: &LazyStream) -> bool {
    // A peer that cannot be looked up has gone, and gets no rights either.
    let is_proxy = || {
        stream
            .peer_addr()
            .map_or(true, |peer| is_proxy(worker, peer))
    };
    !worker.settings.accept_proxy.is_empty() && is_proxy()
}

/// Reads the header, and sets the client's address. The client's own bytes that came with it stay
/// in the inbox. Returns `false` if the connection is to close.
pub(super) async fn read_header(worker: &Worker, client: &mut Client) -> bool {
    match receive(worker, client).await {
        Ok(Some(header)) => {
            if let Some(named) = named(worker, &header, &client.inbox) {
                client.rare.get_or_insert_default().named = Some(named);
            }
            client.inbox.advance(header.len);
            let Some(addr) = header.client else {
                return true;
            };
            client.addr = addr.into();
            let admitted = admission::admit(worker, client.addr);
            let is_served = admitted.is_some();
            client.admission = admitted.flatten();
            is_served
        }
        // A check whether the port is open, as a rule; or the connection was idle for too long.
        Ok(None) => false,
        Err(why) => {
            worker.port().proxy_headers_refused.add(1);
            if worker.refusal_warnings.is_due() {
                let addr = client.addr;
                tracing::warn!("connection from {addr} closed: {why} (--accept-proxy)");
            }
            false
        }
    }
}

/// Returns what a header names beside the client, if replicas get headers too.
fn named(worker: &Worker, header: &ProxyHeader, bytes: &[u8]) -> Option<NamedByProxy> {
    worker.settings.send_proxy?;
    let unique_id = header.unique_id.clone().and_then(|at| bytes.get(at));
    Some(NamedByProxy {
        server: header.server,
        unique_id: unique_id.unwrap_or_default().to_vec(),
    })
}

/// Receives a header. Before its first byte the connection is as idle as one before its first
/// request; from there on the header must be complete within the time of a request head. `None`:
/// the connection closes, and no byte has come.
async fn receive(worker: &Worker, client: &mut Client) -> Result<Option<ProxyHeader>, String> {
    if !wait_for_bytes(worker, client, AwaitedBytes::ProxyHeader).await {
        return Ok(None);
    }
    let mut place = worker.evictable.half_heads.place(Instant::now());
    loop {
        let parsed = proxy_header::parse(&client.inbox);
        if let Some(header) = parsed.map_err(|err| err.to_string())? {
            return Ok(Some(header));
        }
        let why = match read_more(worker, client, &mut place).await {
            MoreBytes::Some => continue,
            MoreBytes::Ended => "it ended within its PROXY header",
            MoreBytes::Evicted => "its PROXY header was incomplete for too long",
            MoreBytes::Late => "its PROXY header did not come in time",
        };
        return Err(why.to_owned());
    }
}
