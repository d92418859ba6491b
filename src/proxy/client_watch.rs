//! Detects that a client has left while its request waits for a replica.
//!
//! A short wait costs no system call. A client is watched only after its wait has lasted for
//! [`super::young_waits::YOUNG_WAIT_TICK`], because its socket may have to be registered with the
//! event loop. A reset ends the wait at once. An end of file starts the half-close grace, in which
//! a reply may still begin.
//!
//! The watch waits for these two events alone, never for readable bytes. Pipelined requests
//! therefore neither hide an end nor wake the task repeatedly.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::worker::Worker;
use super::young_waits::YoungWait;
use crate::wire::deadline::Deadline;
use crate::wire::lazy_stream::LazyStream;

/// State of a client across all waits of one request.
#[derive(Debug, Default)]
pub(super) struct ClientEnds {
    /// Time at which the client was first found to send nothing more.
    pub(super) half_closed: Cell<Option<Instant>>,
    /// Tick before the first wait. A replica that sends something more often than a tick splits one
    /// long wait into many short ones.
    waits_since: Cell<Option<u64>>,
}

/// Watch over one client during one wait.
pub(super) struct ClientWatch<'a, S> {
    worker: &'a Worker,
    ends: &'a ClientEnds,
    state: WatchState<'a, S>,
}

enum WatchState<'a, S> {
    /// Not watched yet. The closure registers the client's socket with the event loop and returns
    /// it.
    Fresh(S),
    Young(S, YoungWait<'a>),
    Watched(Box<WatchedClient<'a>>),
    /// The event loop is out of memory, and the client's connection is lost.
    Lost,
}

struct WatchedClient<'a> {
    /// Completes at a reset.
    reset: Pin<Box<dyn Future<Output = ()> + 'a>>,
    grace: Deadline,
}

impl<'a, S: FnOnce() -> io::Result<&'a TcpStream>> ClientWatch<'a, S> {
    /// Creates a watch over the client whose connection `socket` returns.
    pub(super) fn new(worker: &'a Worker, ends: &'a ClientEnds, socket: S) -> Self {
        Self {
            worker,
            ends,
            state: WatchState::Fresh(socket),
        }
    }

    /// Completes once the client has left. `silent_since` returns the time since when only the
    /// replica is waited for. While it is `None`, a half-closed client counts as present.
    pub(super) fn poll_gone(
        &mut self,
        cx: &mut Context<'_>,
        silent_since: impl FnOnce() -> Option<Instant>,
    ) -> Poll<()> {
        if let WatchState::Young(_, young) = &self.state
            && !young.has_grown(cx)
        {
            return Poll::Pending;
        }
        self.state = match std::mem::replace(&mut self.state, WatchState::Lost) {
            WatchState::Fresh(socket) if !self.is_old() => {
                let young = self.worker.young_waits.begin(cx, &self.ends.waits_since);
                self.state = WatchState::Young(socket, young);
                return Poll::Pending;
            }
            WatchState::Fresh(socket) | WatchState::Young(socket, _) => match socket() {
                Ok(client) => WatchState::Watched(Box::new(WatchedClient::new(
                    client,
                    &self.ends.half_closed,
                ))),
                Err(_) => WatchState::Lost,
            },
            other => other,
        };
        let WatchState::Watched(watched) = &mut self.state else {
            return Poll::Ready(());
        };
        if watched.reset.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some((end, since)) = self.ends.half_closed.get().zip(silent_since()) else {
            return Poll::Pending;
        };
        let grace = self.worker.settings.limits.half_close_grace;
        watched.grace.poll_passed(cx, end.max(since) + grace)
    }

    /// Polls [`Self::poll_gone`] if the request has waited for a tick already. Poll it before the
    /// awaited future: a replica that always has bytes to read would hide the end.
    pub(super) fn poll_gone_if_old(
        &mut self,
        cx: &mut Context<'_>,
        silent_since: impl FnOnce() -> Option<Instant>,
    ) -> Poll<()> {
        match self.is_old() {
            true => self.poll_gone(cx, silent_since),
            false => Poll::Pending,
        }
    }

    /// Returns `true` once the waits of the request have lasted for a tick.
    fn is_old(&self) -> bool {
        let since = self.ends.waits_since.get();
        since.is_some_and(|since| self.worker.young_waits.has_grown(since))
    }

    /// Runs `future`. Returns `None` if the client leaves first.
    pub(super) fn run<F: Future>(
        mut self,
        mut future: Pin<&mut F>,
        silent_since: impl Fn() -> Option<Instant>,
    ) -> impl Future<Output = Option<F::Output>> {
        poll_fn(move |cx| {
            if self.poll_gone_if_old(cx, &silent_since).is_ready() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            self.poll_gone(cx, &silent_since).map(|()| None)
        })
    }
}

impl<'a> WatchedClient<'a> {
    fn new(client: &'a TcpStream, half_closed: &'a Cell<Option<Instant>>) -> Self {
        Self {
            reset: Box::pin(client_reset(client, half_closed)),
            grace: Deadline::default(),
        }
    }
}

/// Waits for `step`. Returns `None` if the client resets its connection first. A half-closed client
/// is still answered, however late.
pub(super) async fn unless_reset<T>(
    worker: &Worker,
    client: &mut LazyStream,
    step: impl Future<Output = T>,
) -> Option<T> {
    let ends = ClientEnds::default();
    let watch = ClientWatch::new(worker, &ends, || client.registered().map(|known| &*known));
    watch.run(pin!(step), || None).await
}

/// Waits for a reset of `client`, and records the time at which its end of file was found.
async fn client_reset(client: &TcpStream, half_closed: &Cell<Option<Instant>>) {
    // PRIORITY readiness reports an end of file and not readable bytes; urgent data is not
    // registered. A reset sets EPOLLERR together with EPOLLRDHUP (tcp_reset in the kernel).
    match client.ready(Interest::PRIORITY | Interest::ERROR).await {
        Ok(ends) if !ends.is_error() => {
            if half_closed.get().is_none() {
                half_closed.set(Some(Instant::now()));
            }
            // An error means that the event loop has ended, and this task with it.
            let _ = client.ready(Interest::ERROR).await;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
