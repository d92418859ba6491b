//! Bytes from one socket to the other: writes under a deadline, and the bodies of replies, copied when
//! they are small or must be looked at, moved through a pipe when they are large.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::buffer_pool::REPLY_BYTES;
use super::client_watch::ClientWatch;
use super::pipe_pool::{PooledPipe, TransferError};
use super::response::{Response, ResponseError};
use super::rewrite::ResponseMeta;
use super::stall_detector::StallDetector;
use crate::wire::deadline::Deadline;
use crate::wire::framing::Body;
use crate::wire::lazy_stream::QueueProbe;
use crate::wire::sockopt;
use crate::wire::splice::Empty;

/// Writes what fits of `bytes`, which are not empty.
///
/// # Errors
/// `TimedOut` when nothing moved in time, or what the socket says.
pub(super) fn write_some<'a>(
    timer: &'a mut Deadline,
    to: &'a mut impl QueueProbe,
    bytes: &'a [u8],
    limit: Duration,
) -> impl Future<Output = io::Result<usize>> {
    let mut write = TimedWrite::new(timer, to, (bytes, &[]), limit);
    poll_fn(move |cx| write.poll_some(cx))
}

/// Writes all of two parts, which leave in one call where the socket takes them (writev(2)); each write
/// that makes progress has the whole `limit` again.
///
/// # Errors
/// As [`write_some`].
pub(super) fn write_whole<'a>(
    timer: &'a mut Deadline,
    to: &'a mut impl QueueProbe,
    parts: (&'a [u8], &'a [u8]),
    limit: Duration,
) -> impl Future<Output = io::Result<()>> {
    let mut write = TimedWrite::new(timer, to, parts, limit);
    poll_fn(move |cx| {
        while !write.is_over() {
            ready!(write.poll_some(cx))?;
        }
        Poll::Ready(Ok(()))
    })
}

/// A write under way. No async fn: its future would be four times as large, and every request holds two.
struct TimedWrite<'a, S> {
    timer: &'a mut Deadline,
    to: &'a mut S,
    /// What is left of the two parts; the first is empty only if both are.
    first: &'a [u8],
    second: &'a [u8],
    limit: Duration,
    /// When to look whether it stands still, once it has to wait.
    stall: Option<(Instant, StallDetector)>,
}

impl<'a, S: QueueProbe> TimedWrite<'a, S> {
    fn new(
        timer: &'a mut Deadline,
        to: &'a mut S,
        (first, second): (&'a [u8], &'a [u8]),
        limit: Duration,
    ) -> Self {
        let mut write = Self {
            timer,
            to,
            first,
            second,
            limit,
            stall: None,
        };
        write.consume(0);
        write
    }

    fn is_over(&self) -> bool {
        self.first.is_empty()
    }

    /// Drops what was written.
    fn consume(&mut self, written: usize) {
        match written.checked_sub(self.first.len()) {
            None => self.first = &self.first[written..],
            Some(of_second) => {
                self.first = &self.second[of_second..];
                self.second = &[];
            }
        }
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let to = Pin::new(&mut *self.to);
            let written = if self.second.is_empty() {
                to.poll_write(cx, self.first)
            } else {
                let parts = [IoSlice::new(self.first), IoSlice::new(self.second)];
                to.poll_write_vectored(cx, &parts)
            };
            if let Poll::Ready(written) = written {
                self.stall = None;
                return Poll::Ready(match written? {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    written => {
                        self.consume(written);
                        Ok(written)
                    }
                });
            }
            let (look, stall) = self.stall.get_or_insert_with(|| {
                let stall = StallDetector::new(self.limit);
                (Instant::now() + stall.check_interval(), stall)
            });
            ready!(self.timer.poll_passed(cx, *look));
            if stall.has_stalled(self.to.write_queue()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *look = Instant::now() + stall.check_interval();
        }
    }
}

/// How many bytes of a large body should be there before the event loop wakes us for them.
const LOW_MARK: usize = 128 * 1024;
/// How long they are waited for. Whoever sends more slowly than that is read byte by byte from then on,
/// so that none of them is held back.
const LOW_MARK_PATIENCE: Duration = Duration::from_millis(10);

/// The low mark of the socket that a body comes from (SO_RCVLOWAT): fewer wake-ups while it flows.
#[derive(Debug, Default)]
pub(super) struct LowMark {
    raised: bool,
    too_slow: bool,
}

impl LowMark {
    /// Sets the mark for a body of which so much is certain to come. Returns whether it is raised.
    fn adapt(&mut self, socket: &TcpStream, ahead: u64) -> bool {
        let raise = !self.too_slow && ahead >= LOW_MARK as u64;
        if raise != self.raised {
            sockopt::set_receive_low_mark(socket, if raise { LOW_MARK } else { 1 });
            self.raised = raise;
        }
        raise
    }
}

/// How a body ended before its time.
#[derive(Debug)]
pub(super) enum BodyEnd {
    /// The replica said that it was through.
    Proper,
    /// Its connection broke, it fell silent, or its chunks are malformed.
    Broken,
    /// The client takes no more.
    ClientGone,
    /// Nothing has ended: bytes come more slowly than it pays to wait for many.
    TooSlow,
}

