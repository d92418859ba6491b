//! What the end of an attempt means: for the two connections, for the client, and for what is known of the
//! replica.

use std::rc::Rc;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::access_record::TerminatedBy;
use super::client::{Client, Disposition};
use super::error_reply::ErrorReply;
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
use crate::wire::head::Version;

/// Puts both connections to their next use after a reply.
pub(super) async fn finish(
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
pub(super) fn not_retried(
    pool: &Upstream,
    account: &RequestStats,
    halted: &RetryDenied,
) -> ErrorReply {
    account.finish(pool, Instant::now());
    if matches!(halted, RetryDenied::OverBudget(_)) {
        account.ended.set(Some(TerminatedBy::ByBudget));
    }
    ErrorReply::new(502, halted.to_string())
}

/// Ends an exchange whose client broke its request off.
pub(super) fn client_failed(
    pool: &Upstream,
    account: &RequestStats,
    failed: &SendError,
) -> Result<Disposition, ErrorReply> {
    account.ended.set(Some(TerminatedBy::ByClient));
    account.finish(pool, Instant::now());
    failed.error_reply().map_or(Ok(Disposition::Close), Err)
}

/// Ends an exchange that cannot be repeated.
pub(super) fn fail_permanently(
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
pub(super) async fn send_error(
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
