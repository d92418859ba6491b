//! A request until its reply: choice of the seat, choice of the connection, and the reaction to a
//! failed attempt.
//!
//! - Refused with nothing sent: the next seat is tried, each seat once.
//! - Lost after bytes were sent: an idempotent request that is still buffered is retried. The
//!   budget must allow it, and fewer than two replicas may have been lost with it.
//! - Any other failure is an error reply, or a broken connection if the client has received part of
//!   a reply.
//!
//! Rare steps are boxed: the future of an exchange is allocated for every request and is as large
//! as its largest part.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::access_record::TerminatedBy;
use super::attempt::{self, AttemptOutcome};
use super::client::{Client, Disposition};
use super::client_watch::ClientWatch;
use super::connection_choice::{ConnectionChoice, ConnectionSource, connect};
use super::error_reply::ErrorReply;
use super::in_flight::InFlight;
use super::outcome::{client_failed, fail_permanently, finish, not_retried, send_error};
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::request_stats::RequestStats;
use super::response_state::ResponseError;
use super::retry_state::RetryState;
use super::selection;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::roster::Health;

/// Delay before a request is retried on another replica after a connection was lost. It gives
/// simultaneous deaths time to reach the roster, so that they do not count as two replicas killed
/// by this request.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Serves one request. Returns the next step for the client's connection.
pub(super) async fn run(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &mut ProxiedRequest,
) -> Disposition {
    let begun = Instant::now();
    worker.count_request(begun);
    // The wait for the replica holds no buffer without bytes.
    worker.buffers.put_back_if_empty(&mut client.inbox);
    let mut stats = RequestStats::new(begun, request.key, client.record.take());
    let outcome = run_attempts(worker, client, request, &stats).await;
    client.record = stats.take_record();
    let after = match outcome {
        Ok(after) => after,
        Err(failure) => send_error(worker, client, request, &failure).await,
    };
    worker.buffers.put_back(&mut request.outgoing.bytes);
    after
}

/// Makes attempts until the reply was delivered. An error is the reply to send to the client.
async fn run_attempts(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &mut ProxiedRequest,
    stats: &RequestStats,
) -> Result<Disposition, ErrorReply> {
    let mut retry = RetryState::default();
    // A replica chosen without the ring: that of the client's private connection, or the previous
    // one again on a fresh connection after a kept one was found closed.
    let own = client.private();
    let own = own.and_then(|private| private.begin(worker, request.key, stats.begun));
    let mut chosen = own.map(|in_flight| (in_flight, ConnectionChoice::PrivateOrFresh));
    loop {
        let connected = {
            let rare = client.rare.as_deref();
            let own = rare.and_then(|rare| rare.private.as_deref());
            let connected = reach(worker, request, stats, &mut retry, (own, chosen.take()));
            let watch = ClientWatch::new(worker, &stats.ends, || {
                client.stream.registered().map(|stream| &*stream)
            });
            watch.run(pin!(connected), || Some(stats.begun)).await
        };
        let Some(connected) = connected else {
            stats.ended.set(Some(TerminatedBy::ByClient));
            return Ok(Disposition::Close);
        };
        let (in_flight, mut replica, source) = connected?;
        let upstream = in_flight.upstream();
        let is_reused = source != ConnectionSource::Fresh;
        let chances = retry.chances(worker, request, &in_flight, is_reused);
        let end = attempt::run(
            worker,
            client,
            request,
            (&mut replica, source),
            &in_flight,
            stats,
            chances,
        );
        match end.await {
            AttemptOutcome::Delivered(delivered) => {
                // No retry follows, but a tunnel may be open for long.
                request.outgoing.give_up_replay();
                worker.buffers.put_back(&mut request.outgoing.bytes);
                let about = (&in_flight, stats);
                return Ok(finish(worker, client, request, about, replica, delivered).await);
            }
            AttemptOutcome::ClientFailed(failed) => {
                return client_failed(upstream, stats, &failed);
            }
            AttemptOutcome::Broken(ResponseError::Unwelcome) => {
                retry.record_status(request, &in_flight);
            }
            AttemptOutcome::Broken(
                broken @ (ResponseError::Lost | ResponseError::Degraded | ResponseError::Stale),
            ) => {
                let is_degraded = matches!(broken, ResponseError::Degraded);
                let repeatable = chances.repeatable;
                retry
                    .record_failure(worker, request, &in_flight, &broken, is_reused, repeatable)
                    .map_err(|denied| not_retried(upstream, stats, &denied))?;
                chosen =
                    (is_reused && !is_degraded).then_some((in_flight, ConnectionChoice::Fresh));
            }
            AttemptOutcome::Broken(other) => {
                return fail_permanently(worker, upstream, stats, &other);
            }
        }
    }
}

/// Returns a replica and a connection to it: the `chosen` one, the client's `own`, or the first
/// seat that accepts a connection.
async fn reach(
    worker: &Worker,
    request: &ProxiedRequest,
    stats: &RequestStats,
    retry: &mut RetryState,
    (own, mut chosen): (
        Option<&PrivateConnection>,
        Option<(InFlight, ConnectionChoice)>,
    ),
) -> Result<(InFlight, TcpStream, ConnectionSource), ErrorReply> {
    let mut is_first = chosen.is_none() && retry.reroutes == 0;
    loop {
        stats.reroutes.set(retry.reroutes);
        let attempted = &mut retry.attempted;
        let (in_flight, choice) = match chosen
            .take()
            .filter(|(in_flight, _)| in_flight.can_retry_here())
        {
            Some(chosen) => chosen,
            None => {
                // The clock is read again only if the request has waited.
                let now = match std::mem::take(&mut is_first) {
                    true => stats.begun,
                    false => Instant::now(),
                };
                let next = selection::select(worker, request.key, attempted, now).await;
                let next = next.map_err(|no_replica| {
                    if let Some((upstream, reason)) = no_replica.queue() {
                        stats.assigned(upstream, reason);
                    }
                    no_replica.error_reply(worker, attempted)
                })?;
                stats.replica_chosen(next.upstream().chosen_at.get());
                (next, ConnectionChoice::KeptOrFresh)
            }
        };
        let upstream = in_flight.upstream();
        if !retry.may_try(upstream.id) {
            let sentence = "two replicas were lost with this request";
            return Err(ErrorReply::new(502, sentence));
        }
        retry.attempted.mark_taken_over(upstream);
        if retry.needs_delay(upstream.id) && !Box::pin(still_up_after_delay(upstream)).await {
            continue;
        }
        let connected = connect(worker, own, &in_flight, request, choice, retry).await;
        if let Some((replica, source)) = connected {
            return Ok((in_flight, replica, source));
        }
    }
}

/// Waits so that the death of a second replica can reach the roster. Returns `true` if this replica
/// is still up.
async fn still_up_after_delay(upstream: &Upstream) -> bool {
    sleep(RETRY_DELAY).await;
    upstream.health.get() == Health::Up
}
