//! The hashed rings beside a reference written the slow and obvious way, their golden walks, and how even
//! they are. The golden walks come from a program in another language.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::super::{Key, Seat, Spec};
use super::{Random, build, distinct, first, walked};

/// Every point's distance clockwise from the key, all of them, sorted.
fn uniform_reference(seats: &BTreeSet<Seat>, key: Key) -> Vec<Seat> {
    let place = xxh3_64(&key.0.to_le_bytes());
    let mut points = Vec::new();
    for seat in seats {
        for vnode in 0..1000_u32 {
            let bytes = [seat.0.to_le_bytes(), vnode.to_le_bytes()].concat();
            let distance = xxh3_64_with_seed(&bytes, 1).wrapping_sub(place);
            points.push((distance, *seat));
        }
    }
    points.sort_unstable();
    distinct(points.into_iter().map(|(_, seat)| seat))
}

/// Every seat's draw for the key, from the highest down.
fn rendezvous_reference(seats: &BTreeSet<Seat>, key: Key) -> Vec<Seat> {
    let draw = |seat: &Seat| {
        let bytes = [&key.0.to_le_bytes()[..], &seat.0.to_le_bytes()].concat();
        (xxh3_64_with_seed(&bytes, 2), *seat)
    };
    let mut drawn: Vec<(u64, Seat)> = seats.iter().map(draw).collect();
    drawn.sort_unstable();
    drawn.into_iter().rev().map(|(_, seat)| seat).collect()
}

#[test]
fn the_hashed_rings_equal_their_references() {
    let mut random = Random(7);
    for _ in 0..12 {
        let seats: BTreeSet<Seat> = random.seats(6).into_iter().collect();
        let uniform = build(&Spec::Uniform, &seats);
        let rendezvous = build(&Spec::Rendezvous, &seats);
        for key in random.keys(10) {
            assert_eq!(walked(&*uniform, key), uniform_reference(&seats, key));
            assert_eq!(walked(&*rendezvous, key), rendezvous_reference(&seats, key));
        }
    }
}

/// Over seats 1 to 6, in the order of these keys.
const GOLDEN_KEYS: [u64; 8] = [
    0,
    1,
    2,
    132_574,
    999_999,
    1 << 30,
    1_000_000_000_000_000_000,
    u64::MAX,
];

#[track_caller]
fn golden(spec: &Spec, walks: [[u32; 6]; 8]) {
    let ring = build(spec, &first(6));
    for (key, seats) in GOLDEN_KEYS.into_iter().zip(walks) {
        assert_eq!(walked(&*ring, Key(key)), seats.map(Seat), "{spec} {key}");
    }
}

#[test]
fn uniform_golden_walks() {
    golden(
        &Spec::Uniform,
        [
            [5, 4, 6, 2, 3, 1],
            [6, 2, 4, 1, 5, 3],
            [6, 4, 3, 5, 1, 2],
            [4, 6, 5, 3, 1, 2],
            [1, 3, 4, 2, 6, 5],
            [1, 4, 6, 3, 5, 2],
            [1, 4, 5, 3, 2, 6],
            [4, 5, 3, 1, 6, 2],
        ],
    );
}

#[test]
fn rendezvous_golden_walks() {
    golden(
        &Spec::Rendezvous,
        [
            [6, 4, 5, 1, 3, 2],
            [4, 3, 6, 1, 5, 2],
            [4, 1, 6, 5, 2, 3],
            [2, 5, 3, 4, 1, 6],
            [3, 4, 2, 6, 5, 1],
            [1, 2, 5, 3, 6, 4],
            [4, 3, 6, 2, 1, 5],
            [1, 5, 6, 2, 4, 3],
        ],
    );
}

#[test]
fn maglev_golden_walks() {
    golden(
        &Spec::Maglev,
        [
            [5, 4, 1, 6, 2, 3],
            [5, 6, 2, 4, 1, 3],
            [1, 6, 4, 5, 2, 3],
            [5, 3, 4, 6, 2, 1],
            [6, 2, 1, 5, 4, 3],
            [6, 1, 2, 3, 4, 5],
            [5, 6, 4, 3, 1, 2],
            [2, 5, 4, 6, 1, 3],
        ],
    );
}

#[test]
fn jump_golden_walks() {
    golden(
        &Spec::Jump,
        [
            [2, 5, 1, 3, 6, 4],
            [4, 2, 1, 6, 5, 3],
            [5, 4, 6, 3, 1, 2],
            [6, 4, 3, 2, 1, 5],
            [5, 4, 3, 1, 2, 6],
            [4, 1, 3, 6, 5, 2],
            [4, 1, 3, 6, 5, 2],
            [5, 2, 6, 1, 3, 4],
        ],
    );
}

#[test]
fn the_hashed_rings_are_as_even_as_chance_allows() {
    // The bounds are the 95th percentiles over many rings; these rings' medians must lie below them.
    let points = [(3, 1.06), (6, 1.09), (16, 1.14)];
    let others = [(3, 1.03), (6, 1.06), (16, 1.11)];
    for (spec, bounds) in [
        (Spec::Uniform, points),
        (Spec::Rendezvous, others),
        (Spec::Maglev, others),
        (Spec::Jump, others),
    ] {
        for (n, bound) in bounds {
            let ring = build(&spec, &first(n));
            let mut ratios: Vec<f64> = (0..21)
                .map(|seed| {
                    let mut random = Random(seed);
                    let mut counts: BTreeMap<Seat, u32> = BTreeMap::new();
                    for _ in 0..10_000 {
                        let owner = ring.owner(Key(random.below(1_000_000))).unwrap();
                        *counts.entry(owner).or_default() += 1;
                    }
                    let most = f64::from(counts.into_values().max().unwrap());
                    most * f64::from(n) / 10_000.0
                })
                .collect();
            ratios.sort_by(f64::total_cmp);
            assert!(ratios[10] <= bound, "{spec}, {n} seats: {ratios:?}");
        }
    }
}
