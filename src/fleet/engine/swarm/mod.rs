//! The engine of a swarm's service: it follows the tasks of one replicated service.
//!
//! It starts and stops nothing, because the swarm keeps the number of tasks. It asks the engine of
//! its own node, again and again, and reports the tasks when they have changed. Whatever the engine
//! does, the last tasks that it reported stay. An order changes the service, and takes effect when
//! the change is read, here as at every other balancer.

mod api;
mod edit;
mod labels;
mod node;
mod order;
mod own_container;
mod reading;
mod settings;
mod snapshot;
mod target;
mod watch;

use std::future::ready;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::interface::{Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode};
use super::service::{ChangeId, ServiceChange, TaskContainer};
use crate::fleet::version::Version;
use crate::orders::VersionRequest;
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};
pub(in crate::fleet) use node::SwarmNode;
pub(in crate::fleet) use reading::PollReports;
pub use reading::ServiceReading;
pub use settings::SwarmSettings;

/// The tasks of a service.
#[derive(Debug)]
pub(in crate::fleet) struct Swarm {
    node: SwarmNode,
    reports: PollReports,
    /// The task that follows the service.
    task: Option<AbortHandle>,
    /// Wakes that task when the service was changed here.
    news: Arc<Notify>,
    /// Lets the orders of this balancer write one after another: they would only be in each
    /// other's way.
    writer: Arc<Mutex<()>>,
    events: EngineEvents,
}

impl Swarm {
    /// Creates an engine that asks this node.
    pub(in crate::fleet) fn new(
        node: SwarmNode,
        reports: PollReports,
        events: EngineEvents,
    ) -> Self {
        Self {
            node,
            reports,
            task: None,
            news: Arc::default(),
            writer: Arc::default(),
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
        let (node, news) = (self.node.clone(), Arc::clone(&self.news));
        let work = watch::follow(node, self.reports.clone(), news, self.events.clone());
        self.task = Some(tokio::spawn(work).abort_handle());
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

    fn change_service(&mut self, id: ChangeId, change: ServiceChange) {
        let (node, events) = (self.node.clone(), self.events.clone());
        let (news, writer) = (Arc::clone(&self.news), Arc::clone(&self.writer));
        tokio::spawn(async move {
            let until = Instant::now() + order::WRITE_TIMEOUT;
            let turn = writer.lock().await;
            let result = order::carry_out(&node, &change, until).await;
            drop(turn);
            events.send(EngineEvent::Changed { id, result });
            news.notify_one();
        });
    }

    fn kill_task(&mut self, container: TaskContainer) {
        let (api, news) = (self.node.api.clone(), Arc::clone(&self.news));
        tokio::spawn(async move {
            match api.kill(&container.0).await {
                Ok(()) => news.notify_one(),
                Err(err) => tracing::warn!("cannot kill container {}: {err}", container.0),
            }
        });
    }

    fn remove(&mut self, id: ReplicaId, _mode: StopMode) {
        self.events.send(EngineEvent::Removed { id });
    }
}
