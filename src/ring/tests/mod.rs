//! Guarantees of every ring, tested with seeded sets and keys.
//!
//! The generator is splitmix64, written here so that a seed always gives the same keys.
//!
//! The tests that apply to all kinds of rings are in this file, because a new kind must pass all of
//! them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Key, Ring, Seat, Spec};

mod arcs;
mod classic;
mod expr;
mod forecast;
mod hashed;
mod keys;
mod weights;

/// Returns the kinds on which an added seat takes keys and moves no other key.
fn stable_kinds() -> Vec<Spec> {
    let mut all = vec![
        Spec::Uniform,
        Spec::Classic,
        Spec::ClassicBrief,
        Spec::Rendezvous,
    ];
    all.extend(CUSTOM.map(|text| text.parse().unwrap()));
    all
}

/// Custom rings, each with room for 56 seats.
const CUSTOM: [&str; 3] = [
    "classic:probe=quadratic",
    "classic:h=i*2654435761%4093,phi=(i*31+j)*40503,slots=1024,vnodes=17",
    "classic:h=7-i,phi=-i*j-j,slots=1000,vnodes=3,probe=quadratic",
];

/// Returns all kinds.
fn all_kinds() -> Vec<Spec> {
    [stable_kinds(), vec![Spec::Maglev, Spec::Jump]].concat()
}

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

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// Returns keys of every size: request IDs, hashes and the limits of the arithmetic.
    fn keys(&mut self, n: usize) -> Vec<Key> {
        let edges = [0, 1, (1 << 30) - 1, 1 << 30, u64::MAX - 1, u64::MAX];
        let six_digits = (0..n / 2).map(|_| self.below(1_000_000));
        let mut keys: Vec<u64> = edges.into_iter().chain(six_digits).collect();
        keys.resize_with(n.max(keys.len()), || self.next());
        keys.into_iter().map(Key).collect()
    }

    /// Returns between 1 and `most` seats out of 1..=56, in random order.
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

fn build(spec: &Spec, seats: &BTreeSet<Seat>) -> Arc<dyn Ring> {
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

fn distinct(seats: impl Iterator<Item = Seat>) -> Vec<Seat> {
    let mut seen = Vec::new();
    for seat in seats {
        if !seen.contains(&seat) {
            seen.push(seat);
        }
    }
    seen
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

/// Returns the share of `keys` whose owner differs between two rings.
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
        for spec in all_kinds() {
            let ring = build(&spec, &ascending);
            let owners: Vec<_> = keys.iter().map(|key| ring.owner(*key)).collect();
            assert!(owners.iter().flatten().all(|seat| ascending.contains(seat)));
            seats.reverse();
            let other = build(&spec, &seats.iter().copied().collect());
            assert_eq!(other.seats(), &ascending);
            let again: Vec<_> = keys.iter().map(|key| other.owner(*key)).collect();
            assert_eq!(owners, again, "{spec} round {round}");
        }
    }
}

#[test]
fn an_added_seat_takes_keys_and_moves_no_other_key() {
    let mut random = Random(2);
    for _ in 0..30 {
        let mut seats: BTreeSet<Seat> = random.seats(12).into_iter().collect();
        let new = seats.pop_last().unwrap();
        let keys = random.keys(300);
        for spec in stable_kinds() {
            let before = build(&spec, &seats);
            let mut with = seats.clone();
            with.insert(new);
            let after = build(&spec, &with);
            for key in &keys {
                let now = after.owner(*key);
                assert!(now == Some(new) || now == before.owner(*key), "{spec}");
            }
        }
    }
}

#[test]
fn a_removed_seat_gives_up_its_keys_and_moves_no_other_key() {
    let mut random = Random(3);
    for _ in 0..30 {
        let seats = random.seats(20);
        let (old, rest) = seats.split_first().unwrap();
        let rest: BTreeSet<Seat> = rest.iter().copied().collect();
        let keys = random.keys(300);
        for spec in stable_kinds() {
            let before = build(&spec, &seats.iter().copied().collect());
            let after = build(&spec, &rest);
            for key in &keys {
                let was = before.owner(*key);
                assert!(was == Some(*old) || was == after.owner(*key), "{spec}");
            }
        }
    }
}

#[test]
fn uniform_and_rendezvous_move_about_the_ideal_share() {
    let keys = Random(4).keys(20_000);
    for spec in [Spec::Uniform, Spec::Rendezvous] {
        for n in [1, 2, 3, 6, 16, 40] {
            let (small, large) = (build(&spec, &first(n)), build(&spec, &first(n + 1)));
            let ideal = 1.0 / f64::from(n + 1);
            let share = moved(&*small, &*large, &keys);
            let off = share / ideal;
            assert!((0.8..1.2).contains(&off), "{spec}, add to {n}: {share}");
            assert!((share - moved(&*large, &*small, &keys)).abs() < f64::EPSILON);
        }
    }
}

#[test]
fn maglev_and_jump_move_the_known_shares() {
    let keys = Random(4).keys(20_000);
    let middle = |n: u32| {
        first(n)
            .into_iter()
            .filter(move |seat| *seat != Seat(n / 2 + 1))
    };
    for n in [3, 6, 16] {
        let ideal = 1.0 / f64::from(n);
        for spec in [Spec::Maglev, Spec::Jump] {
            let (small, large) = (build(&spec, &first(n - 1)), build(&spec, &first(n)));
            let gap = build(&spec, &middle(n).collect());
            let add = moved(&*small, &*large, &keys);
            let rm = moved(&*large, &*gap, &keys);
            println!(
                "{spec}: add to {} moves {add:.4}, rm of a middle one of {n} {rm:.4}",
                n - 1
            );
            if spec == Spec::Maglev {
                // At least the ideal share, and a few keys between other seats.
                let most = ideal + 0.08;
                assert!((0.9 * ideal..most).contains(&add), "{n}: {add}");
                assert!((0.9 * ideal..most).contains(&rm), "{n}: {rm}");
            } else {
                // The ideal share at the end; in the middle, the keys of all seats above move.
                assert!((0.9 * ideal..1.1 * ideal).contains(&add), "{n}: {add}");
                assert!((ideal..0.9).contains(&rm), "{n}: {rm}");
            }
        }
    }
}

#[test]
fn a_walk_visits_each_seat_once_and_the_owner_first() {
    let mut random = Random(5);
    for _ in 0..20 {
        let seats: BTreeSet<Seat> = random.seats(56).into_iter().collect();
        for spec in all_kinds() {
            let ring = build(&spec, &seats);
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
fn a_walk_ends_when_the_visitor_breaks() {
    for spec in all_kinds() {
        let mut visits = 0;
        build(&spec, &first(6)).walk(Key(132_574), &mut |_| {
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
fn seats_that_are_down_are_skipped_as_if_absent() {
    let mut random = Random(6);
    for _ in 0..20 {
        let seats = random.seats(12);
        let all: BTreeSet<Seat> = seats.iter().copied().collect();
        let down: BTreeSet<Seat> = seats[..seats.len() / 2].iter().copied().collect();
        let up: BTreeSet<Seat> = all.difference(&down).copied().collect();
        for spec in stable_kinds() {
            let (ring, without) = (build(&spec, &all), build(&spec, &up));
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
    for spec in all_kinds() {
        let ring = build(&spec, &BTreeSet::new());
        assert_eq!(ring.owner(Key(7)), None);
        assert!(walked(&*ring, Key(7)).is_empty());
    }
}
