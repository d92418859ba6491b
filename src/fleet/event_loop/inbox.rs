//! The inbox of the event loop: every channel that it receives from.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::backend_saver::SaveResult;
use crate::fleet::engine::EngineEvent;
use crate::fleet::plan::{OrderId, Ownership, ProbeEvent};
use crate::fleet::version::Version;
use crate::orders::{FleetSnapshot, OrderCall};
use crate::roster::{Evidence, ReplicaId};
use crate::shutdown::Shutdown;

/// Time limit for the end of a fleet whose handle was dropped.
const DROPPED_LIMIT: Duration = Duration::from_secs(5);

/// The stop request.
#[derive(Clone, Copy, Debug)]
pub(in crate::fleet) struct Stop {
    /// Time limit.
    pub(in crate::fleet) limit: Duration,
    /// `true` if the replicas that can outlive this process are left to another balancer.
    pub(in crate::fleet) leave: bool,
}

impl Stop {
    /// Returns the request of a fleet whose handle was dropped.
    pub(in crate::fleet) fn dropped(leave: bool) -> Self {
        Self {
            limit: DROPPED_LIMIT,
            leave,
        }
    }
}

/// A version that the engine has looked up for an order, or the reason why it cannot.
pub(in crate::fleet) type PreparedVersion = (OrderId, Result<Version, String>);

/// The receivers of everything that can arrive.
#[derive(Debug)]
pub(in crate::fleet) struct Inbox {
    /// Refusal of all changes from then on.
    pub(in crate::fleet) close: Shutdown,
    pub(in crate::fleet) stop: oneshot::Receiver<Stop>,
    /// Owner of the replicas during a takeover.
    pub(in crate::fleet) ownership: watch::Receiver<Ownership>,
    pub(in crate::fleet) engine: mpsc::UnboundedReceiver<EngineEvent>,
    pub(in crate::fleet) probes: mpsc::UnboundedReceiver<(ReplicaId, ProbeEvent)>,
    /// Requests for a snapshot of all replicas.
    pub(in crate::fleet) snapshots: mpsc::Receiver<oneshot::Sender<FleetSnapshot>>,
    pub(in crate::fleet) orders: mpsc::Receiver<OrderCall>,
    pub(in crate::fleet) prepared: mpsc::UnboundedReceiver<PreparedVersion>,
    pub(in crate::fleet) saved: mpsc::UnboundedReceiver<SaveResult>,
    pub(in crate::fleet) evidence: mpsc::Receiver<Evidence>,
}
