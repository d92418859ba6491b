//! The steps of a replacement: their pace, the versions that the seats run, standbys.

use std::time::Duration;

use super::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::rollout_event::RolloutStage;

#[test]
fn each_seat_is_monitored_before_the_next_begins() {
    let mut bench = Bench::up(2);
    assert_eq!(bench.roll_out("all"), None);
    let begun = "2 to replace, 1 at a time, each monitored for 5s".to_owned();
    assert_eq!(bench.stages(), [(RolloutStage::Begun, begun)]);
    assert!(bench.plan.status().replacing);
    let new = bench.started()[0];
    assert_eq!(bench.starting_names(), [(1, "r1".to_owned())]);
    bench.rises(new);
    assert_eq!(bench.events()[0].reason, "by order, now v2");
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    assert!(bench.started().is_empty());
    assert_eq!(bench.plan.status().versions, 2);
    assert_eq!(bench.plan.deadline(), Some(bench.now + 5 * SEC));
    bench.after(5 * SEC - MS);
    assert!(bench.started().is_empty());
    bench.after(MS);
    let second = bench.started()[0];
    assert_eq!(bench.versions(), ["v2", "v1", "v2"]);
    takes_over(&mut bench, second, S2);
    assert_eq!(bench.answer(), None);
    bench.after(5 * SEC);
    assert_eq!(bench.answer(), Some(Ok(names("r1 r2"))));
    let progress = "replaced 2 of 2".to_owned();
    assert_eq!(bench.stages(), [(RolloutStage::Completed, progress)]);
    let status = bench.plan.status();
    assert_eq!((status.versions, status.replacing), (1, false));
    // New seats run the new version, too.
    bench.add(1, "S3");
    assert_eq!(bench.versions(), ["v2", "v2", "v2"]);
}

#[test]
fn an_answer_after_a_miss_completes_a_step_whose_time_is_over() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.after(4 * SEC);
    bench.misses(new, MissReason::Silent);
    bench.after(SEC);
    assert_eq!(bench.answer(), None, "it has missed a heartbeat");
    bench.probe(new, ProbeEvent::Answered);
    assert_eq!(bench.answer(), Some(Ok(names("r1"))));
}

#[test]
fn a_successor_of_a_dead_replica_runs_the_version_of_its_seat() {
    let mut bench = Bench::up(2);
    bench.roll_out("1");
    let new = replaces_next(&mut bench, S1);
    assert_eq!(bench.answer(), Some(Ok(names("r1 S2"))));
    bench.ends(new);
    let successor = bench.started()[0];
    assert_eq!(bench.plan.version(successor), Some(&version("v2")));
    bench.gone(new);
    bench.rises(successor);
    bench.ends(S2);
    let successor = bench.started()[0];
    assert_eq!(bench.plan.version(successor), Some(&version("v1")));
    // A trial does not change what new seats run.
    bench.gone(S2);
    bench.rises(successor);
    bench.add(1, "S3");
    assert_eq!(bench.versions(), ["v2", "v1", "v1"]);
}

#[test]
fn the_same_version_again_replaces_what_runs_it() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let first = replaces_next(&mut bench, S1);
    bench.roll_out("all");
    let second = replaces_next(&mut bench, first);
    assert_ne!(second, first);
    assert_eq!(bench.answer(), Some(Ok(names("r2"))));
}

#[test]
fn several_seats_are_replaced_at_a_time_if_the_order_says_so() {
    let mut bench = Bench::up(3);
    roll_out_at(&mut bench, |pace| {
        pace.parallel = 2;
        pace.monitor = Duration::ZERO;
    });
    let started = bench.started();
    assert_eq!(started.len(), 2);
    takes_over(&mut bench, started[1], S2);
    let third = bench.started();
    assert_eq!(third.len(), 1, "the third follows the first that is done");
    takes_over(&mut bench, started[0], S1);
    takes_over(&mut bench, third[0], S3);
    assert_eq!(bench.answer(), Some(Ok(names("r1 r2 r3"))));
}

#[test]
fn a_standby_takes_the_seat_of_a_replica_that_dies_while_its_successor_starts() {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    let standby = ReplicaId(2);
    bench.rises(standby);
    bench.roll_out("all");
    let new = bench.started()[0];
    bench.ends(S1);
    assert_eq!(bench.promoted(), [(standby, 1)]);
    assert!(bench.removed().contains(&(new, StopMode::Kill)));
    bench.gone(S1);
    bench.gone(new);
    bench.probe(standby, ProbeEvent::Seated { knows: true });
    let again = bench.started();
    assert_eq!(
        bench.plan.version(again[0]),
        Some(&version("v2")),
        "then the step again"
    );
}

#[test]
fn the_preparation_is_shown() {
    let mut bench = Bench::up(2);
    bench.order(Order::Replace(request("all")));
    let shown = bench.plan.replacement().unwrap().to_string();
    assert_eq!(shown, "looking up -- v2, for 2 to replace");
    assert!(bench.plan.status().replacing);
}

#[test]
fn standbys_are_of_the_version_of_the_fleet_and_are_promoted_only_to_its_seats() {
    let standbys = 1;
    let policy = Policy {
        standbys,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    let standby = ReplicaId(2);
    bench.rises(standby);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.after(5 * SEC);
    assert_eq!(bench.removed(), [(standby, StopMode::Graceful)]);
    let fresh = bench.started()[0];
    assert_eq!(bench.plan.version(fresh), Some(&version("v2")));
    bench.gone(standby);
    bench.rises(fresh);
    bench.ends(new);
    assert_eq!(bench.promoted(), [(fresh, 1)]);
}
