//! Expected share of each seat if the ring alone decided, counted over all request IDs. Pure.
//!
//! This model follows the definitions and shares no code with the balancer, so that a mistake in
//! either becomes visible. A bound on the load moves requests away from their seats; the model does
//! not include it. Rings unknown to the model have no expectation.

mod expression;

use xxhash_rust::xxh3::xxh3_64;

use crate::float::as_f64;
use crate::request_ids::{SPLITMIX64_INCREMENT, all_ids, splitmix64_finalizer};
use expression::Expression;

/// Number of buckets of the uniform ring.
const BUCKETS: usize = 1 << 19;

/// Modulus of the key in a classic ring.
const KEY_MODULUS: u64 = 1 << 30;

/// Highest numbers of slots and virtual servers that the model computes.
const MAX_SLOTS: usize = 1 << 20;
const MAX_VNODES: i64 = 10_000;

/// A ring, by its definition.
#[derive(Debug)]
pub(crate) enum Ring {
    /// Number of IDs in each bucket.
    Uniform(Vec<u64>),
    /// Number of IDs in each slot, and the placement of virtual servers.
    Classic {
        ids: Vec<u64>,
        phi: Expression,
        vnodes: i64,
        quadratic: bool,
    },
}

impl Ring {
    /// Returns the ring that `spec` names; `None` if the model does not know it or cannot compute
    /// it.
    pub(crate) fn from_spec(spec: &str) -> Option<Self> {
        match spec {
            "uniform" => {
                let mut ids = vec![0; BUCKETS];
                for id in all_ids() {
                    let bucket = xxh3_64(&id.to_le_bytes()) / (u64::MAX / BUCKETS as u64 + 1);
                    ids[usize::try_from(bucket).ok()?] += 1;
                }
                Some(Self::Uniform(ids))
            }
            "classic" => Self::classic("h=i*i+2*i+17,phi=i*i+j*j+2*j+25"),
            "classic-brief" => Self::classic("h=i+2*i*i+17,phi=i+j+2*j*j+25"),
            _ => Self::classic(spec.strip_prefix("classic:")?),
        }
    }

    fn classic(parts: &str) -> Option<Self> {
        let (mut h, mut phi) = ("i*i+2*i+17", "i*i+j*j+2*j+25");
        let (mut slots, mut vnodes, mut quadratic) = (512, 9, false);
        for part in parts.split(',') {
            match part.split_once('=')? {
                ("h", text) => h = text,
                ("phi", text) => phi = text,
                ("slots", text) => slots = text.parse().ok()?,
                ("vnodes", text) => vnodes = text.parse().ok()?,
                ("probe", "linear") => quadratic = false,
                ("probe", "quadratic") => quadratic = true,
                _ => return None,
            }
        }
        if !(1..=MAX_SLOTS).contains(&slots) || !(1..=MAX_VNODES).contains(&vnodes) {
            return None;
        }
        let (h, phi) = (Expression::parse(h)?, Expression::parse(phi)?);
        let mut ids = vec![0; slots];
        for id in all_ids() {
            let key = i64::try_from(id % KEY_MODULUS).ok()?;
            ids[slot(h.value(key, 0)?, slots)?] += 1;
        }
        Some(Self::Classic {
            ids,
            phi,
            vnodes,
            quadratic,
        })
    }

    /// Shares of seats 1 to `seats`; `None` if not every virtual server fits a slot.
    pub(crate) fn shares(&self, seats: u32) -> Option<Vec<f64>> {
        let counts = match self {
            Self::Uniform(ids) => count_uniform(ids, seats),
            Self::Classic {
                ids,
                phi,
                vnodes,
                quadratic,
            } => {
                let owners = place_virtual_servers(phi, *vnodes, *quadratic, ids.len(), seats)?;
                count_clockwise(ids, &owners, seats)
            }
        };
        let all = as_f64(counts.iter().sum());
        Some(
            counts
                .into_iter()
                .map(|count| as_f64(count) / all)
                .collect(),
        )
    }
}

fn slot(hash: i64, slots: usize) -> Option<usize> {
    usize::try_from(hash.rem_euclid(i64::try_from(slots).ok()?)).ok()
}

