//! Interface of all rings: the owner of a key and its fallbacks.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Key, RingError, Seat, Spec, Weight, Weights};

/// Number of keys that are sampled for a ring's shares.
pub(super) const SAMPLE: u32 = 1 << 16;

/// Assignment of keys to seats, with fallbacks. Every ring is built from a *set* of seats and their
/// weights: their order does not matter.
pub trait Ring: fmt::Debug + Send + Sync {
    /// Returns the seat that the ring alone assigns to `key` (its home); `None` without seats.
    fn owner(&self, key: Key) -> Option<Seat>;

    /// Visits every seat once, the owner first, then its fallbacks in order, until `visit` breaks.
    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>);

    /// Returns the position of `key` on the circle, in 2^-64ths of a turn; `None` for a kind
    /// without a circle.
    fn place(&self, _key: Key) -> Option<u64> {
        None
    }

    /// Returns the owner of the keys at `place`, in 2^-64ths of a turn; `None` for a kind without a
    /// circle, or without seats.
    fn owner_at(&self, _place: u64) -> Option<Seat> {
        None
    }

    /// Returns the number of keys that are sampled for its shares: a power of two.
    fn sample(&self) -> u32 {
        SAMPLE
    }

    /// Returns the seats it was built from, ascending.
    fn seats(&self) -> &BTreeSet<Seat>;

    /// Returns the weights of these seats.
    fn weights(&self) -> &Weights {
        static NONE: Weights = Weights::NONE;
        &NONE
    }

    /// Returns its kind.
    fn spec(&self) -> Spec;

    /// Returns the ring of the same kind for other seats or weights. The result equals that of
    /// [`Spec::build_weighted`], but a kind may reuse parts of this ring to be faster.
    ///
    /// # Errors
    /// As [`Spec::build_weighted`].
    fn changed(
        &self,
        seats: &BTreeSet<Seat>,
        weights: &Weights,
    ) -> Result<Arc<dyn Ring>, RingError> {
        self.spec().build_weighted(seats, weights)
    }

    /// Returns the ring of the same kind for other seats. Those that stay keep their weights, and
    /// new ones have weight 1.
    ///
    /// # Errors
    /// As [`Spec::build_weighted`].
    fn reseated(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        self.changed(seats, &self.weights().of_seats(seats))
    }

    /// Returns the ring of the same kind and the same seats, of which one has another weight.
    ///
    /// # Errors
    /// As [`Spec::build_weighted`].
    fn reweighted(&self, seat: Seat, weight: Weight) -> Result<Arc<dyn Ring>, RingError> {
        self.changed(self.seats(), &self.weights().with(seat, weight))
    }
}

/// Visits each of `count` distinct seats at its first occurrence.
pub(super) fn each_once(
    seats: impl Iterator<Item = Seat>,
    count: usize,
    visit: &mut dyn FnMut(Seat) -> ControlFlow<()>,
) {
    let mut seen = BTreeSet::new();
    for seat in seats {
        if seen.insert(seat) && (visit(seat).is_break() || seen.len() == count) {
            return;
        }
    }
}
