//! What every ring promises, tried with seeded sets and keys, and each ring beside a reference written
//! the slow and obvious way. The golden walks come from a program in another language.
//!
//! The generator is splitmix64, written here so that a seed means the same keys for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Key, Ring, RingError, Seat, Spec};

const SPECS: [Spec; 2] = [Spec::Uniform, Spec::Classic];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Keys of every size: request IDs, hashes and the edges of the arithmetic.
    fn keys(&mut self, n: usize) -> Vec<Key> {
        let edges = [0, 1, (1 << 30) - 1, 1 << 30, u64::MAX - 1, u64::MAX];
        let six_digits = (0..n / 2).map(|_| self.below(1_000_000));
        let mut keys: Vec<u64> = edges.into_iter().chain(six_digits).collect();
        keys.resize_with(n.max(keys.len()), || self.next());
        keys.into_iter().map(Key).collect()
    }

    /// Between 1 and `most` seats out of 1..=56, in no order.
    fn seats(&mut self, most: u64) -> Vec<Seat> {
        let wanted = 1 + self.below(most);
        let mut seats = Vec::new();
        while (seats.len() as u64) < wanted {
            let seat = Seat(u32::try_from(1 + self.below(56)).unwrap());
            if !seats.contains(&seat) {
                seats.push(seat);
            }
        }
        seats
    }
}

fn first(n: u32) -> BTreeSet<Seat> {
    (1..=n).map(Seat).collect()
}

fn build(spec: Spec, seats: &BTreeSet<Seat>) -> Arc<dyn Ring> {
    spec.build(seats).unwrap()
}

fn walked(ring: &dyn Ring, key: Key) -> Vec<Seat> {
    let mut seats = Vec::new();
    ring.walk(key, &mut |seat| {
        seats.push(seat);
        ControlFlow::Continue(())
    });
    seats
}

fn owner_without(ring: &dyn Ring, key: Key, down: &BTreeSet<Seat>) -> Option<Seat> {
    let mut found = None;
    ring.walk(key, &mut |seat| {
        if down.contains(&seat) {
            return ControlFlow::Continue(());
        }
        found = Some(seat);
        ControlFlow::Break(())
    });
    found
}

/// Share of `keys` whose owner differs between two rings.
fn moved(from: &dyn Ring, to: &dyn Ring, keys: &[Key]) -> f64 {
    let differs = |key: &&Key| from.owner(**key) != to.owner(**key);
    keys.iter().filter(differs).count() as f64 / keys.len() as f64
}

#[test]
fn the_owner_depends_on_the_set_alone() {
    let mut random = Random(1);
    for round in 0..20 {
        let mut seats = random.seats(12);
        let ascending: BTreeSet<Seat> = seats.iter().copied().collect();
        let keys = random.keys(50);
        for spec in SPECS {
            let ring = build(spec, &ascending);
            let owners: Vec<_> = keys.iter().map(|key| ring.owner(*key)).collect();
            assert!(owners.iter().flatten().all(|seat| ascending.contains(seat)));
            seats.reverse();
            let other = build(spec, &seats.iter().copied().collect());
            assert_eq!(other.seats(), &ascending);
            let again: Vec<_> = keys.iter().map(|key| other.owner(*key)).collect();
            assert_eq!(owners, again, "{spec} round {round}");
        }
    }
}

#[test]
fn an_added_seat_takes_keys_and_moves_no_other() {
    let mut random = Random(2);
    for _ in 0..30 {
        let mut seats: BTreeSet<Seat> = random.seats(12).into_iter().collect();
        let new = seats.pop_last().unwrap();
        let keys = random.keys(300);
        for spec in SPECS {
            let before = build(spec, &seats);
            let mut with = seats.clone();
            with.insert(new);
            let after = build(spec, &with);
            for key in &keys {
                let now = after.owner(*key);
                assert!(now == Some(new) || now == before.owner(*key), "{spec}");
            }
        }
    }
}

#[test]
fn a_removed_seat_gives_up_its_keys_and_moves_no_other() {
    let mut random = Random(3);
    for _ in 0..30 {
        let seats = random.seats(20);
        let (old, rest) = seats.split_first().unwrap();
        let rest: BTreeSet<Seat> = rest.iter().copied().collect();
        let keys = random.keys(300);
        for spec in SPECS {
            let before = build(spec, &seats.iter().copied().collect());
            let after = build(spec, &rest);
            for key in &keys {
                let was = before.owner(*key);
                assert!(was == Some(*old) || was == after.owner(*key), "{spec}");
            }
        }
    }
}

