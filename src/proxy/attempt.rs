//! One request on one connection to a replica: both directions at once, until the reply is through or
//! one of the two parties fails.
//!
//! A replica may answer before it has read the request (RFC 9112 §9.6 lets it): what it said counts, not
//! that it stopped reading.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connection::Kept;
use super::fairness::Turn;
use super::flow::Flow;
use super::request::Request;
use super::request_sender::{Progress, Unsent, Upload};
use super::request_stats::Account;
use super::response::{Broken, Delivered, Download};
use super::retry_state::Chances;
use super::session::Client;
use super::upstream::InFlight;
use super::worker::Worker;
use super::write::LowMark;
use crate::wire::lazy_stream::ClientWriter;

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// The reply is through.
    Delivered(Delivered),
    /// It is not.
    Broken(Broken),
    /// The client broke its request off before any of a final reply was written.
    ClientFailed(Unsent),
}

/// Sends `request` over `replica` and passes the reply on.
pub(super) async fn run(
    worker: &Worker,
    client: &mut Client,
    request: &mut Request,
    (replica, kept): (&mut TcpStream, Kept),
    in_flight: &InFlight,
    account: &Account,
    chances: Chances,
) -> End {
    account.given(in_flight);
    let progress = Progress::default();
    progress.held.set(request.expects);
    progress.repeatable.set(chances.repeatable);
    progress.on_silence.set(chances.silence);
    // What is owed to nobody is not waited for: then the event loop need not know of the client.
    let (from_client, to_client) = if request.outgoing.body.is_complete() {
        (None, ClientWriter::Whole(&mut client.stream))
    } else {
        let Ok(stream) = client.stream.registered() else {
            return End::ClientFailed(Unsent::ClientGone);
        };
        let (from, to) = stream.split();
        (Some(from), ClientWriter::Half(to))
    };
    let (from_replica, to_replica) = replica.split();
    let mut download = Download {
        from: from_replica,
        to: to_client,
        worker,
        in_flight,
        account,
        flow: Flow::to_client(in_flight, account),
        progress: &progress,
        timer: &mut client.timer,
        asked: request.asked,
        kept: kept != Kept::No,
        private: kept == Kept::Private || request.private,
        keep_alive: request.keep_alive,
        low_mark: LowMark::default(),
        turn: Turn::default(),
        reply: worker.replies.take(),
        out: worker.replies.take(),
    };
    let mut upload = Upload {
        from: from_client,
        to: to_replica,
        inbox: &mut client.inbox,
        outgoing: &mut request.outgoing,
        worker,
        progress: &progress,
        in_flight,
        flow: Flow::from_client(in_flight, account),
        turn: Turn::default(),
    };
    // Lent: what is moved into an async fn is kept twice.
    let (upload, download) = (pin!(upload.run()), pin!(download.run()));
    let end = both(upload, download, &progress).await;
    // Once told to go on, the client goes on, whoever gets its request next.
    request.expects = progress.held.get();
    end
}

/// Polls both directions until the reply's one is through, or the client fails before it began.
async fn both(
    mut upload: Pin<&mut impl Future<Output = Result<(), Unsent>>>,
    mut download: Pin<&mut impl Future<Output = Result<Delivered, Broken>>>,
    progress: &Progress,
) -> End {
    let mut uploading = true;
    std::future::poll_fn(|cx| {
        loop {
            let held = progress.held.get();
            if uploading && let Poll::Ready(end) = upload.as_mut().poll(cx) {
                uploading = false;
                if progress.upload_over.get().is_none() {
                    progress.upload_over.set(Some(Instant::now()));
                }
                match end {
                    Ok(()) | Err(Unsent::ReplicaGone) => {}
                    // Behind half an interim reply, nothing could be read.
                    Err(_) if progress.amid.get() => {
                        return Poll::Ready(End::Broken(Broken::ClientGone));
                    }
                    Err(failed) if !progress.begun.get() => {
                        return Poll::Ready(End::ClientFailed(failed));
                    }
                    // The reply goes on; its head has told the client that the connection ends.
                    Err(_) => {}
                }
            }
            match download.as_mut().poll(cx) {
                Poll::Ready(Ok(delivered)) => return Poll::Ready(End::Delivered(delivered)),
                Poll::Ready(Err(broken)) => return Poll::Ready(End::Broken(broken)),
                // A 100 was passed on: the client's clock begins.
                Poll::Pending if held && !progress.held.get() && uploading => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
