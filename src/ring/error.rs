//! Error for seats that do not fit on a ring.

use super::{ArithmeticError, Seat, Spec, Weight};

/// Error for a ring that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// All slots are taken.
    #[error("ring {ring} has room for seats 1 to {capacity}, not for seat {seat}")]
    Full {
        /// The ring.
        ring: Spec,
        /// Highest seat number that fits.
        capacity: u32,
        /// Seat that does not fit.
        seat: Seat,
    },
    /// The kind of ring has no weights.
    #[error(
        "ring {ring} has no weights, and seat {seat} has weight {weight}: use ring uniform, rendezvous or maglev, or weight 1"
    )]
    Weight {
        /// The ring.
        ring: Spec,
        /// Seat of a weight above 1.
        seat: Seat,
        /// Its weight.
        weight: Weight,
    },
    /// A custom function has no value.
    #[error("phi {error} at i={seat}, j={vnode}")]
    Unplaceable {
        /// Number of the seat.
        seat: u32,
        /// Its virtual server.
        vnode: u32,
        /// Reason.
        error: ArithmeticError,
    },
}
