//! Private connections: one to a replica on which the server has authenticated a client by NTLM or
//! Negotiate ([`crate::wire::connection_auth`]) serves this client alone, until one of its ends closes.
//!
//! The client's session owns it. All its later requests take it, whatever their key: the handshake is three
//! requests on one connection, and the login is worth nothing on another. While it is idle, the replica's
//! pool can close it too, as it closes its own when the replica is down, drained or gone.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::access_record::RouteReason;
use super::in_flight::InFlight;
use super::private_slots::PrivateSlot;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::ring::Key;

/// A client's own connection to a replica.
#[derive(Debug)]
pub(super) struct PrivateConnection {
    pool: Rc<Upstream>,
    /// Holds the connection while no request is on it.
    slot: Rc<PrivateSlot>,
}

impl PrivateConnection {
    /// The replica for a request with this key, now in flight. `None` if the connection was closed, and then
    /// so it is here.
    pub(super) fn begin(&self, worker: &Worker, key: Key, now: Instant) -> Option<InFlight> {
        if !self.slot.is_usable() || !self.pool.keeps_connections() {
            return None;
        }
        let view = worker.view();
        let how = match view.roster.ring.owner(key) == Some(self.pool.seat) {
            true => RouteReason::Home,
            false => RouteReason::Private,
        };
        let (in_flight, fold) = InFlight::begin(Rc::clone(&self.pool), how, now);
        if fold {
            worker.merge_loads(&view);
        }
        Some(in_flight)
    }

    /// The connection, for the request that has entered.
    pub(super) fn take(&self) -> Option<TcpStream> {
        self.slot.take()
    }

    /// Keeps `stream` for the next request of the client whose private connection is `own`, for as long as
    /// the server says that it does.
    pub(super) fn keep(
        own: &mut Option<Self>,
        pool: &Rc<Upstream>,
        stream: TcpStream,
        keep: Duration,
        now: Instant,
    ) {
        if !pool.keeps_connections() || keep.is_zero() {
            return;
        }
        let same = own.take().filter(|own| Rc::ptr_eq(&own.pool, pool));
        let private = same.unwrap_or_else(|| Self {
            pool: Rc::clone(pool),
            slot: pool.private.add(),
        });
        private.slot.put(stream, now.checked_add(keep));
        *own = Some(private);
    }
}
