//! Slot rings: the coursework ring and its relatives. The circle has few slots. H(i) is the slot
//! where the search for key i starts; Φ(i,j) is the preferred slot of virtual server j = 1..K of
//! seat i. Lookups go clockwise.
//!
//! The slots of seat i are those it gets when seats 1..i are placed in ascending order, whether or
//! not the lower ones exist. An absent seat leaves its slots unused, so no other key ever moves. H
//! of the coursework is (i+1)² + 16 and reaches only 87 of its 512 slots, hence its well-known
//! skew.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::lookup::SAMPLE;
use super::slot_params::{Probing, SlotRingParams};
use super::{Key, Ring, RingError, Seat, Spec, circle, lookup};

/// Maximum number of operands of H that are evaluated to measure a ring's shares: a few
/// milliseconds.
const SAMPLE_OPERANDS: u32 = 1 << 17;

/// The built ring.
#[derive(Debug)]
pub struct Classic {
    spec: Spec,
    params: SlotRingParams,
    seats: BTreeSet<Seat>,
    slots: Vec<Option<Seat>>,
}

impl Classic {
    /// Places `seats` by `params`; `spec` is the name of the ring.
    ///
    /// # Errors
    /// If a seat is above [`SlotRingParams::capacity`], or its Φ has no value.
    pub fn new(
        spec: Spec,
        params: SlotRingParams,
        seats: &BTreeSet<Seat>,
    ) -> Result<Self, RingError> {
        let highest = seats.last().map_or(0, |seat| seat.0);
        let capacity = params.capacity();
        if highest > capacity {
            let seat = Seat(highest);
            return Err(RingError::Full {
                ring: spec,
                capacity,
                seat,
            });
        }
        let mut table = SlotTable::new(params.slots, params.probe);
        for seat in 1..=highest {
            for vnode in 1..=params.vnodes {
                let preferred = params.phi.phi(seat, vnode);
                let preferred =
                    preferred.map_err(|error| RingError::Unplaceable { seat, vnode, error })?;
                table.place(params.slot(preferred), Seat(seat));
            }
        }
        let mut slots = table.slots;
        for slot in &mut slots {
            *slot = slot.filter(|seat| seats.contains(seat));
        }
        Ok(Self {
            spec,
            params,
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
        self.clockwise(self.params.start(key)).next()
    }

    fn place(&self, key: Key) -> Option<u64> {
        let slot = self.params.start(key) as u64;
        Some(circle::arc_middle(slot, self.slots.len() as u64))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        let slot = circle::slot(place, self.slots.len() as u64);
        self.clockwise(usize::try_from(slot).ok()?).next()
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let start = self.params.start(key);
        lookup::each_once(self.clockwise(start), self.seats.len(), visit);
    }

    /// The cost of a key grows with the operands of H.
    fn sample(&self) -> u32 {
        (SAMPLE_OPERANDS / self.params.h.operands().next_power_of_two()).min(SAMPLE)
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        self.spec.clone()
    }
}

/// Slots during placement.
struct SlotTable {
    slots: Vec<Option<Seat>>,
    /// Offsets from the preferred slot that are tried first, before every slot in turn.
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

    /// Gives `seat` the first free slot that probing finds from `preferred`. There must be a free
    /// one.
    fn place(&mut self, preferred: usize, seat: Seat) {
        let count = self.slots.len();
        let candidates = self.offsets.iter().copied().chain(0..count);
        let mut candidates = candidates.map(|offset| (preferred + offset) % count);
        if let Some(free) = candidates.find(|at| self.slots[*at].is_none()) {
            self.slots[free] = Some(seat);
        }
    }
}

/// Returns the distinct values of n² modulo `count`, in the order of n. They reach only 87 of 512
/// slots, so quadratic probing alone may miss every free slot.
fn squares(count: usize) -> Vec<usize> {
    let mut seen = vec![false; count];
    let all = (0..count).map(|n| n * n % count);
    all.filter(|at| !std::mem::replace(&mut seen[*at], true))
        .collect()
}
