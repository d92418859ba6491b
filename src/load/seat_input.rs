//! Input of the load view: one seat of a new roster.

use crate::ring::{Seat, Weight};

/// Replica in a seat, as a new roster has it.
#[derive(Clone, Copy, Debug)]
pub struct SeatInput {
    /// Seat of the replica.
    pub seat: Seat,
    /// Identity of the replica. Each replica has new counters; the seat's load count continues.
    pub replica_id: u64,
    /// Weight of the seat, relative to which its load counts.
    pub weight: Weight,
    /// `true` if requests are routed to it without reservation.
    pub open: bool,
    /// Requests for which it was chosen, summed over the counters of all workers.
    pub requests: u64,
}
