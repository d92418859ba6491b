//! Queue of a replica at its limit of requests in flight: first come, first served, because a
//! tokio semaphore gives each free permit to its longest waiter.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::in_flight_limit::{InFlightLimit, InFlightPermit};
use super::upstream::{Upstream, is_worse};
use crate::metrics::{QueueCounters, QueueEnd};

/// Result of a wait in the queue of a replica.
#[derive(Debug)]
pub(super) enum Queued {
    /// The replica may serve the request.
    Admitted(InFlightPermit),
    /// The replica is worse than when the request came, drained or gone: another one serves it.
    Moved,
    /// The queue was full.
    Full,
    /// The time was over.
    TimedOut,
}

/// Place of a request in a queue. Dropping it ends the wait, however it ended.
struct Place<'q> {
    limit: &'q InFlightLimit,
    counters: &'q QueueCounters,
    since: Instant,
    end: QueueEnd,
}

impl<'q> Place<'q> {
    /// Takes a place; `None` if the queue is full.
    fn take(limit: &'q InFlightLimit, counters: &'q QueueCounters) -> Option<Self> {
        // The number guards no other memory.
        let order = Ordering::Relaxed;
        let enter = |waiting| (waiting < limit.max_waiting).then_some(waiting + 1);
        if limit.waiting.fetch_update(order, order, enter).is_err() {
            counters.refused();
            return None;
        }
        counters.begin();
        Some(Self {
            limit,
            counters,
            since: Instant::now(),
            end: QueueEnd::ClientLeft,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limit.waiting.fetch_sub(1, Ordering::Relaxed);
        self.counters.ended(self.end, self.since.elapsed());
    }
}

/// Waits in the queue of a replica, at most until `until`. Cancel safe: the place is given up.
pub(super) async fn wait(upstream: &Upstream, limit: &InFlightLimit, until: Instant) -> Queued {
    let counters = upstream.counters().queue();
    let Some(mut place) = Place::take(limit, counters) else {
        return Queued::Full;
    };
    let health = upstream.health.get();
    let mut permit = pin!(Arc::clone(&limit.free).acquire_owned());
    let mut timer = pin!(sleep_until(until));
    let mut relief = upstream.relief_waiter();
    let queued = poll_fn(|cx| {
        if is_worse(upstream.health.get(), health) || !upstream.is_offered() {
            return Poll::Ready(Queued::Moved);
        }
        // The semaphore is never closed.
        if let Poll::Ready(Ok(permit)) = permit.as_mut().poll(cx) {
            return Poll::Ready(Queued::Admitted(InFlightPermit(permit)));
        }
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Queued::TimedOut);
        }
        relief.register(cx);
        Poll::Pending
    });
    let queued = queued.await;
    place.end = match queued {
        Queued::Admitted(_) => QueueEnd::Served,
        Queued::Moved => QueueEnd::Moved,
        Queued::TimedOut | Queued::Full => QueueEnd::TimedOut,
    };
    queued
}

#[cfg(test)]
mod tests;
