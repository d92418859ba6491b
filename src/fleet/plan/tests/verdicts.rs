//! Verdicts about replicas: dead, suspect, or up again in the same seat.

use std::time::Duration;

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, StopMode};
use crate::fleet::events::EventKind;
use crate::roster::{Evidence, EvidenceKind, Health};

#[test]
fn the_first_replicas_start_at_once_and_together() {
    let mut bench = Bench::starting(3);
    let expected = [1, 2, 3].map(|n| (n, format!("S{n}"))).to_vec();
    assert_eq!(bench.starting_names(), expected);
    assert_eq!((bench.seats(), bench.health(1)), (vec![1, 2, 3], None));
    bench.report(EngineEvent::Started {
        id: S2,
        addr: addr(S2),
    });
    assert_eq!(bench.did, [Action::StartProbing(S2, addr(S2))]);
    assert!(bench.list().is_empty());
    bench.probe(S2, ProbeEvent::Answered);
    assert!(bench.published());
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    bench.rises(S3);
    assert_eq!(bench.list(), names("S2 S3"));
    assert!(!bench.plan.status().complete);
    bench.rises(S1);
    assert_eq!(bench.list(), names("S1 S2 S3"));
    let status = bench.plan.status();
    let expected = Status {
        unanswered_inherited: 0,
        wanted: 3,
        answered: 3,
        up: 3,
        drained: 0,
        standbys: 0,
        versions: 1,
        has_other_versions: false,
        replacing: false,
        ownership: Ownership::Owned,
        busy: false,
        complete: true,
    };
    assert_eq!(status, expected);
}

#[test]
fn an_exit_is_a_certain_death_and_the_successor_takes_the_seat() {
    let mut bench = Bench::up(3);
    bench.now += 40 * MS;
    bench.ends(S2);
    assert!(bench.published());
    assert_eq!(bench.health(2), Some(Health::Down));
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
    assert_eq!(bench.starting_names(), [(2, "r1".to_owned())]);
    assert_eq!(bench.events()[0].detected_within, Some(40 * MS));
    assert_eq!(bench.events()[0].up, 2);
    assert_eq!(bench.list(), names("S1 S3"));
    bench.gone(S2);
    bench.now += 20 * MS;
    bench.rises(ReplicaId(4));
    assert!(bench.published());
    let event = bench.events()[0];
    assert_eq!(
        (event.kind, &event.before),
        (EventKind::Replaced, &Some(name("S2")))
    );
    assert_eq!(event.replaced_after, Some(20 * MS));
    assert_eq!(bench.list(), names("S1 r1 S3"));
    assert_eq!(bench.seats(), [1, 2, 3]);
}

#[test]
fn a_refusal_is_a_certain_death_and_the_exit_reason_follows() {
    let mut bench = Bench::up(2);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.health(1), Some(Health::Down));
    assert_eq!(bench.removed(), [(S1, StopMode::Kill)]);
    assert_eq!(bench.started().len(), 1);
    bench.ends(S1);
    assert_eq!(bench.kinds(), [EventKind::Ended]);
    assert!(bench.removed().is_empty());
}

#[test]
fn a_starting_replica_may_refuse_connections() {
    let mut bench = Bench::starting(1);
    bench.probe(S1, ProbeEvent::Refused(Refusal::Connection));
    bench.falls_silent(S1);
    assert!(bench.did.is_empty());
    bench.rises(S1);
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn a_silent_replica_stays_until_its_successor_answers() {
    let mut bench = Bench::up(3);
    bench.misses(S2, MissReason::Silent);
    bench.misses(S2, MissReason::Silent);
    assert!(bench.did.is_empty());
    bench.misses(S2, MissReason::Silent);
    assert!(bench.published());
    assert_eq!(bench.health(2), Some(Health::Down));
    assert_eq!(bench.events()[0].reason, "heartbeat missed 3 times");
    assert!(bench.removed().is_empty());
    assert_eq!(bench.started(), [ReplicaId(4)]);
    assert_eq!(bench.list(), names("S1 S3"));
    bench.rises(ReplicaId(4));
    assert_eq!(bench.removed(), [(S2, StopMode::Kill)]);
    assert_eq!(bench.list(), names("S1 r1 S3"));
}

#[test]
fn an_answer_clears_the_misses() {
    let mut bench = Bench::up(1);
    for _ in 0..3 {
        bench.misses(S1, MissReason::Silent);
        bench.misses(S1, MissReason::Silent);
        bench.probe(S1, ProbeEvent::Answered);
    }
    assert_eq!(bench.health(1), Some(Health::Up));
}

#[test]
fn a_routine_answer_is_one_of_a_replica_that_is_up_and_missed_nothing() {
    let mut bench = Bench::up(1);
    let answer = Input::Probe(S1, ProbeEvent::Answered);
    bench.now += SEC;
    assert!(bench.plan.record_routine(&answer, bench.now));
    bench.misses(S1, MissReason::Silent);
    assert!(!bench.plan.record_routine(&answer, bench.now));
    bench.feed(answer.clone());
    assert!(bench.plan.record_routine(&answer, bench.now));
    bench.probe(S1, ProbeEvent::Broken);
    assert!(!bench.plan.record_routine(&answer, bench.now));
    bench.ends(S1);
    let detected_within = bench.events()[0].detected_within;
    assert_eq!(detected_within, Some(Duration::ZERO), "since that answer");
}

#[test]
fn a_silent_replica_that_answers_before_its_successor_keeps_its_seat() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.health(2), Some(Health::Up));
    assert_eq!(bench.removed(), [(ReplicaId(4), StopMode::Kill)]);
    assert_eq!(bench.kinds(), [EventKind::Withdrawn, EventKind::Up]);
    // The successor's answer comes too late.
    bench.rises(ReplicaId(4));
    bench.gone(ReplicaId(4));
    assert_eq!(bench.list(), names("S1 S2 S3"));
    assert!(bench.after(SEC).is_empty());
}

