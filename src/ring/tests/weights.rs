//! Weights: shares follow them, a change moves only the keys of its seat, and rings without weights
//! refuse them.

use xxhash_rust::xxh3::xxh3_64;

use super::super::forecast::{Forecast, KeyShares};
use super::super::{BadWeight, RingError, Weight, Weights};
use super::*;

/// Kinds on which a change of a weight moves no key between other seats.
const STABLE: [Spec; 2] = [Spec::Uniform, Spec::Rendezvous];
const WEIGHTED: [Spec; 3] = [Spec::Uniform, Spec::Rendezvous, Spec::Maglev];

fn weight(number: u64) -> Weight {
    Weight::try_from(number).unwrap()
}

fn weights(all: &[(u32, u64)]) -> Weights {
    let all = all
        .iter()
        .map(|(seat, number)| (Seat(*seat), weight(*number)));
    all.collect()
}

fn weighted(spec: &Spec, seats: &BTreeSet<Seat>, weights: &Weights) -> Arc<dyn Ring> {
    spec.build_weighted(seats, weights).unwrap()
}

impl Random {
    /// Returns a weight for each seat, up to `most`.
    fn weights(&mut self, seats: &BTreeSet<Seat>, most: u64) -> Weights {
        let mut weight = || weight(1 + self.below(most));
        seats.iter().map(|seat| (*seat, weight())).collect()
    }
}

#[test]
fn a_weight_is_a_whole_number_from_1_to_256() {
    for (text, number) in [("1", 1), ("256", 256), ("007", 7)] {
        assert_eq!(text.parse(), Ok(weight(number)));
    }
    let range = Err(BadWeight::Range);
    for text in [
        "",
        "+1",
        "-1",
        "1.5",
        "257",
        "65537",
        "x",
        "18446744073709551616",
    ] {
        assert_eq!(text.parse::<Weight>(), range, "{text}");
    }
    assert_eq!("0".parse::<Weight>(), Err(BadWeight::Zero));
    assert!(BadWeight::Zero.to_string().contains("drain NAME"));
}

#[test]
fn shares_are_in_proportion_to_the_weights() {
    for (all, total) in [
        (&[(1, 1), (2, 2), (3, 3)][..], 6.0),
        (&[(1, 1), (2, 256), (3, 16)], 273.0),
        (&[(1, 5), (2, 5), (3, 6), (4, 200), (5, 7)], 223.0),
    ] {
        let seats: BTreeSet<Seat> = all.iter().map(|(seat, _)| Seat(*seat)).collect();
        for spec in WEIGHTED {
            let shares = KeyShares::sampled(&*weighted(&spec, &seats, &weights(all)));
            for (seat, number) in all {
                let expected = *number as f64 / total;
                let share = shares.share(Seat(*seat)).unwrap();
                // Five standard deviations of a binomial share of 65,536 keys.
                let chance = 5.0 * (expected * (1.0 - expected) / 65_536.0).sqrt();
                assert!(
                    (share - expected).abs() < chance,
                    "{spec} {seat}: {share} {expected}"
                );
            }
            assert!(shares.max_over_mean().unwrap() < 1.3, "{spec}");
        }
    }
}

#[test]
fn equal_weights_are_the_ring_without_weights() {
    let mut random = Random(11);
    for _ in 0..2 {
        let seats: BTreeSet<Seat> = random.seats(12).into_iter().collect();
        for number in [2, 256] {
            let same = seats.iter().map(|seat| (*seat, weight(number))).collect();
            for spec in WEIGHTED {
                let (ring, plain) = (weighted(&spec, &seats, &same), build(&spec, &seats));
                for key in random.keys(100) {
                    assert_eq!(walked(&*ring, key), walked(&*plain, key), "{spec} {number}");
                }
            }
        }
    }
}

#[test]
fn a_greater_weight_only_takes_keys_and_a_lower_one_only_gives_them_up() {
    let mut random = Random(12);
    for _ in 0..6 {
        let mut seats = random.seats(8);
        let seat = random.one_of(&seats);
        seats.reverse();
        let seats: BTreeSet<Seat> = seats.into_iter().collect();
        let low = random.weights(&seats, 12);
        let more = u64::from(low.of(seat).get()) + 1 + random.below(6);
        let high = low.with(seat, weight(more));
        let keys = random.keys(2_000);
        for spec in STABLE {
            let (before, after) = (
                weighted(&spec, &seats, &low),
                weighted(&spec, &seats, &high),
            );
            // A change from one to the other is the ring that is built from nothing.
            let raised = before.reweighted(seat, weight(more)).unwrap();
            let lowered = raised.reweighted(seat, low.of(seat)).unwrap();
            assert_eq!((raised.weights(), lowered.weights()), (&high, &low));
            let mut gained = 0;
            for key in &keys {
                let (was, is) = (before.owner(*key), after.owner(*key));
                assert!(is == was || is == Some(seat), "{spec}: {was:?} {is:?}");
                gained += u32::from(is != was);
                assert_eq!(
                    (raised.owner(*key), lowered.owner(*key)),
                    (is, was),
                    "{spec}"
                );
                // The other seats keep their order.
                let others = |ring: &dyn Ring| {
                    let mut walk = walked(ring, *key);
                    walk.retain(|other| *other != seat);
                    walk
                };
                assert_eq!(others(&*before), others(&*after), "{spec}");
            }
            assert!(gained > 0 || seats.len() == 1, "{spec}");
        }
    }
}

