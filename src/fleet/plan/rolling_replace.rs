//! Progress of a `replace`: the seats still to be replaced, the present one, and the result.

use std::collections::VecDeque;

use super::types::OrderId;
use crate::orders::{OrderError, OrderResult};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// Seat to be replaced, and its holder when the order began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplaceStep {
    pub(super) seat: Seat,
    pub(super) holder: Option<ReplicaId>,
}

/// Replacement of one seat after the other.
#[derive(Debug)]
pub(super) struct RollingReplace {
    order_id: OrderId,
    pending: VecDeque<ReplaceStep>,
    current: Option<ReplaceStep>,
    total: usize,
    done: usize,
    /// Result, set at the end.
    result: Option<OrderResult>,
}

impl RollingReplace {
    /// Replacement of these seats, none of which has begun.
    pub(super) fn new(order_id: OrderId, pending: VecDeque<ReplaceStep>) -> Self {
        Self {
            order_id,
            total: pending.len(),
            pending,
            current: None,
            done: 0,
            result: None,
        }
    }

    pub(super) fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// Returns the step that has begun and is not complete.
    pub(super) fn current(&self) -> Option<ReplaceStep> {
        self.current
    }

    /// Makes the next pending step the current one and returns it. There must be no current step.
    pub(super) fn next_step(&mut self) -> Option<ReplaceStep> {
        self.current = self.pending.pop_front();
        self.current
    }

    /// Counts the current step as done.
    pub(super) fn complete_step(&mut self) {
        self.current = None;
        self.done += 1;
    }

    /// Returns `true` if the result is known.
    pub(super) fn is_finished(&self) -> bool {
        self.result.is_some()
    }

    /// Ends the order with success.
    pub(super) fn succeed(&mut self, listed: Vec<ReplicaName>) {
        self.result = Some(Ok(listed));
    }

    /// Ends the order because the successor `name` did not start. The present holder stays.
    pub(super) fn fail(&mut self, name: &ReplicaName, why: &str) {
        let (done, total) = (self.done, self.total);
        let sentence = format!("could not start {name}: {why}; replaced {done} of {total}");
        self.result = Some(Err(OrderError::unavailable(sentence)));
        self.current = None;
    }

    /// Returns the result of a finished replacement.
    pub(super) fn into_result(self) -> OrderResult {
        let unfinished = || Err(OrderError::unavailable("the replacement did not end"));
        self.result.unwrap_or_else(unfinished)
    }
}
