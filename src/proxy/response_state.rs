//! The state of one reply on its way from the replica to the client, and its two basic steps: to read more
//! while the client has seen nothing, and to write what is laid out.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;
use tokio::time::Instant;

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

/// Why no reply, or not all of it, reached the client.
#[derive(Debug)]
pub(super) enum ResponseError {
    /// The connection to the replica ended, and the client has seen nothing.
    Lost,
    /// The replica is not up any more, and the client has seen nothing.
    Degraded,
    /// The server had given a kept connection up before it read the request, and the client has seen nothing.
    Stale,
    /// The reply did not come in time, and the client has seen nothing.
    TimedOut,
    /// The reply must not be passed on; what is wrong with it.
    Bad(&'static str),
    /// The client takes no more.
    ClientGone,
    /// The rest of a reply did not come. `reset`: only a reset tells the client.
    Truncated { reset: bool },
}

/// What became of the two connections.
#[derive(Debug)]
pub(super) enum ResponseOutcome {
    /// The reply is through.
    Whole {
        /// Whether the client was told that its connection stays.
        client_stays: bool,
        /// How long the replica's connection may be kept, if at all.
        keep: Option<Duration>,
        /// Whether it may serve this client only.
        private: bool,
    },
    /// The connections are a tunnel from here on.
    Tunnel,
}

/// One reply on its way.
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
    /// Whether the connection was used before.
    pub(super) reused: bool,
    /// Whether it may serve this client only.
    pub(super) private: bool,
    /// Whether the client keeps its connection.
    pub(super) keep_alive: bool,
    pub(super) low_mark: LowMark,
    pub(super) turn: Turn,
    /// What was read and not yet passed on.
    pub(super) reply: BytesMut,
    /// What is laid out for the client.
    pub(super) out: BytesMut,
}

impl Response<'_> {
    /// Reads more of a reply of which the client has seen nothing. No async fn, nor a select: every
    /// request holds this future.
    pub(super) fn read_early(
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
            if let Poll::Ready(read) = pin!(from.read_buf(reply)).poll(cx) {
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
