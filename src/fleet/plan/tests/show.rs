//! The reasons in `show`: they last until a replica is up.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::EngineEvent;
use crate::orders::Order;

/// Returns the state and the reason of the only description of a seat.
fn of_seat(bench: &Bench, seat: u32) -> (&'static str, Option<String>) {
    let infos = bench.plan.replica_infos(bench.now).into_iter();
    let mut infos = infos.filter(|(_, info)| info.seat == Some(Seat(seat)));
    let (_, info) = infos.next().expect("it has one");
    assert!(infos.next().is_none(), "seat {seat} has several");
    (info.state.as_str(), info.reason)
}

#[test]
fn the_cause_of_a_failed_start_stays_until_a_replica_is_up() {
    let mut bench = Bench::starting(1);
    assert_eq!(of_seat(&bench, 1), ("starting", None));
    let why = "S1 did not start: no luck";
    bench.fails(S1);
    bench.gone(S1);
    let waits = format!("the next start is in 0.5 s; {why}");
    assert_eq!(of_seat(&bench, 1), ("waiting", Some(waits)));
    bench.after(500 * MS);
    let second = bench.started()[0];
    assert_eq!(of_seat(&bench, 1), ("starting", Some(why.to_owned())));
    bench.report(EngineEvent::Started {
        id: second,
        addr: addr(second),
    });
    bench.misses(second, MissReason::Wrong(503));
    let both = format!("GET /heartbeat answered 503; {why}");
    assert_eq!(of_seat(&bench, 1), ("starting", Some(both)));
    bench.probe(second, ProbeEvent::Answered);
    assert_eq!(of_seat(&bench, 1), ("up", None));
}

#[test]
fn the_cause_of_a_death_stays_until_a_replica_is_up() {
    let mut bench = Bench::up(1);
    let mut last = S1;
    // More deaths than are followed at once.
    for _ in 0..10 {
        bench.ends(last);
        let next = bench.started()[0];
        bench.gone(last);
        last = next;
        let (state, reason) = of_seat(&bench, 1);
        let reason = reason.expect("a reason");
        assert_eq!(state, "starting");
        let part = " died: process ended, signal: 9 (SIGKILL)";
        assert!(reason.ends_with(part), "{reason}");
        bench.rises(last);
        assert_eq!(of_seat(&bench, 1), ("up", None));
    }
    bench.ends(last);
    bench.gone(last);
    let died = "r10 died: process ended, signal: 9 (SIGKILL)";
    let waits = format!("the next start is in 0.5 s; {died}");
    assert_eq!(of_seat(&bench, 1), ("waiting", Some(waits)));
}

#[test]
fn a_drained_replica_that_is_down_is_both() {
    let mut bench = Bench::fixed(true);
    bench.probe(S1, ProbeEvent::Answered);
    bench.probe(S2, ProbeEvent::Answered);
    bench.order(Order::Drain(name("b")));
    assert_eq!(of_seat(&bench, 2), ("drained", None));
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    let reason = "drained; connection refused at 127.0.0.1:1002; see --replica-port";
    assert_eq!(of_seat(&bench, 2), ("down", Some(reason.to_owned())));
    bench.order(Order::Ready(name("b")));
    let reason = "connection refused at 127.0.0.1:1002; see --replica-port";
    assert_eq!(of_seat(&bench, 2), ("down", Some(reason.to_owned())));
}