#[test]
fn a_silent_replica_that_ends_is_reported_down_once() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S2);
    bench.ends(S2);
    assert_eq!(bench.kinds(), [EventKind::Ended]);
    assert!(
        bench.started().is_empty(),
        "its successor is already starting"
    );
    bench.rises(ReplicaId(4));
    assert_eq!(bench.list(), names("S1 r1 S3"));
    assert!(bench.removed().is_empty());
}

#[test]
fn a_newer_answer_on_the_data_path_cancels_a_miss() {
    let mut bench = Bench::up(1);
    bench.dice.answers.insert(S1, bench.now - 100 * MS);
    for _ in 0..5 {
        bench.misses(S1, MissReason::Silent);
    }
    assert_eq!(bench.health(1), Some(Health::Up));
    bench.dice.answers.insert(S1, bench.now - 300 * MS);
    bench.falls_silent(S1);
    assert_eq!(bench.health(1), Some(Health::Down));
}

#[test]
fn a_wrong_answer_is_a_miss_that_nothing_cancels() {
    for why in [
        MissReason::Wrong(503),
        MissReason::Closed,
        MissReason::Garbled,
    ] {
        let mut bench = Bench::up(1);
        bench.now += 750 * MS;
        bench.dice.answers.insert(S1, bench.now);
        for _ in 0..3 {
            bench.misses(S1, why);
        }
        assert_eq!(bench.health(1), Some(Health::Down), "{why:?}");
        let event = bench.events()[0];
        assert_eq!(
            event.detected_within,
            Some(750 * MS),
            "the answer of the data path does not count as healthy"
        );
    }
}

#[test]
fn a_broken_connection_makes_a_suspect_until_the_next_answer() {
    let mut bench = Bench::up(2);
    bench.probe(S1, ProbeEvent::Broken);
    assert!(bench.published());
    assert_eq!(bench.health(1), Some(Health::Suspect));
    assert!(bench.did.contains(&Action::CheckAlive(S1)));
    assert_eq!(bench.list(), names("S1 S2"));
    bench.probe(S1, ProbeEvent::Answered);
    assert!(bench.published());
    assert_eq!(bench.health(1), Some(Health::Up));
}

#[test]
fn evidence_causes_a_probe_and_never_a_verdict() {
    let mut bench = Bench::up(2);
    for sign in [
        EvidenceKind::Lost,
        EvidenceKind::ConnectTimeout,
        EvidenceKind::ReplyTimeout,
    ] {
        bench.feed(Input::Evidence(Evidence { id: S1, kind: sign }));
        assert_eq!(bench.did, [Action::ProbeNow(S1, false)], "{sign:?}");
    }
    let sign = EvidenceKind::Refused;
    for _ in 0..100 {
        bench.feed(Input::Evidence(Evidence { id: S1, kind: sign }));
        assert!(bench.did.contains(&Action::ProbeNow(S1, true)));
    }
    assert_eq!(bench.health(1), Some(Health::Suspect));
    let id = ReplicaId(99);
    assert!(
        bench
            .feed(Input::Evidence(Evidence { id, kind: sign }))
            .is_empty()
    );
}
