//! The coursework ring, bit-exact: 512 slots, K = 9 virtual servers per seat, H(i) = i² + 2i + 17 for
//! a key, Φ(i,j) = i² + j² + 2j + 25 for virtual server j = 1..K of seat i, clockwise, linear probing.
//!
//! The slots of seat i are those it gets when seats 1..i are placed in ascending order, whether or not
//! the lower ones are there: an absent seat leaves its slots unused, so no survivor's key ever moves.
//! H reaches only 87 of the 512 slots (it is (i+1)² + 16), hence its well-known skew.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{Key, Ring, RingError, Seat};

/// Slots on the circle.
pub(super) const SLOTS: usize = 512;
/// Virtual servers per seat.
pub(super) const VNODES: u64 = 9;
/// The highest seat that finds a free slot for each of its virtual servers.
pub(super) const CAPACITY: u32 = 56;
/// Keys are reduced modulo this before H, which keeps its arithmetic far from overflow.
const KEY_MODULUS: u64 = 1 << 30;

/// The built ring.
#[derive(Debug)]
pub struct Classic {
    seats: BTreeSet<Seat>,
    slots: Box<[Option<Seat>; SLOTS]>,
}

impl Classic {
    /// Places `seats`.
    ///
    /// # Errors
    /// When a seat is above [`CAPACITY`].
    pub fn new(seats: &BTreeSet<Seat>) -> Result<Self, RingError> {
        let highest = seats.last().map_or(0, |seat| seat.0);
        if highest > CAPACITY {
            return Err(RingError::Full {
                capacity: CAPACITY,
                seat: Seat(highest),
            });
        }
        let mut slots = Box::new([None; SLOTS]);
        for seat in 1..=highest {
            for vnode in 1..=VNODES {
                let wish = slot(phi(u64::from(seat), vnode));
                let free = (0..SLOTS)
                    .map(|step| (wish + step) % SLOTS)
                    .find(|at| slots[*at].is_none());
                // CAPACITY seats need 504 of 512 slots, so there is always a free one.
                slots[free.unwrap_or(wish)] = Some(Seat(seat));
            }
        }
        for place in slots.iter_mut() {
            *place = place.filter(|seat| seats.contains(seat));
        }
        Ok(Self {
            seats: seats.clone(),
            slots,
        })
    }

    fn clockwise(&self, key: Key) -> impl Iterator<Item = Seat> {
        let start = slot(h(key.0 % KEY_MODULUS));
        self.slots[start..]
            .iter()
            .chain(&self.slots[..start])
            .filter_map(|seat| *seat)
    }
}

fn h(i: u64) -> u64 {
    i * i + 2 * i + 17
}

fn phi(i: u64, j: u64) -> u64 {
    i * i + j * j + 2 * j + 25
}

fn slot(hash: u64) -> usize {
    usize::try_from(hash % SLOTS as u64).unwrap_or(0)
}

impl Ring for Classic {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.clockwise(key).next()
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        super::each_once(self.clockwise(key), self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }
}
