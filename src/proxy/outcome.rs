//! The end of a request: the next use of both connections, the reply to the client, and the
//! evidence about the replica.

use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::access_record::TerminatedBy;
use super::client::{Client, Disposition};
use super::error_reply::{ErrorReply, RETRY_AFTER};
use super::in_flight::InFlight;
use super::private_connection::PrivateConnection;
use super::request::ProxiedRequest;
use super::request_sender::SendError;
use super::request_stats::{ByteCounters, RequestStats};
use super::response_state::{ResponseError, ResponseOutcome};
use super::retry_state::RetryDenied;
use super::tunnel;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::roster::EvidenceKind;

/// Assigns both connections to their next use after a reply. A tunnel is run to its end.
pub(super) async fn finish(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &ProxiedRequest,
    (in_flight, stats): (&InFlight, &RequestStats),
    mut replica: TcpStream,
    delivered: ResponseOutcome,
) -> Disposition {
    match delivered {
        ResponseOutcome::Whole {
            client_stays,
            keep,
            private,
        } => {
            stats.ended.set(Some(TerminatedBy::Whole));
            let (upstream, now) = (in_flight.upstream(), Instant::now());
            stats.finish(upstream, now);
            if let Some(keep) = keep
                && private
                && client_stays
            {
                PrivateConnection::keep(
                    &mut client.rare.get_or_insert_default().private,
                    upstream,
                    replica,
                    keep,
                    now,
                );
            } else if let Some(keep) = keep.filter(|_| !private) {
                let most = worker.settings.limits.pool_per_seat;
                upstream.put_idle(replica, keep, most, now);
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
            let counters = (
                ByteCounters::from_client(in_flight, stats),
                ByteCounters::to_client(in_flight, stats),
            );
            if let Ok(stream) = client.stream.registered() {
                let ended = tunnel::run(worker, stream, &mut replica, early, counters);
                stats.ended.set(Some(Box::pin(ended).await.into()));
            }
            Disposition::Close
        }
    }
}

/// Ends an exchange that was lost and is not retried.
pub(super) fn not_retried(
    upstream: &Upstream,
    stats: &RequestStats,
    denied: &RetryDenied,
) -> ErrorReply {
    stats.finish(upstream, Instant::now());
    if matches!(denied, RetryDenied::OverBudget(_)) {
        stats.ended.set(Some(TerminatedBy::ByBudget));
    }
    ErrorReply::new(502, denied.to_string())
}

/// Ends an exchange whose client broke its request off.
pub(super) fn client_failed(
    upstream: &Upstream,
    stats: &RequestStats,
    failed: &SendError,
) -> Result<Disposition, ErrorReply> {
    stats.ended.set(Some(TerminatedBy::ByClient));
    stats.finish(upstream, Instant::now());
    failed.error_reply().map_or(Ok(Disposition::Close), Err)
}

/// Ends an exchange that must not be repeated.
pub(super) fn fail_permanently(
    worker: &Worker,
    upstream: &Upstream,
    stats: &RequestStats,
    broken: &ResponseError,
) -> Result<Disposition, ErrorReply> {
    stats.finish(upstream, Instant::now());
    match broken {
        ResponseError::TimedOut => {
            worker.report_evidence(upstream.id, EvidenceKind::ReplyTimeout);
            Err(ErrorReply::new(504, "the replica did not answer in time"))
        }
        ResponseError::Bad(why) => {
            let sentence = format!("the replica's reply is malformed: {why}");
            Err(ErrorReply::new(502, sentence))
        }
        ResponseError::Truncated { reset } => {
            worker.report_evidence(upstream.id, EvidenceKind::Lost);
            upstream.counters().truncated.add(1);
            stats.ended.set(Some(TerminatedBy::ByReplica));
            Ok(if *reset {
                Disposition::Reset
            } else {
                Disposition::Close
            })
        }
        ResponseError::ClientGone
        | ResponseError::Lost
        | ResponseError::Degraded
        | ResponseError::Unwelcome
        | ResponseError::Stale => {
            stats.ended.set(Some(TerminatedBy::ByClient));
            Ok(Disposition::Close)
        }
    }
}

/// Sends an error reply. The connection stays open only if the request was read completely.
pub(super) async fn send_error(
    worker: &Worker,
    client: &mut Client,
    request: &ProxiedRequest,
    failure: &ErrorReply,
) -> Disposition {
    let stays = request.may_stay() && failure.status >= 500;
    let fields = if failure.status == 503 {
        RETRY_AFTER
    } else {
        ""
    };
    let head_only = request.meta.to_head;
    let answer = client.answer(worker, failure, fields, stays, head_only);
    Box::pin(answer).await
}
