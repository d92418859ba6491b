//! Jump consistent hashing (Lamping and Veach, 2014), for comparison: a key jumps from bucket to
//! bucket, and the last one within the number of seats owns it.
//!
//! The buckets are the seats in ascending order. The ring is at its best when the highest seat
//! joins or leaves; when another one does, the keys of all seats above it move. Fallback seats are
//! found by jumping again over the remaining seats.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64;

use super::{Key, Ring, Seat, Spec, lookup};

/// The ring, which consists of its seats alone.
#[derive(Debug)]
pub struct Jump {
    seats: BTreeSet<Seat>,
    buckets: Vec<Seat>,
}

impl Jump {
    /// Returns the ring of `seats`.
    #[must_use]
    pub fn new(seats: &BTreeSet<Seat>) -> Self {
        Self {
            seats: seats.clone(),
            buckets: seats.iter().copied().collect(),
        }
    }
}

/// Returns the bucket of `key` out of `count`, which is not 0 and below 2^32. It uses integers,
/// where the paper uses floating-point numbers.
fn jump(mut key: u64, count: usize) -> usize {
    let (mut bucket, mut next) = (0, 0_u64);
    while next < count as u64 {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((bucket + 1) << 31) / ((key >> 33) + 1);
    }
    usize::try_from(bucket).unwrap_or(0)
}

impl Ring for Jump {
    fn owner(&self, key: Key) -> Option<Seat> {
        let hash = xxh3_64(&key.0.to_le_bytes());
        let count = self.buckets.len();
        (count > 0).then(|| self.buckets[jump(hash, count)])
    }

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let mut hash = xxh3_64(&key.0.to_le_bytes());
        let mut left = self.buckets.clone();
        let seats = std::iter::from_fn(|| {
            let count = left.len();
            let next = (count > 0).then(|| left.remove(jump(hash, count)));
            hash = xxh3_64(&hash.to_le_bytes());
            next
        });
        lookup::each_once(seats, self.seats.len(), visit);
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Jump
    }
}
