//! Arc owners: the same owners that the ring assigns to keys, or runs of arcs as long as the
//! shares.

use std::collections::{BTreeMap, BTreeSet};

use super::super::forecast::KeyShares;
use super::super::{ArcOwners, Key, Seat, Spec};
use super::{Random, all_kinds, build, first};

fn arc_owners(spec: &Spec, seats: &BTreeSet<Seat>, arcs: u32) -> ArcOwners {
    let ring = build(spec, seats);
    ArcOwners::new(&*ring, &KeyShares::sampled(&*ring), arcs)
}

/// Returns the number of arcs of each seat.
fn counts(drawing: &ArcOwners) -> BTreeMap<Seat, u32> {
    let mut counts = BTreeMap::new();
    for owner in drawing.owners.iter().flatten() {
        *counts.entry(*owner).or_default() += 1;
    }
    counts
}

#[test]
fn a_key_belongs_to_the_owner_of_its_position() {
    let mut random = Random(11);
    let seats: BTreeSet<Seat> = [1, 2, 5, 9].map(Seat).into();
    let mut circles = 0;
    for spec in all_kinds() {
        let ring = build(&spec, &seats);
        for _ in 0..2_000 {
            let key = Key(random.next() >> random.below(64));
            let Some(position) = ring.place(key) else {
                assert_eq!(ring.owner_at(random.next()), None, "{spec}");
                continue;
            };
            circles += 1;
            assert_eq!(ring.owner_at(position), ring.owner(key), "{spec} {key:?}");
        }
    }
    // All kinds but rendezvous and jump have a circle.
    assert_eq!(circles, 2_000 * (all_kinds().len() - 2));
}

#[test]
fn every_arc_of_the_coursework_ring_is_a_slot() {
    let ring = build(&Spec::Classic, &first(3));
    let drawing = arc_owners(&Spec::Classic, &first(3), 512);
    assert!(drawing.circle && drawing.owners.len() == 512);
    // H(i) = i² + 2i + 17 is the slot of key i.
    for key in 0..512_u64 {
        let slot = usize::try_from((key * key + 2 * key + 17) % 512).unwrap();
        assert_eq!(drawing.owners[slot], ring.owner(Key(key)), "{key}");
    }
}

#[test]
fn drawing_an_even_ring_match_its_shares() {
    let seats = first(3);
    for spec in [Spec::Uniform, Spec::Maglev, Spec::Rendezvous, Spec::Jump] {
        let shares = KeyShares::sampled(&*build(&spec, &seats));
        let drawing = arc_owners(&spec, &seats, 4096);
        for (seat, count) in counts(&drawing) {
            let part = f64::from(count) / 4096.0;
            let share = shares.share(seat).unwrap();
            assert!((part - share).abs() < 0.03, "{spec} {seat}: {part} {share}");
        }
        assert_eq!(counts(&drawing).len(), 3);
    }
}

#[test]
fn each_seat_has_one_run_of_arcs_on_a_ring_without_a_circle() {
    for spec in [Spec::Rendezvous, Spec::Jump] {
        let drawing = arc_owners(&spec, &first(7), 720);
        assert!(!drawing.circle && drawing.owners.is_sorted());
        assert_eq!(drawing.owners.len(), 720);
        assert_eq!(drawing.owners.last(), Some(&Some(Seat(7))));
    }
}

#[test]
fn an_arc_at_the_border_of_two_runs_belongs_to_the_second() {
    let ring = build(&Spec::Jump, &first(2));
    // The shares of the coursework ring are exact: its seat 1 has 61 of 64 keys.
    let shares = KeyShares::sampled(&*build(&Spec::Classic, &first(2)));
    let drawing = ArcOwners::new(&*ring, &shares, 32);
    // The middle of arc 30 of 32 is at 61/64.
    let around = [Seat(1), Seat(2), Seat(2)].map(Some);
    assert_eq!(drawing.owners[29..], around);
}

#[test]
fn a_ring_without_seats_has_arcs_without_owners() {
    for spec in all_kinds() {
        assert_eq!(arc_owners(&spec, &first(0), 8).owners, [None; 8], "{spec}");
        assert!(arc_owners(&spec, &first(1), 0).owners.is_empty());
        let alone = arc_owners(&spec, &first(1), 8).owners;
        assert_eq!(alone, [Some(Seat(1)); 8], "{spec}");
    }
}
