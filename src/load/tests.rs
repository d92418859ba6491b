//! The load bound in a model: several workers with a view each, counters that all of them read, and
//! the production ring. Seeded, so that every run gives the same figures.

mod bound;
mod weighted_bound;

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
        let members = self.seat_inputs();
        for worker in &mut self.workers {
            worker.update(self.bound, false, reset, &members);
        }
    }

    /// Returns the members with the requests that their counters show.
    fn seat_inputs(&self) -> Vec<SeatInput> {
        let members = self.members.iter().map(|(seat, replica, open)| SeatInput {
            seat: *seat,
            weight: self.ring.weights().of(*seat),
            replica_id: replica.0,
            open: *open,
            requests: requests(&self.counters, *replica),
        });
        members.collect()
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
