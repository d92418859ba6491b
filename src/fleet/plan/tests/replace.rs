//! Orders of the operator: `scale`, `replace`, `drain` and `ready`, and their traces in `show`.
//!
//! They are in one file because the last tests ask `show` about all of them.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::{Order, OrderError, ReplicaState};
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
    let why = "process ended, signal: 9 (SIGKILL)";
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
    let reason = bench.plan.cards(bench.now).remove(0).1.reason;
    assert_eq!(
        reason.as_deref(),
        Some("the next start is in 0.5 s; S1: no luck")
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

fn drained(bench: &Bench) -> Vec<u32> {
    let members = bench.plan.view().members.into_iter();
    members.filter(|m| m.drained).map(|m| m.seat.0).collect()
}

#[test]
fn a_drained_replica_stays_and_is_listed() {
    let mut bench = Bench::up(3);
    let all = || Some(Ok(names("S1 S2 S3")));
    assert_eq!(bench.order(Order::Drain(name("S2"))), all());
    assert!(bench.published());
    assert_eq!((drained(&bench), bench.seats()), (vec![2], vec![1, 2, 3]));
    assert_eq!(bench.shown()[1], "2 S2 drained");
    assert_eq!(bench.kinds(), [EventKind::Drained]);
    let status = bench.plan.status();
    assert_eq!((status.up, status.drained, status.answered), (2, 1, 3));
    assert_eq!(bench.order(Order::Drain(name("S2"))), all(), "again");
    assert!(!bench.published());
    bench.probe(S2, ProbeEvent::Broken);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(drained(&bench), [2], "a suspicion changes nothing");
    assert_eq!(bench.order(Order::Ready(name("S2"))), all());
    assert_eq!(
        (bench.kinds(), drained(&bench)),
        (vec![EventKind::Ready], vec![])
    );
    let missing = OrderError::not_found(&name("S9"));
    assert_eq!(bench.order(Order::Ready(name("S9"))), Some(Err(missing)));
}

#[test]
fn the_successor_of_a_drained_replica_serves() {
    let mut bench = Bench::up(2);
    bench.order(Order::Drain(name("S2")));
    bench.ends(S2);
    let refusal = bad("S2 does not serve");
    assert_eq!(bench.order(Order::Drain(name("S2"))), refusal);
    assert_eq!(
        bench.order(Order::Drain(name("r1"))),
        bad("r1 does not serve")
    );
    bench.rises(ReplicaId(3));
    assert!(drained(&bench).is_empty());
}

#[test]
fn fixed_backends_can_be_drained_and_nothing_else() {
    let mut bench = Bench::fixed(true);
    bench.probe(S1, ProbeEvent::Answered);
    let sentence = "fixed backends are neither started nor stopped";
    assert_eq!(bench.order(Order::Scale(1)), bad(sentence));
    assert_eq!(bench.replace("all"), bad(sentence));
    assert_eq!(bench.replace("a"), bad(sentence));
    assert_eq!(bench.shown(), ["1 a up", "2 b down"]);
    // A backend that is down can be drained before it comes back.
    assert_eq!(bench.order(Order::Drain(name("b"))), Some(Ok(names("a"))));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.shown(), ["1 a up", "2 b drained"]);
    bench.probe(S2, ProbeEvent::Refused("connection refused".to_owned()));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(drained(&bench), [2]);
    let past = bench.plan.cards(bench.now).remove(1).1.past;
    assert_eq!(past[0].reason, "connection refused");
    assert_eq!(bench.order(Order::Ready(name("b"))), Some(Ok(names("a b"))));
}

#[test]
fn show_lists_former_holders_and_how_they_ended() {
    let mut bench = Bench::up(2);
    bench.falls_silent(S2);
    let new = bench.started()[0];
    assert_eq!(bench.shown(), ["1 S1 up", "2 S2 silent", "2 r1 starting"]);
    bench.rises(new);
    bench.ends(S2);
    bench.gone(S2);
    bench.now += SEC;
    let info = bench.plan.cards(bench.now).remove(1).1;
    assert_eq!(
        (info.name, info.state, info.in_rep_list),
        (name("r1"), ReplicaState::Up, true)
    );
    assert_eq!(
        (info.deaths, info.up_for, info.addr),
        (1, Some(SEC), Some(addr(new)))
    );
    let [past] = &info.past[..] else {
        panic!("expected one former holder")
    };
    assert_eq!((&past.name, past.ago), (&name("S2"), SEC));
    assert_eq!(past.reason, "heartbeat missed 3 times");
    let ended = past.exit.as_deref();
    assert_eq!(ended, Some("process ended, signal: 9 (SIGKILL)"));
    // The history keeps the last four holders.
    for _ in 0..5 {
        let holder = bench.plan.cards(bench.now).remove(1).0.unwrap();
        bench.ends(holder);
        let new = bench.started()[0];
        bench.gone(holder);
        bench.rises(new);
    }
    let info = bench.plan.cards(bench.now).remove(1).1;
    assert_eq!((info.deaths, info.past.len()), (6, 4));
    assert_eq!(info.past[0].name, name("r5"), "the newest first");
}

#[test]
fn show_lists_replicas_of_an_add_and_leaving_replicas() {
    let mut bench = Bench::up(1);
    bench.add(2, "S2 S3");
    let [two, three] = bench.started()[..] else {
        panic!("expected two starts")
    };
    bench.rises(two);
    let all = ["1 S1 up", "2 S2 answered", "3 S3 starting"];
    assert_eq!(bench.shown(), all);
    bench.rises(three);
    bench.rm(1, "S3");
    assert_eq!(bench.shown()[2], "3 S3 leaving");
    assert_eq!(bench.list().len(), 3);
    bench.feed(Input::Drained(three));
    assert_eq!(bench.shown()[2], "3 S3 removing");
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
