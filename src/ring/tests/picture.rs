//! The picture: the same owners that the ring gives to keys, arc by arc, or stretches as long as shares.

use std::collections::{BTreeMap, BTreeSet};

use super::super::forecast::KeyShares;
use super::super::{ArcOwners, Key, Seat, Spec};
use super::{Random, build, first, kinds};

fn drawn(spec: &Spec, seats: &BTreeSet<Seat>, arcs: u32) -> ArcOwners {
    let ring = build(spec, seats);
    ArcOwners::new(&*ring, &KeyShares::sampled(&*ring), arcs)
}

/// How many arcs each seat has.
fn counts(picture: &ArcOwners) -> BTreeMap<Seat, u32> {
    let mut counts = BTreeMap::new();
    for owner in picture.owners.iter().flatten() {
        *counts.entry(*owner).or_default() += 1;
    }
    counts
}

#[test]
fn a_key_belongs_to_the_owner_of_its_place() {
    let mut random = Random(11);
    let seats: BTreeSet<Seat> = [1, 2, 5, 9].map(Seat).into();
    let mut circles = 0;
    for spec in kinds() {
        let ring = build(&spec, &seats);
        for _ in 0..2_000 {
            let key = Key(random.next() >> random.below(64));
            let Some(place) = ring.place(key) else {
                assert_eq!(ring.owner_at(random.next()), None, "{spec}");
                continue;
            };
            circles += 1;
            assert_eq!(ring.owner_at(place), ring.owner(key), "{spec} {key:?}");
        }
    }
    // All but rendezvous and jump.
    assert_eq!(circles, 2_000 * (kinds().len() - 2));
}

#[test]
fn every_arc_of_the_coursework_ring_is_a_slot() {
    let ring = build(&Spec::Classic, &first(3));
    let picture = drawn(&Spec::Classic, &first(3), 512);
    assert!(picture.circle && picture.owners.len() == 512);
    // H(i) = i² + 2i + 17: where keys look, so who owns them.
    for key in 0..512_u64 {
        let slot = usize::try_from((key * key + 2 * key + 17) % 512).unwrap();
        assert_eq!(picture.owners[slot], ring.owner(Key(key)), "{key}");
    }
}

#[test]
fn arcs_of_an_even_ring_are_as_many_as_its_shares_say() {
    let seats = first(3);
    for spec in [Spec::Uniform, Spec::Maglev, Spec::Rendezvous, Spec::Jump] {
        let shares = KeyShares::sampled(&*build(&spec, &seats));
        let picture = drawn(&spec, &seats, 4096);
        for (seat, count) in counts(&picture) {
            let part = f64::from(count) / 4096.0;
            let share = shares.share(seat).unwrap();
            assert!((part - share).abs() < 0.03, "{spec} {seat}: {part} {share}");
        }
        assert_eq!(counts(&picture).len(), 3);
    }
}

#[test]
fn without_a_circle_each_seat_has_one_stretch() {
    for spec in [Spec::Rendezvous, Spec::Jump] {
        let picture = drawn(&spec, &first(7), 720);
        assert!(!picture.circle && picture.owners.is_sorted());
        assert_eq!(picture.owners.len(), 720);
        assert_eq!(picture.owners.last(), Some(&Some(Seat(7))));
    }
}

#[test]
fn a_ring_of_nobody_is_a_picture_of_nobody() {
    for spec in kinds() {
        assert_eq!(drawn(&spec, &first(0), 8).owners, [None; 8], "{spec}");
        assert!(drawn(&spec, &first(1), 0).owners.is_empty());
        let alone = drawn(&spec, &first(1), 8).owners;
        assert_eq!(alone, [Some(Seat(1)); 8], "{spec}");
    }
}
