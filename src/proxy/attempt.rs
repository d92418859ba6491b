//! A request on one connection to a replica: both directions at once, until the reply is complete
//! or one side fails.
//!
//! A replica may reply before it has read the request (RFC 9112 §9.6). Its reply then counts, not
//! the fact that it stopped reading.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::Client;
use super::connection_choice::ConnectionSource;
use super::fairness::Turn;
use super::in_flight::InFlight;
use super::low_mark::LowMark;
use super::progress::ExchangeProgress;
use super::request::ProxiedRequest;
use super::request_sender::{RequestSender, SendError};
use super::request_stats::{ByteCounters, RequestStats};
use super::response_state::{Response, ResponseError, ResponseOutcome};
use super::retry_state::RetryChances;
use super::worker::Worker;
use crate::wire::lazy_stream::ClientWriter;

/// Result of an attempt.
#[derive(Debug)]
pub(super) enum AttemptOutcome {
    /// The reply was delivered.
    Delivered(ResponseOutcome),
    /// The reply failed or is incomplete.
    Broken(ResponseError),
    /// The client broke its request off before any part of a final reply was written.
    ClientFailed(SendError),
}

/// Sends `request` over `replica` and relays the reply.
pub(super) async fn run(
    worker: &Worker,
    client: &mut Client,
    request: &mut ProxiedRequest,
    (replica, source): (&mut TcpStream, ConnectionSource),
    in_flight: &InFlight,
    stats: &RequestStats,
    chances: RetryChances,
) -> AttemptOutcome {
    stats.assigned(in_flight.upstream(), in_flight.reason);
    let progress = ExchangeProgress::default();
    progress.awaiting_continue.set(request.expects);
    progress.repeatable.set(chances.repeatable);
    progress.on_silence.set(chances.silence);
    progress.status_leaves.set(chances.status_leaves);
    // Without a request body nothing is read from the client, so its socket need not be registered
    // with the event loop.
    let (from_client, to_client) = if request.outgoing.body.is_complete() {
        (None, ClientWriter::Whole(&mut client.stream))
    } else {
        let Ok(stream) = client.stream.registered() else {
            return AttemptOutcome::ClientFailed(SendError::ClientGone);
        };
        let (from, to) = stream.split();
        (Some(from), ClientWriter::Half(to))
    };
    let (from_replica, to_replica) = replica.split();
    let mut response = Response {
        from: from_replica,
        to: to_client,
        worker,
        in_flight,
        stats,
        counters: ByteCounters::to_client(in_flight, stats),
        progress: &progress,
        timer: &mut client.timer,
        request: request.meta,
        reused: source != ConnectionSource::Fresh,
        private: source == ConnectionSource::Private || request.private,
        keep_alive: request.keep_alive,
        low_mark: LowMark::default(),
        turn: Turn::default(),
        fast_pieces: 0,
        reply: BytesMut::new(),
        out: BytesMut::new(),
    };
    let mut sender = RequestSender {
        from: from_client,
        to: to_replica,
        inbox: &mut client.inbox,
        outgoing: &mut request.outgoing,
        worker,
        progress: &progress,
        in_flight,
        counters: ByteCounters::from_client(in_flight, stats),
        turn: Turn::default(),
    };
    // Pinned by reference: an async fn stores moved arguments twice.
    let (sender, response) = (pin!(sender.run()), pin!(response.run()));
    let end = run_both(sender, response, &progress).await;
    // A client that has received a 100 sends its body, also if the request goes to another replica
    // next.
    request.expects = progress.awaiting_continue.get();
    end
}

/// Polls both directions until the reply is complete, or until the client fails before the reply
/// began.
async fn run_both(
    mut sender: Pin<&mut impl Future<Output = Result<(), SendError>>>,
    mut response: Pin<&mut impl Future<Output = Result<ResponseOutcome, ResponseError>>>,
    progress: &ExchangeProgress,
) -> AttemptOutcome {
    let mut sending = true;
    std::future::poll_fn(|cx| {
        loop {
            let awaiting_continue = progress.awaiting_continue.get();
            if sending && let Poll::Ready(end) = sender.as_mut().poll(cx) {
                sending = false;
                if progress.request_done_at.get().is_none() {
                    progress.request_done_at.set(Some(Instant::now()));
                }
                match end {
                    Ok(()) | Err(SendError::ReplicaGone) => {}
                    // After a partial interim reply, the client could not parse an error reply.
                    Err(_) if progress.writing_interim.get() => {
                        return Poll::Ready(AttemptOutcome::Broken(ResponseError::ClientGone));
                    }
                    Err(failed) if !progress.response_started.get() => {
                        return Poll::Ready(AttemptOutcome::ClientFailed(failed));
                    }
                    // The reply goes on. Its head has announced that the connection closes.
                    Err(_) => {}
                }
            }
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(delivered)) => {
                    return Poll::Ready(AttemptOutcome::Delivered(delivered));
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(AttemptOutcome::Broken(broken)),
                // A 100 was relayed, so the client's timeout starts: poll the sender again.
                Poll::Pending
                    if awaiting_continue && !progress.awaiting_continue.get() && sending => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
