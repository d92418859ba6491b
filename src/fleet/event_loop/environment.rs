//! The environment of the plan: random names and numbers, and the state of the data path.
//!
//! It changes nothing in the fleet.

use std::time::Instant;

use crate::fleet::names;
use crate::fleet::plan::{Environment, Traffic};
use crate::fleet::publisher::RosterPublisher;
use crate::roster::{ReplicaId, ReplicaName};

/// The environment that the event loop passes to the plan.
pub(super) struct LoopEnvironment<'a> {
    pub(super) publisher: &'a RosterPublisher,
}

impl Environment for LoopEnvironment<'_> {
    fn name(&mut self) -> ReplicaName {
        names::random_name()
    }

    fn below(&mut self, n: usize) -> usize {
        names::random_below(n)
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.publisher.last_answer(id)
    }

    fn traffic(&self, id: ReplicaId) -> Traffic {
        self.publisher.traffic(id)
    }
}
