//! `drain` and `ready`, and the traces of replicas in `show`.

use super::super::*;
use super::bench::*;
use crate::fleet::events::EventKind;
use crate::orders::{Order, OrderError, ReplicaState};

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
fn a_kill_does_not_wait_for_the_change_under_way_and_is_found_as_any_death() {
    let mut bench = Bench::up(2);
    bench.roll_out("all");
    let killed = bench.order(Order::Kill(name("S2")));
    assert_eq!(killed, Some(Ok(names("S1 S2"))));
    assert_eq!(bench.kills(), [S2]);
    assert_eq!(bench.kinds(), [], "the balancer is not told");
    bench.ends(S2);
    assert_eq!(bench.kinds(), [EventKind::Down]);
    let leaving = OrderError::invalid("S2 is being removed");
    assert_eq!(bench.order(Order::Kill(name("S2"))), Some(Err(leaving)));
    let missing = OrderError::not_found(&name("S9"));
    assert_eq!(bench.order(Order::Kill(name("S9"))), Some(Err(missing)));
    assert_eq!(bench.kills(), []);
    bench.feed(Input::Ownership(Ownership::Yielding));
    assert!(bench.order(Order::Kill(name("S1"))).unwrap().is_err());
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
    let number = format!("{sentence}: add NAME ADDR and rm NAME change the list");
    assert_eq!(bench.order(Order::Scale(1)), bad(&number));
    assert_eq!(bench.replace("all"), bad(sentence));
    assert_eq!(bench.replace("a"), bad(sentence));
    assert_eq!(bench.shown(), ["1 a up", "2 b down"]);
    // A backend that is down can be drained before it comes back.
    assert_eq!(bench.order(Order::Drain(name("b"))), Some(Ok(names("a"))));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.shown(), ["1 a up", "2 b drained"]);
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(drained(&bench), [2]);
    let past = bench.plan.replica_infos(bench.now).remove(1).1.past;
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
    let info = bench.plan.replica_infos(bench.now).remove(1).1;
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
        let holder = bench.plan.replica_infos(bench.now).remove(1).0.unwrap();
        bench.ends(holder);
        let new = bench.started()[0];
        bench.gone(holder);
        bench.rises(new);
    }
    let info = bench.plan.replica_infos(bench.now).remove(1).1;
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
