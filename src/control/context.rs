//! Everything the control port uses of the rest of the program.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};

use super::limits::ControlLimits;
use super::reload_call::ReloadCall;
use crate::access::AccessPolicy;
use crate::clients::ClientPolicy;
use crate::fleet::{Event, Journal, ServiceReading};
use crate::orders::OrderQueue;
use crate::roster::Observer;
use crate::settings::Settings;
use crate::stats::Sampler;

/// Name of the engine of fixed backends.
const FIXED: &str = "fixed";
/// Name of the engine of a swarm's service.
const SWARM: &str = "swarm";

/// Handles into the rest of the program.
#[derive(Clone)]
pub struct ControlContext {
    /// Queue of orders to the fleet.
    pub orders: OrderQueue,
    /// Access rules.
    pub access: AccessPolicy,
    /// Rules about the clients of the data port.
    pub clients: Arc<ClientPolicy>,
    /// Source of the newest roster.
    pub roster: Observer,
    /// Maximum number of replicas.
    pub max_replicas: usize,
    /// Returns `Ok` if requests can be served now, otherwise the reason, a sentence without
    /// `<Error> `.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Sources of the statistics.
    pub sources: StatsSources,
    /// Settings of the program, with the values that count since the start.
    pub settings: Arc<Settings>,
    /// Queue of reloads to the supervisor.
    pub reloads: mpsc::Sender<ReloadCall>,
    /// Recorded events.
    pub journal: Journal,
    /// Limits of the port.
    pub limits: ControlLimits,
}

impl fmt::Debug for ControlContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlContext")
            .field("orders", &self.orders)
            .field("access", &self.access)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl ControlContext {
    /// Returns the events after `number`. A number above the newest is from an earlier start of the
    /// balancer; then all events are returned.
    pub(super) fn events_since(&self, number: u64) -> Vec<Event> {
        let newest = *self.journal.newest().borrow();
        let after = if number > newest { 0 } else { number };
        self.journal.since(after)
    }
}

/// Sources of the statistics.
#[derive(Clone)]
pub struct StatsSources {
    /// Source of the counters.
    pub recorder: Sampler,
    /// Returns the number of replicas in each state.
    pub fleet_counts: Arc<dyn Fn() -> FleetCounts + Send + Sync>,
    /// Name of the engine that starts replicas.
    pub engine: &'static str,
    /// Latest reading of the followed service; `None` with other engines.
    pub service: watch::Receiver<Option<ServiceReading>>,
    /// Start of the program.
    pub started: SystemTime,
}

impl fmt::Debug for StatsSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsSources")
            .field("recorder", &self.recorder)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl StatsSources {
    /// Returns `true` if the replicas are fixed addresses: they have no number.
    pub(super) fn has_fixed_backends(&self) -> bool {
        self.engine == FIXED
    }

    /// Returns `true` if the replicas are tasks of a service, which numbers, removes and replaces
    /// them.
    pub(super) fn has_service(&self) -> bool {
        self.engine == SWARM
    }

    /// Returns the version of the followed service and the age of its latest reading.
    pub(super) fn service_reading(&self, now: Instant) -> Option<(u64, Duration)> {
        let reading = (*self.service.borrow())?;
        Some((reading.version, now.saturating_duration_since(reading.at)))
    }
}

/// Numbers of replicas by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetCounts {
    /// Replicas that are wanted.
    pub wanted: usize,
    /// Replicas that `rep` lists.
    pub answered: usize,
    /// Listed replicas that are neither suspect nor down.
    pub up: usize,
    /// Warm replicas without a seat.
    pub standbys: usize,
    /// Distinct versions that the replicas in seats run.
    pub versions: usize,
    /// `true` if a replacement is under way.
    pub replacing: bool,
}
