//! Rendezvous hashing (Thaler and Ravishankar, 1998), for comparison: each seat has a score for the
//! key, and the highest score owns it.
//!
//! The score is xxh3-64 (seed 2) of key u64 LE ‖ seat u32 LE. Nothing is built, and a lookup
//! computes the score of every seat. Fallback seats follow by score.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Key, Ring, Seat, Spec, lookup};

/// The ring, which consists of its seats alone.
#[derive(Debug)]
pub struct Rendezvous {
    seats: BTreeSet<Seat>,
}

impl Rendezvous {
    /// Returns the ring of `seats`.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>) -> Self {
        Self {
            seats: seats.clone(),
        }
    }

    fn scores(&self, key: Key) -> impl Iterator<Item = (u64, Seat)> {
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
        self.scores(key).max().map(|(_, seat)| seat)
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let mut scores: Vec<(u64, Seat)> = self.scores(key).collect();
        scores.sort_unstable_by(|a, b| b.cmp(a));
        let seats = scores.into_iter().map(|(_, seat)| seat);
        lookup::each_once(seats, self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Rendezvous
    }
}
