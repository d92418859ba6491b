//! The body of a reply. Small or scanned bodies are copied; large ones move through a pipe.

use std::cell::Cell;
use std::io;
use std::pin::pin;

use bytes::Buf;
use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::client_watch::ClientWatch;
use super::fairness::scan_window;
use super::low_mark::LOW_MARK_PATIENCE;
use super::pipe_pool::{PooledPipe, TransferError};
use super::response_state::{Response, ResponseError};
use super::rewrite::ResponseMeta;
use super::write::write_whole;
use crate::wire::framing::Body;
use crate::wire::splice::Empty;

/// Number of copied pieces in a row after which they become larger, if the buffer was full and the
/// client never had to be waited for. Large pieces cost less, but a slow client would hold their
/// buffers for long.
const FAST_PIECES: u8 = 8;

/// Reason why a piece of the body is not followed by the next.
#[derive(Debug)]
enum BodyEnd {
    /// The replica closed its connection.
    Proper,
    /// The connection broke, the replica fell silent, or its chunks are malformed.
    Broken,
    /// The client accepts no more.
    ClientGone,
    /// Bytes arrive too slowly to wait for many at once. The body goes on.
    TooSlow,
}

impl Response<'_> {
    /// Relays the rest of the body.
    pub(super) async fn relay_rest(
        &mut self,
        meta: &mut ResponseMeta,
    ) -> Result<(), ResponseError> {
        self.release_buffers();
        while !meta.body.is_complete() {
            let ahead = if meta.decode {
                0
            } else {
                meta.body.opaque_ahead()
            };
            let pipe = self.worker.pipes.take(ahead);
            // With chunks, silence may follow each one, so only a known length is certain to come.
            let certain = match meta.body {
                Body::Length(length) if pipe.is_some() => length,
                _ => 0,
            };
            let raised = self.low_mark.adapt(self.from.as_ref(), certain);
            let relayed = match pipe {
                Some(pipe) => self.splice(meta, pipe, ahead, raised).await,
                None => self.copy(meta).await,
            };
            if relayed.is_ok() {
                self.turn.yield_if_over(&self.worker.turns).await;
            }
            let until_close = matches!(meta.body, Body::UntilClose);
            match relayed {
                Err(BodyEnd::TooSlow) => self.low_mark.too_slow = true,
                Ok(()) => {}
                Err(BodyEnd::Proper) if until_close => return Ok(()),
                Err(BodyEnd::ClientGone) => return Err(ResponseError::ClientGone),
                Err(BodyEnd::Proper | BodyEnd::Broken) => {
                    let reset = until_close || meta.decode;
                    return Err(ResponseError::Truncated { reset });
                }
            }
        }
        // Reset the mark: later replies on this connection may be short.
        self.low_mark.adapt(self.from.as_ref(), 0);
        Ok(())
    }

    /// Moves a piece of the body through a pipe. With a `raised` low mark the wait for it is short.
    async fn splice(
        &mut self,
        meta: &mut ResponseMeta,
        pipe: PooledPipe<Empty>,
        ahead: u64,
        raised: bool,
    ) -> Result<(), BodyEnd> {
        let limits = &self.worker.settings.limits;
        let (progress, since) = (self.progress, Instant::now());
        let patience = raised.then(|| since + LOW_MARK_PATIENCE);
        // Evaluated only while the replica is awaited, not while the client reads slowly.
        let waits = Cell::new(false);
        let due = || {
            waits.set(true);
            let due = progress.reply_body_due(since, limits.body_timeout);
            due.into_iter().chain(patience).min()
        };
        let to = self.to.known().map_err(|_| BodyEnd::ClientGone)?;
        let sockets = (self.from.as_ref(), to);
        let pipes = &self.worker.pipes;
        let counters = self.counters;
        let steps = (limits.write_timeout, |moved| counters.add(moved));
        let relayed = pin!(pipes.transfer(pipe, sockets, ahead, self.timer, due, steps));
        let watch = ClientWatch::new(self.worker, &self.stats.ends, || Ok(to));
        let silent_since = || progress.silent_since(since).filter(|_| waits.take());
        let relayed = watch.run(relayed, silent_since).await;
        let moved = relayed
            .ok_or(BodyEnd::ClientGone)?
            .map_err(|err| match err {
                TransferError::From(None) => BodyEnd::Proper,
                TransferError::From(Some(err))
                    if raised && err.kind() == io::ErrorKind::TimedOut =>
                {
                    BodyEnd::TooSlow
                }
                TransferError::From(Some(_)) => BodyEnd::Broken,
                TransferError::To => BodyEnd::ClientGone,
            })?;
        meta.body.skip(moved);
        self.turn.count(moved);
        Ok(())
    }

    /// Copies a piece of the body.
    async fn copy(&mut self, meta: &mut ResponseMeta) -> Result<(), BodyEnd> {
        let limits = self.worker.settings.limits;
        let buffers = &self.worker.buffers;
        let size = match self.fast_pieces >= FAST_PIECES {
            true => BufferSize::Bulk,
            false => BufferSize::Read,
        };
        if !self.reply.is_empty() {
            // The beginning of a trailer field's name.
            buffers.enlarge(size, &mut self.reply);
        }
        let (progress, since) = (self.progress, Instant::now());
        let due = || progress.reply_body_due(since, limits.body_timeout);
        let read = {
            let more = buffers.read(size, &mut self.from, &mut self.reply);
            let more = pin!(self.timer.run_with_moving_deadline(due, more));
            let to = &mut self.to;
            let watch = ClientWatch::new(self.worker, &self.stats.ends, || to.known());
            watch.run(more, || progress.silent_since(since)).await
        };
        match read.ok_or(BodyEnd::ClientGone)? {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) => return Err(BodyEnd::Proper),
            Ok(Err(_)) | Err(_) => return Err(BodyEnd::Broken),
        }
        let is_full = self.reply.len() == self.reply.capacity();
        let (bytes, taken) = match &mut meta.body {
            Body::Chunked(_) => {
                buffers.fill(size, &mut self.out);
                self.out.clear();
                let taken = self.take_chunks(meta).await?;
                // A slow client has to be waited for with one buffer.
                self.reply.advance(taken);
                self.worker.buffers.put_back_if_empty(&mut self.reply);
                self.turn.count(taken as u64);
                (&self.out[..], 0)
            }
            body => {
                let taken = body.take_opaque(&self.reply);
                (&self.reply[..taken], taken)
            }
        };
        let written = write_whole(self.timer, &mut self.to, (bytes, &[]), limits.write_timeout);
        let waited = written.await.map_err(|_| BodyEnd::ClientGone)?;
        self.fast_pieces = match is_full && !waited {
            true => self.fast_pieces.saturating_add(1),
            false => 0,
        };
        self.counters.add(bytes.len() as u64);
        self.turn.count(taken as u64);
        self.reply.advance(taken);
        self.release_buffers();
        Ok(())
    }

    /// Returns the memory of `out`, whose bytes are written, and of an empty `reply`.
    pub(super) fn release_buffers(&mut self) {
        self.worker.buffers.put_back(&mut self.out);
        self.worker.buffers.put_back_if_empty(&mut self.reply);
    }

    /// Lays out the received part of a chunked body, in as many turns as needed. Returns the number
    /// of bytes taken.
    async fn take_chunks(&mut self, meta: &mut ResponseMeta) -> Result<usize, BodyEnd> {
        let mut taken = 0;
        loop {
            let (rest, scanned) = (&self.reply[taken..], meta.body.scanned());
            let part = scan_window(&meta.body, rest);
            let is_last = part.len() == rest.len();
            let relayed = if meta.decode {
                meta.body.decode(part, &mut self.out)
            } else {
                meta.body.relay(part, &mut self.out)
            };
            taken += relayed.map_err(|_| BodyEnd::Broken)?;
            self.turn.count_framing(scanned, meta.body.scanned());
            if is_last || meta.body.is_complete() {
                return Ok(taken);
            }
            self.turn.yield_if_over(&self.worker.turns).await;
        }
    }
}
