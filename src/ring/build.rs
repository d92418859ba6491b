//! Construction of a ring of each kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    Classic, HashFn, Jump, Maglev, Rendezvous, Ring, RingError, Seat, SlotRingParams, Spec,
    Uniform, Weights,
};

impl Spec {
    /// Builds the ring of `seats`, each of weight 1.
    ///
    /// # Errors
    /// If a seat does not fit on this kind of ring.
    pub fn build(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        self.build_weighted(seats, &Weights::NONE)
    }

    /// Builds the ring of `seats` with these weights. Those of other seats are ignored.
    ///
    /// # Errors
    /// If a seat does not fit on this kind of ring, or has a weight that this kind does not know.
    pub fn build_weighted(
        &self,
        seats: &BTreeSet<Seat>,
        weights: &Weights,
    ) -> Result<Arc<dyn Ring>, RingError> {
        let slots = |params| Classic::new(self.clone(), params, seats);
        let weighted = weights.of_seats(seats).above_one().next();
        if let Some((seat, weight)) = weighted.filter(|_| !self.has_weights()) {
            let ring = self.clone();
            return Err(RingError::Weight { ring, seat, weight });
        }
        Ok(match self {
            Self::Uniform => Arc::new(Uniform::new(seats, weights)?),
            Self::Classic => Arc::new(slots(SlotRingParams::with_functions(&HashFn::Coursework))?),
            Self::ClassicBrief => Arc::new(slots(SlotRingParams::with_functions(&HashFn::Brief))?),
            Self::Custom(params) => Arc::new(slots(SlotRingParams::clone(params))?),
            Self::Rendezvous => Arc::new(Rendezvous::new(seats, weights)),
            Self::Maglev => Arc::new(Maglev::new(seats, weights)),
            Self::Jump => Arc::new(Jump::new(seats)),
        })
    }
}
