//! Service that the plan follows: what the orchestrator reported last, and what the ring could not
//! take of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fleet::engine::ServiceSnapshot;
use crate::ring::Seat;

/// Service that is followed.
#[derive(Debug, Default)]
pub(super) struct FollowedService {
    /// Latest snapshot; `None` until the orchestrator has answered for the first time.
    pub(super) latest: Option<Arc<ServiceSnapshot>>,
    /// Slots for which the ring has no room.
    pub(super) refused: BTreeSet<Seat>,
    /// `true` once the slots of the first snapshot are seats.
    pub(super) begun: bool,
}
