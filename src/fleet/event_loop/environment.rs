//! What the task knows that the plan does not: the dice and the data path, for the plan to ask, and what the
//! engine, the heartbeats and the workers have to say of each replica, for whoever is shown them.
//!
//! It changes nothing in the fleet.

use std::time::Instant;

use super::FleetLoop;
use crate::fleet::heartbeat::HeartbeatHandle;
use crate::fleet::names;
use crate::fleet::plan::{Environment, Traffic};
use crate::fleet::publisher::RosterPublisher;
use crate::orders::{FleetSnapshot, ReplicaInfo};
use crate::roster::{ReplicaId, ReplicaName};

/// The world as the plan may ask it.
pub(super) struct LoopEnvironment<'a> {
    pub(super) press: &'a RosterPublisher,
}

impl Environment for LoopEnvironment<'_> {
    fn name(&mut self) -> ReplicaName {
        names::random_name()
    }

    fn below(&mut self, n: usize) -> usize {
        names::random_below(n)
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.press.last_answer(id)
    }

    fn traffic(&self, id: ReplicaId) -> Traffic {
        self.press.traffic(id)
    }
}

impl FleetLoop {
    /// Publishes what `/rep` lists, if it is another list than before.
    pub(super) fn publish_list(&self) {
        let list = self.plan.listed();
        self.list.send_if_modified(|last| {
            let differs = **last != *list;
            *last = list.into();
            differs
        });
    }

    /// A card for everybody, with what the engine, the heartbeats and the workers know.
    pub(super) fn snapshot(&self) -> FleetSnapshot {
        let now = Instant::now();
        let cards = self.plan.cards(now).into_iter();
        let filled = cards.map(|(id, card)| match id {
            None => card,
            Some(id) => ReplicaInfo {
                engine_id: self.engine.handle(id),
                heartbeat: self.work.hearts.get(&id).and_then(HeartbeatHandle::latency),
                in_flight: self.press.in_flight(id),
                ..card
            },
        });
        let (began, at) = self.began;
        FleetSnapshot {
            at: at + now.saturating_duration_since(began),
            all: filled.collect(),
        }
    }
}
