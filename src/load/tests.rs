//! The load bound in a model: several workers with a view each, counters that all of them read, and
//! the production ring. Seeded, so that every run gives the same figures.
//!
//! The file is long because the model, its loads and the figures taken from them are one
//! experiment: a figure is only credible next to the code that produced it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::ring::{Key, Ring, Spec};

const SEEDS: u64 = 24;
const REQUESTS: u64 = 10_000;

/// splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 2_f64.powi(32)
    }

    fn key(&mut self) -> Key {
        Key(self.below(1_000_000))
    }
}

/// Identity of the replica in a seat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ReplicaNo(u64);

/// Model of the balancer, as far as load balancing goes.
struct Model {
    ring: Arc<dyn Ring>,
    bound: LoadBound,
    workers: Vec<LoadView>,
    /// Seat, replica, and `true` if it is open, by seat.
    members: Vec<(Seat, ReplicaNo, bool)>,
    /// By replica: the counter of each worker.
    counters: BTreeMap<ReplicaNo, Vec<u64>>,
    served: BTreeMap<Seat, u64>,
    home: u64,
    total: u64,
}

impl Model {
    fn new(seats: u32, workers: usize, bound: LoadBound) -> Self {
        Self::on(build(seats), workers, bound)
    }

    fn on(ring: Arc<dyn Ring>, workers: usize, bound: LoadBound) -> Self {
        let mut model = Self {
            ring,
            bound,
            workers: (0..workers).map(|_| LoadView::default()).collect(),
            members: Vec::new(),
            counters: BTreeMap::new(),
            served: BTreeMap::new(),
            home: 0,
            total: 0,
        };
        model.fill_seats();
        model
    }

    fn uniform(seats: u32, workers: usize) -> Self {
        Self::new(seats, workers, three_percent())
    }

    /// Replaces the set of seats.
    fn replace_seats(&mut self, seats: BTreeSet<Seat>) {
        self.ring = Spec::Uniform.build(&seats).unwrap();
        self.fill_seats();
    }

    /// Gives each seat of the ring a replica.
    fn fill_seats(&mut self) {
        let seats = self.ring.seats();
        let current = |seat: &Seat| {
            self.members
                .iter()
                .find(|(other, ..)| other == seat)
                .copied()
        };
        let fresh = |seat: Seat| (seat, ReplicaNo(u64::from(seat.0)), true);
        self.members = seats
            .iter()
            .map(|seat| current(seat).unwrap_or(fresh(*seat)))
            .collect();
        self.update_workers(true);
    }

    /// Updates the view of every worker with the members.
    fn update_workers(&mut self, reset: bool) {
        for (_, replica, _) in &self.members {
            let none = vec![0; self.workers.len()];
            self.counters.entry(*replica).or_insert(none);
        }
        for worker in 0..self.workers.len() {
            let members = self.members.iter().map(|(seat, replica, open)| SeatInput {
                seat: *seat,
                replica_id: replica.0,
                open: *open,
                requests: requests(&self.counters, *replica),
            });
            let members: Vec<SeatInput> = members.collect();
            self.workers[worker].update(self.bound, false, reset, &members);
        }
    }

    fn merge(&mut self, worker: usize) {
        let replicas = self.members.iter().map(|(_, replica, _)| *replica);
        self.workers[worker].merge(replicas.map(|replica| requests(&self.counters, replica)));
    }

    /// Changes replicas or their health in the same seats.
    fn change(&mut self, change: impl FnOnce(&mut Vec<(Seat, ReplicaNo, bool)>)) {
        (0..self.workers.len()).for_each(|worker| self.merge(worker));
        change(&mut self.members);
        self.update_workers(false);
    }

    fn set_open(&mut self, seat: Seat, open: bool) {
        self.change(|members| {
            let member = members.iter_mut().find(|(other, ..)| *other == seat);
            member.unwrap().2 = open;
        });
    }

    /// Routes a request through `worker`.
    fn send(&mut self, worker: usize, key: Key) {
        let view = &self.workers[worker];
        let open = |at: usize| self.members[at].2;
        let index = |seat: Seat| self.members.iter().position(|(other, ..)| *other == seat);
        let home = self.ring.owner(key).unwrap();
        let mut first = index(home).filter(|at| open(*at));
        if first.is_none() {
            self.ring.walk(key, &mut |seat| {
                first = index(seat).filter(|at| open(*at));
                match first {
                    Some(_) => std::ops::ControlFlow::Break(()),
                    None => std::ops::ControlFlow::Continue(()),
                }
            });
        }
        let mut at = first.unwrap();
        if view.is_full(at) {
            at = view.least_loaded(open).unwrap();
        }
        let (seat, replica, _) = self.members[at];
        self.counters.get_mut(&replica).unwrap()[worker] += 1;
        if self.workers[worker].record_choice(at, Instant::now()) {
            self.merge(worker);
        }
        *self.served.entry(seat).or_default() += 1;
        self.total += 1;
        self.home += u64::from(seat == home);
    }

    fn serve(&mut self, random: &mut Random, key: Key) {
        let worker = usize::try_from(random.below(self.workers.len() as u64)).unwrap();
        self.send(worker, key);
    }

    fn run(&mut self, random: &mut Random, requests: u64) {
        for _ in 0..requests {
            let key = random.key();
            self.serve(random, key);
        }
    }

    /// Returns the ratio of the busiest seat to the mean of all, since the figures were last
    /// cleared.
    fn spread(&self) -> f64 {
        let most = *self.served.values().max().unwrap();
        most as f64 * self.members.len() as f64 / self.total as f64
    }

    fn home_share(&self) -> f64 {
        self.home as f64 / self.total as f64
    }

    fn clear_figures(&mut self) {
        self.served.clear();
        (self.home, self.total) = (0, 0);
    }
}

fn build(seats: u32) -> Arc<dyn Ring> {
    let seats = (1..=seats).map(Seat).collect();
    Spec::Uniform.build(&seats).unwrap()
}

fn requests(counters: &BTreeMap<ReplicaNo, Vec<u64>>, replica: ReplicaNo) -> u64 {
    counters[&replica].iter().sum()
}

/// Load bound under test.
fn three_percent() -> LoadBound {
    "1.03".parse().unwrap()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

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
    let members: Vec<SeatInput> = model
        .members
        .iter()
        .map(|(seat, replica, open)| SeatInput {
            seat: *seat,
            replica_id: replica.0,
            open: *open,
            requests: requests(&model.counters, *replica),
        })
        .collect();
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
    assert!(worker.is_slow(0));
    assert_ne!(worker.least_loaded(|_| true), Some(0));
    let threshold = worker.threshold;
    model.merge(0);
    let worker = &model.workers[0];
    assert!(!worker.seats[0].in_mean && worker.seats[1].in_mean);
    // The remaining seats have the same count, so the threshold follows their mean.
    assert!((worker.threshold / threshold - 1.0).abs() < 0.05);
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
