//! Orders of the operator about whole replicas: `scale` and `replace`.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::{Order, OrderError};
use crate::roster::Health;

#[test]
fn scale_adds_random_names_or_removes_the_highest_seats() {
    let mut bench = Bench::up(2);
    assert_eq!(bench.order(Order::Scale(4)), None);
    let expected = [(3, "r1"), (4, "r2")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    for id in bench.started() {
        bench.rises(id);
    }
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2 r1 r2"))));
    assert_eq!(bench.order(Order::Scale(4)), Some(Ok(names("S1 S2 r1 r2"))));
    // The highest seats leave, although the replica in another seat is the newest.
    bench.ends(S1);
    let successor = bench.started()[0];
    bench.gone(S1);
    bench.rises(successor);
    assert_eq!(bench.order(Order::Scale(1)), None);
    assert_eq!(bench.seats(), [1]);
    let drained = bench.draining();
    assert_eq!(drained.len(), 3);
    for id in drained {
        bench.feed(Input::Drained(id));
        bench.gone(id);
    }
    assert_eq!(bench.answer(), Some(Ok(names("r3"))));
    bench.order(Order::Scale(0));
    bench.feed(Input::Drained(successor));
    bench.gone(successor);
    assert_eq!(bench.answer(), Some(Ok(vec![])));
}

#[test]
fn scale_beyond_the_limit_changes_nothing() {
    let mut bench = Bench::up(1);
    let sentence = "cannot scale to 257 replicas: at most 256 are allowed (--max-replicas)";
    assert_eq!(bench.order(Order::Scale(257)), bad(sentence));
    assert!(bench.started().is_empty());
    assert_eq!(bench.order(Order::Scale(256)), None);
    assert_eq!(bench.started().len(), 255);
}

#[test]
fn replace_starts_the_successor_before_the_old_replica_leaves() {
    let mut bench = Bench::up(3);
    assert_eq!(bench.replace("S2"), None);
    assert_eq!(bench.starting_names(), [(2, "r1".to_owned())]);
    let new = bench.started()[0];
    assert_eq!(bench.list(), names("S1 S2 S3"), "S2 serves meanwhile");
    bench.rises(new);
    assert!(bench.published());
    assert_eq!(bench.draining(), [S2]);
    assert_eq!(bench.kinds(), [EventKind::Replaced]);
    assert_eq!(bench.list(), names("S1 r1 S3"));
    assert_eq!(bench.shown()[1..3], ["2 S2 leaving", "2 r1 up"]);
    bench.feed(Input::Drained(S2));
    assert_eq!(bench.removed(), [(S2, StopMode::Graceful)]);
    assert_eq!(bench.answer(), None, "S2 is still there");
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1 r1 S3"))));
    let missing = OrderError::not_found(&name("S2"));
    assert_eq!(bench.replace("S2"), Some(Err(missing)));
}

#[test]
fn replace_all_replaces_one_seat_after_the_other() {
    let mut bench = Bench::up(3);
    bench.replace("all");
    for (seat, old) in [(1, S1), (2, S2), (3, S3)] {
        let started = bench.starting_names();
        assert_eq!(started.len(), 1);
        assert_eq!(started[0].0, seat);
        let new = bench.started()[0];
        bench.rises(new);
        assert_eq!((bench.draining(), bench.started()), (vec![old], vec![]));
        assert_eq!(bench.list().len(), 3);
        bench.feed(Input::Drained(old));
        bench.gone(old);
    }
    assert_eq!(bench.answer(), Some(Ok(names("r1 r2 r3"))));
    assert_eq!(bench.seats(), [1, 2, 3]);
    let mut bench = Bench::up(0);
    assert_eq!(bench.replace("all"), Some(Ok(vec![])));
}

#[test]
fn a_successor_that_does_not_start_ends_the_replacement_and_the_old_replica_stays() {
    let mut bench = Bench::up(2);
    bench.replace("all");
    let first = bench.started()[0];
    bench.rises(first);
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    let second = bench.started()[0];
    bench.fails(second);
    let refusal = OrderError::unavailable("could not start r2: no luck; replaced 1 of 2");
    assert_eq!(bench.answer(), Some(Err(refusal)));
    assert_eq!(bench.removed(), [(second, StopMode::Kill)]);
    bench.gone(second);
    assert_eq!(bench.list(), names("r1 S2"));
    // The failed start causes no back-off if the old replica dies now.
    bench.ends(S2);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn a_death_in_the_middle_of_a_replacement_is_replaced_by_the_same_successor() {
    let mut bench = Bench::up(2);
    bench.replace("S1");
    let new = bench.started()[0];
    bench.ends(S1);
    assert!(
        bench.started().is_empty(),
        "the successor is already starting"
    );
    bench.gone(S1);
    bench.rises(new);
    assert_eq!(bench.answer(), Some(Ok(names("r1 S2"))));
    // The successor dies beside the old one.
    bench.replace("S2");
    let new = bench.started()[0];
    bench.ends(new);
    let why = "process ended, signal: 9 (SIGKILL), within 0.0 ms of its start";
    let refusal = OrderError::unavailable(format!("could not start r2: {why}; replaced 0 of 1"));
    assert_eq!(bench.answer(), Some(Err(refusal)));
    assert_eq!(bench.list(), names("r1 S2"));
}

#[test]
fn a_seat_that_got_another_holder_before_its_turn_counts_as_replaced() {
    let mut bench = Bench::up(2);
    bench.replace("all");
    let first = bench.started()[0];
    bench.ends(S2);
    let second = bench.started()[0];
    bench.rises(second);
    bench.gone(S2);
    bench.rises(first);
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    assert_eq!(bench.answer(), Some(Ok(names("r1 r2"))));
}

#[test]
fn a_silent_replica_that_answers_again_is_replaced_by_order_nevertheless() {
    let mut bench = Bench::up(2);
    bench.falls_silent(S2);
    let new = bench.started()[0];
    assert_eq!(bench.replace("S2"), None);
    assert!(bench.started().is_empty());
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.health(2), Some(Health::Up));
    assert!(bench.removed().is_empty());
    bench.rises(new);
    assert_eq!(bench.draining(), [S2]);
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1 r1"))));
}

#[test]
fn replace_ends_the_back_off_of_a_seat() {
    let mut bench = Bench::starting(1);
    bench.fails(S1);
    bench.gone(S1);
    assert_eq!(bench.shown(), ["1 S1 waiting"]);
    let reason = bench.plan.replica_infos(bench.now).remove(0).1.reason;
    assert_eq!(
        reason.as_deref(),
        Some("the next start is in 0.5 s; S1 did not start: no luck")
    );
    assert_eq!(bench.replace("S1"), None);
    let new = bench.started()[0];
    bench.rises(new);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}

#[test]
fn a_stop_ends_a_replacement_and_the_old_replica_serves_until_then() {
    let refusal = OrderError::unavailable("ringmaster is stopping");
    let mut bench = Bench::up(1);
    bench.replace("S1");
    let new = bench.started()[0];
    bench.feed(Input::Close);
    assert_eq!(bench.answer(), Some(Err(refusal)));
    assert_eq!(bench.removed(), [(new, StopMode::Kill)]);
    bench.gone(new);
    assert_eq!(bench.shown(), ["1 S1 up"]);
    bench.feed(Input::Stop { leave: false });
    assert_eq!(bench.removed(), [(S1, StopMode::Graceful)]);
}

#[test]
fn orders_of_every_kind_are_carried_out_one_after_another() {
    let mut bench = Bench::with(policy(Management::Managed), 2);
    bench.rises(S1);
    bench.rises(S2);
    bench.replace("S1");
    let new = bench.started()[0];
    assert_eq!(bench.order(Order::Scale(1)), None);
    assert_eq!(bench.order(Order::Drain(name("S1"))), None);
    bench.rises(new);
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    assert_eq!(bench.answers(), [Ok(names("r1 S2"))]);
    assert_eq!(bench.draining(), [S2], "then the next");
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    let missing = OrderError::not_found(&name("S1"));
    assert_eq!(bench.answers(), [Ok(names("r1")), Err(missing)]);
}
