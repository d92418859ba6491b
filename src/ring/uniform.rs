//! Default ring: rendezvous hashing (Thaler and Ravishankar, 1998) laid out as a table of buckets,
//! as GitHub's GLB director does.
//!
//! The upper [`BITS`] bits of xxh3-64 (seed 0) of a key's 8 little-endian bytes are its bucket. A
//! bucket belongs to the seat with the highest [`score`], and its fallbacks follow by score. So the
//! table is a function of the set of seats alone. A seat that joins takes buckets from the others,
//! a seat that leaves gives up its own, and no other bucket moves. With different weights the
//! highest [`Bid`] owns a bucket instead, and the same holds for a change of a weight.
//!
//! Shares are binomial. One standard deviation is sqrt((N-1) / 2^19) of 1/N: 0.2 % at N = 3, 0.31 %
//! at N = 6 and 0.53 % at N = 16. With 2^16 buckets it would be 0.55 % at N = 3.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::bid::Bid;
use super::{Key, Ring, RingError, Seat, Spec, Weight, Weights};

/// Logarithm of the number of buckets. A bucket takes 2 bytes, so the table takes 1 MiB.
const BITS: u32 = 19;
/// Highest seat that a bucket can store.
const CAPACITY: u32 = u16::MAX as u32;

/// The built ring.
#[derive(Debug)]
pub struct Uniform {
    seats: BTreeSet<Seat>,
    weights: Weights,
    /// `true` if the seats have different weights.
    is_weighted: bool,
    /// Number of the seat that owns each bucket; empty without seats.
    owners: Vec<u16>,
}

impl Uniform {
    /// Lays the table out for `seats` with these weights.
    ///
    /// # Errors
    /// If a seat is above 65,535.
    pub fn new(seats: &BTreeSet<Seat>, weights: &Weights) -> Result<Self, RingError> {
        let none = Self {
            seats: BTreeSet::new(),
            weights: Weights::NONE,
            is_weighted: false,
            owners: Vec::new(),
        };
        none.changed(seats, weights)
    }

    /// Returns the ring of other seats or weights.
    ///
    /// If the owner of a bucket stays, and its weight does not fall, it is compared only with new
    /// seats and seats of a greater weight than before. At 64 seats a change takes 2 scores per
    /// bucket instead of 64.
    fn changed(&self, seats: &BTreeSet<Seat>, weights: &Weights) -> Result<Self, RingError> {
        let highest = seats.last().map_or(0, |seat| seat.0);
        if highest > CAPACITY {
            return Err(RingError::Full {
                ring: Spec::Uniform,
                capacity: CAPACITY,
                seat: Seat(highest),
            });
        }
        let weights = weights.of_seats(seats);
        let buckets = if seats.is_empty() { 0 } else { 1 << BITS };
        let layout = Layout::new(self, seats, &weights);
        let owners = (0..buckets).map(|bucket| {
            let was = self.owners.get(bucket).copied().unwrap_or_default();
            layout.owner(bucket, was)
        });
        Ok(Self {
            owners: owners.collect(),
            is_weighted: layout.is_weighted,
            seats: seats.clone(),
            weights,
        })
    }
}

/// Seat that may own a bucket.
#[derive(Clone, Copy)]
struct Candidate {
    number: u16,
    hash: u64,
    weight: Weight,
}

/// Seats of a new table, compared with those of the table before.
struct Layout {
    is_weighted: bool,
    all: Vec<Candidate>,
    /// New seats, and seats of a greater weight than before.
    stronger: Vec<Candidate>,
    /// By seat number: each seat that stays and whose weight does not fall.
    kept: Vec<Option<Candidate>>,
}

impl Layout {
    fn new(before: &Uniform, seats: &BTreeSet<Seat>, weights: &Weights) -> Self {
        let candidate = |seat: &Seat| Candidate {
            number: number(*seat),
            hash: seat_hash(seat.0),
            weight: weights.of(*seat),
        };
        let stays = |seat: &Seat| before.seats.contains(seat);
        let was = |seat: &Seat| before.weights.of(*seat);
        let is_stronger = |seat: &&Seat| !stays(seat) || weights.of(**seat) > was(seat);
        let is_kept =
            |seat: &Seat| seats.contains(seat) && stays(seat) && weights.of(*seat) >= was(seat);
        let highest = seats.last().map_or(0, |seat| seat.0);
        let kept = (0..=highest).map(|n| Some(Seat(n)).filter(is_kept).as_ref().map(candidate));
        Self {
            is_weighted: weights.differ_among(seats),
            all: seats.iter().map(candidate).collect(),
            stronger: seats.iter().filter(is_stronger).map(candidate).collect(),
            kept: kept.collect(),
        }
    }

    /// Returns the number of the seat that owns a bucket, whose owner was `was`.
    fn owner(&self, bucket: usize, was: u16) -> u16 {
        let hash = bucket_hash(bucket as u64);
        let kept = self.kept.get(usize::from(was)).copied().flatten();
        let others = match kept {
            Some(_) => &self.stronger,
            None => &self.all,
        };
        match self.is_weighted {
            true => {
                let bids = kept.iter().chain(others).map(|seat| seat.bid(hash));
                bids.max().map_or(0, |bid| number(bid.seat))
            }
            false => {
                let mut highest = kept.map_or((0, 0), |seat| seat.rank(hash));
                // A loop: this runs for each bucket, and as an iterator it is slower.
                for seat in others {
                    highest = highest.max(seat.rank(hash));
                }
                highest.1
            }
        }
    }
}

impl Candidate {
    /// Returns the rank for the bucket of this hash among seats of equal weights, and the seat.
    fn rank(&self, bucket: u64) -> (u64, u16) {
        (score(bucket, self.hash), self.number)
    }

    /// Returns the bid for the bucket of this hash.
    fn bid(&self, bucket: u64) -> Bid {
        let seat = Seat(u32::from(self.number));
        Bid::new(score(bucket, self.hash), self.weight, seat)
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

/// Visits the seats by rank, the highest first. It allocates nothing: each step recomputes all
/// ranks to find the next seat.
fn descend<T: Copy + Ord>(
    seats: &BTreeSet<Seat>,
    rank: impl Fn(Seat) -> T,
    visit: &mut dyn FnMut(Seat) -> ControlFlow<()>,
) {
    let mut last = None;
    loop {
        let rest = seats.iter().map(|seat| (rank(*seat), *seat));
        let rest = rest.filter(|next| last.is_none_or(|last| *next < last));
        last = rest.max();
        let Some((_, seat)) = last else { return };
        if visit(seat).is_break() {
            return;
        }
    }
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

    fn walk(&self, key: Key, visit: &mut dyn FnMut(Seat) -> ControlFlow<()>) {
        let hash = bucket_hash(bucket(position_of(key)) as u64);
        let score = |seat: Seat| score(hash, seat_hash(seat.0));
        match self.is_weighted {
            true => {
                let bid = |seat| Bid::new(score(seat), self.weights.of(seat), seat);
                descend(&self.seats, bid, visit);
            }
            false => descend(&self.seats, score, visit),
        }
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn seats(&self) -> &BTreeSet<Seat> {
        &self.seats
    }

    fn spec(&self) -> Spec {
        Spec::Uniform
    }

    fn changed(
        &self,
        seats: &BTreeSet<Seat>,
        weights: &Weights,
    ) -> Result<Arc<dyn Ring>, RingError> {
        Ok(Arc::new(Self::changed(self, seats, weights)?))
    }
}
