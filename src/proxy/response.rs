//! The direction from the replica to the client: interim replies, the final head, the body.
//!
//! The final reply is written as late as possible. A reply of known length that fits the buffer is
//! sent whole in one write, so the request can be retried until all of it has arrived.

use std::time::Duration;

use bytes::Buf;
use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::ejection;
use super::interim::InterimRate;
use super::response_state::{Response, ResponseError, ResponseOutcome};
use super::rewrite::{self, HeadEnding, ResponseMeta};
use super::write::write_whole;
use crate::wire::framing::Body;
use crate::wire::head::{Version, could_be_complete};
use crate::wire::lenient::{self, Rewritten};
use crate::wire::version;

/// Maximum number of reply bytes that are held back until the reply is complete.
const REPLY_BYTES: usize = 36 * 1024;
/// Maximum length of a reply's head in bytes.
const MAX_REPLY_HEAD: usize = 64 * 1024;
/// Length in bytes below which a body is copied behind its head. That costs less than letting the
/// kernel gather two parts (writev(2)).
const COPY_BELOW: usize = 2048;

const HEAD_TOO_LONG: ResponseError = ResponseError::Bad("its head is longer than 65536 bytes");

impl Response<'_> {
    pub(super) async fn run(&mut self) -> Result<ResponseOutcome, ResponseError> {
        let delivered = self.deliver().await;
        self.worker.buffers.put_back(&mut self.reply);
        self.worker.buffers.put_back(&mut self.out);
        delivered
    }

    async fn deliver(&mut self) -> Result<ResponseOutcome, ResponseError> {
        let mut meta = self.read_final_head().await?;
        self.head_came(meta.status);
        if self.is_unwelcome(meta.status) {
            return Err(ResponseError::Unwelcome);
        }
        if meta.status == 101 {
            return self.upgrade(&meta).await;
        }
        self.hold_until_whole(&meta).await?;
        let client_stays = self.write_head(&mut meta).await?;
        if !meta.body.is_complete() {
            Box::pin(self.relay_rest(&mut meta)).await?;
        }
        if self.progress.is_uploading() {
            self.release_buffers();
            Box::pin(self.outlast_upload(meta.decode)).await?;
        }
        // Extra bytes after the reply belong to no request (RFC 9112 §9.2), so the connection is
        // not reused.
        let reusable = meta.keep_alive
            && meta.body.is_complete()
            && self.reply.is_empty()
            && self.progress.sent.get();
        let private = self.private || meta.private;
        let max = match private {
            true => Duration::MAX,
            false => self.worker.settings.limits.pool_idle,
        };
        let keep = reusable.then(|| meta.keep_for.map_or(max, |keep_for| keep_for.min(max)));
        Ok(ResponseOutcome::Whole {
            client_stays,
            keep,
            private,
        })
    }

    /// Records the head of the final reply.
    fn head_came(&self, status: u16) {
        let now = Instant::now();
        self.stats.reply_head(self.in_flight, status, now);
        ejection::record_reply(self.worker, self.in_flight, status, now);
    }

    /// Returns `true` if another replica is asked in place of passing a reply with this status on.
    /// Then a retry is taken from the budget.
    fn is_unwelcome(&self, status: u16) -> bool {
        self.progress.status_leaves.get()
            && self.worker.settings.retry_on.contains(status)
            && self.worker.take_retry().is_ok()
    }

    /// Reads up to the final head and relays interim replies.
    async fn read_final_head(&mut self) -> Result<ResponseMeta, ResponseError> {
        let (mut rate, mut parsed) = (InterimRate::default(), 0);
        let via = self.worker.settings.via.as_deref();
        loop {
            if !self.reply.is_empty() && could_be_complete(&self.reply, parsed) {
                let size = match self.reply.len() > COPY_BELOW {
                    // The received part of a body in chunks is laid out behind the head.
                    true => BufferSize::Read,
                    false => BufferSize::Head,
                };
                self.worker.buffers.fill(size, &mut self.out);
                self.out.clear();
                version::normalize_response_version(&mut self.reply);
                let meta =
                    match rewrite::rewrite_reply(&self.reply, self.request, via, &mut self.out) {
                        Ok(meta) => meta,
                        Err(bad) => match lenient::rewrite_response(&mut self.reply) {
                            Rewritten::Changed => {
                                parsed = 0;
                                continue;
                            }
                            Rewritten::Incomplete => None,
                            Rewritten::Unchanged => return Err(ResponseError::Bad(bad.0)),
                        },
                    };
                match meta {
                    // The buffer may have room for a longer head.
                    Some(meta) if meta.len > MAX_REPLY_HEAD => return Err(HEAD_TOO_LONG),
                    Some(meta) if self.is_stale(meta.status) => return Err(ResponseError::Stale),
                    Some(meta) if meta.status >= 200 || meta.status == 101 => return Ok(meta),
                    Some(meta) => {
                        Box::pin(self.pass_interim(&meta, &mut rate)).await?;
                        parsed = 0;
                        continue;
                    }
                    None => {}
                }
            }
            parsed = self.reply.len();
            if parsed >= MAX_REPLY_HEAD {
                return Err(HEAD_TOO_LONG);
            }
            if parsed > 0 && parsed == self.reply.capacity() {
                // The buffer becomes too large to be kept for other requests.
                self.reply.reserve(REPLY_BYTES + MAX_REPLY_HEAD);
            }
            let progress = self.progress;
            self.read_unseen(|| progress.reply_due.get()).await?;
        }
    }

    /// Relays an interim reply, whose head is in `out`. It restarts the timeout of the final reply.
    async fn pass_interim(
        &mut self,
        meta: &ResponseMeta,
        rate: &mut InterimRate,
    ) -> Result<(), ResponseError> {
        let now = Instant::now();
        self.reply.advance(meta.len);
        self.in_flight
            .upstream()
            .counters()
            .replies
            .count(meta.status);
        if meta.status == 100 {
            self.progress.release(now);
        }
        self.progress
            .renew(now + self.worker.settings.limits.reply_timeout);
        // RFC 9110 §15.2: a 1xx reply is never sent to an HTTP/1.0 client.
        if self.request.version == Version::Http11 {
            rewrite::push_head_end(HeadEnding::Plain, &mut self.out);
            self.progress.writing_interim.set(true);
            self.write_out().await?;
            self.progress.writing_interim.set(false);
        }
        self.release_buffers();
        if let Some(at) = rate.count(now) {
            tokio::time::sleep_until(at).await;
        }
        Ok(())
    }

    /// Reads until the whole reply is buffered, if it fits. If the replica fails and the request
    /// cannot be retried, the received part is relayed. The same holds when a half-closed client
    /// has waited beyond its grace: only a write shows whether it still reads.
    async fn hold_until_whole(&mut self, meta: &ResponseMeta) -> Result<(), ResponseError> {
        let Body::Length(length) = meta.body else {
            return Ok(());
        };
        let whole = length.saturating_add(meta.len as u64);
        if whole > REPLY_BYTES as u64 {
            return Ok(());
        }
        while (self.reply.len() as u64) < whole {
            if self.reply.len() == self.reply.capacity() {
                self.worker
                    .buffers
                    .enlarge(BufferSize::Bulk, &mut self.reply);
            }
            let (progress, since) = (self.progress, Instant::now());
            let limit = self.worker.settings.limits.body_timeout;
            let due = || progress.reply_body_due(since, limit);
            match self.read_unseen(due).await {
                Err(ResponseError::Lost)
                    if !(progress.repeatable.get() && self.worker.allows_retry()) =>
                {
                    return Ok(());
                }
                Err(ResponseError::ClientGone) if self.stats.ends.half_closed.get().is_some() => {
                    return Ok(());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Returns `true` if a reply with this status belongs to no request. A server that drops a kept
    /// connection may send 408 before it closes, and it has not read the request that crosses it
    /// (RFC 9110 §15.5.9).
    ///
    /// A proxy must not repeat a request that is not idempotent (RFC 9110 §9.2.2). Such a request's
    /// client gets the 408 and may repeat it.
    fn is_stale(&self, status: u16) -> bool {
        status == 408 && self.reused && self.progress.repeatable.get() && self.worker.allows_retry()
    }

    /// Writes the head and the received part of the body. Returns `true` if the client's connection
    /// stays open.
    async fn write_head(&mut self, meta: &mut ResponseMeta) -> Result<bool, ResponseError> {
        let needs_close = matches!(meta.body, Body::UntilClose) || meta.decode;
        let stays = self.keep_alive
            && self.progress.sent.get()
            && !needs_close
            && !self.worker.is_stopping();
        let ending = match (stays, self.request.version) {
            (false, _) => HeadEnding::Close,
            (true, Version::Http10) => HeadEnding::KeepAlive,
            (true, Version::Http11) => HeadEnding::Plain,
        };
        rewrite::push_head_end(ending, &mut self.out);
        self.reply.advance(meta.len);
        if self.reply.len() >= COPY_BELOW && matches!(meta.body, Body::Length(_)) {
            self.write_head_vectored(meta).await?;
            return Ok(stays);
        }
        // A buffer that grew by itself would be twice as large, and stay so.
        let buffers = &self.worker.buffers;
        buffers.reserve(self.reply.len(), &mut self.out);
        // Malformed chunks are found here while a 502 is still possible.
        let taken = if meta.decode {
            meta.body.decode(&self.reply, &mut self.out)
        } else {
            meta.body.relay(&self.reply, &mut self.out)
        };
        let taken = taken.map_err(|broken| ResponseError::Bad(broken.0))?;
        self.reply.advance(taken);
        self.worker.buffers.put_back_if_empty(&mut self.reply);
        self.progress.response_started.set(true);
        self.write_out().await?;
        Ok(stays)
    }

    /// Writes the head and the body from their two buffers in one call. Copying 16 KiB behind the
    /// head would be the most expensive step of a request in user space.
    async fn write_head_vectored(&mut self, meta: &mut ResponseMeta) -> Result<(), ResponseError> {
        let taken = meta.body.take_opaque(&self.reply);
        self.progress.response_started.set(true);
        let limit = self.worker.settings.limits.write_timeout;
        let parts = (&self.out[..], &self.reply[..taken]);
        let written = write_whole(self.timer, &mut self.to, parts, limit).await;
        written.map_err(|_| ResponseError::ClientGone)?;
        self.counters.add((self.out.len() + taken) as u64);
        self.reply.advance(taken);
        Ok(())
    }
}
