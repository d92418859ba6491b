//! `scale`: from what there is to so many, as an `/add` of random names or an `/rm` of the highest seats.
//!
//! It is checked when its turn comes, so two that wait do not add up. Surprising: which seats are the
//! highest has nothing to do with who came last, since freed seats are taken again.

use std::collections::BTreeSet;

use super::orders::ActiveOrder;
use super::{Environment, OrderId, Plan};
use crate::orders::{self, OrderError};
use crate::ring::Seat;

impl Plan {
    /// Checks a `scale` and begins it; `None` if there are so many already.
    pub(super) fn begin_scale(
        &mut self,
        ticket: OrderId,
        n: usize,
        world: &mut dyn Environment,
    ) -> Result<Option<ActiveOrder>, OrderError> {
        let (wanted, max) = (self.wanted(), self.policy.max_replicas);
        if n > max && n > wanted {
            return Err(OrderError::invalid(format!(
                "cannot scale to {n} replicas: at most {max} are allowed (--max-replicas)"
            )));
        }
        if n > wanted {
            let (n, names) = (n - wanted, Vec::new());
            let more = orders::ChangeRequest { n, names };
            return self.begin_add(ticket, &more, world).map(Some);
        }
        if n == wanted {
            return Ok(None);
        }
        let staying = self.places.iter().filter(|place| !place.leaving);
        let mut seats: BTreeSet<Seat> = staying.map(|place| place.seat).collect();
        let mut highest = BTreeSet::new();
        for _ in n..wanted {
            highest.extend(seats.pop_last());
        }
        self.remove_seats(ticket, highest).map(Some)
    }
}
