//! Limits that the bound keeps in the model, and its effect on the keys.

use super::*;
use crate::ring::Weight;

#[test]
fn no_seat_is_more_than_5_percent_above_the_mean_and_keys_stay_at_home() {
    for seats in [2, 3, 4, 5, 6, 8, 16] {
        let ring = build(seats);
        for workers in [1, 2, 16] {
            let (mut spreads, mut homes) = (Vec::new(), Vec::new());
            for seed in 0..SEEDS {
                let mut model = Model::on(Arc::clone(&ring), workers, three_percent());
                model.run(&mut Random(seed), REQUESTS);
                spreads.push(model.spread());
                homes.push(model.home_share());
            }
            spreads.sort_by(f64::total_cmp);
            let (late, most) = (
                spreads[spreads.len() * 95 / 100],
                spreads[spreads.len() - 1],
            );
            let home = median(homes);
            println!(
                "N={seats} workers={workers}: max/mean {:.3}, 95 % {late:.3}, at most {most:.3}; at home {home:.4}",
                median(spreads)
            );
            assert!(late <= 1.05, "N={seats}, {workers} workers: {late}");
            assert!(most <= 1.06, "N={seats}, {workers} workers: {most}");
            let least = if seats <= 6 { 0.985 } else { 0.98 };
            assert!(home >= least, "N={seats}, {workers} workers: {home}");
        }
    }
}

#[test]
fn popular_keys_are_shared() {
    // zipf(1.1) over 10,000 keys, by inversion of its distribution.
    let mut sums = Vec::new();
    for rank in 1..=10_000_u32 {
        let before = sums.last().copied().unwrap_or(0.0);
        sums.push(before + f64::from(rank).powf(-1.1));
    }
    for seats in [3, 6, 16] {
        let (ring, mut homes) = (build(seats), Vec::new());
        for seed in 0..SEEDS {
            let mut random = Random(seed);
            let mut model = Model::on(Arc::clone(&ring), 2, three_percent());
            for _ in 0..REQUESTS {
                let at = random.share() * sums.last().unwrap();
                let rank = sums.partition_point(|sum| *sum < at);
                // The assignment of ranks to keys differs from seed to seed.
                let key = Random(seed << 32 | rank as u64).key();
                model.serve(&mut random, key);
            }
            assert!(model.spread() <= 1.05, "N={seats}: {}", model.spread());
            homes.push(model.home_share());
        }
        println!("zipf N={seats}: at home {:.3}", median(homes));
    }
}

#[test]
fn few_requests_never_spill() {
    let mut model = Model::uniform(3, 1);
    // All requests have the same key: the slack is all that its seat has beyond its share.
    for _ in 0..8 {
        model.serve(&mut Random(1), Key(7));
    }
    assert_eq!(model.home, 8);
    for _ in 0..1000 {
        model.serve(&mut Random(1), Key(7));
    }
    assert!(model.spread() < 1.06, "{}", model.spread());
}

#[test]
fn without_a_bound_every_key_is_at_home() {
    let mut model = Model::new(3, 2, LoadBound::OFF);
    for _ in 0..1000 {
        model.send(0, Key(7));
    }
    assert_eq!(model.home, 1000, "however many wait");
}

#[test]
fn counts_begin_again_with_every_change_of_the_seats() {
    for seed in 0..SEEDS {
        let random = &mut Random(seed);
        let mut model = Model::uniform(3, 2);
        model.run(random, 30_000);
        model.clear_figures();
        model.replace_seats((1..=4).map(Seat).collect());
        model.run(random, 200);
        let joiner = model.served[&Seat(4)];
        assert!(joiner < 100, "the joiner draws {joiner} of 200");
        model.run(random, REQUESTS - 200);
        assert!(model.spread() <= 1.05, "{}", model.spread());
        model.clear_figures();
        model.replace_seats([1, 2, 4].map(Seat).into());
        model.run(random, REQUESTS);
        assert!(model.spread() <= 1.05, "{}", model.spread());
    }
}

#[test]
fn a_successor_goes_on_with_the_count_of_its_seat() {
    let random = &mut Random(1);
    let mut model = Model::uniform(3, 2);
    model.run(random, 6_000);
    model.merge(0);
    let before: Vec<f64> = model.workers[0]
        .seats
        .iter()
        .map(|load| load.count)
        .collect();
    model.set_open(Seat(2), false);
    // The seat is empty for a while, as between a death and the successor's first reply.
    model.change(|members| {
        members.remove(1);
    });
    model.run(random, 100);
    model.change(|members| members.insert(1, (Seat(2), ReplicaNo(77), true)));
    let after = model.workers[0].seats[1].count;
    assert!(
        (0.98..=1.05).contains(&(after / before[1])),
        "{before:?} {after}"
    );
    // The successor's requests are counted from its own counters, by all workers alike.
    model.run(random, 6_000);
    (0..2).for_each(|worker| model.merge(worker));
    assert!(model.spread() <= 1.05, "{}", model.spread());
    let [one, other] = [0, 1].map(|worker| model.workers[worker].seats[1].count);
    assert!((one - other).abs() < 70.0, "{one} {other}");
}

