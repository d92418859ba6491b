//! Construction of a ring of each kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    Classic, HashFn, Jump, Maglev, Rendezvous, Ring, RingError, Seat, SlotRingParams, Spec, Uniform,
};

impl Spec {
    /// Builds the ring of `seats`.
    ///
    /// # Errors
    /// If a seat does not fit on this kind of ring.
    pub fn build(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        let slots = |params| Classic::new(self.clone(), params, seats);
        Ok(match self {
            Self::Uniform => Arc::new(Uniform::new(seats)?),
            Self::Classic => Arc::new(slots(SlotRingParams::with_functions(&HashFn::Coursework))?),
            Self::ClassicBrief => Arc::new(slots(SlotRingParams::with_functions(&HashFn::Brief))?),
            Self::Custom(params) => Arc::new(slots(SlotRingParams::clone(params))?),
            Self::Rendezvous => Arc::new(Rendezvous::new(seats)),
            Self::Maglev => Arc::new(Maglev::new(seats)),
            Self::Jump => Arc::new(Jump::new(seats)),
        })
    }
}
