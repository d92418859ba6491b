//! State that the tasks of the engine of containers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, Semaphore};

use super::api::Api;
use super::container_id::ContainerId;
use super::environment::Environment;
use super::lock::Lock;
use super::registry::Registry;
use super::seat_markers::SeatMarkers;
use super::spec::ContainerTemplate;
use crate::fleet::engine::interface::EngineEvents;
use crate::metrics::FleetCounters;
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// Maximum number of containers that are started at a time; more slow each other down.
const MAX_STARTS: usize = 4;
/// Maximum number of containers that are removed at a time.
const MAX_REMOVALS: usize = 8;

/// State that all tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) api: Api,
    pub(super) template: ContainerTemplate,
    pub(super) registry: Registry,
    pub(super) markers: SeatMarkers,
    pub(super) starts: Semaphore,
    pub(super) removals: Semaphore,
    pub(super) events: EngineEvents,
    pub(super) lock: Lock,
    /// Counters that record whether the container engine answers.
    pub(super) counters: Arc<FleetCounters>,
    /// `true` if a handover is under way: unknown containers then belong to the other balancer.
    handover: AtomicBool,
    /// Notified when a list is due now.
    pub(super) relist: Notify,
}

impl Shared {
    /// Creates the state for the surveyed environment.
    pub(super) fn new(
        environment: Environment,
        events: EngineEvents,
        counters: Arc<FleetCounters>,
    ) -> Self {
        Self {
            api: environment.api,
            template: environment.template,
            registry: Registry::default(),
            markers: SeatMarkers::default(),
            starts: Semaphore::new(MAX_STARTS),
            removals: Semaphore::new(MAX_REMOVALS),
            events,
            lock: environment.lock,
            counters,
            handover: AtomicBool::new(false),
            relist: Notify::new(),
        }
    }

    /// Returns `true` while a handover is under way.
    pub(super) fn handover_active(&self) -> bool {
        self.handover.load(Ordering::Relaxed)
    }

    /// Begins or ends a handover. Returns the state before.
    pub(super) fn set_handover(&self, active: bool) -> bool {
        self.handover.swap(active, Ordering::Relaxed)
    }

    /// Returns `true` while containers are being started.
    pub(super) fn is_starting(&self) -> bool {
        self.starts.available_permits() < MAX_STARTS
    }
}

/// A running container and its address.
#[derive(Clone, Debug)]
pub(super) struct RunningContainer {
    pub(super) container: ContainerId,
    pub(super) addr: ReplicaAddr,
}

/// A container that is to be removed, and the seat that it marks if it has ended.
pub(super) type DeadContainer = (ContainerId, Option<Seat>);
