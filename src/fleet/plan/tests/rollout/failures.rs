//! Versions that fail, and the return to the former ones.

use super::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::rollout_event::RolloutStage;
use crate::roster::Health;

#[test]
fn a_version_that_does_not_start_is_taken_back() {
    let mut bench = Bench::up(3);
    bench.roll_out("all");
    let first = replaces_next(&mut bench, S1);
    let second = bench.started()[0];
    bench.fails(second);
    let why = "could not start r2: no luck";
    assert_eq!(bench.stages(), [(RolloutStage::TurnedBack, why.to_owned())]);
    assert_eq!(bench.answer(), None, "the first seat is to come back");
    let back = bench.started();
    assert_eq!(bench.starting_names(), [(1, "r3".to_owned())]);
    assert_eq!(bench.plan.version(back[0]), Some(&version("v1")));
    let progress = bench.plan.replacement().unwrap();
    assert_eq!(
        progress.to_string(),
        "bringing the former versions back: 0 of 1 done"
    );
    bench.gone(second);
    takes_over(&mut bench, back[0], first);
    let sentence = format!("{why}; replaced 1 of 3; rolled back");
    assert_eq!(bench.answer(), Some(Err(unavailable(&sentence))));
    let progress = "brought back 1 of 1".to_owned();
    assert_eq!(bench.stages(), [(RolloutStage::RolledBack, progress)]);
    assert_eq!(bench.versions(), ["v1", "v1", "v1"]);
    let none = "there is no replacement by another version to take back";
    assert_eq!(bench.order(Order::ReplaceBack), bad(none));
}

#[test]
fn a_version_that_dies_while_it_is_monitored_is_taken_back() {
    let mut bench = Bench::up(2);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.after(5 * SEC - MS);
    bench.ends(new);
    let why = "r1 died: process ended, signal: 9 (SIGKILL)".to_owned();
    assert_eq!(bench.stages(), [(RolloutStage::TurnedBack, why.clone())]);
    let back = bench.started()[0];
    assert_eq!(bench.plan.version(back), Some(&version("v1")));
    bench.gone(new);
    bench.rises(back);
    let sentence = format!("{why}; replaced 0 of 2; rolled back");
    assert_eq!(bench.answer(), Some(Err(unavailable(&sentence))));
    assert_eq!(bench.versions(), ["v1", "v1"]);
}

#[test]
fn the_answer_tells_how_a_replica_ended_whose_connections_ended_first() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.probe(new, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.stages()[0].1, "r1 died: connection refused");
    let back = bench.started()[0];
    bench.rises(back);
    assert_eq!(bench.answer(), None);
    bench.ends(new);
    bench.gone(new);
    let why = "r1 died: connection refused; process ended, signal: 9 (SIGKILL)";
    let sentence = format!("{why}; replaced 0 of 1; rolled back");
    assert_eq!(bench.answer(), Some(Err(unavailable(&sentence))));
}

#[test]
fn a_death_after_the_monitored_time_is_an_ordinary_one() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let new = replaces_next(&mut bench, S1);
    assert_eq!(bench.answer(), Some(Ok(names("r1"))));
    bench.ends(new);
    assert_eq!(bench.stages(), []);
    let successor = bench.started()[0];
    assert_eq!(bench.plan.version(successor), Some(&version("v2")));
}

#[test]
fn fewer_failures_than_the_limit_are_tried_again_after_a_delay() {
    let mut bench = Bench::up(1);
    roll_out_at(&mut bench, |pace| pace.max_failures = 3);
    let mut new = bench.started()[0];
    for delay in [SEC / 2, SEC] {
        bench.fails(new);
        assert!(bench.started().is_empty(), "not at once");
        bench.gone(new);
        assert_eq!(bench.plan.deadline(), Some(bench.now + delay));
        bench.after(delay);
        new = bench.started()[0];
    }
    let progress = bench.plan.replacement().unwrap().to_string();
    assert_eq!(progress, "replacing by v2: 0 of 1 done, 2 failures");
    takes_over(&mut bench, new, S1);
    bench.ends(new);
    assert_eq!(bench.stages()[0].0, RolloutStage::TurnedBack, "the third");
}

