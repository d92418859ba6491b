//! Writes under a deadline that progress extends.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::stall_detector::StallDetector;
use crate::wire::deadline::Deadline;
use crate::wire::lazy_stream::QueueProbe;

/// Writes as much of `bytes` as the socket accepts. `bytes` is not empty.
///
/// # Errors
/// `TimedOut` if nothing moved in time, or the socket's error.
pub(super) fn write_some<'a>(
    timer: &'a mut Deadline,
    to: &'a mut impl QueueProbe,
    bytes: &'a [u8],
    limit: Duration,
) -> impl Future<Output = io::Result<usize>> {
    let mut write = TimedWrite::new(timer, to, (bytes, &[]), limit);
    poll_fn(move |cx| write.poll_some(cx))
}

/// Writes both parts completely, in one call where the socket accepts them (writev(2)). Each write
/// that makes progress has the whole `limit` again. Returns `true` if the socket had to be waited
/// for.
///
/// # Errors
/// As [`write_some`].
pub(super) fn write_whole<'a>(
    timer: &'a mut Deadline,
    to: &'a mut impl QueueProbe,
    parts: (&'a [u8], &'a [u8]),
    limit: Duration,
) -> impl Future<Output = io::Result<bool>> {
    let mut write = TimedWrite::new(timer, to, parts, limit);
    poll_fn(move |cx| {
        while !write.is_over() {
            ready!(write.poll_some(cx))?;
        }
        Poll::Ready(Ok(write.waited))
    })
}

/// A write in progress. Not an async fn: its future would be four times as large, and every request
/// holds two.
struct TimedWrite<'a, S> {
    timer: &'a mut Deadline,
    to: &'a mut S,
    /// Unwritten rest of the two parts. The first is empty only if both are.
    first: &'a [u8],
    second: &'a [u8],
    limit: Duration,
    /// `true` once the socket was waited for.
    waited: bool,
    /// Time of the next stall check, once the write has blocked.
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
            waited: false,
            stall: None,
        };
        write.consume(0);
        write
    }

    fn is_over(&self) -> bool {
        self.first.is_empty()
    }

    /// Drops the written bytes.
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
            self.waited = true;
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

#[cfg(test)]
mod tests;
