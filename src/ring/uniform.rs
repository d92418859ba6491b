//! Default ring: rendezvous hashing (Thaler and Ravishankar, 1998) laid out as a table of buckets,
//! as GitHub's GLB director does.
//!
//! The upper [`BITS`] bits of xxh3-64 (seed 0) of a key's 8 little-endian bytes are its bucket. A
//! bucket belongs to the seat with the highest [`score`], and its fallbacks follow by score. So the
//! table is a function of the set of seats alone. A seat that joins takes buckets from the others,
//! a seat that leaves gives up its own, and no other bucket moves.
//!
//! Shares are binomial. One standard deviation is sqrt((N-1) / 2^19) of 1/N: 0.2 % at N = 3, 0.31 %
//! at N = 6 and 0.53 % at N = 16. With 2^16 buckets it would be 0.55 % at N = 3.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{Key, Ring, RingError, Seat, Spec};

/// Logarithm of the number of buckets. A bucket takes 2 bytes, so the table takes 1 MiB.
const BITS: u32 = 19;
/// Highest seat that a bucket can store.
const CAPACITY: u32 = u16::MAX as u32;

/// The built ring.
#[derive(Debug)]
pub struct Uniform {
    seats: BTreeSet<Seat>,
    /// Number of the seat that owns each bucket; empty without seats.
    owners: Vec<u16>,
}

impl Uniform {
    /// Lays the table out for `seats`.
    ///
    /// # Errors
    /// If a seat is above 65,535.
    pub fn new(seats: &BTreeSet<Seat>) -> Result<Self, RingError> {
        Self::with_change(&BTreeSet::new(), &[], seats)
    }

    /// Lays the table out for `seats`.
    ///
    /// A bucket whose owner among the seats `before` stays compares it with the new seats only: at
    /// 64 seats a change takes 2 scores per bucket instead of 64.
    fn with_change(
        before: &BTreeSet<Seat>,
        owners: &[u16],
        seats: &BTreeSet<Seat>,
    ) -> Result<Self, RingError> {
        let highest = seats.last().map_or(0, |seat| seat.0);
        if highest > CAPACITY {
            return Err(RingError::Full {
                ring: Spec::Uniform,
                capacity: CAPACITY,
                seat: Seat(highest),
            });
        }
        let all: Vec<u16> = seats.iter().map(|seat| number(*seat)).collect();
        let new: Vec<u16> = seats.difference(before).map(|seat| number(*seat)).collect();
        // By seat number: the hash of each seat that stays.
        let kept: Vec<Option<u64>> = (0..=highest)
            .map(|n| (before.contains(&Seat(n)) && seats.contains(&Seat(n))).then(|| seat_hash(n)))
            .collect();
        let hashed = |seats: &[u16]| -> Vec<(u64, u16)> {
            let hash = |seat: &u16| (seat_hash(u32::from(*seat)), *seat);
            seats.iter().map(hash).collect()
        };
        let (all, new) = (hashed(&all), hashed(&new));
        let owner = |bucket: usize| {
            let hash = bucket_hash(bucket as u64);
            let was = owners.get(bucket).copied().unwrap_or_default();
            let kept = kept.get(usize::from(was)).copied().flatten();
            let (mut best, candidates) = match kept {
                Some(own) => ((score(hash, own), was), &new),
                None => ((0, 0), &all),
            };
            for (seat, number) in candidates {
                best = best.max((score(hash, *seat), *number));
            }
            best.1
        };
        let buckets = if seats.is_empty() { 0 } else { 1 << BITS };
        Ok(Self {
            owners: (0..buckets).map(owner).collect(),
            seats: seats.clone(),
        })
    }
}

/// Returns the score of a seat for a bucket, both given by their hashes. The highest owns the
/// bucket.
fn score(bucket: u64, seat: u64) -> u64 {
    mix(bucket ^ seat)
}

fn bucket_hash(bucket: u64) -> u64 {
    mix((bucket + 1).wrapping_mul(GOLDEN))
}

/// Returns the hash of a seat. It is complemented, so that no seat has the hash of the bucket with
/// the same number.
fn seat_hash(seat: u32) -> u64 {
    mix(!(u64::from(seat).wrapping_mul(GOLDEN)))
}

/// 2^64 divided by the golden ratio, the increment of splitmix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of splitmix64 (Steele, Lea and Flood, 2014).
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns the stored form of a seat; 0 above [`CAPACITY`], where no ring is built.
fn number(seat: Seat) -> u16 {
    u16::try_from(seat.0).unwrap_or_default()
}

/// Returns the position of a key on the circle, in 2^-64ths of a turn.
fn position_of(key: Key) -> u64 {
    xxh3_64(&key.0.to_le_bytes())
}

/// Returns the bucket that contains a position.
fn bucket(position: u64) -> usize {
    (position >> (u64::BITS - BITS)) as usize
}

impl Ring for Uniform {
    fn owner(&self, key: Key) -> Option<Seat> {
        self.owner_at(position_of(key))
    }

    fn place(&self, key: Key) -> Option<u64> {
        Some(position_of(key))
    }

    fn owner_at(&self, place: u64) -> Option<Seat> {
        let owner = self.owners.get(bucket(place))?;
        Some(Seat(u32::from(*owner)))
    }

    /// Allocates nothing: each step recomputes all scores to find the next seat.
    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let hash = bucket_hash(bucket(position_of(key)) as u64);
        let scored = |seat: &Seat| (score(hash, seat_hash(seat.0)), *seat);
        let mut last = None;
        loop {
            let rest = self.seats.iter().map(scored);
            let rest = rest.filter(|next| last.is_none_or(|last| *next < last));
            last = rest.max();
            let Some((_, seat)) = last else { return };
            if visit(seat).is_break() {
                return;
            }
        }
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Uniform
    }

    fn reseated(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        Ok(Arc::new(Self::with_change(
            &self.seats,
            &self.owners,
            seats,
        )?))
    }
}
