//! Hashed rings: in comparison with a slow and obvious reference, by golden walks, and by their
//! evenness. The golden walks come from a program in another language.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::super::{Key, Ring, Seat, Spec};
use super::{Random, build, first, walked};

/// Returns the score of a seat for a bucket of the uniform ring.
pub(super) fn uniform_score(bucket: u64, seat: Seat) -> u64 {
    let golden: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |z: u64| {
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let bucket = mix((bucket + 1).wrapping_mul(golden));
    mix(bucket ^ mix(u64::MAX - u64::from(seat.0).wrapping_mul(golden)))
}

/// Returns the score of a seat for a key of the rendezvous ring.
pub(super) fn rendezvous_score(key: Key, seat: Seat) -> u64 {
    let bytes = [&key.0.to_le_bytes()[..], &seat.0.to_le_bytes()].concat();
    xxh3_64_with_seed(&bytes, 2)
}

/// Returns the seats by their score for the key's bucket, the highest first.
fn uniform_reference(seats: &BTreeSet<Seat>, key: Key) -> Vec<Seat> {
    let bucket = xxh3_64(&key.0.to_le_bytes()) / (1 << 45);
    by_score(seats, |seat| uniform_score(bucket, seat))
}

/// Returns the seats by their score for the key, the highest first.
fn rendezvous_reference(seats: &BTreeSet<Seat>, key: Key) -> Vec<Seat> {
    by_score(seats, |seat| rendezvous_score(key, seat))
}

fn by_score(seats: &BTreeSet<Seat>, score: impl Fn(Seat) -> u64) -> Vec<Seat> {
    let mut scored: Vec<(u64, Seat)> = seats.iter().map(|seat| (score(*seat), *seat)).collect();
    scored.sort_unstable();
    scored.into_iter().rev().map(|(_, seat)| seat).collect()
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

/// Keys of the golden walks, in this order, over seats 1 to 6.
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
            [1, 6, 5, 4, 3, 2],
            [1, 3, 5, 2, 4, 6],
            [3, 6, 4, 5, 1, 2],
            [6, 4, 5, 1, 2, 3],
            [2, 6, 4, 3, 5, 1],
            [6, 3, 1, 5, 4, 2],
            [5, 2, 6, 4, 3, 1],
            [4, 1, 5, 3, 2, 6],
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
    // The bounds are the 95th percentiles over many rings; these rings' medians must lie below
    // them.
    for spec in [Spec::Rendezvous, Spec::Maglev, Spec::Jump] {
        for (n, bound) in [(3, 1.03), (6, 1.06), (16, 1.11)] {
            let ring = build(&spec, &first(n));
            let mut ratios: Vec<f64> = (0..21)
                .map(|seed| max_over_mean(&counts(&*ring, n, seed)))
                .collect();
            ratios.sort_by(f64::total_cmp);
            assert!(ratios[10] <= bound, "{spec}, {n} seats: {ratios:?}");
        }
    }
}

/// Returns the number of keys of each seat among 10,000 random IDs.
fn counts(ring: &dyn Ring, n: u32, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let mut counts = vec![0.0; n as usize];
    for _ in 0..10_000 {
        let id = 100_000 + random.below(900_000);
        let owner = ring.owner(Key(id)).unwrap();
        counts[owner.0 as usize - 1] += 1.0;
    }
    counts
}

fn max_over_mean(counts: &[f64]) -> f64 {
    let most = counts.iter().copied().fold(0.0, f64::max);
    most * counts.len() as f64 / counts.iter().sum::<f64>()
}

fn chi_square(counts: &[f64]) -> f64 {
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    counts
        .iter()
        .map(|count| (count - mean).powi(2) / mean)
        .sum()
}

#[test]
fn the_default_ring_is_as_even_as_random_assignment() {
    const SEEDS: u64 = 100;
    // Limits that N-1 degrees of freedom exceed in 5 % of runs.
    let limits = [
        (2, 3.841),
        (3, 5.991),
        (4, 7.815),
        (5, 9.488),
        (6, 11.070),
        (8, 14.067),
        (16, 24.996),
    ];
    for (n, limit) in limits {
        let ring = build(&Spec::Uniform, &first(n));
        let runs: Vec<Vec<f64>> = (0..SEEDS).map(|seed| counts(&*ring, n, seed)).collect();
        let fair = runs.iter().filter(|run| chi_square(run) < limit).count();
        let mut ratios: Vec<f64> = runs.iter().map(|run| max_over_mean(run)).collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!(
            "N={n}: chi-square below {limit} in {fair} of {SEEDS}, median max/mean {median:.4}"
        );
        assert!(fair >= 90, "N={n}: {fair}");
        let most = match n {
            2 | 3 => 1.02,
            4..=6 => 1.035,
            _ => 1.08,
        };
        assert!(median <= most, "N={n}: {median}");
    }
}

#[test]
fn every_seat_of_the_default_ring_has_an_equal_expected_share() {
    for n in [2, 3, 4, 5, 6, 8, 16, 64] {
        let ring = build(&Spec::Uniform, &first(n));
        let mut counts = vec![0.0; n as usize];
        for bucket in 0..1 << 19 {
            let owner = ring.owner_at(bucket << 45).unwrap();
            counts[owner.0 as usize - 1] += 1.0;
        }
        let deviation = counts
            .iter()
            .map(|count| count * f64::from(n) / f64::from(1 << 19) - 1.0);
        let deviation = deviation.map(f64::abs).fold(0.0, f64::max);
        println!(
            "N={n}: a share is at most {:.2} % away from 1/N",
            100.0 * deviation
        );
        if n <= 8 {
            assert!(deviation <= 0.005, "N={n}: {deviation}");
        }
        // The buckets are a random sample, too: four standard deviations.
        let sigma = ((f64::from(n) - 1.0) / f64::from(1 << 19)).sqrt();
        assert!(deviation <= 4.0 * sigma, "N={n}: {deviation}");
    }
}

#[test]
fn a_changed_table_equals_a_new_one() {
    let mut random = Random(8);
    let mut ring = build(&Spec::Uniform, &BTreeSet::new());
    for round in 0..10 {
        let seats: BTreeSet<Seat> = match round {
            // Rounds 3 to 5: no seat in common, no seat at all, all seats new.
            3 => (60..64).map(Seat).collect(),
            4 => BTreeSet::new(),
            _ => random.seats(5).into_iter().collect(),
        };
        ring = ring.reseated(&seats).unwrap();
        let whole = build(&Spec::Uniform, &seats);
        assert_eq!(ring.seats(), &seats);
        let positions = (0..1_u64 << 19).map(|bucket| bucket << 45);
        let differs =
            positions.filter(|position| ring.owner_at(*position) != whole.owner_at(*position));
        assert_eq!(differs.count(), 0, "round {round}: {seats:?}");
    }
}

#[test]
fn the_default_ring_names_the_seat_that_does_not_fit() {
    let seats = BTreeSet::from([Seat(1), Seat(65_536)]);
    let refused = Spec::Uniform.build(&seats).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "ring uniform has room for seats 1 to 65535, not for seat 65536"
    );
    let ring = Spec::Uniform.build(&[Seat(65_535)].into()).unwrap();
    assert_eq!(ring.owner(Key(7)), Some(Seat(65_535)));
}
