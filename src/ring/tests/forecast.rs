//! Forecasts: exact on slot rings, near on sampled rings, and empty without seats.

use std::collections::BTreeSet;

use super::super::forecast::{Forecast, KeyShares};
use super::super::lookup::SAMPLE;
use super::super::{Seat, Spec};
use super::{build, first, stable_kinds};

fn near(left: f64, right: f64, by: f64) -> bool {
    (left - right).abs() <= by
}

#[test]
fn shares_of_the_classic_rings_are_exact() {
    for (spec, per_10_000) in [
        (Spec::Classic, [8359.0, 469.0, 1172.0]),
        (Spec::ClassicBrief, [9648.0, 176.0, 176.0]),
    ] {
        let shares = KeyShares::sampled(&*build(&spec, &first(3)));
        for ((seat, share), expected) in shares.all().zip(per_10_000) {
            assert!((share * 10_000.0 - expected).abs() < 0.5, "{spec} {seat}");
            assert_eq!(shares.share(seat), Some(share));
        }
        let ratio = shares.max_over_mean().unwrap();
        assert!(near(ratio, 3.0 * per_10_000[0] / 10_000.0, 0.001));
    }
}

#[test]
fn the_home_share_is_limited_by_the_bound() {
    let shares = KeyShares::sampled(&*build(&Spec::Classic, &first(3)));
    // 1.03 thirds of the first seat's 0.836, and all of the others' shares.
    let expected = 1.03 / 3.0 + (469.0 + 1172.0) / 10_000.0;
    assert!(near(shares.home(Some(1.03)), expected, 0.001));
    assert!(near(shares.home(None), 1.0, 1e-9));
    let even = KeyShares::sampled(&*build(&Spec::Rendezvous, &first(3)));
    assert!(even.home(Some(1.03)) > 0.99);
}

#[test]
fn a_forecast_gives_the_new_shares_and_the_moved_share() {
    for spec in stable_kinds() {
        let (small, large) = (build(&spec, &first(3)), build(&spec, &first(4)));
        let add = Forecast::between(&*small, &*large);
        // Only the new seat gains, so the moved share is its share.
        let gained = add.after.share(Seat(4)).unwrap();
        assert!(near(add.moved, gained, 1e-9), "{spec}");
        assert_eq!(add.before.share(Seat(4)), None);
        let rm = Forecast::between(&*large, &*small);
        assert_eq!((rm.before, rm.after), (add.after, add.before));
        assert!(near(rm.moved, gained, 1e-9));
    }
    for spec in [Spec::Uniform, Spec::Rendezvous, Spec::Maglev, Spec::Jump] {
        let add = Forecast::between(&*build(&spec, &first(3)), &*build(&spec, &first(4)));
        let most = if spec == Spec::Maglev { 0.30 } else { 0.27 };
        assert!((0.23..most).contains(&add.moved), "{spec}: {}", add.moved);
    }
    let ring = build(&Spec::Uniform, &first(3));
    assert!(near(Forecast::between(&*ring, &*ring).moved, 0.0, 0.0));
}

#[test]
fn a_slow_formula_is_sampled_with_fewer_keys() {
    let sample = |h: &str| {
        let spec: Spec = format!("classic:h={h}").parse().unwrap();
        build(&spec, &first(3)).sample()
    };
    assert_eq!(sample("i^2+2*i+17"), SAMPLE);
    assert_eq!(sample("i+1"), SAMPLE);
    // 64 operands, the maximum in 128 characters: 1.7 microseconds for each key.
    let long = format!("{}i", "i+".repeat(63));
    assert_eq!(sample(&long), 2_048);
    let spec: Spec = format!("classic:h={long}").parse().unwrap();
    let (ring, even) = (build(&spec, &first(3)), build(&Spec::Uniform, &first(3)));
    let shares = KeyShares::sampled(&*ring);
    assert_eq!(shares.sample, 2_048);
    let sum: f64 = shares.all().map(|(_, share)| share).sum();
    assert!(near(sum, 1.0, 1e-9));
    // Both sides of a forecast use the same keys.
    let switch = Forecast::between(&*even, &*ring);
    assert_eq!((switch.before.sample, switch.after), (2_048, shares));
}

#[test]
fn a_ring_without_seats_has_no_shares() {
    let (none, one) = (BTreeSet::new(), first(1));
    let (none, one) = (build(&Spec::Uniform, &none), build(&Spec::Uniform, &one));
    let first_one = Forecast::between(&*none, &*one);
    assert_eq!(first_one.before.max_over_mean(), None);
    assert!(near(first_one.before.home(None), 0.0, 0.0));
    assert!(near(first_one.moved, 1.0, 0.0) && near(first_one.after.home(Some(1.03)), 1.0, 1e-9));
    // The sample covers the 512 slots an integral number of times.
    assert_eq!(SAMPLE % 512, 0);
}
