//! Readings of the followed service, for reports and metrics.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::metrics::FleetCounters;

/// Reading of the followed service by this balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceReading {
    /// Version of the service, which grows with each change of it.
    pub version: u64,
    /// Time of the reading.
    pub at: Instant,
}

/// Places at which each poll reports its result.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct PollReports {
    /// The latest reading.
    pub(in crate::fleet) readings: watch::Sender<Option<ServiceReading>>,
    /// Counters, which tell whether the engine answers.
    pub(in crate::fleet) counters: Arc<FleetCounters>,
}
