//! Maglev hashing (Eisenbud and others, 2016), for comparison: a table of owners that the seats fill in
//! turns, each going on to the next free entry of an order of its own.
//!
//! The table has 65537 entries, a prime. A key looks at xxh3-64 (seed 0) of its bytes; a seat begins at
//! xxh3-64 (seed 3) of its number and goes on by steps of xxh3-64 (seed 4). Very even, but an added or
//! removed seat moves a few keys between others too. Those that stand in follow in the table.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Key, Ring, Seat, Spec};

/// Entries of the table: a prime, so that every step goes through all of them.
const ENTRIES: u64 = 65_537;

/// The built ring.
#[derive(Debug)]
pub struct Maglev {
    seats: BTreeSet<Seat>,
    table: Vec<Seat>,
}

impl Maglev {
    /// Fills the table for `seats`.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>) -> Self {
        let order = |seat: &Seat| {
            let draw = |seed| xxh3_64_with_seed(&seat.0.to_le_bytes(), seed);
            (*seat, draw(3) % ENTRIES, 1 + draw(4) % (ENTRIES - 1))
        };
        let mut orders: Vec<(Seat, u64, u64)> = seats.iter().map(order).collect();
        let mut table = vec![None; entry(ENTRIES)];
        let mut left = if orders.is_empty() { 0 } else { table.len() };
        while left > 0 {
            for (seat, next, step) in orders.iter_mut().take(left) {
                while table[entry(*next)].is_some() {
                    *next = (*next + *step) % ENTRIES;
                }
                table[entry(*next)] = Some(*seat);
                left -= 1;
            }
        }
        Self {
            seats: seats.clone(),
            table: table.into_iter().flatten().collect(),
        }
    }

    fn onwards(&self, start: u64) -> impl Iterator<Item = Seat> {
        let start = entry(start).min(self.table.len());
        let (before, after) = self.table.split_at(start);
        after.iter().chain(before).copied()
    }
}

/// Where a key looks in the table.
fn start(key: Key) -> u64 {
    xxh3_64(&key.0.to_le_bytes()) % ENTRIES
}

fn entry(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl Ring for Maglev {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.onwards(start(key)).next()
    }

    fn place(&self, key: Key) -> Option<u64> {
        Some(super::arc_middle(start(key), ENTRIES))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        self.onwards(super::slot(place, ENTRIES)).next()
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        super::each_once(self.onwards(start(key)), self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Maglev
    }
}