#[test]
fn uniform_moves_about_the_ideal_share() {
    let keys = Random(4).keys(20_000);
    for n in [1, 2, 3, 6, 16, 40] {
        let (small, large) = (
            build(Spec::Uniform, &first(n)),
            build(Spec::Uniform, &first(n + 1)),
        );
        let ideal = 1.0 / f64::from(n + 1);
        let share = moved(&*small, &*large, &keys);
        assert!((0.8..1.2).contains(&(share / ideal)), "add to {n}: {share}");
        assert!((share - moved(&*large, &*small, &keys)).abs() < f64::EPSILON);
    }
}

#[test]
fn a_walk_visits_each_seat_once_and_the_owner_first() {
    let mut random = Random(5);
    for _ in 0..20 {
        let seats: BTreeSet<Seat> = random.seats(56).into_iter().collect();
        for spec in SPECS {
            let ring = build(spec, &seats);
            for key in random.keys(20) {
                let walk = walked(&*ring, key);
                assert_eq!(walk.first().copied(), ring.owner(key));
                assert_eq!(walk.len(), seats.len(), "{spec}");
                assert_eq!(walk.into_iter().collect::<BTreeSet<_>>(), seats);
            }
        }
    }
}

#[test]
fn a_walk_ends_where_it_is_told_to() {
    for spec in SPECS {
        let mut visits = 0;
        build(spec, &first(6)).walk(Key(132_574), &mut |_| {
            visits += 1;
            if visits == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(visits, 2, "{spec}");
    }
}

#[test]
fn seats_that_are_down_are_skipped_as_if_absent_and_come_back() {
    let mut random = Random(6);
    for _ in 0..20 {
        let seats = random.seats(12);
        let all: BTreeSet<Seat> = seats.iter().copied().collect();
        let down: BTreeSet<Seat> = seats[..seats.len() / 2].iter().copied().collect();
        let up: BTreeSet<Seat> = all.difference(&down).copied().collect();
        for spec in SPECS {
            let (ring, without) = (build(spec, &all), build(spec, &up));
            for key in random.keys(100) {
                let chosen = owner_without(&*ring, key, &down);
                assert_eq!(chosen, without.owner(key), "{spec}");
                let home = ring.owner(key).unwrap();
                assert!(down.contains(&home) || chosen == Some(home), "{spec}");
            }
        }
    }
}

#[test]
fn a_ring_without_seats_owns_nothing() {
    for spec in SPECS {
        let ring = build(spec, &BTreeSet::new());
        assert_eq!(ring.owner(Key(7)), None);
        assert!(walked(&*ring, Key(7)).is_empty());
    }
}

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

/// The brief's text taken literally, with whole numbers that cannot overflow.
fn classic_reference(seats: &BTreeSet<Seat>, key: Key) -> Vec<Seat> {
    let mut taken: BTreeMap<u128, Seat> = BTreeMap::new();
    for i in 1..=seats.last().map_or(0, |seat| u128::from(seat.0)) {
        for j in 1..=9 {
            let mut slot = (i * i + j * j + 2 * j + 25) % 512;
            while taken.contains_key(&slot) {
                slot = (slot + 1) % 512;
            }
            taken.insert(slot, Seat(u32::try_from(i).unwrap()));
        }
    }
    let i = u128::from(key.0) % (1 << 30);
    let start = (i * i + 2 * i + 17) % 512;
    let around = (start..start + 512).filter_map(|slot| taken.get(&(slot % 512)));
    distinct(around.copied().filter(|seat| seats.contains(seat)))
}

fn distinct(seats: impl Iterator<Item = Seat>) -> Vec<Seat> {
    let mut met = Vec::new();
    for seat in seats {
        if !met.contains(&seat) {
            met.push(seat);
        }
    }
    met
}

#[test]
fn both_rings_equal_their_references() {
    let mut random = Random(7);
    for _ in 0..12 {
        let seats: BTreeSet<Seat> = random.seats(6).into_iter().collect();
        let uniform = build(Spec::Uniform, &seats);
        let classic = build(Spec::Classic, &seats);
        for key in random.keys(10) {
            assert_eq!(walked(&*uniform, key), uniform_reference(&seats, key));
            assert_eq!(walked(&*classic, key), classic_reference(&seats, key));
        }
    }
    let crowded = first(56);
    let classic = build(Spec::Classic, &crowded);
    for key in random.keys(150) {
        assert_eq!(walked(&*classic, key), classic_reference(&crowded, key));
    }
}

#[test]
fn uniform_golden_walks() {
    let ring = build(Spec::Uniform, &first(6));
    let golden = [
        (0, [5, 4, 6, 2, 3, 1]),
        (1, [6, 2, 4, 1, 5, 3]),
        (2, [6, 4, 3, 5, 1, 2]),
        (132_574, [4, 6, 5, 3, 1, 2]),
        (999_999, [1, 3, 4, 2, 6, 5]),
        (1 << 30, [1, 4, 6, 3, 5, 2]),
        (1_000_000_000_000_000_000, [1, 4, 5, 3, 2, 6]),
        (u64::MAX, [4, 5, 3, 1, 6, 2]),
    ];
    for (key, seats) in golden {
        assert_eq!(walked(&*ring, Key(key)), seats.map(Seat), "key {key}");
    }
}

#[test]
fn uniform_is_as_even_as_1000_points_allow() {
    // The bounds are the 95th percentiles over many rings; this ring's median must lie below them.
    for (n, bound) in [(3, 1.06), (6, 1.09), (16, 1.14)] {
        let ring = build(Spec::Uniform, &first(n));
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
        assert!(ratios[10] <= bound, "{n} seats: {ratios:?}");
    }
}

/// Keys out of `ids` that each seat of 1..=n owns, ascending by seat.
fn classic_counts(n: u32, ids: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    let ring = build(Spec::Classic, &first(n));
    // H modulo 512 depends on the ID modulo 512 alone: classic_owners_repeat_every_512_keys.
    let owners: Vec<Seat> = (0..512).map(|id| ring.owner(Key(id)).unwrap()).collect();
    let mut counts = vec![0; n as usize];
    for id in ids {
        let owner = owners[usize::try_from(id % 512).unwrap()];
        counts[owner.0 as usize - 1] += 1;
    }
    counts
}

#[test]
fn classic_shares_are_the_exact_table() {
    let table: [&[u64]; 5] = [
        &[9531, 469],
        &[8359, 469, 1172],
        &[8047, 469, 1094, 391],
        &[7656, 469, 938, 391, 547],
        &[7266, 469, 938, 391, 547, 391],
    ];
    // Both readings of "six digits" round to the same table: with and without leading zeros.
    for ids in [0..=999_999, 100_000..=999_999] {
        let size = ids.clone().count() as u64;
        for (n, row) in (2..).zip(table) {
            let per_10_000 = |count: u64| (count * 10_000 + size / 2) / size;
            let counts = classic_counts(n, ids.clone());
            let shares: Vec<u64> = counts.into_iter().map(per_10_000).collect();
            assert_eq!(shares, row, "{n} seats, IDs {ids:?}");
        }
    }
}

#[test]
fn classic_owners_repeat_every_512_keys() {
    let ring = build(Spec::Classic, &first(6));
    for Key(key) in Random(8).keys(5000) {
        assert_eq!(ring.owner(Key(key)), ring.owner(Key(key % 512)));
    }
}

#[test]
fn classic_holds_56_seats_and_not_57() {
    let ring = build(Spec::Classic, &first(56));
    assert_eq!(walked(&*ring, Key(3)).len(), 56);
    let err = Spec::Classic.build(&first(57)).unwrap_err();
    let expected = RingError::Full {
        capacity: 56,
        seat: Seat(57),
    };
    assert_eq!(err, expected);
    // The number counts, not how many there are: seat 57's slots would depend on who came before.
    assert!(Spec::Classic.build(&[Seat(57)].into()).is_err());
    assert!(err.to_string().contains("seats 1 to 56, not for seat 57"));
}

#[test]
fn a_spec_is_read_as_it_is_written() {
    for spec in SPECS {
        assert_eq!(spec.to_string().parse(), Ok(spec));
    }
    assert_eq!(Spec::default(), Spec::Uniform);
    for unknown in ["", "Uniform", "classic ", "maglev"] {
        assert!(unknown.parse::<Spec>().is_err(), "{unknown}");
    }
}

#[test]
fn keys_of_up_to_19_digits_are_integers() {
    assert_eq!(Key::of(b"132574"), Key(132_574));
    assert_eq!(Key::of(b"007"), Key(7));
    let longest = 9_999_999_999_999_999_999;
    assert_eq!(Key::of(b"9999999999999999999"), Key(longest));
}

#[test]
fn other_keys_are_hashed() {
    for text in ["", "+5", "-1", "12a", "00000000000000000000"] {
        assert_eq!(Key::of(text.as_bytes()), Key(xxh3_64(text.as_bytes())));
    }
}
