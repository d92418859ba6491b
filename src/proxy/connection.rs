//! The connection that a request goes over: the client's own, a kept one of the pool, or a fresh one.

use tokio::net::TcpStream;

use super::private_connections::Private;
use super::request::Request;
use super::retry_state::Journey;
use super::upstream::{InFlight, Need};
use super::worker::Worker;

/// Where a connection to a replica comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It was made for this request.
    No,
    /// It has served others.
    Pooled,
    /// It serves this client only.
    Private,
}

/// How to get a connection to the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
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
    private: Option<&Private>,
    in_flight: &InFlight,
    request: &Request,
    means: Means,
    journey: &mut Journey,
) -> Option<(TcpStream, Kept)> {
    let pool = in_flight.pool();
    // A moment ago, or before the pause of a request that was lost.
    let now = pool.chosen_at.get();
    if means == Means::Own
        && let Some(own) = private.and_then(Private::take)
    {
        return Some((own, Kept::Private));
    }
    let need = match (request.idempotent, journey.holders.is_empty()) {
        (false, _) => Need::Once,
        (true, true) => Need::Any,
        (true, false) => Need::Alive,
    };
    if means == Means::Any
        && let Some(kept) = pool.take(need, now)
    {
        worker.port().pool_hits.add(1);
        return Some((kept, Kept::Pooled));
    }
    match Box::pin(worker.connect(in_flight, &journey.tried)).await {
        Ok(fresh) => Some((fresh, Kept::No)),
        Err(why) => {
            journey.tried.not_reached(pool, why);
            journey.moves += 1;
            None
        }
    }
}
