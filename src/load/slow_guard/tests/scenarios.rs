//! Load over simulated time: requests that the guard must save, and loads in which it must not
//! interfere.

use super::*;

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
