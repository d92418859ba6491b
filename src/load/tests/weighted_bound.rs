//! The bound of seats with different weights: each may have its share of the load.

use super::*;
use crate::ring::Weight;

fn weighted(number: u32, weight: u64) -> SeatInput {
    SeatInput {
        seat: Seat(number),
        weight: weight.try_into().unwrap(),
        replica_id: number.into(),
        open: true,
        requests: 0,
    }
}

#[test]
fn a_seat_of_weight_2_returns_with_twice_the_mean() {
    let down = SeatInput {
        open: false,
        ..weighted(1, 2)
    };
    let with = |first: SeatInput, requests: u64| {
        let other = |number| SeatInput {
            requests,
            ..weighted(number, 1)
        };
        [first, other(2), other(3)]
    };
    let mut view = LoadView::default();
    let bound: LoadBound = "1.5".parse().unwrap();
    view.update(bound, false, true, &with(down, 0));
    view.merge([0, 100, 100]);
    view.update(bound, false, false, &with(weighted(1, 2), 100));
    view.merge([0, 100, 100]);
    let counts: Vec<f64> = view.seats.iter().map(|load| load.count).collect();
    assert!((counts[0] / counts[1] - 2.0).abs() < 0.02, "{counts:?}");
}

#[test]
fn a_seat_of_weight_2_may_have_twice_the_load() {
    let member = weighted;
    let mut view = LoadView::default();
    view.update(
        "2".parse().unwrap(),
        false,
        true,
        &[member(1, 2), member(2, 1)],
    );
    view.seats[0].count = 2.0 * view.threshold;
    assert!(!view.is_full(0));
    view.seats[0].count += 1.0;
    assert!(view.is_full(0));
    (view.seats[0].count, view.seats[1].count) = (19.0, 10.0);
    assert_eq!(view.least_loaded(|_| true), Some(0), "9.5 by weight");
    view.seats[0].count = 21.0;
    assert_eq!(view.least_loaded(|_| true), Some(1));
    // The mean is by weight: 300 requests, of which the first seat may have 2 of 3 shares.
    view.update(
        "1.5".parse().unwrap(),
        false,
        true,
        &[member(1, 2), member(2, 1)],
    );
    view.merge([150, 150]);
    let expected = 1.5 * 100.0 + BOUND_SLACK;
    assert!(
        (view.threshold - expected).abs() < 2.0,
        "{}",
        view.threshold
    );
    assert!(
        !view.is_full(0) && !view.is_full(1),
        "a merge reduces what is above"
    );
    assert!(!view.record_choice(0, Instant::now()));
    let step = 1.5 / 3.0;
    assert!((view.threshold_step - step).abs() < 1e-9);
}

#[test]
fn a_weighted_ring_keeps_its_bound_and_its_keys_at_home() {
    let seats = (1..=4).map(Seat).collect();
    let weights = [(Seat(2), 3), (Seat(4), 8)];
    let weights = weights.map(|(seat, weight)| (seat, Weight::try_from(weight).unwrap()));
    let weights = weights.into_iter().collect();
    let ring = Spec::Uniform.build_weighted(&seats, &weights).unwrap();
    for workers in [1, 4] {
        let mut model = Model::on(Arc::clone(&ring), workers, three_percent());
        model.run(&mut Random(7), 4 * REQUESTS);
        for seat in &seats {
            let served = model.served[seat] as f64 / model.total as f64;
            let fair = f64::from(weights.of(*seat).get()) / 13.0;
            let most = 1.03 * fair + 0.004;
            assert!(served < most, "{workers} workers, {seat}: {served} {fair}");
        }
        assert!(model.home_share() > 0.97, "{}", model.home_share());
    }
}
