//! The default ring: 1000 points per seat, spread by xxh3-64 over a circle of 2^64 places.
//!
//! A key lies at xxh3-64 (seed 0) of its 8 little-endian bytes; a point at xxh3-64 (seed 1) of seat
//! u32 LE ‖ vnode u32 LE. The owner is the seat of the first point at or after the key, clockwise.
//! A lookup starts from an index of equal arcs, one per point on average, so it touches about one
//! cache line of the index and one of the points whatever the number of seats.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Key, Ring, Seat, Spec};

/// Points each seat has on the circle.
pub(super) const POINTS_PER_SEAT: u32 = 1000;

/// The built ring.
#[derive(Debug)]
pub struct Uniform {
    seats: BTreeSet<Seat>,
    points: Vec<(u64, Seat)>,
    /// For each arc, the number of the first point at or after the arc's start.
    index: Vec<u32>,
    /// How far a place is shifted right to find its arc.
    shift: u32,
}

impl Uniform {
    /// Places the points of `seats`, sorted by (place, seat).
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>) -> Self {
        let point = |seat: Seat, vnode: u32| {
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&seat.0.to_le_bytes());
            bytes[4..].copy_from_slice(&vnode.to_le_bytes());
            (xxh3_64_with_seed(&bytes, 1), seat)
        };
        let all = seats
            .iter()
            .flat_map(|seat| (0..POINTS_PER_SEAT).map(move |vnode| point(*seat, vnode)));
        let mut points: Vec<(u64, Seat)> = all.collect();
        points.sort_unstable();
        let bits = points.len().max(2).next_power_of_two().ilog2();
        let shift = u64::BITS - bits;
        let first_at = |arc: u64| points.partition_point(|(place, _)| *place < arc << shift);
        let index = (0..1_u64 << bits)
            .map(|arc| u32::try_from(first_at(arc)).unwrap_or(u32::MAX))
            .collect();
        Self {
            seats: seats.clone(),
            points,
            index,
            shift,
        }
    }

    /// The number of the first point at or after `place`, or `points.len()` where the circle closes.
    fn find(&self, place: u64) -> usize {
        let arc = usize::try_from(place >> self.shift).unwrap_or(0);
        let from = self.index[arc] as usize;
        let beyond = self.points[from..]
            .iter()
            .position(|(point, _)| *point >= place);
        beyond.map_or(self.points.len(), |steps| from + steps)
    }
}

/// Where a key lies.
fn spot(key: Key) -> u64 {
    xxh3_64(&key.0.to_le_bytes())
}

impl Ring for Uniform {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.owner_at(spot(key))
    }

    fn place(&self, key: Key) -> Option<u64> {
        Some(spot(key))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        let (_, seat) = self
            .points
            .get(self.find(place))
            .or_else(|| self.points.first())?;
        Some(*seat)
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let start = self.find(spot(key));
        let clockwise = self.points[start..].iter().chain(&self.points[..start]);
        super::each_once(clockwise.map(|(_, seat)| *seat), self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Uniform
    }
}
