//! Maglev hashing (Eisenbud and others, 2016), for comparison: a table of owners that the seats
//! fill in turns, each taking the next free entry of its own order.
//!
//! The table has 65537 entries, a prime. The entry of a key is xxh3-64 (seed 0) of its bytes. A
//! seat starts at xxh3-64 (seed 3) of its number and advances by steps of xxh3-64 (seed 4). The
//! ring is very even, but an added or removed seat also moves a few keys between other seats.
//! Fallback seats follow in the table.
//!
//! With weights a seat takes part in as many of the turns as its weight is of the largest one, as
//! in Envoy. A change of a weight moves a few keys between other seats, too.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Key, Ring, Seat, Spec, Weights, circle, lookup};

/// Entries of the table: a prime, so that every step reaches all of them.
const ENTRIES: u64 = 65_537;

/// The built ring.
#[derive(Debug)]
pub struct Maglev {
    seats: BTreeSet<Seat>,
    weights: Weights,
    table: Vec<Seat>,
}

impl Maglev {
    /// Fills the table for `seats` with these weights.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>, weights: &Weights) -> Self {
        let order = |seat: &Seat| {
            let hash = |seed| xxh3_64_with_seed(&seat.0.to_le_bytes(), seed);
            Order {
                seat: *seat,
                next: hash(3) % ENTRIES,
                step: 1 + hash(4) % (ENTRIES - 1),
                weight: u64::from(weights.of(*seat).get()),
                credit: 0,
            }
        };
        let mut orders: Vec<Order> = seats.iter().map(order).collect();
        let largest = orders.iter().map(|order| order.weight).max().unwrap_or(1);
        let mut table = vec![None; entry(ENTRIES)];
        let mut left = if orders.is_empty() { 0 } else { table.len() };
        while left > 0 {
            let due = orders.iter_mut().filter_map(|order| order.is_due(largest));
            for order in due.take(left) {
                while table[entry(order.next)].is_some() {
                    order.next = (order.next + order.step) % ENTRIES;
                }
                table[entry(order.next)] = Some(order.seat);
                left -= 1;
            }
        }
        Self {
            seats: seats.clone(),
            weights: weights.of_seats(seats),
            table: table.into_iter().flatten().collect(),
        }
    }

    fn entries_from(&self, start: u64) -> impl Iterator<Item = Seat> {
        let start = entry(start).min(self.table.len());
        let (before, after) = self.table.split_at(start);
        after.iter().chain(before).copied()
    }
}

/// A seat's own order of the entries, and its turns.
struct Order {
    seat: Seat,
    /// Entry that it takes next, unless that is taken.
    next: u64,
    step: u64,
    weight: u64,
    /// Part of a turn that it is owed, in shares of the largest weight.
    credit: u64,
}

impl Order {
    /// Returns the order if the seat takes part in this turn.
    fn is_due(&mut self, largest: u64) -> Option<&mut Self> {
        self.credit += self.weight;
        let is_due = self.credit >= largest;
        self.credit -= if is_due { largest } else { 0 };
        is_due.then_some(self)
    }
}

/// Returns the index of a key's entry.
fn start(key: Key) -> u64 {
    xxh3_64(&key.0.to_le_bytes()) % ENTRIES
}

fn entry(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl Ring for Maglev {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.entries_from(start(key)).next()
    }

    fn place(&self, key: Key) -> Option<u64> {
        Some(circle::arc_middle(start(key), ENTRIES))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        self.entries_from(circle::slot(place, ENTRIES)).next()
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        lookup::each_once(self.entries_from(start(key)), self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn spec(&self) -> Spec {
        Spec::Maglev
    }
}
