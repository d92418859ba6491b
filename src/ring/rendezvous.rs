//! Rendezvous hashing (Thaler and Ravishankar, 1998), for comparison: each seat has a score for the
//! key, and the highest score owns it.
//!
//! The score is xxh3-64 (seed 2) of key u64 LE ‖ seat u32 LE. Nothing is built, and a lookup
//! computes the score of every seat. Fallback seats follow by score. With weights the seats follow
//! by their [`Bid`] instead.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bid::Bid;
use super::{Key, Ring, Seat, Spec, Weights, lookup};

/// The ring, which consists of its seats and their weights alone.
#[derive(Debug)]
pub struct Rendezvous {
    seats: BTreeSet<Seat>,
    weights: Weights,
    /// `true` if the seats have different weights.
    is_weighted: bool,
}

impl Rendezvous {
    /// Returns the ring of `seats` with these weights.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>, weights: &Weights) -> Self {
        Self {
            seats: seats.clone(),
            weights: weights.of_seats(seats),
            is_weighted: weights.differ_among(seats),
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

    fn bids(&self, key: Key) -> impl Iterator<Item = (Bid, Seat)> {
        let scores = self.scores(key);
        scores.map(|(score, seat)| (Bid::new(score, self.weights.of(seat), seat), seat))
    }
}

/// Returns the seats by rank, the highest first.
fn descending<T: Ord>(ranked: impl Iterator<Item = (T, Seat)>) -> impl Iterator<Item = Seat> {
    let mut ranked: Vec<(T, Seat)> = ranked.collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    ranked.into_iter().map(|(_, seat)| seat)
}

impl Ring for Rendezvous {
    fn owner(&self, key: Key) -> Option<Seat> {
        match self.is_weighted {
            true => self.bids(key).max().map(|(_, seat)| seat),
            false => self.scores(key).max().map(|(_, seat)| seat),
        }
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let count = self.seats.len();
        match self.is_weighted {
            true => lookup::each_once(descending(self.bids(key)), count, visit),
            false => lookup::each_once(descending(self.scores(key)), count, visit),
        }
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn spec(&self) -> Spec {
        Spec::Rendezvous
    }
}
