//! Replacements by another version: their pace, their failures, and the way back.

use std::time::Duration;

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::rollout_event::RolloutStage;
use crate::orders::{self, Order, OrderError};
use crate::roster::Health;

/// Lets the replica `new` answer, and the one that it replaces, `old`, end.
fn takes_over(bench: &mut Bench, new: ReplicaId, old: ReplicaId) {
    bench.rises(new);
    assert_eq!(bench.draining(), [old]);
    bench.feed(Input::Drained(old));
    bench.gone(old);
}

/// Replaces the next seat, whose holder is `old`, and lets its time of monitoring pass.
fn replaces_next(bench: &mut Bench, old: ReplicaId) -> ReplicaId {
    let new = bench.started()[0];
    takes_over(bench, new, old);
    bench.after(5 * SEC);
    new
}

fn unavailable(sentence: &str) -> OrderError {
    OrderError::unavailable(sentence)
}

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
    let mut order = request("all");
    order.pace.parallel = 2;
    order.pace.monitor = Duration::ZERO;
    bench.order(Order::Replace(order));
    bench.feed(Input::Prepared(OrderId(1), Ok(version("v2"))));
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
    let mut order = request("all");
    order.pace.max_failures = 3;
    bench.order(Order::Replace(order));
    bench.feed(Input::Prepared(OrderId(1), Ok(version("v2"))));
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
    let mut order = request("all");
    order.pace.max_failures = 2;
    bench.order(Order::Replace(order));
    bench.feed(Input::Prepared(OrderId(1), Ok(version("v2"))));
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
fn an_order_stops_a_replacement_where_it_is() {
    let mut bench = Bench::up(3);
    bench.roll_out("all");
    replaces_next(&mut bench, S1);
    let second = bench.started()[0];
    let stopped = bench.order(Order::StopReplace);
    let sentence = "stopped by order; replaced 1 of 3";
    assert_eq!(bench.removed(), [(second, StopMode::Kill)]);
    assert_eq!(
        (stopped, bench.answers().pop()),
        (
            Some(Ok(names("r1 S2 S3"))),
            Some(Err(unavailable(sentence)))
        )
    );
    bench.gone(second);
    assert_eq!(bench.versions(), ["v2", "v1", "v1"]);
    let none = "no replacement is under way";
    assert_eq!(bench.order(Order::StopReplace), bad(none));
    // What is done can be taken back.
    assert_eq!(bench.order(Order::ReplaceBack), None);
    let back = bench.started()[0];
    takes_over(&mut bench, back, ReplicaId(4));
    assert_eq!(bench.answer(), Some(Ok(names("r3 S2 S3"))));
    assert_eq!(bench.versions(), ["v1", "v1", "v1"]);
}

#[test]
fn an_order_takes_back_a_replacement_that_is_under_way() {
    let mut bench = Bench::up(2);
    bench.roll_out("all");
    let first = replaces_next(&mut bench, S1);
    let second = bench.started()[0];
    assert_eq!(bench.order(Order::ReplaceBack), None);
    assert_eq!(bench.removed(), [(second, StopMode::Kill)]);
    let back = bench.started()[0];
    assert_eq!(
        bench.order(Order::ReplaceBack),
        None,
        "a second order waits too"
    );
    takes_over(&mut bench, back, first);
    let list = Ok(names("r3 S2"));
    let sentence = "taken back by order; replaced 1 of 2; rolled back";
    let refusal = Err(unavailable(sentence));
    assert_eq!(bench.answers(), [refusal, list.clone(), list]);
}

#[test]
fn a_complete_replacement_is_taken_back_with_the_version_of_new_seats() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let new = replaces_next(&mut bench, S1);
    assert_eq!(bench.order(Order::ReplaceBack), None);
    assert_eq!(
        bench.stages(),
        [(RolloutStage::TurnedBack, "by order".to_owned())]
    );
    let back = bench.started()[0];
    takes_over(&mut bench, back, new);
    assert_eq!(bench.answer(), Some(Ok(names("r2"))));
    bench.add(1, "S2");
    assert_eq!(bench.versions(), ["v1", "v1"]);
}

