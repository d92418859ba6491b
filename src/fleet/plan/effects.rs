//! Effects of a step: actions, answers and events, in the order in which they are to be carried
//! out.
//!
//! A step publishes at most one roster, and does so before its other actions.

use std::mem;

use super::types::{Action, OrderId};
use crate::orders::OrderResult;

/// Outbox of the plan, and the version of the roster.
#[derive(Debug, Default)]
pub(super) struct Effects {
    actions: Vec<Action>,
    roster_changed: bool,
    roster_version: u64,
}

impl Effects {
    /// Appends an action.
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Answers an order.
    pub(super) fn answer(&mut self, order_id: OrderId, result: OrderResult) {
        self.actions.push(Action::Answer(order_id, result));
    }

    /// Has the step publish a roster.
    pub(super) fn publish(&mut self) {
        self.roster_changed = true;
    }

    /// Has the step publish a roster if `changed` is `true`.
    pub(super) fn publish_if(&mut self, changed: bool) {
        self.roster_changed |= changed;
    }

    /// Returns the version of the last published roster.
    pub(super) fn roster_version(&self) -> u64 {
        self.roster_version
    }

    /// Returns the actions of the step, `Publish` first, and clears them. A publication increments
    /// the version.
    pub(super) fn take(&mut self) -> Vec<Action> {
        if mem::take(&mut self.roster_changed) {
            self.roster_version += 1;
            self.actions.insert(0, Action::Publish);
        }
        mem::take(&mut self.actions)
    }
}
