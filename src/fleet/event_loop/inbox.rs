//! Everything that can arrive at the fleet's task.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::fleet::engine::EngineEvent;
use crate::fleet::plan::{Ownership, ProbeEvent};
use crate::orders::{FleetSnapshot, OrderCall};
use crate::roster::{Evidence, ReplicaId};
use crate::shutdown::Shutdown;

/// How long a fleet that was dropped may take to end.
const DROPPED_LIMIT: Duration = Duration::from_secs(5);

/// The word to end.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct Stop {
    /// How long that may take.
    pub(in crate::fleet) limit: Duration,
    /// Whether what can outlive us is left to another balancer.
    pub(in crate::fleet) leave: bool,
}

impl Stop {
    /// When nobody says how, because the fleet was dropped.
    pub(in crate::fleet) fn dropped(leave: bool) -> Self {
        Self {
            limit: DROPPED_LIMIT,
            leave,
        }
    }
}

/// Everything that can arrive.
#[derive(Debug)]
pub(in crate::fleet) struct Inbox {
    pub(in crate::fleet) close: Shutdown,
    pub(in crate::fleet) stop: oneshot::Receiver<Stop>,
    /// Whose the fleet is, when another process takes over.
    pub(in crate::fleet) hold: watch::Receiver<Ownership>,
    pub(in crate::fleet) reports: mpsc::UnboundedReceiver<EngineEvent>,
    pub(in crate::fleet) pulses: mpsc::UnboundedReceiver<(ReplicaId, ProbeEvent)>,
    /// Requests for the cards of all replicas.
    pub(in crate::fleet) shows: mpsc::Receiver<oneshot::Sender<FleetSnapshot>>,
    pub(in crate::fleet) orders: mpsc::Receiver<OrderCall>,
    pub(in crate::fleet) evidence: mpsc::Receiver<Evidence>,
}
