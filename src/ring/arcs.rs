//! Data to draw a ring: the owner of each of some equal arcs of its circle.
//!
//! The ring itself gives the owners, so the drawing is exact for every kind, up to the number of
//! arcs. Kinds without a circle are drawn by shares: each seat has one run of arcs, as long as its
//! share of the keys.

use super::forecast::KeyShares;
use super::{Key, Ring, Seat, circle};

/// Owners of equal arcs, clockwise from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcOwners {
    /// `true` if the arcs are those of a circle; otherwise they only show shares.
    pub circle: bool,
    /// Owner of the middle of each arc; `None` on a ring without seats.
    pub owners: Vec<Option<Seat>>,
}

impl ArcOwners {
    /// Returns the owners of `arcs` arcs of `ring`, which has these `shares`.
    #[must_use]
    pub fn new(ring: &dyn Ring, shares: &KeyShares, arcs: u32) -> Self {
        let positions = (0..arcs).map(|arc| circle::arc_middle(arc.into(), arcs.into()));
        let circle = ring.place(Key(0)).is_some();
        let owners = if circle {
            positions.map(|position| ring.owner_at(position)).collect()
        } else {
            let shares: Vec<(Seat, f64)> = shares.all().collect();
            positions
                .map(|position| by_share(&shares, position))
                .collect()
        };
        Self { circle, owners }
    }
}

/// Returns the seat whose run of arcs holds a position, with the runs in the order of the seats.
fn by_share(shares: &[(Seat, f64)], position: u64) -> Option<Seat> {
    let fraction = position as f64 / 2f64.powi(64);
    let mut end = 0.0;
    let runs = shares.iter().map(|(seat, share)| {
        end += share;
        (*seat, end)
    });
    // Rounding may end the sum a little below 1.
    let last = shares.last().map(|(seat, _)| *seat);
    let mut runs = runs.filter(|(_, end)| fraction < *end);
    runs.next().map(|(seat, _)| seat).or(last)
}
