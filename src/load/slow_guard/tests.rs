//! The guard in a model of clients, workers and replicas over simulated time: what it must save,
//! and where it must not interfere. Seeded, so that every run gives the same figures.

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

#[test]
fn a_replica_that_takes_five_seconds_costs_the_others_little() {
    // A worker with few clients has all of them waiting before it has enough evidence.
    for (workers, clients) in [(1, 64), (2, 64), (4, 128)] {
        let world = |on: bool| {
            let mut queue = one_at_a_time(3);
            let service: Service = Box::new(move |_, seat, now, random| match seat {
                0 if now > SECOND => 5 * SECOND,
                _ => queue(seat, now, about(50, random)),
            });
            let world = World::new(3, workers, clients, anywhere(3), service);
            let mut world = if on { world } else { world.off() };
            world.run_until(SECOND);
            assert_eq!(world.avoided, 0);
            let before = world.total();
            world.run_until(5 * SECOND);
            (world.total() - before, before, world.slow(0))
        };
        let (guarded, healthy, slow) = world(true);
        let (exposed, ..) = world(false);
        println!(
            "{workers} workers: {guarded} answered with it, {exposed} without, {healthy} in a second before"
        );
        assert!(slow);
        assert!(exposed < 1_000, "{exposed}");
        // The expected total is that of two of three seats during at least 3 of 4 seconds.
        assert!(
            guarded as f64 > healthy as f64 * 3.0 * 2.0 / 3.0,
            "{guarded}"
        );
    }
}

/// Returns a world in which seat 1 takes ten times as long for four seconds.
fn ten_times_slower(workers: usize) -> World {
    let service: Service = Box::new(|_, seat, now, random| match seat {
        0 if (SECOND..5 * SECOND).contains(&now) => about(100 * MS, random),
        _ => about(10 * MS, random),
    });
    World::new(3, workers, 64, anywhere(3), service)
}

#[test]
fn a_replica_ten_times_slower_is_found_and_gets_its_keys_back() {
    for workers in [1, 2] {
        let mut answered = [true, false].map(|on| {
            let world = ten_times_slower(workers);
            let mut world = if on { world } else { world.off() };
            world.run_until(SECOND);
            assert_eq!(world.avoided, 0);
            let before = world.total();
            world.run_until(4 * SECOND);
            (world.total() - before, world)
        });
        let (guarded, exposed) = (answered[0].0, answered[1].0);
        println!("{workers} workers: {guarded} answered with it, {exposed} without");
        assert!(guarded > 2 * exposed, "{guarded} {exposed}");
        let world = &mut answered[0].1;
        assert!(world.slow(0) && !world.slow(1) && !world.slow(2));
        world.run_until(6 * SECOND);
        assert!(!world.slow(0), "it replies in time again");
        let avoided = world.avoided;
        world.run_until(8 * SECOND);
        assert_eq!(world.avoided, avoided, "all keys are at home again");
    }
}

/// Runs for ten seconds and checks that no replica is avoided.
#[track_caller]
fn nothing_is_avoided(mut world: World) -> World {
    world.run_until(10 * SECOND);
    assert_eq!(world.avoided, 0);
    world
}

#[test]
fn replicas_that_wait_for_a_cpu_keep_their_keys() {
    // Seats take turns in doing nothing for up to 100 ms while the others continue.
    for (workers, clients) in [(1, 8), (2, 8), (2, 32), (2, 128)] {
        let mut queue = one_at_a_time(3);
        let (mut next, mut victim) = (0, 0);
        let service: Service = Box::new(move |_, seat, now, random| {
            if now >= next {
                victim = (victim + 1 + usize::try_from(random.below(2)).unwrap()) % 3;
                let stall = 2 * MS + random.below(98 * MS);
                let _ = queue(victim, now, stall);
                next = now + stall + random.below(20 * MS);
            }
            queue(seat, now, about(300, random))
        });
        let world = World::new(3, workers, clients, anywhere(3), service);
        let world = nothing_is_avoided(world);
        println!(
            "{workers} workers, {clients} clients: {} holds of {}",
            world.holds,
            world.total()
        );
    }
}

#[test]
fn slow_paths_do_not_make_a_replica_slow() {
    // 40 of 64 clients poll for 3 s at the same seat.
    let home: Home = Box::new(|client, random| match client {
        0..40 => 0,
        _ => usize::try_from(random.below(3)).unwrap(),
    });
    let service: Service = Box::new(|client, _, _, random| match client {
        0..40 => about(3 * SECOND, random),
        _ => about(2 * MS, random),
    });
    nothing_is_avoided(World::new(3, 2, 64, home, service));
    // The only client of a seat repeats a request that takes 2 s.
    let home: Home = Box::new(|client, random| match client {
        0 => 0,
        _ => 1 + usize::try_from(random.below(2)).unwrap(),
    });
    let service: Service = Box::new(|client, _, _, random| match client {
        0 => 2 * SECOND,
        _ => about(2 * MS, random),
    });
    let mut world = World::new(3, 1, 16, home, service);
    world.run_until(100 * SECOND);
    assert_eq!((world.avoided, world.holds), (0, 0));
}

#[test]
fn replicas_that_are_all_slow_keep_their_keys() {
    let service: Service = Box::new(|_, _, now, random| match now {
        0..SECOND => about(MS, random),
        _ => about(2 * SECOND, random),
    });
    let world = nothing_is_avoided(World::new(3, 2, 64, anywhere(3), service));
    assert!(!(0..3).any(|at| world.slow(at)));
    let service: Service = Box::new(|_, _, _, random| about(3 * SECOND, random));
    nothing_is_avoided(World::new(1, 1, 64, anywhere(1), service));
}

