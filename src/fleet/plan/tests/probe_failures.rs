//! Failed heartbeats that have no consequence yet: their events, and the reasons in `show` and of a
//! failed start.

use super::super::probe_failure::ProbeFailure;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management};
use crate::fleet::events::EventKind;
use crate::fleet::plan::{MissReason, Policy, ProbeEvent, ProbeWording, Refusal};
use crate::orders::OrderError;
use crate::roster::ReplicaId;

const NOT_FOUND: &str = "GET /heartbeat answered 404; see --heartbeat-path";
const REFUSED: &str = "connection refused at 127.0.0.1:1001; see --replica-port";

fn failing(bench: &Bench) -> Vec<&str> {
    let events = bench.events();
    let failing = events
        .iter()
        .filter(|event| event.kind == EventKind::Failing);
    failing.map(|event| event.reason.as_str()).collect()
}

fn reason(bench: &Bench, id: ReplicaId) -> Option<String> {
    let infos = bench.plan.replica_infos(bench.now);
    let mut infos = infos.into_iter();
    infos.find(|(at, _)| *at == Some(id)).unwrap().1.reason
}

fn started(n: usize) -> Bench {
    let mut bench = Bench::starting(n);
    for id in bench.started() {
        bench.report(EngineEvent::Started { id, addr: addr(id) });
    }
    bench
}

#[test]
fn each_failure_names_what_was_asked_what_came_and_the_flag() {
    let connecting = ProbeWording {
        request: None,
        port_hint: "",
        ..wording()
    };
    let missed = ProbeFailure::Missed;
    let cases = [
        (missed(MissReason::Wrong(404)), wording(), NOT_FOUND),
        (
            missed(MissReason::Wrong(503)),
            wording(),
            "GET /heartbeat answered 503",
        ),
        (
            missed(MissReason::Garbled),
            wording(),
            "127.0.0.1:1001 does not speak HTTP; see --heartbeat-path tcp",
        ),
        (
            missed(MissReason::Silent),
            wording(),
            "GET /heartbeat got no answer from 127.0.0.1:1001 within 200ms",
        ),
        (
            missed(MissReason::Closed),
            wording(),
            "127.0.0.1:1001 closed the connection before it answered GET /heartbeat",
        ),
        (
            missed(MissReason::Silent),
            connecting.clone(),
            "no connection to 127.0.0.1:1001 within 200ms",
        ),
        (
            ProbeFailure::Refused(Refusal::Connection),
            wording(),
            REFUSED,
        ),
        (
            ProbeFailure::Refused(Refusal::Connection),
            connecting,
            "connection refused at 127.0.0.1:1001",
        ),
        (
            ProbeFailure::Refused(Refusal::Unreachable),
            wording(),
            "unreachable at 127.0.0.1:1001",
        ),
        (
            ProbeFailure::Refused(Refusal::OtherReplica("S2 in seat 2".to_owned())),
            wording(),
            "its address is that of S2 in seat 2",
        ),
    ];
    for (failure, wording, sentence) in cases {
        assert_eq!(failure.describe(Some(addr(S1)), &wording), sentence);
    }
}

#[test]
fn the_first_wrong_answer_of_a_starting_replica_is_an_event_and_its_reason() {
    let mut bench = started(1);
    bench.misses(S1, MissReason::Wrong(404));
    assert_eq!(failing(&bench), [NOT_FOUND]);
    assert_eq!(reason(&bench, S1).as_deref(), Some(NOT_FOUND));
    bench.now += SEC;
    bench.misses(S1, MissReason::Wrong(404));
    assert!(bench.events().is_empty(), "no news");
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(reason(&bench, S1), None);
}

#[test]
fn refusals_are_usual_for_two_seconds_after_a_start() {
    let refused = || ProbeEvent::NotListening(Refusal::Connection);
    let mut bench = started(1);
    bench.now += 1_999 * MS;
    bench.probe(S1, refused());
    assert!(bench.events().is_empty());
    assert_eq!(reason(&bench, S1).as_deref(), Some(REFUSED));
    bench.now += MS;
    bench.probe(S1, refused());
    assert_eq!(failing(&bench), [REFUSED]);
}

#[test]
fn a_failure_that_changes_again_and_again_is_reported_less_and_less() {
    let mut bench = Bench::fixed(true);
    let mut reports = 0;
    for round in 0..60 * 4 {
        let why = MissReason::Wrong(if round % 2 == 0 { 404 } else { 503 });
        bench.now += 250 * MS;
        bench.misses(S1, why);
        reports += failing(&bench).len();
    }
    // At 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s, each at the next change.
    assert!((6..=7).contains(&reports), "{reports}");
}

#[test]
fn a_backend_that_never_answered_is_reported_at_once_and_at_each_change() {
    let mut bench = Bench::fixed(true);
    let sentence = "connection refused at 127.0.0.1:1001; see --replica-port";
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(failing(&bench), [sentence]);
    bench.now += SEC;
    bench.misses(S1, MissReason::Wrong(404));
    assert_eq!(failing(&bench), [NOT_FOUND]);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Joined]);
}

#[test]
fn the_event_of_a_death_is_not_repeated_while_its_reason_stays() {
    let mut bench = Bench::fixed(true);
    bench.probe(S1, ProbeEvent::Answered);
    for _ in 0..3 {
        bench.misses(S1, MissReason::Wrong(404));
    }
    assert_eq!(bench.kinds(), [EventKind::Down]);
    bench.now += SEC;
    bench.misses(S1, MissReason::Wrong(404));
    assert!(bench.events().is_empty());
    bench.misses(S1, MissReason::Wrong(503));
    assert_eq!(failing(&bench), ["GET /heartbeat answered 503"]);
    bench.probe(S1, ProbeEvent::Answered);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.kinds(), [EventKind::Down]);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert!(bench.events().is_empty());
}

#[test]
fn a_failed_start_quotes_the_last_failure() {
    let mut bench = started(1);
    bench.misses(S1, MissReason::Wrong(404));
    bench.after(10 * SEC);
    let late = format!("it did not answer within 10s with 2xx or 3xx: {NOT_FOUND}");
    assert_eq!(bench.events()[0].reason, late);

    let mut bench = Bench::up(1);
    bench.add(1, "B");
    let id = bench.started()[0];
    bench.report(EngineEvent::Started { id, addr: addr(S1) });
    bench.probe(id, ProbeEvent::NotListening(Refusal::Connection));
    bench.after(10 * SEC);
    for (id, _) in bench.removed() {
        bench.gone(id);
    }
    let sentence = format!("could not start B: it did not answer within 10s: {REFUSED}");
    let refused = OrderError::unavailable(sentence);
    assert_eq!(bench.answer(), Some(Err(refused)));
}

#[test]
fn the_silence_of_a_managed_replica_that_was_up_is_reported_once() {
    let policy = Policy {
        replace_after: 5 * SEC,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    bench.falls_silent(S1);
    assert_eq!(bench.kinds(), [EventKind::Suspect]);
    bench.now += 5 * SEC;
    bench.misses(S1, MissReason::Silent);
    assert_eq!(bench.kinds(), [EventKind::Down]);
    bench.misses(S1, MissReason::Wrong(503));
    assert!(failing(&bench).is_empty());
}
