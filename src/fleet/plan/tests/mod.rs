//! The plan put to the test: rule by rule, and against a model of the world under random schedules.
//! Neither has a clock: both make up the time.

mod beginnings;
mod bench;
mod changes;
mod found;
mod model;
mod patience;
mod rotation;
mod silence;
mod standbys;
mod switch;
mod theirs;
mod verdicts;

use std::time::Instant;

use super::{InitialSeat, Plan, Policy};
use crate::ring::{RingError, Seat};
use crate::roster::{ReplicaAddr, ReplicaName};

impl Plan {
    /// The plan for these first replicas, in seats 1, 2, 3 …; an address is given for those that run
    /// already.
    ///
    /// # Errors
    /// When the ring has no room for them.
    pub(super) fn new(
        policy: Policy,
        first: &[(ReplicaName, Option<ReplicaAddr>)],
        now: Instant,
    ) -> Result<Self, RingError> {
        let seats = (1..).map(Seat).zip(first);
        let first = seats.map(|(seat, (name, addr))| InitialSeat {
            seat,
            name: name.clone(),
            addr: *addr,
            drained: false,
            serves: false,
        });
        Self::resume(policy, &first.collect::<Vec<_>>(), &[], now)
    }
}
