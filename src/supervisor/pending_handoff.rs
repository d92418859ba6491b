//! A successor that waits for the state of the fleet. Changes under way are finished first, as far
//! as the time allows.

use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::fleet::{Fleet, Ownership, Status};
use crate::takeover::FleetState;

/// Time limit for the fleet to finish the order under way before a successor gets the fleet's
/// state.
const FLEET_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for the fleet to end, after [`FLEET_IDLE_TIMEOUT`], what it could not finish.
const OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// A successor that waits for the state of the fleet.
pub(super) struct PendingHandoff {
    reply: Sender<FleetState>,
    /// Deadline after which the state is sent even if an order is under way.
    until: Instant,
}

impl PendingHandoff {
    /// Begins the time that the fleet has.
    pub(super) fn new(reply: Sender<FleetState>) -> Self {
        let until = Instant::now() + FLEET_IDLE_TIMEOUT;
        Self { reply, until }
    }

    /// Sends the state.
    pub(super) fn send(self, state: FleetState) {
        // The successor may be gone, which the next handoff request reports.
        let _ = self.reply.send(state);
    }
}

/// Waits until the fleet takes no orders and none is under way, or until the deadline, and then
/// until it offers its replicas. Without a pending handoff it waits forever. Cancel safe.
pub(super) async fn prepare_offer(
    fleet: &Fleet,
    status: &mut watch::Receiver<Status>,
    waiting: Option<&PendingHandoff>,
) {
    let Some(waiting) = waiting else {
        return std::future::pending().await;
    };
    let at_rest = |status: &Status| status.ownership != Ownership::Owned && !status.busy;
    // An error means that the fleet ended, which its owner learns from `Fleet::ended`.
    let _ = timeout_at(waiting.until, status.wait_for(at_rest)).await;
    fleet.set_ownership(Ownership::Offering);
    let offers = |status: &Status| status.ownership == Ownership::Offering;
    let _ = timeout_at(waiting.until + OFFER_TIMEOUT, status.wait_for(offers)).await;
}
