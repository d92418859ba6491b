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
    pool: Rc<Upstream>,
    /// The replica's health when it was chosen.
    chosen: Health,
    pub(super) how: RouteReason,
    /// Whether the replica owes the head of a reply.
    awaiting: Cell<bool>,
    /// Whether the request counts as slow.
    slow: Cell<bool>,
}

impl InFlight {
    /// Counts a request for `pool`. Whether it is time to read what the other workers have counted.
    pub(super) fn begin(pool: Rc<Upstream>, how: RouteReason, now: Instant) -> (Self, bool) {
        let cell = pool.cell();
        cell.requests.add(1);
        match how {
            RouteReason::Home => {}
            RouteReason::Spilled => cell.spilled.add(1),
            RouteReason::Diverted => cell.diverted.add(1),
            RouteReason::FailedOver => cell.failed_over.add(1),
            RouteReason::Private => cell.private.add(1),
        }
        cell.begin();
        cell.begin_waiting();
        let fold = pool.record_choice(now);
        let in_flight = Self {
            chosen: pool.health.get(),
            how,
            awaiting: Cell::new(true),
            slow: Cell::new(false),
            pool,
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
        let pool = &self.pool;
        // A request may become slow after its head came, while the reply is held back.
        if self.slow.replace(false) {
            pool.cell().end_slow();
        }
        if !self.awaiting.replace(false) {
            return;
        }
        pool.cell().end_waiting();
        pool.record_end(end);
    }

    /// The replica is silent, as another one was with this request: it is the request that is slow.
    pub(super) fn begin_slow(&self) {
        if !self.slow.replace(true) {
            self.pool.cell().begin_slow();
        }
    }

    /// Whether the replica may be tried again: still in the roster, not drained, and no worse off.
    pub(super) fn may_go_on(&self) -> bool {
        !self.is_doubted() && self.pool.is_offered()
    }

    pub(super) fn pool(&self) -> &Rc<Upstream> {
        &self.pool
    }

    /// Whether the replica is worse off than when it was chosen: a suspect is chosen when there is no one
    /// better, and then it is given its time.
    pub(super) fn is_doubted(&self) -> bool {
        is_worse(self.pool.health.get(), self.chosen)
    }

    /// Whether the replica was up when it was chosen.
    pub(super) fn was_up(&self) -> bool {
        self.chosen == Health::Up
    }

    /// For whoever waits for [`Self::is_doubted`].
    pub(super) fn doubt_ear(&self) -> Waiter<'_> {
        self.pool.degraded_waiter()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end(ReplyOutcome::Gone);
        self.pool.cell().end();
    }
}
