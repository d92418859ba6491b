//! Rendezvous hashing (Thaler and Ravishankar, 1998), for comparison: each seat draws a number for the key,
//! and the highest owns it.
//!
//! A seat's number for a key is xxh3-64 (seed 2) of key u64 LE ‖ seat u32 LE. Nothing is built, and a
//! lookup asks every seat. Those that stand in follow by their numbers.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Key, Ring, Seat, Spec};

/// The ring, which is but its seats.
#[derive(Debug)]
pub struct Rendezvous {
    seats: BTreeSet<Seat>,
}

impl Rendezvous {
    /// The ring of `seats`.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>) -> Self {
        Self {
            seats: seats.clone(),
        }
    }

    fn drawn(&self, key: Key) -> impl Iterator<Item = (u64, Seat)> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&key.0.to_le_bytes());
        self.seats.iter().map(move |seat| {
            bytes[8..].copy_from_slice(&seat.0.to_le_bytes());
            (xxh3_64_with_seed(&bytes, 2), *seat)
        })
    }
}

impl Ring for Rendezvous {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.drawn(key).max().map(|(_, seat)| seat)
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let mut drawn: Vec<(u64, Seat)> = self.drawn(key).collect();
        drawn.sort_unstable_by(|a, b| b.cmp(a));
        let seats = drawn.into_iter().map(|(_, seat)| seat);
        super::each_once(seats, self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Rendezvous
    }
}