#[test]
fn seats_come_and_go_on_a_weighted_ring_as_on_any() {
    let mut random = Random(13);
    for _ in 0..5 {
        let mut seats: BTreeSet<Seat> = random.seats(8).into_iter().collect();
        let all = random.weights(&seats, 9);
        let large = seats.clone();
        let gone = seats.pop_first().unwrap();
        for spec in STABLE {
            let with = weighted(&spec, &large, &all);
            let without = with.reseated(&seats).unwrap();
            let built = weighted(&spec, &seats, &all);
            assert_eq!(
                without.weights().of(gone),
                Weight::ONE,
                "weights leave with seats"
            );
            let back = without.changed(&large, &all).unwrap();
            for key in random.keys(500) {
                let (was, is) = (with.owner(key), without.owner(key));
                assert!(is == was || was == Some(gone), "{spec}");
                assert_eq!((is, back.owner(key)), (built.owner(key), was), "{spec}");
                assert_eq!(owner_without(&*with, key, &[gone].into()), is, "{spec}");
                assert_eq!(walked(&*with, key).first().copied(), was, "{spec}");
            }
        }
    }
}

/// Returns -ln(u)/w of a seat, as the paper has it.
fn cost(score: u64, seat: Seat, weights: &Weights) -> f64 {
    let uniform = (score as f64 + 1.0) / 2_f64.powi(64);
    -uniform.ln() / f64::from(weights.of(seat).get())
}

#[test]
fn weighted_walks_are_in_the_order_of_the_logarithms_by_weight() {
    let mut random = Random(14);
    for _ in 0..3 {
        let seats: BTreeSet<Seat> = random.seats(12).into_iter().collect();
        let all = random.weights(&seats, 256);
        let uniform = weighted(&Spec::Uniform, &seats, &all);
        let rendezvous = weighted(&Spec::Rendezvous, &seats, &all);
        for key in random.keys(300) {
            let bucket = xxh3_64(&key.0.to_le_bytes()) / (1 << 45);
            let by_bucket = |seat: &Seat| cost(hashed::uniform_score(bucket, *seat), *seat, &all);
            let by_key = |seat: &Seat| cost(hashed::rendezvous_score(key, *seat), *seat, &all);
            let uniform: Vec<f64> = walked(&*uniform, key).iter().map(by_bucket).collect();
            let rendezvous: Vec<f64> = walked(&*rendezvous, key).iter().map(by_key).collect();
            // The logarithm of the ring may be off by 0.05 %, so near ties may be swapped.
            let ascends = |one: &f64, next: &f64| *next >= 0.999 * one;
            assert!(uniform.is_sorted_by(ascends), "{key}: {uniform:?}");
            assert!(rendezvous.is_sorted_by(ascends), "{key}: {rendezvous:?}");
        }
    }
}

#[test]
fn golden_weighted_walks() {
    let all = weights(&[(1, 1), (2, 2), (3, 4), (4, 16), (5, 3), (6, 256)]);
    let walk = |spec: Spec, key| {
        let walk = walked(&*weighted(&spec, &first(6), &all), Key(key));
        walk.into_iter().map(|seat| seat.0).collect::<Vec<_>>()
    };
    for (key, uniform, rendezvous) in [
        (0, [6, 4, 5, 1, 3, 2], [6, 4, 5, 3, 1, 2]),
        (132_574, [6, 4, 5, 3, 1, 2], [6, 4, 2, 5, 3, 1]),
        (u64::MAX, [6, 4, 3, 5, 1, 2], [6, 4, 5, 1, 2, 3]),
    ] {
        assert_eq!(walk(Spec::Uniform, key), uniform, "{key}");
        assert_eq!(walk(Spec::Rendezvous, key), rendezvous, "{key}");
    }
}

#[test]
fn rings_without_weights_refuse_them() {
    for spec in all_kinds() {
        if WEIGHTED.contains(&spec) {
            continue;
        }
        let refused = spec
            .build_weighted(&first(3), &weights(&[(2, 3)]))
            .unwrap_err();
        let expected = RingError::Weight {
            ring: spec.clone(),
            seat: Seat(2),
            weight: weight(3),
        };
        assert_eq!(refused, expected);
        let ring = build(&spec, &first(3));
        assert_eq!(ring.reweighted(Seat(2), weight(3)).unwrap_err(), expected);
        assert!(ring.reweighted(Seat(2), Weight::ONE).is_ok());
        // The weight of a seat that is not there does not count.
        assert!(spec.build_weighted(&first(3), &weights(&[(4, 3)])).is_ok());
    }
}

#[test]
fn a_forecast_of_a_weight_is_what_its_seat_gains_and_evenness_is_by_weight() {
    let before = build(&Spec::Uniform, &first(3));
    let after = before.reweighted(Seat(2), weight(2)).unwrap();
    let forecast = Forecast::between(&*before, &*after);
    let gained = forecast.after.share(Seat(2)).unwrap() - forecast.before.share(Seat(2)).unwrap();
    assert!((forecast.moved - gained).abs() < 1e-9);
    // From a third to a half.
    assert!(
        (forecast.moved - 1.0 / 6.0).abs() < 0.01,
        "{}",
        forecast.moved
    );
    assert!(forecast.after.max_over_mean().unwrap() < 1.02);
    assert!(forecast.after.home(Some(1.03)) > 0.99);
}