impl Response<'_> {
    /// Carries what is still owed of the body.
    pub(super) async fn relay_rest(
        &mut self,
        facts: &mut ResponseMeta,
    ) -> Result<(), ResponseError> {
        while !facts.body.is_complete() {
            let ahead = if facts.decode {
                0
            } else {
                facts.body.opaque_ahead()
            };
            let pipe = self.worker.pipes.take(ahead);
            // Chunks are certain only each by itself; between them there may be silence.
            let certain = match facts.body {
                Body::Length(length) if pipe.is_some() => length,
                _ => 0,
            };
            let raised = self.low_mark.adapt(self.from.as_ref(), certain);
            let carried = match pipe {
                Some(pipe) => self.splice(facts, pipe, ahead, raised).await,
                None => self.copy(facts).await,
            };
            if carried.is_ok() {
                self.turn.skip(&self.worker.line).await;
            }
            let until_close = matches!(facts.body, Body::UntilClose);
            match carried {
                Err(BodyEnd::TooSlow) => self.low_mark.too_slow = true,
                Ok(()) => {}
                Err(BodyEnd::Proper) if until_close => return Ok(()),
                Err(BodyEnd::ClientGone) => return Err(ResponseError::ClientGone),
                Err(BodyEnd::Proper | BodyEnd::Broken) => {
                    let reset = until_close || facts.decode;
                    return Err(ResponseError::Truncated { reset });
                }
            }
        }
        // The connection may serve others, whose replies are short.
        self.low_mark.adapt(self.from.as_ref(), 0);
        Ok(())
    }

    /// Moves a piece of the body through a pipe; with a `raised` low mark it is not waited for long.
    async fn splice(
        &mut self,
        facts: &mut ResponseMeta,
        pipe: PooledPipe<Empty>,
        ahead: u64,
        raised: bool,
    ) -> Result<(), BodyEnd> {
        let limits = &self.worker.settings.limits;
        let (progress, since) = (self.progress, Instant::now());
        let patience = raised.then(|| since + LOW_MARK_PATIENCE);
        // Asked only while the replica is waited for, not while the client is slow to read.
        let waits = Cell::new(false);
        let due = || {
            waits.set(true);
            let due = progress.reply_body_due(since, limits.body_timeout);
            due.into_iter().chain(patience).min()
        };
        let to = self.to.known().map_err(|_| BodyEnd::ClientGone)?;
        let sockets = (self.from.as_ref(), to);
        let pipes = &self.worker.pipes;
        let flow = self.flow;
        let steps = (limits.write_timeout, |moved| flow.add(moved));
        let carried = pin!(pipes.transfer(pipe, sockets, ahead, self.timer, due, steps));
        let watch = ClientWatch::new(self.worker, &self.account.ends, || Ok(to));
        let silent_since = || progress.silent_since(since).filter(|_| waits.take());
        let carried = watch.run(carried, silent_since).await;
        let moved = carried
            .ok_or(BodyEnd::ClientGone)?
            .map_err(|fault| match fault {
                TransferError::From(None) => BodyEnd::Proper,
                TransferError::From(Some(err))
                    if raised && err.kind() == io::ErrorKind::TimedOut =>
                {
                    BodyEnd::TooSlow
                }
                TransferError::From(Some(_)) => BodyEnd::Broken,
                TransferError::To => BodyEnd::ClientGone,
            })?;
        facts.body.skip(moved);
        self.turn.count(moved);
        Ok(())
    }

    /// Copies a piece of the body.
    async fn copy(&mut self, facts: &mut ResponseMeta) -> Result<(), BodyEnd> {
        let limits = self.worker.settings.limits;
        // The begun name of a trailer field may be left in it.
        self.reply.reserve(REPLY_BYTES);
        let (progress, since) = (self.progress, Instant::now());
        let due = || progress.reply_body_due(since, limits.body_timeout);
        let read = {
            let more = self.from.read_buf(&mut self.reply);
            let more = pin!(self.timer.run_with_moving_deadline(due, more));
            let to = &mut self.to;
            let watch = ClientWatch::new(self.worker, &self.account.ends, || to.known());
            watch.run(more, || progress.silent_since(since)).await
        };
        match read.ok_or(BodyEnd::ClientGone)? {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) => return Err(BodyEnd::Proper),
            Ok(Err(_)) | Err(_) => return Err(BodyEnd::Broken),
        }
        self.out.clear();
        let (bytes, taken) = match &mut facts.body {
            Body::Chunked(_) => {
                let taken = self.take_chunks(facts).await?;
                (&self.out[..], taken)
            }
            body => {
                let taken = body.take_opaque(&self.reply);
                (&self.reply[..taken], taken)
            }
        };
        let written =
            write_whole(self.timer, &mut self.to, (bytes, &[]), limits.write_timeout).await;
        written.map_err(|_| BodyEnd::ClientGone)?;
        self.flow.add(bytes.len() as u64);
        self.turn.count(taken as u64);
        self.reply.advance(taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
