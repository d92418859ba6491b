//! Heartbeats. One task per replica sends probes and reports each result to the plan, which decides
//! about health.
//!
//! The task holds the connection between two heartbeats, because its end is the fastest sign of a
//! death. That end alone proves nothing, since servers close idle connections as they like. It only
//! triggers a heartbeat at once. These servers get a new connection for each heartbeat:
//!
//! - a server that closes each connection after its answer;
//! - a server that serves one connection at a time (`iterative`): a held one would block its
//!   requests;
//! - any server, if the heartbeat is only a connection: the new one takes the place of the held
//!   one.
//!
//! A stall of this process is no miss (`timing`).

mod close_habit;
mod iterative;
mod probe;
mod prober;
mod response;
mod target;
mod timing;
mod trigger;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::plan::ProbeEvent;
use crate::metrics::SeatCounters;
use crate::roster::ReplicaId;
use prober::Prober;
use trigger::ProbeTrigger;

pub(super) use probe::identify;
pub use probe::{Probe, ProbeKind};
pub(super) use response::Identity;
pub(super) use target::{ExpectedIdentity, ProbeSchedule, ProbeTarget};

/// The heartbeats of one replica; they end when it is dropped.
#[derive(Debug)]
pub(super) struct HeartbeatHandle {
    trigger: Arc<ProbeTrigger>,
    task: JoinHandle<()>,
}

impl HeartbeatHandle {
    /// Starts the heartbeats of `target`, the first at once, and sends each result to `events`. At
    /// most one heartbeat is under way, so the channel stays small. Latencies and misses are
    /// counted in `counters`.
    pub(super) fn start(
        target: ProbeTarget,
        schedule: ProbeSchedule,
        counters: Arc<SeatCounters>,
        events: UnboundedSender<(ReplicaId, ProbeEvent)>,
    ) -> Self {
        let trigger = Arc::new(ProbeTrigger::default());
        let prober = Prober::new(target, schedule, counters, events, Arc::clone(&trigger));
        let task = tokio::spawn(prober.run());
        Self { trigger, task }
    }

    /// Sends the next heartbeat now, on a fresh connection if `fresh`.
    pub(super) fn probe_now(&self, fresh: bool) {
        self.trigger.request(fresh);
    }

    /// Returns the latency of the last answered heartbeat.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.trigger.latency()
    }
}

impl Drop for HeartbeatHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
