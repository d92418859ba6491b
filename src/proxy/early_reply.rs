//! Replies that arrive before the request was sent completely.
//!
//! A server need not read the body before its final reply (RFC 9110 §10.1.1). The reply is relayed
//! at once, with the announcement that the client's connection closes. The replica may go on
//! reading: it sends 202 at once and stores the upload meanwhile. So the upload goes on until it is
//! complete, a connection ends, or a side stalls for its timeout.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Buf;
use tokio::io::AsyncReadExt;

use super::client_watch::ClientWatch;
use super::response_state::{Response, ResponseError, ResponseOutcome};
use super::rewrite::{self, HeadEnding, ResponseMeta};
use crate::wire::socket;

impl Response<'_> {
    /// Returns `true` if the reply came before the end of an upload that goes on. A client that
    /// still waits for a 100 sends no body (RFC 9110 §10.1.1).
    pub(super) fn is_early(&self) -> bool {
        self.progress.request_done_at.get().is_none() && !self.progress.awaiting_continue.get()
    }

    /// Waits for the end of the upload or of the replica's connection: a server that still reads
    /// keeps its side open. If the reply ends only with the connection (`open_end`), the client's
    /// socket is half-closed first.
    ///
    /// A single task polls both directions, so the end of the upload is seen at the next poll. An
    /// upload to a replica that has stopped reading does not read from its client, so a reset is
    /// watched for here.
    pub(super) fn outlast_upload(
        &mut self,
        open_end: bool,
    ) -> impl Future<Output = Result<(), ResponseError>> {
        if open_end && let Ok(client) = self.to.known() {
            socket::half_close(client);
        }
        let (from, to, reply) = (&mut self.from, &mut self.to, &mut self.reply);
        let progress = self.progress;
        let mut watch = ClientWatch::new(self.worker, &self.stats.ends, || to.known());
        poll_fn(move |cx| {
            if progress.request_done_at.get().is_some() || progress.awaiting_continue.get() {
                return Poll::Ready(Ok(()));
            }
            // Extra bytes after the reply are as good as an end: nothing valid can follow them.
            if pin!(from.read_buf(reply)).poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            watch
                .poll_gone(cx, || None)
                .map(|()| Err(ResponseError::ClientGone))
        })
    }

    /// Returns `true` if a reply with this status belongs to no request. A server that drops a kept
    /// connection may send 408 before it closes, and it has not read the request that crosses it
    /// (RFC 9110 §15.5.9).
    ///
    /// A proxy must not repeat a request that is not idempotent (RFC 9110 §9.2.2). Such a request's
    /// client gets the 408 and may repeat it.
    pub(super) fn is_stale(&self, status: u16) -> bool {
        status == 408 && self.reused && self.progress.repeatable.get() && self.worker.allows_retry()
    }

    /// Opens a tunnel once the request was sent completely.
    pub(super) async fn upgrade(
        &mut self,
        meta: &ResponseMeta,
    ) -> Result<ResponseOutcome, ResponseError> {
        // RFC 9110 §7.8: the request is completed before the tunnel opens. One task polls both
        // directions, so the end of the request is seen at the next poll.
        let (progress, to) = (self.progress, &mut self.to);
        let sent = poll_fn(|_| match progress.request_done_at.get() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        });
        let watch = ClientWatch::new(self.worker, &self.stats.ends, || to.known());
        let sent = watch.run(pin!(sent), || None).await;
        sent.ok_or(ResponseError::ClientGone)?;
        if !progress.sent.get() {
            return Err(ResponseError::Bad(
                "it switches protocols before the request ends",
            ));
        }
        self.reply.advance(meta.len);
        rewrite::push_head_end(HeadEnding::Upgrade, &mut self.out);
        self.out.extend_from_slice(&self.reply);
        self.progress.response_started.set(true);
        self.write_out().await?;
        Ok(ResponseOutcome::Tunnel)
    }
}
