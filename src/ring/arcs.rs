//! A ring as it can be drawn: the owner of each of some equal arcs of its circle.
//!
//! It asks the ring itself, so it is true of every kind, as finely as there are arcs. Kinds without a circle
//! are drawn by shares: each seat has one stretch of arcs, as long as its part of the keys.

use super::forecast::KeyShares;
use super::{Ring, Seat};

/// The owners of equal arcs, clockwise from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcOwners {
    /// Whether the arcs are those of a circle; if not, they only show shares.
    pub circle: bool,
    /// Who owns the middle of each arc; `None` on a ring without seats.
    pub owners: Vec<Option<Seat>>,
}

impl ArcOwners {
    /// Draws `ring`, whose shares are `shares`, with `arcs` arcs.
    #[must_use]
    pub fn new(ring: &dyn Ring, shares: &KeyShares, arcs: u32) -> Self {
        let places = (0..arcs).map(|arc| super::arc_middle(arc.into(), arcs.into()));
        let circle = ring.place(super::Key(0)).is_some();
        let owners = if circle {
            places.map(|place| ring.owner_at(place)).collect()
        } else {
            let shares: Vec<(Seat, f64)> = shares.all().collect();
            places.map(|place| by_share(&shares, place)).collect()
        };
        Self { circle, owners }
    }
}

/// In whose stretch a place lies when all have one, in order.
fn by_share(shares: &[(Seat, f64)], place: u64) -> Option<Seat> {
    let turn = place as f64 / 2f64.powi(64);
    let mut end = 0.0;
    let stretches = shares.iter().map(|(seat, share)| {
        end += share;
        (*seat, end)
    });
    // Sums of fractions may end a little before the whole.
    let last = shares.last().map(|(seat, _)| *seat);
    let mut stretches = stretches.filter(|(_, end)| turn < *end);
    stretches.next().map(|(seat, _)| seat).or(last)
}
