//! Slow start: which replicas begin one, and when.

use std::time::Duration;

use super::super::*;
use super::bench::*;
use crate::fleet::engine::Management;
use crate::orders::Order;
use crate::roster::Health;

const TIME: Duration = Duration::from_secs(10);

/// Three replicas that have joined together.
fn up() -> Bench {
    let policy = Policy {
        slow_start: TIME,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 3);
    for id in [S1, S2, S3] {
        bench.rises(id);
    }
    bench
}

/// Returns the seats in slow start.
fn starting(bench: &Bench) -> Vec<u32> {
    let members = bench.plan.view().members;
    let started = members.iter().filter(|member| member.slow_start.is_some());
    started.map(|member| member.seat.0).collect()
}

#[test]
fn replicas_that_join_at_the_start_have_no_slow_start() {
    let mut bench = up();
    assert_eq!((bench.seats(), starting(&bench)), (vec![1, 2, 3], vec![]));
    // One that stays up has none either.
    bench.probe(S2, ProbeEvent::Answered);
    assert!(starting(&bench).is_empty());
}

#[test]
fn successors_and_added_replicas_have_one_until_it_is_over() {
    let mut bench = up();
    bench.ends(S2);
    let successor = bench.started()[0];
    bench.after(SEC);
    bench.rises(successor);
    assert_eq!(starting(&bench), [2]);
    bench.after(SEC);
    bench.add(1, "S4");
    let added = bench.started()[0];
    bench.rises(added);
    assert_eq!(starting(&bench), [2, 4]);
    bench.after(TIME - SEC - MS);
    assert_eq!(starting(&bench), [2, 4]);
    bench.after(MS);
    assert_eq!(starting(&bench), [4]);
    bench.after(SEC);
    assert!(starting(&bench).is_empty());
}

#[test]
fn a_recovery_and_the_end_of_a_drain_begin_one_and_a_suspicion_does_not() {
    let mut bench = up();
    bench.falls_silent(S3);
    assert_eq!(bench.health(3), Some(Health::Down));
    bench.probe(S3, ProbeEvent::Answered);
    assert_eq!(starting(&bench), [3]);
    bench.after(TIME);
    bench.order(Order::Drain(name("S1")));
    assert!(starting(&bench).is_empty());
    bench.order(Order::Ready(name("S1")));
    assert_eq!(starting(&bench), [1]);
    bench.after(TIME);
    // A second 'ready' changes nothing.
    bench.order(Order::Ready(name("S1")));
    let kind = crate::roster::EvidenceKind::Refused;
    let evidence = crate::roster::Evidence { id: S2, kind };
    bench.feed(Input::Evidence(evidence));
    assert_eq!(bench.health(2), Some(Health::Suspect));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(
        (bench.health(2), starting(&bench)),
        (Some(Health::Up), vec![])
    );
}

#[test]
fn there_is_none_without_the_flag() {
    let mut bench = Bench::up(3);
    bench.order(Order::Drain(name("S1")));
    bench.order(Order::Ready(name("S1")));
    assert!(bench.published() && starting(&bench).is_empty());
}

/// Returns fixed backends at the addresses of S1, S2 and S3. The former balancer had the seats in
/// `served`.
fn resumed(watched: bool, served: &[u32]) -> Bench {
    let now = Instant::now();
    let seats = [S1, S2, S3].map(|id| {
        let addr: crate::orders::BackendAddr = addr(id).to_string().parse().unwrap();
        let seat = Seat(u32::try_from(id.0).unwrap());
        InitialSeat {
            backend: Some(addr.clone()),
            serves: served.contains(&seat.0),
            ..InitialSeat::new(seat, name(&format!("S{seat}")), addr.literal())
        }
    });
    let policy = Policy {
        watched,
        version: None,
        slow_start: TIME,
        ..policy(Management::External)
    };
    Bench::of(Plan::resume(policy, &seats, &[], now).unwrap(), now)
}

#[test]
fn a_first_replica_that_joins_when_others_are_long_up_has_one() {
    for (later, has_one) in [(TIME, false), (TIME + MS, true)] {
        let mut bench = resumed(true, &[]);
        bench.probe(S1, ProbeEvent::Answered);
        bench.after(later);
        bench.probe(S3, ProbeEvent::Answered);
        assert_eq!(starting(&bench) == [3], has_one, "{later:?}");
        assert_eq!(starting(&bench).is_empty(), !has_one);
    }
}

#[test]
fn at_a_takeover_a_new_backend_has_one_and_the_others_have_none() {
    // Its answer may come before theirs.
    for order in [[S1, S2, S3], [S3, S2, S1]] {
        let mut bench = resumed(true, &[1, 2]);
        for id in order {
            bench.probe(id, ProbeEvent::Answered);
        }
        assert_eq!(starting(&bench), [3]);
        bench.after(TIME);
        assert!(starting(&bench).is_empty());
    }
    let mut all = resumed(true, &[1, 2, 3]);
    for id in [S1, S2, S3] {
        all.probe(id, ProbeEvent::Answered);
    }
    assert!(starting(&all).is_empty());
    // Without heartbeats they count as up at once.
    assert_eq!(starting(&resumed(false, &[1, 2])), [3]);
    assert!(starting(&resumed(false, &[])).is_empty());
    assert!(starting(&resumed(false, &[1, 2, 3])).is_empty());
}
