//! Hash of a ring and its bound, by which balancers and their operators compare what they route by.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::Ring;

/// Hash of everything that assigns keys to seats: the kind of ring, the bound, the seats and their
/// weights. Two balancers with the same hash send a key to the same seat, as far as the seat's
/// replica is up at both.
///
/// The hash is xxh3-64 (seed 0) of a text. Its lines are the ring, the bound, and each seat with
/// its weight, by seat; each line ends with a line feed. For two seats these are `uniform`,
/// `bound 0`, `1 1`, `2 1`.
/// Other words for the same ring, such as its own formula for `classic`, have another hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingHash(u64);

impl RingHash {
    /// Returns the hash of a ring with this bound, which is a factor, or 0 for none.
    #[must_use]
    pub fn new(ring: &dyn Ring, bound: f64) -> Self {
        let mut text = format!("{}\nbound {bound}\n", ring.spec());
        for seat in ring.seats() {
            text += &format!("{seat} {}\n", ring.weights().of(*seat));
        }
        Self(xxh3_64(text.as_bytes()))
    }

    /// Returns the upper 48 bits, which a 64-bit floating-point number holds exactly.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        (self.0 >> 16) as f64
    }
}

impl fmt::Display for RingHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Seat, Spec, Weight, Weights};
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    fn hash(spec: &str, bound: f64, seats: &[(u32, u64)]) -> RingHash {
        let weights = seats.iter().map(|(seat, weight)| {
            let weight = Weight::try_from(*weight).unwrap();
            (Seat(*seat), weight)
        });
        let weights = Weights::from_iter(weights.collect::<BTreeMap<_, _>>());
        let seats: BTreeSet<Seat> = seats.iter().map(|(seat, _)| Seat(*seat)).collect();
        let spec: Spec = spec.parse().unwrap();
        RingHash::new(&*spec.build_weighted(&seats, &weights).unwrap(), bound)
    }

    #[test]
    fn a_hash_is_that_of_the_documented_text() {
        let three = hash("uniform", 0.0, &[(1, 1), (2, 1), (3, 1)]);
        let text = b"uniform\nbound 0\n1 1\n2 1\n3 1\n";
        assert_eq!(three.to_string(), format!("{:016x}", xxh3_64(text)));
        let bound = hash("maglev", 1.25, &[(7, 2), (3, 1)]);
        let text = b"maglev\nbound 1.25\n3 1\n7 2\n";
        assert_eq!(bound.to_string(), format!("{:016x}", xxh3_64(text)));
    }

    #[test]
    fn whatever_moves_a_key_changes_the_hash() {
        let all = [
            hash("uniform", 0.0, &[(1, 1), (2, 1)]),
            hash("rendezvous", 0.0, &[(1, 1), (2, 1)]),
            hash("uniform", 1.03, &[(1, 1), (2, 1)]),
            hash("uniform", 0.0, &[(1, 1), (3, 1)]),
            hash("uniform", 0.0, &[(1, 1), (2, 1), (3, 1)]),
            hash("uniform", 0.0, &[(1, 1), (2, 2)]),
            hash("uniform", 0.0, &[(1, 2), (2, 1)]),
            hash("uniform", 0.0, &[]),
        ];
        let texts: HashSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn the_number_of_a_metric_is_exact() {
        let hash = RingHash(u64::MAX);
        assert_eq!(hash.as_f64(), 281_474_976_710_655.0);
        assert_ne!(hash.as_f64(), RingHash(u64::MAX - (1 << 16)).as_f64());
    }
}
