//! A reply of which the client has seen nothing: it is read until its head, or all of it, is here.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::buffer_pool::REPLY_BYTES;
use super::client_watch::ClientWatch;
use super::response::{Response, ResponseError};
use super::rewrite::ResponseMeta;
use crate::wire::framing::Body;

impl Response<'_> {
    /// Reads more of a reply of which the client has seen nothing. No async fn, nor a select: every
    /// request holds this future.
    pub(super) fn read_early(
        &mut self,
        due: impl Fn() -> Option<Instant>,
    ) -> impl Future<Output = Result<(), ResponseError>> {
        let (in_flight, progress, worker) = (self.in_flight, self.progress, self.worker);
        let mut ear = in_flight.doubt_ear();
        let (from, to, reply, timer) = (
            &mut self.from,
            &mut self.to,
            &mut self.reply,
            &mut *self.timer,
        );
        let mut watch = ClientWatch::new(worker, &self.account.ends, || to.known());
        poll_fn(move |cx| {
            let silent_since = || progress.upload_over.get();
            if watch.poll_gone_if_old(cx, silent_since).is_ready() {
                return Poll::Ready(Err(ResponseError::ClientGone));
            }
            if let Poll::Ready(read) = pin!(from.read_buf(reply)).poll(cx) {
                return Poll::Ready(match read {
                    Ok(0) | Err(_) => Err(ResponseError::Lost),
                    Ok(_) => Ok(()),
                });
            }
            if worker.gives_up(in_flight, progress.on_silence.get()) {
                return Poll::Ready(Err(ResponseError::Degraded));
            }
            ear.register(cx);
            if watch.poll_gone(cx, silent_since).is_ready() {
                return Poll::Ready(Err(ResponseError::ClientGone));
            }
            match due() {
                Some(due) => timer
                    .poll_passed(cx, due)
                    .map(|()| Err(ResponseError::TimedOut)),
                None => Poll::Pending,
            }
        })
    }

    /// Reads on until the whole reply is here, where it fits. What cannot be asked for again is passed on
    /// as far as it came. So is what a half-closed client has waited for longer than its grace: only a
    /// write tells whether it still reads.
    pub(super) async fn hold_until_whole(
        &mut self,
        facts: &ResponseMeta,
    ) -> Result<(), ResponseError> {
        let Body::Length(length) = facts.body else {
            return Ok(());
        };
        let whole = length.saturating_add(facts.len as u64);
        if whole > REPLY_BYTES as u64 {
            return Ok(());
        }
        while (self.reply.len() as u64) < whole {
            let (progress, since) = (self.progress, Instant::now());
            let limit = self.worker.settings.limits.body_timeout;
            let due = || progress.reply_body_due(since, limit);
            match self.read_early(due).await {
                Err(ResponseError::Lost)
                    if !(progress.repeatable.get() && self.worker.allows_retry()) =>
                {
                    return Ok(());
                }
                Err(ResponseError::ClientGone) if self.account.ends.half_closed.get().is_some() => {
                    return Ok(());
                }
                other => other?,
            }
        }
        Ok(())
    }
}
