//! State of one reply on its way to the client. It offers two steps: reading more while the client
//! has seen nothing, and writing the laid-out bytes.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::tcp::ReadHalf;
use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::client_watch::ClientWatch;
use super::fairness::Turn;
use super::in_flight::InFlight;
use super::low_mark::LowMark;
use super::progress::ExchangeProgress;
use super::request_stats::{ByteCounters, RequestStats};
use super::rewrite::RequestMeta;
use super::worker::Worker;
use super::write::write_whole;
use crate::wire::deadline::Deadline;
use crate::wire::lazy_stream::ClientWriter;

/// Reason why the client received no reply, or not all of it.
#[derive(Debug)]
pub(super) enum ResponseError {
    /// The connection to the replica ended before the client saw any part of the reply.
    Lost,
    /// The replica's health degraded before the client saw any part of the reply.
    Degraded,
    /// The server had dropped a kept connection before it read the request. The client has seen
    /// nothing.
    Stale,
    /// The reply has a status of `--retry-on`, and another replica may answer. The client has seen
    /// nothing.
    Unwelcome,
    /// The reply timed out before the client saw any part of it.
    TimedOut,
    /// The reply must not be relayed, for this reason.
    Bad(&'static str),
    /// The client accepts no more.
    ClientGone,
    /// The rest of a reply is missing. `reset`: only a reset shows the client that it is
    /// incomplete.
    Truncated { reset: bool },
}

/// State of the two connections after a reply.
#[derive(Debug)]
pub(super) enum ResponseOutcome {
    /// The reply is complete.
    Whole {
        /// `true` if the client was told that its connection stays open.
        client_stays: bool,
        /// Time for which the replica's connection may be kept, if at all.
        keep: Option<Duration>,
        /// `true` if the connection may serve this client only.
        private: bool,
    },
    /// The connections form a tunnel from here on.
    Tunnel,
}

/// A reply on its way from the replica to the client.
pub(super) struct Response<'a> {
    pub(super) from: ReadHalf<'a>,
    pub(super) to: ClientWriter<'a>,
    pub(super) worker: &'a Worker,
    pub(super) in_flight: &'a InFlight,
    pub(super) stats: &'a RequestStats,
    pub(super) counters: ByteCounters<'a>,
    pub(super) progress: &'a ExchangeProgress,
    pub(super) timer: &'a mut Deadline,
    pub(super) request: RequestMeta,
    /// `true` if the connection was used before.
    pub(super) reused: bool,
    /// `true` if the connection may serve this client only.
    pub(super) private: bool,
    /// `true` if the client keeps its connection open.
    pub(super) keep_alive: bool,
    pub(super) low_mark: LowMark,
    pub(super) turn: Turn,
    /// Number of copied pieces in a row that filled their buffer and were written at once.
    pub(super) fast_pieces: u8,
    /// Bytes that were read and not relayed yet.
    pub(super) reply: BytesMut,
    /// Bytes that are laid out for the client.
    pub(super) out: BytesMut,
}

impl Response<'_> {
    /// Reads more of a reply of which the client has seen nothing. Neither an async fn nor a
    /// `select!`: every request holds this future.
    pub(super) fn read_unseen(
        &mut self,
        due: impl Fn() -> Option<Instant>,
    ) -> impl Future<Output = Result<(), ResponseError>> {
        let (in_flight, progress, worker) = (self.in_flight, self.progress, self.worker);
        let mut waiter = in_flight.degraded_waiter();
        let (from, to, reply, timer) = (
            &mut self.from,
            &mut self.to,
            &mut self.reply,
            &mut *self.timer,
        );
        let mut watch = ClientWatch::new(worker, &self.stats.ends, || to.known());
        poll_fn(move |cx| {
            let silent_since = || progress.request_done_at.get();
            if watch.poll_gone_if_old(cx, silent_since).is_ready() {
                return Poll::Ready(Err(ResponseError::ClientGone));
            }
            let read = worker
                .buffers
                .poll_read_half(cx, BufferSize::Read, from, reply);
            if let Poll::Ready(read) = read {
                return Poll::Ready(match read {
                    Ok(0) | Err(_) => Err(ResponseError::Lost),
                    Ok(_) => Ok(()),
                });
            }
            if worker.should_leave(in_flight, progress.on_silence.get()) {
                return Poll::Ready(Err(ResponseError::Degraded));
            }
            waiter.register(cx);
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

    pub(super) async fn write_out(&mut self) -> Result<(), ResponseError> {
        let limit = self.worker.settings.limits.write_timeout;
        let written = write_whole(self.timer, &mut self.to, (&self.out, &[]), limit).await;
        written.map_err(|_| ResponseError::ClientGone)?;
        self.counters.add(self.out.len() as u64);
        Ok(())
    }
}
