//! The guard in a model of clients, workers and replicas over simulated time: what it must save,
//! and where it must not interfere. Seeded, so that every run gives the same figures.

mod scenarios;

mod decisions;

use crate::ring::Weight;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::load::tests::Random;
use crate::ring::Seat;

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;

/// Home seat of a client's next request, by client.
type Home = Box<dyn Fn(usize, &mut Random) -> usize>;
/// Microseconds that a seat takes to reply, by client, seat and time.
type Service = Box<dyn FnMut(usize, usize, u64, &mut Random) -> u64>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request,
    /// A held request is decided again. The number identifies the hold.
    Retry(u64),
    Done {
        index: usize,
        started: u64,
    },
}

/// Clients in a closed loop, and seats, with a guard per worker between them.
struct World {
    epoch: Instant,
    now: u64,
    guards: Vec<SlowGuard>,
    seats: usize,
    random: Random,
    home: Home,
    service: Service,
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    /// By client: the home seat it waits for while held, and the number of the hold.
    held: Vec<Option<(usize, u64)>>,
    holds: u64,
    answered: Vec<u64>,
    avoided: u64,
    verdicts: u64,
}

impl World {
    fn new(seats: usize, workers: usize, clients: usize, home: Home, service: Service) -> Self {
        let members: Vec<SeatInput> = (1..).take(seats).map(member).collect();
        let mut guards: Vec<SlowGuard> = (0..workers).map(|_| SlowGuard::default()).collect();
        for guard in &mut guards {
            guard.update(true, &members);
        }
        Self {
            epoch: Instant::now(),
            now: 0,
            guards,
            seats,
            random: Random(1),
            home,
            service,
            events: (0..clients)
                .map(|client| Reverse((0, client, Event::Request)))
                .collect(),
            held: vec![None; clients],
            holds: 0,
            answered: vec![0; seats],
            avoided: 0,
            verdicts: 0,
        }
    }

    fn off(mut self) -> Self {
        for guard in &mut self.guards {
            guard.on = false;
        }
        self
    }

    fn at(&self, micros: u64) -> Instant {
        self.epoch + Duration::from_micros(micros)
    }

    fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, ..))) = self.events.peek()
            && *at < end
            && let Some(Reverse((at, client, event))) = self.events.pop()
        {
            self.now = at;
            match event {
                Event::Request => {
                    let home = (self.home)(client, &mut self.random);
                    self.request(client, home);
                }
                Event::Retry(since) => {
                    if let Some((home, _)) = self.held[client].filter(|(_, held)| *held == since) {
                        self.held[client] = None;
                        self.request(client, home);
                    }
                }
                Event::Done { index, started } => self.done(client, index, started),
            }
        }
        self.now = end;
    }

    fn request(&mut self, client: usize, home: usize) {
        let (now, worker) = (self.at(self.now), client % self.guards.len());
        let guard = &mut self.guards[worker];
        let index = match guard.verdict(home, now) {
            GuardVerdict::Send => home,
            GuardVerdict::Hold(due) => {
                self.holds += 1;
                self.held[client] = Some((home, self.holds));
                let due = due.duration_since(self.epoch).as_micros();
                let retry = Event::Retry(self.holds);
                self.events
                    .push(Reverse((u64::try_from(due).unwrap(), client, retry)));
                return;
            }
            GuardVerdict::Avoid { news } => {
                self.verdicts += u64::from(news);
                let fit = (0..self.seats).filter(|other| !guard.is_slow(*other));
                let fit: Vec<usize> = fit.collect();
                let drawn = self.random.below(fit.len() as u64);
                let other = fit[usize::try_from(drawn).unwrap()];
                self.avoided += 1;
                other
            }
        };
        guard.record_sent(index, now);
        let takes = (self.service)(client, index, self.now, &mut self.random);
        let done = Event::Done {
            index,
            started: self.now,
        };
        self.events.push(Reverse((self.now + takes, client, done)));
    }

    fn done(&mut self, client: usize, index: usize, started: u64) {
        let (now, started) = (self.at(self.now), self.at(started));
        let worker = client % self.guards.len();
        self.answered[index] += 1;
        let relief = self.guards[worker].record_outcome(index, answer(started, now));
        if relief == Relief::Room {
            for (other, held) in self.held.iter().enumerate() {
                if let Some((home, since)) = held
                    && *home == index
                    && other % self.guards.len() == worker
                {
                    self.events
                        .push(Reverse((self.now, other, Event::Retry(*since))));
                }
            }
        }
        self.events
            .push(Reverse((self.now, client, Event::Request)));
    }

    fn total(&self) -> u64 {
        self.answered.iter().sum()
    }

    fn slow(&self, at: usize) -> bool {
        self.guards.iter().any(|guard| guard.is_slow(at))
    }
}

fn member(n: u32) -> SeatInput {
    SeatInput {
        seat: Seat(n),
        weight: Weight::ONE,
        replica_id: u64::from(n),
        open: true,
        requests: 0,
    }
}

fn answer(sent: Instant, now: Instant) -> ReplyOutcome {
    ReplyOutcome::Answer { sent, now }
}

fn anywhere(seats: u64) -> Home {
    Box::new(move |_, random| usize::try_from(random.below(seats)).unwrap())
}

/// Returns a random time around `micros`.
fn about(micros: u64, random: &mut Random) -> u64 {
    micros / 2 + random.below(micros)
}

/// Returns a service in which each seat serves one request at a time, as a process on one CPU does.
fn one_at_a_time(seats: usize) -> impl FnMut(usize, u64, u64) -> u64 {
    let mut free_at = vec![0; seats];
    move |seat: usize, now: u64, takes: u64| {
        free_at[seat] = now.max(free_at[seat]) + takes;
        free_at[seat] - now
    }
}
