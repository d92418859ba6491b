//! The engine of a swarm's service: it follows the tasks of one replicated service.
//!
//! It starts and stops nothing, because the swarm keeps the number of tasks. It asks the engine of
//! its own node, again and again, and reports the tasks when they have changed. Whatever the engine
//! does, the last tasks that it reported stay.

mod api;
mod node;
mod own_container;
mod settings;
mod snapshot;
mod target;
mod watch;

use std::future::ready;

use tokio::task::AbortHandle;

use super::interface::{Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode};
use crate::fleet::version::Version;
use crate::orders::VersionRequest;
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};
pub(in crate::fleet) use node::SwarmNode;
pub use settings::SwarmSettings;

/// The tasks of a service.
#[derive(Debug)]
pub(in crate::fleet) struct Swarm {
    /// The node, until its service is followed.
    node: Option<SwarmNode>,
    task: Option<AbortHandle>,
    events: EngineEvents,
}

impl Swarm {
    /// Creates an engine that asks this node.
    pub(in crate::fleet) fn new(node: SwarmNode, events: EngineEvents) -> Self {
        Self {
            node: Some(node),
            task: None,
            events,
        }
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.task.iter().for_each(AbortHandle::abort);
    }
}

impl Engine for Swarm {
    fn management(&self) -> Management {
        Management::Orchestrated
    }

    fn begin(&mut self) {
        if let Some(node) = self.node.take() {
            let work = watch::follow(node, self.events.clone());
            self.task = Some(tokio::spawn(work).abort_handle());
        }
    }

    fn start(
        &mut self,
        id: ReplicaId,
        _seat: Option<Seat>,
        name: &ReplicaName,
        _version: Option<&Version>,
    ) {
        // The plan starts no task.
        let why = format!("{name} is a task of the swarm");
        self.events.send(EngineEvent::Failed { id, why });
    }

    fn prepare(&self, _request: &VersionRequest) -> PrepareFuture {
        // The plan refuses the order before.
        let refusal = "the swarm replaces its tasks itself";
        Box::pin(ready(Err(refusal.to_owned())))
    }

    fn remove(&mut self, id: ReplicaId, _mode: StopMode) {
        self.events.send(EngineEvent::Removed { id });
    }
}
