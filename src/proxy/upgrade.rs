//! The upgrade of a connection: a 101 reply, and the tunnel that both connections become.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Buf;

use super::client_watch::ClientWatch;
use super::response_state::{Response, ResponseError, ResponseOutcome};
use super::rewrite::{self, HeadEnding, ResponseMeta};

impl Response<'_> {
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
