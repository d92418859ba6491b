//! `/add` and `/rm`, and deaths and stops in the middle of them.
//!
//! Both orders are in one file because most rules are about an order beside the other.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::{MAX_QUEUED_ORDERS, OrderError};
use crate::ring::Spec;

#[test]
fn added_replicas_join_together_when_the_last_has_answered() {
    let mut bench = Bench::up(3);
    assert_eq!(bench.add(3, "B A"), None);
    let expected = [(4, "B"), (5, "A"), (6, "r1")];
    let expected = expected.map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    let ids = bench.started();
    bench.rises(ids[2]);
    bench.rises(ids[1]);
    assert_eq!((bench.published(), bench.seats().len()), (false, 3));
    bench.rises(ids[0]);
    assert!(bench.published());
    assert_eq!(bench.seats(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2 S3 B A r1"))));
}

#[test]
fn an_add_is_checked_in_order() {
    let mut bench = Bench::up(3);
    bench.ends(S2);
    let taken = bad("the name r1 is taken");
    assert_eq!(bench.add(254, "S9 r1"), taken, "it is being started");
    assert_eq!(bench.add(1, "S2"), bad("the name S2 is taken"));
    let sentence = "cannot add 254 to 3 replicas: at most 256 are allowed (--max-replicas)";
    assert_eq!(bench.add(254, "S9"), bad(sentence));
    let classic = Policy {
        ring: Spec::Classic,
        bound: crate::load::LoadBound::OFF,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(classic, 3);
    let sentence = "ring classic has room for seats 1 to 56, not for seat 57";
    assert_eq!(bench.add(54, ""), bad(sentence));
    assert_eq!(bench.plan.status().wanted, 3);
    assert_eq!(bench.add(53, ""), None);
}

#[test]
fn an_add_is_all_or_nothing() {
    type Blow = fn(&mut Bench, ReplicaId);
    let blows: [(Blow, &str); 5] = [
        (|bench, id| bench.fails(id), "no luck"),
        (
            |bench, id| bench.ends(id),
            "process ended, signal: 9 (SIGKILL), within 0.0 ms of its start",
        ),
        (
            |bench, _| {
                bench.after(10 * SEC);
            },
            "it did not answer within 10s",
        ),
        (
            |bench, id| {
                bench.rises(id);
                bench.ends(id);
            },
            "process ended, signal: 9 (SIGKILL)",
        ),
        (
            |bench, id| {
                bench.rises(id);
                bench.falls_silent(id);
            },
            "heartbeat missed 3 times",
        ),
    ];
    for (blow, why) in blows {
        let mut bench = Bench::up(2);
        bench.add(3, "S3 S4 S5");
        let ids = bench.started();
        bench.rises(ids[0]);
        blow(&mut bench, ids[1]);
        let expected = ids.iter().map(|id| (*id, StopMode::Kill));
        assert_eq!(bench.removed(), expected.collect::<Vec<_>>(), "{why}");
        bench.gone(ids[1]);
        bench.gone(ids[2]);
        assert_eq!(bench.answer(), None, "S3 is still there");
        bench.gone(ids[0]);
        let refusal = OrderError::unavailable(format!("could not start S4: {why}"));
        assert_eq!(bench.answer(), Some(Err(refusal)));
        assert_eq!((bench.seats(), bench.plan.status().wanted), (vec![1, 2], 2));
    }
}

#[test]
fn a_failed_add_tells_how_its_replica_ended() {
    let end = "process ended, signal: 9 (SIGKILL)";
    let mut bench = Bench::up(1);
    bench.add(2, "S2 S3");
    let ids = bench.started();
    bench.after(200 * MS);
    bench.ends(ids[1]);
    ids.iter().for_each(|id| bench.gone(*id));
    let why = format!("could not start S3: {end}, within 200 ms of its start");
    assert_eq!(
        bench.answer(),
        Some(Err(OrderError::unavailable(why.clone())))
    );

    // It had answered, and its connections end before the engine knows.
    bench.add(2, "S2 S3");
    let ids = bench.started();
    bench.rises(ids[1]);
    bench.probe(ids[1], ProbeEvent::Refused(Refusal::Connection));
    bench.ends(ids[1]);
    ids.iter().for_each(|id| bench.gone(*id));
    let why = format!("could not start S3: connection refused; {end}");
    assert_eq!(bench.answer(), Some(Err(OrderError::unavailable(why))));
}

#[test]
fn removed_replicas_leave_the_ring_at_once_and_end_when_drained() {
    let mut bench = Bench::up(4);
    assert_eq!(bench.rm(2, "S3"), None);
    assert!(bench.published());
    assert_eq!(bench.seats(), [2, 4], "S1 was drawn");
    assert_eq!(bench.plan.status().wanted, 2);
    assert_eq!(bench.list().len(), 4, "draining replicas are listed");
    bench.feed(Input::Drained(S3));
    assert_eq!(bench.removed(), [(S3, StopMode::Graceful)]);
    bench.ends(S3);
    assert_eq!(bench.list(), names("S1 S2 S4"));
    bench.gone(S3);
    assert_eq!(bench.answer(), None);
    bench.after(10 * SEC);
    assert_eq!(
        bench.removed(),
        [(S1, StopMode::Graceful)],
        "its time is over"
    );
    bench.gone(S1);
    assert_eq!(bench.answer(), Some(Ok(names("S2 S4"))));
    assert_eq!(bench.kinds(), [EventKind::Left, EventKind::Left]);
}

#[test]
fn freed_seats_are_taken_again_the_lowest_first() {
    let mut bench = Bench::up(3);
    bench.rm(1, "S2");
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    bench.add(2, "S2");
    assert_eq!(bench.starting_names()[0], (2, "S2".to_owned()));
    assert_eq!(bench.starting_names()[1].0, 4);
    for id in bench.started() {
        bench.rises(id);
    }
    assert_eq!(bench.answer(), Some(Ok(names("S1 S3 S2 r1"))));
}

#[test]
fn an_rm_is_checked_in_order() {
    let mut bench = Bench::up(2);
    assert_eq!(bench.rm(3, "S9"), bad("there is no replica named S9"));
    let sentence = "cannot remove 3 replicas: there are only 2";
    assert_eq!(bench.rm(3, "S1"), bad(sentence));
    assert_eq!(bench.list(), names("S1 S2"));
}

#[test]
fn all_replicas_may_be_removed() {
    let mut bench = Bench::up(2);
    bench.rm(2, "");
    for id in [S1, S2] {
        bench.feed(Input::Drained(id));
        bench.gone(id);
    }
    assert_eq!(bench.answer(), Some(Ok(vec![])));
    assert!(bench.seats().is_empty());
    assert!(bench.after(60 * SEC).is_empty());
    bench.add(1, "");
    assert_eq!(bench.starting_names()[0].0, 1);
}

#[test]
fn a_replica_that_dies_while_it_drains_is_not_replaced() {
    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    bench.ends(S2);
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
    assert!(bench.started().is_empty());
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}

#[test]
fn a_seat_is_removed_with_its_dead_holder_and_its_starting_successor() {
    for named in ["S2", "r1"] {
        let mut bench = Bench::up(2);
        bench.ends(S2);
        let successor = bench.started()[0];
        bench.rm(1, named);
        assert_eq!(bench.removed(), [(successor, StopMode::Kill)]);
        bench.rises(successor);
        bench.gone(S2);
        assert_eq!(bench.answer(), None);
        bench.gone(successor);
        assert_eq!(bench.answer(), Some(Ok(names("S1"))), "{named}");
    }
}

#[test]
fn a_silent_replica_is_removed_without_draining() {
    let mut bench = Bench::up(2);
    bench.falls_silent(S2);
    let successor = bench.started()[0];
    bench.rm(1, "S2");
    let expected = [(successor, StopMode::Kill), (S2, StopMode::Kill)];
    assert_eq!(bench.removed(), expected);
}

#[test]
fn a_replica_that_never_answered_can_be_removed() {
    let mut bench = Bench::starting(2);
    bench.rm(1, "S2");
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
    bench.rises(S1);
    assert!(bench.plan.status().complete);
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
}

#[test]
fn the_first_name_of_a_seat_is_kept_while_it_waits_for_another_try() {
    let mut bench = Bench::starting(2);
    bench.fails(S2);
    bench.gone(S2);
    assert_eq!(bench.add(1, "S2"), bad("the name S2 is taken"));
    bench.rm(1, "S2");
    assert_eq!(bench.answer(), Some(Ok(vec![])));
    assert_eq!(
        (bench.seats(), bench.plan.deadline().is_some()),
        (vec![1], true)
    );
}

#[test]
fn changes_are_carried_out_one_after_another() {
    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    assert_eq!(bench.add(1, "S2"), None);
    assert!(bench.started().is_empty(), "it waits");
    assert_eq!(bench.list(), names("S1 S2"));
    bench.feed(Input::Drained(S2));
    bench.gone(S2);
    assert_eq!(bench.answer(), Some(Ok(names("S1"))));
    assert_eq!(bench.starting_names(), [(2, "S2".to_owned())]);
    for _ in 0..MAX_QUEUED_ORDERS {
        assert_eq!(bench.rm(1, ""), None);
    }
    let refusal = OrderError::unavailable("64 commands wait already");
    assert_eq!(bench.rm(1, ""), Some(Err(refusal)));
}

#[test]
fn a_death_beside_a_change_is_replaced_meanwhile() {
    let mut bench = Bench::up(2);
    bench.add(1, "");
    let added = bench.started()[0];
    bench.ends(S1);
    let successor = bench.started()[0];
    bench.rises(successor);
    assert!(bench.published());
    bench.rises(added);
    assert_eq!(bench.answer(), Some(Ok(names("r2 S2 r1"))));
}

#[test]
fn a_stop_removes_every_replica_and_refuses_waiting_orders() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.add(1, "");
    let [silent_successor, added] = [ReplicaId(4), ReplicaId(5)];
    bench.feed(Input::Stop { leave: false });
    let expected = [
        (added, StopMode::Kill),
        (S1, StopMode::Graceful),
        (S2, StopMode::Kill),
        (S3, StopMode::Graceful),
        (silent_successor, StopMode::Kill),
    ];
    assert_eq!(bench.removed(), expected);
    let refusal = OrderError::unavailable("ringmaster is stopping");
    assert_eq!(bench.answer(), Some(Err(refusal.clone())));
    assert_eq!(bench.rm(1, ""), Some(Err(refusal)));
    for (id, _) in expected {
        assert!(!bench.did.contains(&Action::Finished));
        bench.ends(id);
        bench.gone(id);
        assert!(bench.started().is_empty());
    }
    assert!(bench.did.contains(&Action::Finished));
    assert!(bench.after(60 * SEC).is_empty());
}

#[test]
fn a_closed_plan_refuses_changes_and_keeps_its_replicas() {
    let refusal = Err(OrderError::unavailable("ringmaster is stopping"));
    let mut bench = Bench::up(2);
    bench.add(2, "a b");
    let group = bench.started();
    bench.rises(group[0]);
    bench.rm(1, "S2");
    bench.feed(Input::Close);
    assert_eq!(bench.answers(), [refusal.clone(), refusal.clone()]);
    let killed = [(group[0], StopMode::Kill), (group[1], StopMode::Kill)];
    assert_eq!(bench.removed(), killed);
    assert_eq!(bench.add(1, ""), Some(refusal.clone()));
    for id in group {
        bench.ends(id);
        bench.gone(id);
        assert!(bench.started().is_empty() && bench.answers().is_empty());
    }
    assert_eq!(bench.list(), names("S1 S2"));
    bench.ends(S1);
    assert_eq!(bench.starting_names(), [(1, "r1".to_owned())]);

    let mut bench = Bench::up(2);
    bench.rm(1, "S2");
    bench.feed(Input::Close);
    assert_eq!(bench.answers(), [refusal]);
    bench.feed(Input::Drained(S2));
    bench.ends(S2);
    bench.gone(S2);
    assert_eq!(bench.kinds(), [EventKind::Left]);
    assert!(bench.answers().is_empty());
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn a_takeover_refuses_waiting_orders_and_continues_the_active_one() {
    let mut bench = Bench::up(2);
    bench.add(1, "S3");
    let added = bench.started()[0];
    bench.rm(1, "S2");
    bench.feed(Input::Ownership(Ownership::Yielding));
    let sentence = "another process takes over this balancer; try again in a moment";
    assert_eq!(bench.answers(), [Err(OrderError::unavailable(sentence))]);
    bench.rises(added);
    assert_eq!(bench.answers(), [Ok(names("S1 S2 S3"))]);
}

#[test]
fn a_draining_replica_that_is_silent_or_refuses_is_killed() {
    for silent in [true, false] {
        let mut bench = Bench::up(2);
        bench.rm(1, "S2");
        assert_eq!(bench.draining(), [S2]);
        if silent {
            bench.misses(S2, MissReason::Silent);
            bench.misses(S2, MissReason::Silent);
            assert_eq!(bench.removed(), []);
            bench.misses(S2, MissReason::Silent);
        } else {
            bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
        }
        assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
        assert_eq!(bench.kinds(), [EventKind::Ended]);
        bench.gone(S2);
        assert_eq!(bench.answer(), Some(Ok(names("S1"))));
    }
}