/// IDs per seat: a bucket belongs to the seat with the highest draw for it.
fn count_uniform(ids: &[u64], seats: u32) -> Vec<u64> {
    let drawn = |bucket: u64, seat: u64| {
        let bucket = splitmix64_finalizer((bucket + 1).wrapping_mul(SPLITMIX64_INCREMENT));
        splitmix64_finalizer(
            bucket ^ splitmix64_finalizer(!(seat.wrapping_mul(SPLITMIX64_INCREMENT))),
        )
    };
    let mut counts = vec![0; seats as usize];
    for (bucket, ids) in (0..).zip(ids) {
        let owner = (1..=u64::from(seats)).max_by_key(|seat| drawn(bucket, *seat));
        if let Some(count) = owner.and_then(|seat| counts.get_mut(usize::try_from(seat).ok()? - 1))
        {
            *count += ids;
        }
    }
    counts
}

/// Owner of each slot after placing the seats in ascending order.
fn place_virtual_servers(
    phi: &Expression,
    vnodes: i64,
    quadratic: bool,
    slots: usize,
    seats: u32,
) -> Option<Vec<Option<u32>>> {
    let mut owners = vec![None; slots];
    for seat in 1..=seats {
        for vnode in 1..=vnodes {
            let preferred = slot(phi.value(seat.into(), vnode)?, slots)?;
            let squares = (0..slots).filter(|_| quadratic).map(|step| step * step);
            let mut tried = squares
                .chain(0..slots)
                .map(|step| (preferred + step) % slots);
            let free = tried.find(|at| owners[*at].is_none())?;
            owners[free] = Some(seat);
        }
    }
    Some(owners)
}

/// IDs per seat: an ID belongs to the first occupied slot at or after its own.
fn count_clockwise(ids: &[u64], owners: &[Option<u32>], seats: u32) -> Vec<u64> {
    let mut counts = vec![0; seats as usize];
    let mut owner = None;
    // Backwards and twice around: only the second pass knows the owner of the last slots.
    for at in (0..ids.len()).rev().chain((0..ids.len()).rev()).enumerate() {
        let (step, slot) = at;
        owner = owners[slot].or(owner);
        if let Some(seat) = owner.filter(|_| step >= ids.len()) {
            counts[seat as usize - 1] += ids[slot];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_10_000(spec: &str, seats: u32) -> Vec<u64> {
        let shares = Ring::from_spec(spec).unwrap().shares(seats).unwrap();
        let counts = shares
            .into_iter()
            .map(|share| crate::float::round_u64(share * 1e4));
        counts.collect()
    }

    #[test]
    fn expected_shares_match_independent_values() {
        assert_eq!(of_10_000("classic", 2), [9531, 469]);
        assert_eq!(of_10_000("classic", 3), [8359, 469, 1172]);
        assert_eq!(of_10_000("classic", 6), [7266, 469, 938, 391, 547, 391]);
        assert_eq!(of_10_000("classic-brief", 3), [9648, 176, 176]);
    }

    #[test]
    fn custom_functions_can_be_even_and_unknown_rings_have_no_expectation() {
        let even = Ring::from_spec("classic:h=i,phi=(9*i+j)*45").unwrap();
        let shares = even.shares(3).unwrap();
        assert!(
            shares.iter().all(|share| (0.29..0.37).contains(share)),
            "{shares:?}"
        );
        for spec in "maglev classic:h=i/0,phi=j classic:h=x classic:slots=0"
            .split(' ')
            .chain([""])
        {
            assert!(Ring::from_spec(spec).is_none(), "{spec}");
        }
        let full = Ring::from_spec("classic:slots=10").unwrap();
        assert_eq!((full.shares(1).is_some(), full.shares(2)), (true, None));
    }

    #[test]
    fn the_uniform_ring_is_nearly_even() {
        let shares = Ring::from_spec("uniform").unwrap().shares(3).unwrap();
        assert!(
            shares.iter().all(|share| (0.332..0.335).contains(share)),
            "{shares:?}"
        );
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