#[test]
fn a_slow_replica_is_probed_by_one_request_at_a_time() {
    let mut world = ten_times_slower(1);
    world.run_until(3 * SECOND);
    assert!(world.slow(0));
    let before = world.answered[0];
    world.run_until(4 * SECOND);
    let probes = world.answered[0] - before;
    // Each probe takes 50 to 150 ms.
    assert!((6..=20).contains(&probes), "{probes}");
}

#[test]
fn a_guard_that_is_off_never_avoids_a_replica() {
    let mut world = ten_times_slower(1).off();
    world.run_until(4 * SECOND);
    assert_eq!((world.avoided, world.holds), (0, 0));
}

/// Returns a guard over two seats. The second replies to `replies` requests at once. The first was
/// sent `sent` requests at the beginning and replies to none.
fn after(sent: u32, replies: u64) -> (SlowGuard, Instant) {
    let (mut guard, begin) = (SlowGuard::default(), Instant::now());
    guard.update(true, &[member(1), member(2)]);
    (0..sent).for_each(|_| guard.record_sent(0, begin));
    for _ in 0..replies {
        guard.record_sent(1, begin);
        guard.record_outcome(1, answer(begin, begin));
    }
    (guard, begin)
}

#[test]
fn the_guard_decides_at_its_limits() {
    let moment = Duration::from_micros(1);
    let verdict = |sent, replies, at| {
        let (mut guard, begin) = after(sent, replies);
        guard.verdict(0, begin + at)
    };
    for later in [Duration::ZERO, 10 * SLOW_AFTER] {
        assert_eq!(
            verdict(MIN_SENT - 1, MIN_REPLIES_ELSEWHERE, later),
            GuardVerdict::Send
        );
        assert_eq!(
            verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE - 1, later),
            GuardVerdict::Send
        );
    }
    let early = verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE, SLOW_AFTER - moment);
    assert!(matches!(early, GuardVerdict::Hold(_)), "{early:?}");
    let late = verdict(MIN_SENT, MIN_REPLIES_ELSEWHERE, SLOW_AFTER);
    assert_eq!(late, GuardVerdict::Avoid { news: true });
    // A reply within 50 ms clears the doubt; a later one makes room for one request.
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert!(matches!(guard.verdict(0, begin), GuardVerdict::Hold(_)));
    let end = answer(begin, begin + LATE_AFTER + moment);
    assert_eq!(guard.record_outcome(0, end), Relief::Room);
    assert_eq!(
        guard.verdict(0, begin + LATE_AFTER + moment),
        GuardVerdict::Send
    );
    assert_eq!(
        guard.verdict(0, begin + SLOW_AFTER),
        GuardVerdict::Avoid { news: true }
    );
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert!(matches!(guard.verdict(0, begin), GuardVerdict::Hold(_)));
    assert_eq!(
        guard.record_outcome(0, answer(begin, begin + LATE_AFTER)),
        Relief::Room
    );
    assert_eq!(guard.verdict(0, begin + SLOW_AFTER), GuardVerdict::Send);
}

#[test]
fn requests_that_wait_for_their_clients_are_no_evidence() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    guard.record_outcome(0, ReplyOutcome::Client);
    assert_eq!(guard.verdict(0, begin + SLOW_AFTER), GuardVerdict::Send);
    // A client that gives up is evidence.
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    guard.record_outcome(0, ReplyOutcome::Gone);
    let verdict = guard.verdict(0, begin + SLOW_AFTER);
    assert_eq!(verdict, GuardVerdict::Avoid { news: true });
}

#[test]
fn four_timely_probes_end_slowness_and_a_late_one_restarts_the_count() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    let mut now = begin + SLOW_AFTER;
    assert_eq!(guard.verdict(0, now), GuardVerdict::Avoid { news: true });
    let mut probe = |took: Duration| {
        assert_eq!(guard.verdict(0, now), GuardVerdict::Send);
        guard.record_sent(0, now);
        assert_eq!(guard.verdict(0, now), GuardVerdict::Avoid { news: false });
        now += took;
        guard.record_outcome(0, answer(now - took, now))
    };
    let (good, bad) = (LATE_AFTER, LATE_AFTER + Duration::from_micros(1));
    for took in [good, good, good, bad, good, good, good] {
        assert_eq!(probe(took), Relief::None);
    }
    assert_eq!(probe(good), Relief::Recovered);
    assert!(!guard.is_slow(0));
}

#[test]
fn a_successor_begins_without_the_evidence_about_its_predecessor() {
    let (mut guard, begin) = after(MIN_SENT, MIN_REPLIES_ELSEWHERE);
    assert_eq!(
        guard.verdict(0, begin + SLOW_AFTER),
        GuardVerdict::Avoid { news: true }
    );
    // A new health of the same replica changes nothing.
    guard.update(true, &[member(1), member(2)]);
    assert!(guard.is_slow(0));
    let successor = SeatInput {
        replica_id: 77,
        ..member(1)
    };
    guard.update(true, &[successor, member(2)]);
    assert!(!guard.is_slow(0));
    // An end for a replica that has left is ignored.
    assert_eq!(
        guard.record_outcome(usize::MAX, ReplyOutcome::Gone),
        Relief::None
    );
}
