//! Service that the plan follows: what the orchestrator reported last, what the ring could not take
//! of it, and the orders about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::types::{OrderId, Policy};
use crate::fleet::engine::{ChangedService, ServiceChange, ServiceSnapshot};
use crate::load::LoadBound;
use crate::ring::{Seat, Spec};

/// Service that is followed.
#[derive(Debug, Default)]
pub(super) struct FollowedService {
    /// Latest snapshot; `None` until the orchestrator has answered for the first time.
    pub(super) latest: Option<Arc<ServiceSnapshot>>,
    /// Slots for which the ring has no room.
    pub(super) refused: BTreeSet<Seat>,
    /// `true` once the slots of the first snapshot are seats.
    pub(super) begun: bool,
    /// Kind of ring and load bound of the flags, for a service that says none; `None` until the
    /// first snapshot.
    pub(super) flags: Option<(Spec, LoadBound)>,
    /// Orders that are being carried out.
    pub(super) orders: Vec<ServiceOrder>,
}

/// Order about the service that is being carried out.
#[derive(Debug)]
pub(super) struct ServiceOrder {
    pub(super) order_id: OrderId,
    pub(super) change: ServiceChange,
    /// Seats when the order came.
    pub(super) before: BTreeSet<Seat>,
    pub(super) stage: Stage,
}

/// Stage of an order about the service.
#[derive(Debug)]
pub(super) enum Stage {
    /// The engine changes the service.
    Writing,
    /// The service has the change, whose effect is to be seen here.
    Written {
        service: ChangedService,
        /// Time of the last progress.
        since: Instant,
        /// Number of seats that an update has reached.
        updated: usize,
    },
}

impl ServiceOrder {
    /// Returns the time that the orchestrator has for the next progress.
    pub(super) fn limit(&self, policy: &Policy, service: &ServiceSnapshot) -> Duration {
        let Policy {
            start_timeout,
            drain_timeout,
            ..
        } = *policy;
        match self.change {
            ServiceChange::Replace(_) => start_timeout + drain_timeout + service.update_delay,
            ServiceChange::Remove(_) | ServiceChange::Scale(_) => start_timeout + drain_timeout,
            _ => start_timeout,
        }
    }
}
