//! Shared replicas during a takeover: the old balancer still serves from them, so they stay.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::EventKind;

/// First replica that the plan starts itself.
const OWN: ReplicaId = ReplicaId(4);

/// Plan for the seats of S1 and S2 and the standby s-a of another balancer. All of them have
/// answered.
fn found() -> Bench {
    let serving = |seat, text: &str| InitialSeat {
        serves: true,
        ..InitialSeat::new(Seat(seat), name(text), Some(addr(ReplicaId(seat.into()))))
    };
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let (first, now) = ([serving(1, "S1"), serving(2, "S2")], Instant::now());
    let standbys = [found_standby("s-a", S3)];
    let mut plan = Plan::resume(policy, &first, &standbys, now).unwrap();
    plan.begin_acquiring();
    let mut bench = Bench::of(plan, now);
    assert_eq!(bench.plan.status().unanswered_inherited, 2);
    for id in [S1, S2, S3] {
        bench.rises(id);
    }
    assert_eq!(bench.plan.status().unanswered_inherited, 0);
    bench
}

fn refuses(bench: &mut Bench, id: ReplicaId) {
    bench.probe(id, ProbeEvent::Refused(Refusal::Connection));
}

#[test]
fn a_shared_replica_that_refuses_or_is_silent_is_only_counted_as_not_answering() {
    let mut bench = found();
    refuses(&mut bench, S1);
    assert_eq!(bench.kinds(), [EventKind::Down]);
    bench.falls_silent(S2);
    for _ in 0..20 {
        refuses(&mut bench, S1);
        refuses(&mut bench, S3);
        assert_eq!(bench.did, []);
        bench.after(SEC);
        assert_eq!((bench.removed(), bench.started()), (vec![], vec![]));
    }
    let status = bench.plan.status();
    assert_eq!(
        (
            status.unanswered_inherited,
            status.answered,
            status.standbys
        ),
        (2, 0, 1)
    );
    // After the takeover the usual rules apply.
    bench.feed(Input::Ownership(Ownership::Owned));
    assert_eq!(bench.promoted(), [(S3, 1)]);
    let seats: Vec<u32> = bench.starting_names().iter().map(|one| one.0).collect();
    assert_eq!(seats, [2, 0], "beside S2, and a standby");
    refuses(&mut bench, S3);
    assert_eq!(bench.removed(), [(S3, StopMode::Kill)]);
    refuses(&mut bench, S1);
    assert_eq!(bench.removed(), [(S1, StopMode::Kill)]);
}

#[test]
fn a_shared_replica_that_answers_again_counts_again() {
    let mut bench = found();
    refuses(&mut bench, S1);
    assert_eq!(bench.plan.status().unanswered_inherited, 1);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Up]);
    assert_eq!(bench.plan.status().unanswered_inherited, 0);
}

#[test]
fn a_shared_replica_that_ended_gets_a_successor_and_is_removed_after_the_takeover() {
    let mut bench = found();
    bench.ends(S1);
    assert_eq!(bench.removed(), []);
    assert_eq!(bench.promoted(), [], "the standby is shared");
    assert_eq!(bench.started(), [OWN]);
    assert_eq!(bench.plan.status().unanswered_inherited, 1);
    bench.ends(S2);
    bench.ends(S3);
    bench.rises(OWN);
    assert_eq!(bench.plan.status().unanswered_inherited, 1);
    assert_eq!(bench.removed(), [], "S1 has a successor");
    bench.feed(Input::Ownership(Ownership::Owned));
    let mut removed = bench.removed();
    removed.sort_by_key(|(id, _)| *id);
    assert_eq!(removed, [S1, S2, S3].map(|id| (id, StopMode::Kill)));
    bench.after(SEC);
    assert_eq!(bench.removed(), []);
}

#[test]
fn a_stop_during_a_takeover_removes_own_replicas_and_detaches_shared_ones() {
    for keep in [false, true] {
        let mut bench = found();
        bench.plan.state.policy.keep = keep;
        bench.ends(S1);
        bench.rises(OWN);
        bench.ends(S2);
        let starting = ReplicaId(5);
        bench.feed(Input::Stop { leave: true });
        let mut removed = bench.removed();
        removed.sort_by_key(|(id, _)| *id);
        let left = [S1, S2, S3].map(|id| (id, StopMode::Detach));
        let own = [(OWN, StopMode::Graceful), (starting, StopMode::Kill)];
        assert_eq!(removed, [&left[..], &own].concat());
        for id in [S1, S2, S3, OWN, starting] {
            bench.gone(id);
        }
        assert_eq!(bench.did, [Action::Finished]);
    }
}

#[test]
fn a_takeover_fills_empty_seats_and_does_not_wait_for_replicas_silent_before() {
    let silent = InitialSeat::new(Seat(1), name("S1"), Some(addr(S1)));
    let empty = InitialSeat::new(Seat(2), name("r9"), None);
    let now = Instant::now();
    let mut plan = Plan::resume(policy(Management::Managed), &[silent, empty], &[], now).unwrap();
    plan.begin_acquiring();
    let mut bench = Bench::of(plan, now);
    let starts = [(1, "S1"), (2, "r9")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), starts);
    assert_eq!(bench.plan.status().unanswered_inherited, 0);
    bench.after(10 * SEC);
    assert!(!bench.starting_names().iter().any(|(seat, _)| *seat == 1));
    bench.feed(Input::Ownership(Ownership::Owned));
    assert!(bench.starting_names().iter().any(|(seat, _)| *seat == 1));
    bench.report(EngineEvent::Removed { id: S1 });
}
