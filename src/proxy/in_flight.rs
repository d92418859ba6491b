//! An exchange with a replica, for as long as it lasts: it counts in the cells, in the worker's view of the
//! load, and as evidence of the slow guard.
//!
//! Dropping it ends all of that, however the exchange ended.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

use super::access_record::RouteReason;
use super::local_notify::Waiter;
use super::upstream::{Upstream, is_worse};
use crate::load::ReplyOutcome;
use crate::roster::Health;

/// An exchange under way with a replica. While one lives, a replica that left is not stopped.
#[derive(Debug)]
pub(super) struct InFlight {
    upstream: Rc<Upstream>,
    /// The replica's health when it was chosen.
    health_when_chosen: Health,
    pub(super) reason: RouteReason,
    /// Whether the replica owes the head of a reply.
    awaiting_reply: Cell<bool>,
    /// Whether the request counts as slow.
    slow: Cell<bool>,
}

impl InFlight {
    /// Counts a request for `pool`. Whether it is time to read what the other workers have counted.
    pub(super) fn begin(upstream: Rc<Upstream>, reason: RouteReason, now: Instant) -> (Self, bool) {
        let cell = upstream.counters();
        cell.requests.add(1);
        match reason {
            RouteReason::Home => {}
            RouteReason::Spilled => cell.spilled.add(1),
            RouteReason::Diverted => cell.diverted.add(1),
            RouteReason::FailedOver => cell.failed_over.add(1),
            RouteReason::Private => cell.private.add(1),
        }
        cell.begin();
        cell.begin_waiting();
        let fold = upstream.record_choice(now);
        let in_flight = Self {
            health_when_chosen: upstream.health.get(),
            reason,
            awaiting_reply: Cell::new(true),
            slow: Cell::new(false),
            upstream,
        };
        (in_flight, fold)
    }

    /// The head of the reply came, to a request that was given to the replica at `sent`.
    pub(super) fn answered(&self, sent: Instant, now: Instant) {
        self.end(ReplyOutcome::Answer {
            sent: sent.into_std(),
            now: now.into_std(),
        });
    }

    /// It is not the replica alone that is waited for any more.
    pub(super) fn end_waiting(&self) {
        self.end(ReplyOutcome::Client);
    }

    fn end(&self, end: ReplyOutcome) {
        let upstream = &self.upstream;
        // A request may become slow after its head came, while the reply is held back.
        if self.slow.replace(false) {
            upstream.counters().end_slow();
        }
        if !self.awaiting_reply.replace(false) {
            return;
        }
        upstream.counters().end_waiting();
        upstream.record_end(end);
    }

    /// The replica is silent, as another one was with this request: it is the request that is slow.
    pub(super) fn begin_slow(&self) {
        if !self.slow.replace(true) {
            self.upstream.counters().begin_slow();
        }
    }

    /// Whether the replica may be tried again: still in the roster, not drained, and no worse off.
    pub(super) fn can_retry_here(&self) -> bool {
        !self.is_degraded() && self.upstream.is_offered()
    }

    pub(super) fn upstream(&self) -> &Rc<Upstream> {
        &self.upstream
    }

    /// Whether the replica is worse off than when it was chosen: a suspect is chosen when there is no one
    /// better, and then it is given its time.
    pub(super) fn is_degraded(&self) -> bool {
        is_worse(self.upstream.health.get(), self.health_when_chosen)
    }

    /// Whether the replica was up when it was chosen.
    pub(super) fn was_up(&self) -> bool {
        self.health_when_chosen == Health::Up
    }

    /// For whoever waits for [`Self::is_doubted`].
    pub(super) fn degraded_waiter(&self) -> Waiter<'_> {
        self.upstream.degraded_waiter()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end(ReplyOutcome::Gone);
        self.upstream.counters().end();
    }
}
