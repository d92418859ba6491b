//! An exchange with a replica while it lasts. It counts in the replica's counters, in the worker's
//! view of the load, and as evidence for the slow guard.
//!
//! Dropping it ends all three, however the exchange ended.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

use super::access_record::RouteReason;
use super::in_flight_limit::InFlightPermit;
use super::local_notify::Waiter;
use super::upstream::{Upstream, is_worse};
use crate::load::ReplyOutcome;
use crate::roster::Health;

/// An exchange in progress with a replica. A replica that left the roster is not stopped while one
/// exists.
#[derive(Debug)]
pub(super) struct InFlight {
    upstream: Rc<Upstream>,
    /// Health of the replica when it was chosen.
    health_when_chosen: Health,
    pub(super) reason: RouteReason,
    /// `true` while the replica owes the head of a reply.
    awaiting_reply: Cell<bool>,
    /// `true` while the request counts as slow.
    slow: Cell<bool>,
    /// `true` if the request probes a replica that is ejected for its errors.
    pub(super) is_probe: bool,
    /// `true` if the request has a permit of the replica's limit.
    is_admitted: bool,
}

impl InFlight {
    /// Counts a request for `upstream`, with its permit if the replica has a limit. The flag is
    /// `true` if the counters of the other workers are due to be read.
    pub(super) fn begin(
        upstream: Rc<Upstream>,
        reason: RouteReason,
        permit: Option<InFlightPermit>,
        now: Instant,
    ) -> (Self, bool) {
        let counters = upstream.counters();
        counters.requests.add(1);
        match reason {
            RouteReason::Home => {}
            RouteReason::Spilled => counters.spilled.add(1),
            RouteReason::Diverted => counters.diverted.add(1),
            RouteReason::FailedOver => counters.failed_over.add(1),
            RouteReason::Private => counters.private.add(1),
        }
        counters.begin();
        counters.begin_waiting();
        let merge_due = upstream.record_choice(now);
        let is_probe = upstream.errors.record_sent(now);
        let in_flight = Self {
            health_when_chosen: upstream.health.get(),
            reason,
            awaiting_reply: Cell::new(true),
            slow: Cell::new(false),
            is_probe,
            is_admitted: permit.map(InFlightPermit::hand_over).is_some(),
            upstream,
        };
        (in_flight, merge_due)
    }

    /// Records that the head of the reply arrived. `sent` is the time at which the replica was
    /// chosen.
    pub(super) fn answered(&self, sent: Instant, now: Instant) {
        self.end(ReplyOutcome::Answer {
            sent: sent.into_std(),
            now: now.into_std(),
        });
    }

    /// Ends the measured wait: the request no longer waits for the replica alone.
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

    /// Counts the request as slow: this replica is silent, and so was another one with the same
    /// request.
    pub(super) fn begin_slow(&self) {
        if !self.slow.replace(true) {
            self.upstream.counters().begin_slow();
        }
    }

    /// Returns `true` if the replica may be tried again: it is in the roster, not drained, and not
    /// degraded.
    pub(super) fn can_retry_here(&self) -> bool {
        !self.is_degraded() && self.upstream.is_offered()
    }

    pub(super) fn upstream(&self) -> &Rc<Upstream> {
        &self.upstream
    }

    /// Returns `true` if the replica's health is worse than when it was chosen. A suspect chosen
    /// for want of a better one is not degraded by that.
    pub(super) fn is_degraded(&self) -> bool {
        is_worse(self.upstream.health.get(), self.health_when_chosen)
    }

    /// Returns `true` if the replica was up when it was chosen.
    pub(super) fn was_up(&self) -> bool {
        self.health_when_chosen == Health::Up
    }

    /// Returns a waiter that is woken when [`Self::is_degraded`] may have changed.
    pub(super) fn degraded_waiter(&self) -> Waiter<'_> {
        self.upstream.degraded_waiter()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end(ReplyOutcome::Gone);
        self.upstream.counters().end();
        if self.is_admitted
            && let Some(limit) = &self.upstream.limit
        {
            limit.release();
        }
    }
}