#[test]
fn replacements_are_taken_back_one_after_the_other_up_to_a_limit() {
    let mut bench = Bench::up(1);
    let mut holder = S1;
    for _ in 0..9 {
        bench.roll_out("all");
        holder = replaces_next(&mut bench, holder);
        assert!(bench.answer().is_some());
    }
    for _ in 0..8 {
        // Each of them replaced v2 by v2.
        assert_eq!(bench.order(Order::ReplaceBack), Some(Ok(bench.list())));
    }
    let none = "there is no replacement by another version to take back";
    assert_eq!(bench.order(Order::ReplaceBack), bad(none));
    // The first of the nine is forgotten, so its version stays.
    assert_eq!(bench.versions(), ["v2"]);
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
fn a_version_that_cannot_be_found_changes_nothing() {
    let mut bench = Bench::up(1);
    bench.order(Order::Replace(request("all")));
    let why = "no such image".to_owned();
    bench.feed(Input::Prepared(OrderId(1), Err(why.clone())));
    assert_eq!(bench.answer(), Some(Err(unavailable(&why))));
    assert!(bench.started().is_empty());
    // A version that comes after its order was stopped has no effect.
    bench.order(Order::Replace(request("all")));
    let back = "no version has changed yet; 'replace stop' ends the replacement";
    assert_eq!(bench.order(Order::ReplaceBack), bad(back));
    bench.order(Order::StopReplace);
    let stopped = unavailable("stopped by order; nothing was replaced");
    assert_eq!(bench.answers(), [Err(stopped), Ok(names("S1"))]);
    bench.feed(Input::Prepared(OrderId(2), Ok(version("v2"))));
    assert_eq!(bench.did, []);
    let few = "cannot replace 2 replicas: there are only 1";
    assert_eq!(bench.order(Order::Replace(request("2"))), bad(few));
}

#[test]
fn a_dead_seat_gets_its_own_version_first_and_again_between_two_attempts() {
    let mut bench = Bench::up(2);
    bench.ends(S1);
    let old = bench.started()[0];
    bench.gone(S1);
    let mut order = request("all");
    order.pace.max_failures = 2;
    bench.order(Order::Replace(order));
    bench.feed(Input::Prepared(OrderId(1), Ok(version("v2"))));
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
fn seats_that_were_added_later_go_back_with_the_others() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let first = replaces_next(&mut bench, S1);
    bench.add(1, "S2");
    let added = bench.started()[0];
    bench.rises(added);
    assert_eq!(bench.versions(), ["v2", "v2"]);
    bench.order(Order::ReplaceBack);
    let back = bench.started()[0];
    takes_over(&mut bench, back, first);
    let back = bench.started()[0];
    takes_over(&mut bench, back, added);
    assert_eq!(bench.versions(), ["v1", "v1"]);
}

#[test]
fn an_order_stops_a_replacement_behind_a_full_queue_and_those_that_wait() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    bench.order(Order::Replace(request("all")));
    for _ in 1..orders::MAX_QUEUED_ORDERS {
        assert_eq!(bench.order(Order::Scale(1)), None);
    }
    assert_eq!(
        bench.order(Order::Scale(1)),
        Some(Err(OrderError::queue_full()))
    );
    bench.order(Order::StopReplace);
    let answers = bench.answers();
    assert_eq!(
        answers[0],
        Err(unavailable("stopped by order; nothing was replaced"))
    );
    assert_eq!(answers[1], Ok(names("S1")));
    assert_eq!(
        answers[2],
        Err(unavailable("stopped by order; replaced 0 of 1"))
    );
}

#[test]
fn a_takeover_begins_no_further_seat_and_lets_an_operator_stop() {
    let mut bench = Bench::up(2);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.feed(Input::Ownership(Ownership::Offering));
    bench.after(5 * SEC);
    assert!(bench.started().is_empty());
    bench.order(Order::ReplaceBack);
    assert!(bench.answer().unwrap().is_err());
    bench.order(Order::StopReplace);
    let stopped = unavailable("stopped by order; replaced 1 of 2");
    assert_eq!(bench.answers(), [Ok(names("r1 S2")), Err(stopped)]);
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

#[test]
fn a_stop_of_the_balancer_answers_every_order_of_a_replacement() {
    let mut bench = Bench::up(1);
    bench.roll_out("all");
    let new = bench.started()[0];
    bench.feed(Input::Close);
    let stopping = unavailable("ringmaster is stopping");
    assert_eq!(bench.answers(), [Err(stopping.clone())]);
    assert_eq!(bench.removed(), [(new, StopMode::Kill)]);
    let mut bench = Bench::up(1);
    bench.order(Order::Replace(request("all")));
    bench.feed(Input::Close);
    assert_eq!(bench.answers(), [Err(stopping)]);
}
