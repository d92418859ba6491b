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
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::request_sender::SendError;
use super::request_stats::{ByteCounters, RequestStats};
use super::response::{ResponseError, ResponseOutcome};
use super::retry_state::{RetryDenied, RetryState};
use super::route;
use super::tunnel;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::roster::{EvidenceKind, Health};
use crate::wire::head::Version;

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
            let own = client.private.as_ref();
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

/// Puts both connections to their next use after a reply.
async fn finish(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &ProxiedRequest,
    (in_flight, account): (&InFlight, &RequestStats),
    mut replica: TcpStream,
    delivered: ResponseOutcome,
) -> Disposition {
    match delivered {
        ResponseOutcome::Whole {
            client_stays,
            keep,
            private,
        } => {
            account.ended.set(Some(TerminatedBy::Whole));
            let (pool, now) = (in_flight.pool(), Instant::now());
            account.finish(pool, now);
            if let Some(keep) = keep
                && private
                && client_stays
            {
                PrivateConnection::keep(&mut client.private, pool, replica, keep, now);
            } else if let Some(keep) = keep.filter(|_| !private) {
                let most = worker.settings.limits.pool_per_seat;
                pool.put_idle(replica, keep, most, now);
            }
            let client_through = !request.keep_alive
                && !worker.is_stopping()
                && request.outgoing.body.is_complete()
                && client.inbox.is_empty();
            match (client_stays, client_through) {
                (true, _) => Disposition::KeepAlive,
                (false, true) => Disposition::CloseIfRead,
                (false, false) => Disposition::LingeringClose,
            }
        }
        ResponseOutcome::Tunnel => {
            let early = &mut client.inbox;
            let flows = (
                ByteCounters::from_client(in_flight, account),
                ByteCounters::to_client(in_flight, account),
            );
            if let Ok(stream) = client.stream.registered() {
                let ended = tunnel::run(worker, stream, &mut replica, early, flows);
                account.ended.set(Some(Box::pin(ended).await));
            }
            Disposition::Close
        }
    }
}

/// Ends an exchange that was lost and does not go on.
fn not_retried(pool: &Upstream, account: &RequestStats, halted: &RetryDenied) -> ErrorReply {
    account.finish(pool, Instant::now());
    if matches!(halted, RetryDenied::OverBudget(_)) {
        account.ended.set(Some(TerminatedBy::ByBudget));
    }
    ErrorReply::new(502, halted.to_string())
}

/// Ends an exchange whose client broke its request off.
fn client_failed(
    pool: &Upstream,
    account: &RequestStats,
    failed: &SendError,
) -> Result<Disposition, ErrorReply> {
    account.ended.set(Some(TerminatedBy::ByClient));
    account.finish(pool, Instant::now());
    failed.error_reply().map_or(Ok(Disposition::Close), Err)
}

/// Ends an exchange that cannot be repeated.
fn fail_permanently(
    worker: &Worker,
    pool: &Upstream,
    account: &RequestStats,
    broken: &ResponseError,
) -> Result<Disposition, ErrorReply> {
    account.finish(pool, Instant::now());
    match broken {
        ResponseError::TimedOut => {
            worker.report_evidence(pool.id, EvidenceKind::ReplyTimeout);
            Err(ErrorReply::new(504, "the replica did not answer in time"))
        }
        ResponseError::Bad(why) => {
            let sentence = format!("the replica's reply is malformed: {why}");
            Err(ErrorReply::new(502, sentence))
        }
        ResponseError::Truncated { reset } => {
            worker.report_evidence(pool.id, EvidenceKind::Lost);
            pool.cell().truncated.add(1);
            account.ended.set(Some(TerminatedBy::ByReplica));
            Ok(if *reset {
                Disposition::Reset
            } else {
                Disposition::Close
            })
        }
        ResponseError::ClientGone
        | ResponseError::Lost
        | ResponseError::Degraded
        | ResponseError::Stale => {
            account.ended.set(Some(TerminatedBy::ByClient));
            Ok(Disposition::Close)
        }
    }
}

/// Answers with an error. The connection stays only if nothing is left of the request.
async fn send_error(
    worker: &Worker,
    client: &mut Client,
    request: &ProxiedRequest,
    failure: &ErrorReply,
) -> Disposition {
    let stays = request.keep_alive
        && request.asked.version == Version::Http11
        && request.outgoing.body.is_complete()
        && failure.status >= 500;
    let fields = if failure.status == 503 {
        "Retry-After: 1\r\n"
    } else {
        ""
    };
    let head_only = request.asked.to_head;
    let answer = client.answer(worker, failure, fields, stays, head_only);
    Box::pin(answer).await
}
