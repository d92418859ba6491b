//! Choice of the connection for a request: the client's private one, a kept one, or a fresh one.

use tokio::net::TcpStream;

use super::in_flight::InFlight;
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::retry_state::RetryState;
use super::reuse_policy::ReusePolicy;
use super::worker::Worker;

/// Source of the connection of a request to its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionSource {
    /// Opened for this request.
    Fresh,
    /// Kept after it has served other requests.
    Kept,
    /// Private: for this client only.
    Private,
}

/// Connections that a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionChoice {
    /// The client's private connection, or a fresh one if that is gone.
    PrivateOrFresh,
    /// A fresh connection.
    Fresh,
    /// A kept connection, or else a fresh one.
    KeptOrFresh,
}

/// Returns a connection to the replica and its source. `None` means that nothing was sent and
/// another replica may be tried: the failure is in `retry.attempted`, and counts as a reroute.
pub(super) async fn connect(
    worker: &Worker,
    private: Option<&PrivateConnection>,
    in_flight: &InFlight,
    request: &ProxiedRequest,
    choice: ConnectionChoice,
    retry: &mut RetryState,
) -> Option<(TcpStream, ConnectionSource)> {
    let upstream = in_flight.upstream();
    // Saves a read of the clock. It is at most `RETRY_DELAY` old, which does not matter for the age
    // of kept connections.
    let now = upstream.chosen_at.get();
    if choice == ConnectionChoice::PrivateOrFresh
        && let Some(own) = private.and_then(PrivateConnection::take)
    {
        return Some((own, ConnectionSource::Private));
    }
    let policy = match (request.outgoing.idempotent, retry.lost_replicas.is_empty()) {
        (false, _) => ReusePolicy::JustUsed,
        (true, true) => ReusePolicy::MayBeClosed,
        (true, false) => ReusePolicy::Open,
    };
    if choice == ConnectionChoice::KeptOrFresh
        && let Some(kept) = upstream.take_idle(policy, now)
    {
        worker.port().pool_hits.add(1);
        return Some((kept, ConnectionSource::Kept));
    }
    match Box::pin(worker.dial(in_flight, &retry.attempted)).await {
        Ok(fresh) => Some((fresh, ConnectionSource::Fresh)),
        Err(why) => {
            retry.attempted.not_reached(upstream, why);
            retry.reroutes += 1;
            None
        }
    }
}
