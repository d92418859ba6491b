//! Private connections. A server authenticates a client by NTLM or Negotiate on one connection
//! ([`crate::wire::connection_auth`]); that connection serves this client alone until one side
//! closes it.
//!
//! The client's session owns the connection. All its later requests use it, whatever their key: the
//! handshake is three requests on one connection, and the login is void on any other.

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
pub(super) type PrivateConnection = PrivateSlot<Upstream>;

impl PrivateSlot<Upstream> {
    /// Starts a request with this key on the connection. `None` if the connection is closed; its
    /// replica then counts no request.
    pub(super) fn begin(&self, worker: &Worker, key: Key, now: Instant) -> Option<InFlight> {
        let upstream = self.replica();
        if !self.is_usable() || !upstream.keeps_connections() {
            return None;
        }
        let view = worker.view();
        let reason = match view.roster.ring.owner(key) == Some(upstream.seat) {
            true => RouteReason::Home,
            false => RouteReason::Private,
        };
        // The server has taken this client already, so its requests do not wait in the queue.
        let permit = upstream.limit.as_ref().and_then(|limit| limit.try_admit());
        let (in_flight, merge_due) = InFlight::begin(Rc::clone(upstream), reason, permit, now);
        if merge_due {
            worker.merge_loads(&view);
        }
        Some(in_flight)
    }

    /// Keeps `stream` for the next request of the client whose private connection is `own`, at most
    /// for as long as the server announced.
    pub(super) fn keep(
        own: &mut Option<Rc<Self>>,
        upstream: &Rc<Upstream>,
        stream: TcpStream,
        keep: Duration,
        now: Instant,
    ) {
        if !upstream.keeps_connections() || keep.is_zero() {
            return;
        }
        let same = own.take().filter(|own| Rc::ptr_eq(own.replica(), upstream));
        let private = same.unwrap_or_else(|| upstream.private.add(upstream));
        private.put(stream, now.checked_add(keep));
        *own = Some(private);
    }
}
