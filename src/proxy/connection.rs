//! The connection that a request goes over: the client's own, a kept one of the pool, or a fresh one.

use tokio::net::TcpStream;

use super::in_flight::InFlight;
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::retry_state::RetryState;
use super::upstream::ReusePolicy;
use super::worker::Worker;

/// Where a connection to a replica comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReusedConnection {
    /// It was made for this request.
    No,
    /// It has served others.
    Pooled,
    /// It serves this client only.
    Private,
}

/// How to get a connection to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectOptions {
    /// The client has its own.
    Own,
    /// By making one.
    Fresh,
    /// A kept one will do.
    Any,
}

/// A connection to the replica, and where it comes from. `None`: nothing was sent, try elsewhere.
pub(super) async fn connect(
    worker: &Worker,
    private: Option<&PrivateConnection>,
    in_flight: &InFlight,
    request: &ProxiedRequest,
    options: ConnectOptions,
    retry: &mut RetryState,
) -> Option<(TcpStream, ReusedConnection)> {
    let upstream = in_flight.upstream();
    // A moment ago, or before the pause of a request that was lost.
    let now = upstream.chosen_at.get();
    if options == ConnectOptions::Own
        && let Some(own) = private.and_then(PrivateConnection::take)
    {
        return Some((own, ReusedConnection::Private));
    }
    let policy = match (request.idempotent, retry.lost_replicas.is_empty()) {
        (false, _) => ReusePolicy::Once,
        (true, true) => ReusePolicy::Any,
        (true, false) => ReusePolicy::Alive,
    };
    if options == ConnectOptions::Any
        && let Some(kept) = upstream.take_idle(policy, now)
    {
        worker.port().pool_hits.add(1);
        return Some((kept, ReusedConnection::Pooled));
    }
    match Box::pin(worker.dial(in_flight, &retry.attempted)).await {
        Ok(fresh) => Some((fresh, ReusedConnection::No)),
        Err(why) => {
            retry.attempted.not_reached(upstream, why);
            retry.reroutes += 1;
            None
        }
    }
}