#[test]
fn a_seat_that_is_down_makes_no_other_full_and_is_not_flooded_when_it_is_back() {
    for workers in [1, 2, 16] {
        let random = &mut Random(1);
        let mut model = Model::uniform(3, workers);
        model.run(random, 60_000);
        model.set_open(Seat(3), false);
        model.clear_figures();
        model.run(random, 60_000);
        assert_eq!(model.served.get(&Seat(3)), None);
        // The two open seats are home to two thirds of the keys.
        let home = model.home_share();
        assert!((0.63..0.70).contains(&home), "{home}");
        model.set_open(Seat(3), true);
        // The seat always gets between half and twice its share.
        for _ in 0..20 {
            model.clear_figures();
            model.run(random, 300);
            let drawn = model.served[&Seat(3)];
            assert!((50..=200).contains(&drawn), "{drawn} of 300");
        }
        model.clear_figures();
        model.run(random, REQUESTS);
        assert!(model.home_share() > 0.97, "{}", model.home_share());
        assert!(model.spread() <= 1.05, "{}", model.spread());
    }
}

#[test]
fn a_slow_seat_makes_no_other_full() {
    let random = &mut Random(1);
    let mut model = Model::uniform(3, 1);
    model.run(random, 6_000);
    let members = model.seat_inputs();
    let worker = &mut model.workers[0];
    worker.update(three_percent(), true, false, &members);
    let begin = Instant::now();
    for _ in 0..8 {
        worker.guard.record_sent(0, begin);
    }
    for _ in 0..32 {
        worker.guard.record_sent(1, begin);
        let end = ReplyOutcome::Answer {
            sent: begin,
            now: begin,
        };
        worker.guard.record_outcome(1, end);
    }
    let _ = worker.verdict(0, begin + std::time::Duration::from_secs(1));
    assert!(worker.is_slow(0) && !worker.is_slow(1));
    assert_ne!(worker.least_loaded(|_| true), Some(0));
    let threshold = worker.threshold;
    model.merge(0);
    let worker = &model.workers[0];
    assert!(!worker.seats[0].in_mean && worker.seats[1].in_mean);
    // The remaining seats have the same count, so the threshold follows their mean.
    assert!((worker.threshold / threshold - 1.0).abs() < 0.05);
}

/// Updates a view of two open seats that have served nothing.
fn two_seats(bound: LoadBound) -> LoadView {
    let member = |number: u32| SeatInput {
        seat: Seat(number),
        weight: Weight::ONE,
        replica_id: number.into(),
        open: true,
        requests: 0,
    };
    let mut view = LoadView::default();
    view.update(bound, false, true, &[member(1), member(2)]);
    view
}

#[test]
fn a_seat_exactly_at_its_bound_is_not_full() {
    let mut view = two_seats("2".parse().unwrap());
    // Each request for a seat raises the threshold by half of the bound's factor, 1 here, so the
    // distance to the slack stays.
    assert!((view.threshold - BOUND_SLACK).abs() < f64::EPSILON);
    view.seats[0].count = view.threshold;
    assert!(!view.is_full(0));
    assert!(!view.record_choice(0, Instant::now()));
    assert!(!view.is_full(0), "the threshold grew as much");
    view.seats[0].count += 1.0;
    assert!(view.is_full(0) && !view.is_full(1));
}

#[test]
fn a_merge_is_due_after_the_interval_and_only_with_a_bound() {
    let now = Instant::now();
    let mut view = two_seats("1.03".parse().unwrap());
    for number in 1..=MERGE_INTERVAL + 1 {
        let is_due = view.record_choice(0, now);
        assert_eq!(is_due, number == MERGE_INTERVAL, "request {number}");
    }
    view.merge([64, 0]);
    assert!((1..MERGE_INTERVAL).all(|_| !view.record_choice(0, now)));
    assert!(view.record_choice(0, now), "the count began again");
    let mut unbounded = two_seats(LoadBound::OFF);
    assert!((0..2 * MERGE_INTERVAL).all(|_| !unbounded.record_choice(0, now)));
}

#[test]
fn a_bound_is_parsed_and_printed_alike() {
    for text in ["0", "1.03", "1.5", "2"] {
        assert_eq!(text.parse::<LoadBound>().unwrap().to_string(), text);
    }
    assert!("0.0".parse::<LoadBound>().unwrap().is_off());
    for bad in ["1", "0.9", "-1", "", "x", "inf", "NaN", "1,03"] {
        assert!(bad.parse::<LoadBound>().is_err(), "{bad}");
    }
}
