//! Replies that say something about the request before it is through, and what follows from that.
//!
//! A final reply may come before the body was read (a server need not read it first, RFC 9110 §10.1.1). It is passed
//! on at once, and the client is told that its connection ends; but the replica may read on: 202 at once, and
//! the upload is stored meanwhile. So the upload goes on until it is through, the client or the replica ends
//! its connection, or one of the two stands still for its timeout.

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
    /// Whether the reply came before the end of an upload that goes on. A client that waits for a 100 in vain
    /// sends no body (RFC 9110 §10.1.1).
    pub(super) fn is_early(&self) -> bool {
        self.progress.request_done_at.get().is_none() && !self.progress.awaiting_continue.get()
    }

    /// Waits for the end of the upload, or for that of the replica's connection: a server that still reads
    /// keeps its side open. Where only the end of the connection ends the reply (`open_end`), the client is
    /// shown it before. Both directions are polled by one task, so the end of the other one is seen at the next
    /// poll.
    /// An upload that waits for a replica that reads no more does not look at its client, so a reset ends this.
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
            // More bytes than the reply has are as good as an end: nothing can come after them.
            if pin!(from.read_buf(reply)).poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            watch
                .poll_gone(cx, || None)
                .map(|()| Err(ResponseError::ClientGone))
        })
    }

    /// Whether a reply with this status means an earlier request that never came: a server that gives a kept
    /// connection up may say 408 before it closes, and the request that crosses it was not read (RFC 9110
    /// §15.5.9). A proxy must not repeat what is not idempotent, whatever it knows (§9.2.2); there the client,
    /// which may, gets the 408.
    pub(super) fn is_stale(&self, status: u16) -> bool {
        status == 408 && self.reused && self.progress.repeatable.get() && self.worker.allows_retry()
    }

    /// Opens a tunnel once the request is through.
    pub(super) async fn upgrade(
        &mut self,
        meta: &ResponseMeta,
    ) -> Result<ResponseOutcome, ResponseError> {
        // RFC 9110 §7.8: the request first, then the tunnel. Both directions are polled by one task, so
        // the end of the other one is seen at the next poll.
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
