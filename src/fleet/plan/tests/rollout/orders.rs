//! Orders that stop a replacement or take it back, and what else ends it.

use super::*;
use crate::fleet::engine::StopMode;
use crate::fleet::rollout_event::RolloutStage;
use crate::orders;

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
fn a_replacement_goes_on_while_another_process_waits_and_an_operator_may_stop_it() {
    let mut bench = Bench::up(3);
    bench.roll_out("all");
    let new = bench.started()[0];
    takes_over(&mut bench, new, S1);
    bench.feed(Input::Ownership(Ownership::Yielding));
    bench.after(5 * SEC);
    let new = bench.started()[0];
    takes_over(&mut bench, new, S2);
    bench.order(Order::ReplaceBack);
    assert!(bench.answer().unwrap().is_err());
    bench.order(Order::StopReplace);
    let stopped = unavailable("stopped by order; replaced 2 of 3");
    assert_eq!(bench.answers(), [Ok(names("r1 r2 S3")), Err(stopped)]);
}

#[test]
fn an_offer_to_another_process_ends_a_replacement_where_it_is() {
    let mut bench = Bench::up(3);
    bench.roll_out("all");
    replaces_next(&mut bench, S1);
    let unanswered = bench.started()[0];
    bench.feed(Input::Ownership(Ownership::Offering));
    let ended = unavailable("another process takes over; replaced 1 of 3");
    assert_eq!(bench.answers(), [Err(ended)]);
    assert_eq!(bench.removed(), [(unanswered, StopMode::Kill)]);
    assert!(!bench.plan.status().replacing);
    assert!(bench.started().is_empty());
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
