//! One request until it is answered: which seat, which connection, and what a failed attempt means.
//!
//! Refused with nothing sent: the next seat, through every seat once. Lost with something sent: again
//! only if doing it twice is as good as once, it is still here whole, the budget allows it, and no two
//! replicas have died holding it. Everything else is an error reply, or a broken connection if the
//! client has seen part of a reply.
//!
//! What is rare is boxed: the future of an exchange is made for every request, and as large as the
//! largest of its parts.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::access_record::TerminatedBy;
use super::attempt::{self, AttemptOutcome};
use super::client::{Client, Disposition};
use super::client_watch::ClientWatch;
use super::connection::{ConnectOptions, ReusedConnection, connect};
use super::error_reply::ErrorReply;
use super::in_flight::InFlight;
use super::outcome::{client_failed, fail_permanently, finish, not_retried, send_error};
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::request_stats::RequestStats;
use super::response_state::ResponseError;
use super::retry_state::RetryState;
use super::route;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::roster::{EvidenceKind, Health};

/// Before a request that one replica was lost with goes to another: replicas that die together are seen
/// dead by then, and do not count as two that died of this request.
const RETRY_DELAY: Duration = Duration::from_millis(20);

/// Serves one request. What is left to do with the client's connection.
pub(super) async fn run(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &mut ProxiedRequest,
) -> Disposition {
    let begun = Instant::now();
    worker.count_request(begun);
    let mut account = RequestStats::new(begun, request.keyed.key, client.note.take());
    let answered = run_attempts(worker, client, request, &account).await;
    client.note = account.finish_attempt();
    let after = match answered {
        Ok(after) => after,
        Err(failure) => send_error(worker, client, request, &failure).await,
    };
    worker.inboxes.put_back(&mut request.outgoing.bytes);
    after
}

/// From attempt to attempt until there is an answer, or a failure to be told the client.
async fn run_attempts(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &mut ProxiedRequest,
    account: &RequestStats,
) -> Result<Disposition, ErrorReply> {
    let mut journey = RetryState::default();
    let key = request.keyed.key;
    // A replica that the ring is not asked for: the client's own, with the connection to it, or one to try
    // again on a fresh connection, because a kept one was found closed.
    let own = client.private.as_ref();
    let own = own.and_then(|private| private.begin(worker, key, account.begun));
    let mut given = own.map(|in_flight| (in_flight, ConnectOptions::Own));
    loop {
        let reached = {
            let own = client.private.as_deref();
            let reached = reach(worker, request, account, &mut journey, (own, given.take()));
            let watch = ClientWatch::new(worker, &account.ends, || {
                client.stream.registered().map(|stream| &*stream)
            });
            watch.run(pin!(reached), || Some(account.begun)).await
        };
        let Some(reached) = reached else {
            account.ended.set(Some(TerminatedBy::ByClient));
            return Ok(Disposition::Close);
        };
        let (in_flight, mut replica, kept) = reached?;
        let pool = in_flight.pool();
        let is_kept = kept != ReusedConnection::No;
        let chances = journey.chances(worker, request, &in_flight, is_kept);
        let end = attempt::run(
            worker,
            client,
            request,
            (&mut replica, kept),
            &in_flight,
            account,
            chances,
        );
        match end.await {
            AttemptOutcome::Delivered(delivered) => {
                let about = (&in_flight, account);
                return Ok(finish(worker, client, request, about, replica, delivered).await);
            }
            AttemptOutcome::ClientFailed(failed) => {
                return client_failed(pool, account, &failed);
            }
            AttemptOutcome::Broken(
                broken @ (ResponseError::Lost | ResponseError::Degraded | ResponseError::Stale),
            ) => {
                let is_doubted = matches!(broken, ResponseError::Degraded);
                if matches!(broken, ResponseError::Lost) {
                    worker.report_evidence(pool.id, EvidenceKind::Lost);
                }
                let repeatable = chances.repeatable;
                journey
                    .may_retry_here(worker, request, &in_flight, &broken, is_kept, repeatable)
                    .map_err(|halted| not_retried(pool, account, &halted))?;
                given = (is_kept && !is_doubted).then_some((in_flight, ConnectOptions::Fresh));
            }
            AttemptOutcome::Broken(other) => {
                return fail_permanently(worker, pool, account, &other);
            }
        }
    }
}

/// A replica for the request, and a connection to it: the one that is `given`, or the client's `own`, or from
/// seat to seat until there is one.
async fn reach(
    worker: &Worker,
    request: &ProxiedRequest,
    account: &RequestStats,
    journey: &mut RetryState,
    (own, mut given): (
        Option<&PrivateConnection>,
        Option<(InFlight, ConnectOptions)>,
    ),
) -> Result<(InFlight, TcpStream, ReusedConnection), ErrorReply> {
    loop {
        account.moves.set(journey.moves);
        let tried = &mut journey.tried;
        let (in_flight, means) = match given.take().filter(|(in_flight, _)| in_flight.may_go_on()) {
            Some(given) => given,
            None => {
                let (key, now) = (request.keyed.key, Instant::now());
                let next = route::select(worker, key, tried, now).await;
                let next = next.map_err(|nobody| nobody.error_reply(worker, tried))?;
                account.replica_chosen(next.pool().chosen_at.get());
                (next, ConnectOptions::Any)
            }
        };
        let pool = in_flight.pool();
        if !journey.may_try(pool.id) {
            let sentence = "two replicas were lost with this request";
            return Err(ErrorReply::new(502, sentence));
        }
        journey.tried.mark_taken_over(pool);
        if journey.record_failure(pool.id) && !Box::pin(still_up_after_delay(pool)).await {
            continue;
        }
        let connected = connect(worker, own, &in_flight, request, means, journey).await;
        if let Some((replica, kept)) = connected {
            return Ok((in_flight, replica, kept));
        }
    }
}

/// Lets a replica's death be heard of that dies together with another.
async fn still_up_after_delay(pool: &Upstream) -> bool {
    sleep(RETRY_DELAY).await;
    pool.health.get() == Health::Up
}