#[test]
fn a_new_replica_that_falls_silent_is_not_complete_and_is_taken_back_once_it_is_dead() {
    let policy = Policy {
        replace_after: 5 * SEC,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 2);
    bench.rises(S1);
    bench.rises(S2);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.after(4 * SEC);
    bench.misses(new, MissReason::Silent);
    assert_eq!(bench.plan.deadline(), None, "one miss holds it up already");
    for _ in 0..2 {
        bench.misses(new, MissReason::Silent);
    }
    assert_eq!(bench.health(1), Some(Health::Suspect));
    bench.after(2 * SEC);
    assert!(bench.started().is_empty(), "seat 2 does not begin");
    // It answers again: its time begins from the start.
    bench.probe(new, ProbeEvent::Answered);
    bench.after(5 * SEC - MS);
    assert!(bench.started().is_empty());
    for _ in 0..3 {
        bench.misses(new, MissReason::Wrong(503));
    }
    let why = "r1 died: heartbeat failed 3 times, last with 503".to_owned();
    assert_eq!(bench.stages(), [(RolloutStage::TurnedBack, why)]);
}

#[test]
fn a_seat_that_is_done_and_cannot_start_again_is_a_failure() {
    let mut bench = Bench::up(2);
    roll_out_at(&mut bench, |pace| pace.max_failures = 2);
    let first = replaces_next(&mut bench, S1);
    let second = bench.started()[0];
    bench.ends(first);
    let again = bench.started()[0];
    bench.gone(first);
    bench.fails(again);
    assert_eq!(bench.stages()[0].0, RolloutStage::TurnedBack);
    assert!(bench.removed().contains(&(second, StopMode::Kill)));
}

#[test]
fn a_failed_replacement_leaves_the_way_back_of_the_one_before() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let first = replaces_next(&mut bench, S1);
    bench.order(Order::Replace(request("all")));
    bench.feed(Input::Prepared(OrderId(2), Ok(version("v3"))));
    let bad = bench.started()[0];
    bench.fails(bad);
    assert_eq!(bench.stages()[1].0, RolloutStage::RolledBack);
    bench.gone(bad);
    assert_eq!(bench.versions(), ["v2"]);
    bench.order(Order::ReplaceBack);
    let back = bench.started()[0];
    takes_over(&mut bench, back, first);
    assert_eq!(bench.versions(), ["v1"]);
}

#[test]
fn a_former_version_that_does_not_start_ends_the_way_back() {
    let mut bench = Bench::up(2);
    bench.roll_out("all");
    replaces_next(&mut bench, S1);
    let second = bench.started()[0];
    bench.fails(second);
    let back = bench.started()[0];
    bench.fails(back);
    let sentence = "could not start r2: no luck; replaced 1 of 2; rolling back failed: \
                    could not start r3: no luck; brought back 0 of 1";
    assert_eq!(bench.answer(), Some(Err(unavailable(sentence))));
    assert_eq!(bench.stages()[0].0, RolloutStage::Failed);
    // The new replica serves on, and so does its version after its death: the former one fails.
    assert_eq!(bench.list(), names("r1 S2"));
    bench.gone(back);
    bench.ends(ReplicaId(3));
    let successor = bench.started()[0];
    assert_eq!(bench.plan.version(successor), Some(&version("v2")));
}

#[test]
fn a_dead_seat_gets_its_own_version_first_and_again_between_two_attempts() {
    let mut bench = Bench::up(2);
    bench.ends(S1);
    let old = bench.started()[0];
    bench.gone(S1);
    roll_out_at(&mut bench, |pace| pace.max_failures = 2);
    assert_eq!(
        bench.did.len(),
        1,
        "the seat is to serve first: {:?}",
        bench.did
    );
    bench.rises(old);
    let new = bench.started()[0];
    assert_eq!(bench.plan.version(new), Some(&version("v2")));
    bench.ends(old);
    assert!(
        bench.started().is_empty(),
        "a successor is starting already"
    );
    bench.gone(old);
    bench.fails(new);
    let back = bench.started()[0];
    assert_eq!(bench.plan.version(back), Some(&version("v1")));
    bench.gone(new);
    bench.rises(back);
    bench.after(SEC);
    let new = bench.started()[0];
    assert_eq!(bench.plan.version(new), Some(&version("v2")));
}

#[test]
fn a_version_that_never_starts_can_be_replaced_by_one_that_does() {
    let mut bench = Bench::starting(1);
    bench.fails(S1);
    bench.gone(S1);
    bench.roll_out("all");
    let new = bench.started()[0];
    assert_eq!(bench.plan.version(new), Some(&version("v2")));
    bench.rises(new);
    bench.after(5 * SEC);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}
