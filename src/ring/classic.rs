//! The coursework ring and its relatives: a circle of few slots, on which H(i) is where key i looks and
//! Φ(i,j) where virtual server j = 1..K of seat i wishes to be; lookups go clockwise.
//!
//! The slots of seat i are those it gets when seats 1..i are placed in ascending order, whether or not
//! the lower ones are there: an absent seat leaves its slots unused, so no survivor's key ever moves.
//! H of the coursework reaches only 87 of its 512 slots (it is (i+1)² + 16), hence its well-known skew.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::forecast::SAMPLE;
use super::slot_params::{Probing, SlotRingParams};
use super::{Key, Ring, RingError, Seat, Spec};

/// The most operands of H that are evaluated to know a ring's shares: a few milliseconds.
const SAMPLE_OPERANDS: u32 = 1 << 17;

/// The built ring.
#[derive(Debug)]
pub struct Classic {
    spec: Spec,
    recipe: SlotRingParams,
    seats: BTreeSet<Seat>,
    slots: Vec<Option<Seat>>,
}

impl Classic {
    /// Places `seats` as `recipe` says; `spec` is what the ring is called.
    ///
    /// # Errors
    /// When a seat is above [`Recipe::capacity`], or Φ of it has no value.
    pub fn new(
        spec: Spec,
        recipe: SlotRingParams,
        seats: &BTreeSet<Seat>,
    ) -> Result<Self, RingError> {
        let highest = seats.last().map_or(0, |seat| seat.0);
        let capacity = recipe.capacity();
        if highest > capacity {
            let seat = Seat(highest);
            return Err(RingError::Full {
                ring: spec,
                capacity,
                seat,
            });
        }
        let mut circle = SlotTable::new(recipe.slots, recipe.probe);
        for seat in 1..=highest {
            for vnode in 1..=recipe.vnodes {
                let wish = recipe.phi.phi(seat, vnode);
                let wish = wish.map_err(|fault| RingError::NoPlace { seat, vnode, fault })?;
                circle.place(recipe.slot(wish), Seat(seat));
            }
        }
        let mut slots = circle.slots;
        for place in &mut slots {
            *place = place.filter(|seat| seats.contains(seat));
        }
        Ok(Self {
            spec,
            recipe,
            seats: seats.clone(),
            slots,
        })
    }

    fn clockwise(&self, start: usize) -> impl Iterator<Item = Seat> {
        self.slots[start..]
            .iter()
            .chain(&self.slots[..start])
            .filter_map(|seat| *seat)
    }
}

impl Ring for Classic {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.clockwise(self.recipe.start(key)).next()
    }

    fn place(&self, key: Key) -> Option<u64> {
        let slot = self.recipe.start(key) as u64;
        Some(super::arc_middle(slot, self.slots.len() as u64))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        let slot = super::slot(place, self.slots.len() as u64);
        self.clockwise(usize::try_from(slot).ok()?).next()
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let start = self.recipe.start(key);
        super::each_once(self.clockwise(start), self.seats.len(), visit);
    }

    /// A key costs as much as H has operands.
    fn sample(&self) -> u32 {
        (SAMPLE_OPERANDS / self.recipe.h.operands().next_power_of_two()).min(SAMPLE)
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        self.spec.clone()
    }
}

/// The slots while they are being taken.
struct SlotTable {
    slots: Vec<Option<Seat>>,
    /// How far from the wish the next tries lie, before every slot in turn is tried.
    offsets: Vec<usize>,
}

impl SlotTable {
    fn new(slots: u32, probe: Probing) -> Self {
        let count = slots as usize;
        let offsets = match probe {
            Probing::Linear => Vec::new(),
            Probing::Quadratic => squares(count),
        };
        Self {
            slots: vec![None; count],
            offsets,
        }
    }

    /// Gives `seat` the first free slot that probing finds from `wish`. There must be a free one.
    fn place(&mut self, wish: usize, seat: Seat) {
        let count = self.slots.len();
        let tries = self.offsets.iter().copied().chain(0..count);
        let mut tries = tries.map(|offset| (wish + offset) % count);
        if let Some(free) = tries.find(|at| self.slots[*at].is_none()) {
            self.slots[free] = Some(seat);
        }
    }
}

/// The distinct values of n² modulo `count`, in the order of n. Of 512 slots they reach only 87, so
/// quadratic probing alone may find no free slot although there are some.
fn squares(count: usize) -> Vec<usize> {
    let mut met = vec![false; count];
    let all = (0..count).map(|n| n * n % count);
    all.filter(|at| !std::mem::replace(&mut met[*at], true))
        .collect()
}
