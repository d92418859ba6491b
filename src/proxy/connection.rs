//! Choice of the connection for a request: the client's private one, a kept one, or a fresh one.

use tokio::net::TcpStream;

use super::in_flight::InFlight;
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::retry_state::RetryState;
use super::reuse_policy::ReusePolicy;
use super::worker::Worker;

/// Previous use of a connection to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReusedConnection {
    /// The connection was opened for this request.
    No,
    /// The connection has served other requests.
    Pooled,
    /// The connection serves this client only.
    Private,
}

/// Connections that a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectOptions {
    /// The client's private connection.
    Own,
    /// A fresh connection.
    Fresh,
    /// A kept connection, or else a fresh one.
    Any,
}

/// Returns a connection to the replica and its previous use. `None` means that nothing was sent and
/// another replica may be tried.
pub(super) async fn connect(
    worker: &Worker,
    private: Option<&PrivateConnection>,
    in_flight: &InFlight,
    request: &ProxiedRequest,
    options: ConnectOptions,
    retry: &mut RetryState,
) -> Option<(TcpStream, ReusedConnection)> {
    let upstream = in_flight.upstream();
    // The choice was just made, or it precedes the delay of a request that was lost.
    let now = upstream.chosen_at.get();
    if options == ConnectOptions::Own
        && let Some(own) = private.and_then(PrivateConnection::take)
    {
        return Some((own, ReusedConnection::Private));
    }
    let policy = match (request.outgoing.idempotent, retry.lost_replicas.is_empty()) {
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
