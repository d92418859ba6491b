//! Fleets that start or end differently: fixed backends, no heartbeats, containers that were found
//! and are kept.

use crate::ring::Weight;
use std::time::Instant;

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::Order;
use crate::roster::{Evidence, EvidenceKind, Health};

#[test]
fn fixed_backends_are_down_until_they_answer_and_come_back() {
    let mut bench = Bench::fixed(true);
    let (a, b) = (S1, S2);
    let probed = [a, b].map(|id| Action::StartProbing(id, addr(id)));
    assert_eq!(bench.did, probed);
    assert_eq!(bench.health(1), Some(Health::Down));
    bench.probe(a, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    assert_eq!(bench.list(), names("a"));
    bench.probe(b, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.kinds(), [EventKind::Failing]);
    assert_eq!(bench.did.len(), 1, "nothing but the event");
    assert!(!bench.plan.status().complete);
    bench.probe(b, ProbeEvent::Answered);
    assert!(bench.plan.status().complete);
    bench.probe(a, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.health(1), Some(Health::Down));
    assert!(bench.started().is_empty() && bench.removed().is_empty());
    bench.probe(a, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Up]);
    bench.falls_silent(b);
    assert_eq!(bench.list(), names("a"));
    assert!(bench.after(60 * SEC).is_empty());
    let sentence =
        "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list";
    assert_eq!(bench.add(1, ""), bad(sentence));
    assert_eq!(bench.order(Order::Scale(1)), bad(sentence));
    bench.feed(Input::Stop { leave: false });
    bench.gone(a);
    bench.gone(b);
    assert!(bench.did.contains(&Action::Finished));
}

#[test]
fn without_heartbeats_every_replica_stays_up() {
    let mut bench = Bench::fixed(false);
    assert!(bench.did.is_empty(), "no replica is probed");
    let sign = EvidenceKind::Refused;
    bench.feed(Input::Evidence(Evidence { id: S1, kind: sign }));
    assert!(bench.did.is_empty());
    assert_eq!(bench.list(), names("a b"));
    assert!(bench.plan.status().complete);
}

#[test]
fn found_replicas_have_time_to_answer_before_they_get_successors() {
    let started = Instant::now();
    let now = started + 3600 * SEC;
    let found = |seat, text: &str, runs: bool| InitialSeat {
        seat: Seat(seat),
        name: name(text),
        addr: runs.then(|| addr(ReplicaId(seat.into()))),
        backend: None,
        version: None,
        started: runs.then_some(started),
        drained: false,
        serves: false,
        weight: Weight::ONE,
    };
    let first = [
        found(2, "S2", true),
        found(5, "r0", false),
        found(7, "s-x", true),
    ];
    let mut bench = Bench {
        plan: Plan::resume(policy(Management::Managed), &first, &[], now).unwrap(),
        now,
        dice: Dice::default(),
        orders_sent: 0,
        did: Vec::new(),
    };
    bench.feed(Input::Begin);
    let expected = [(2, "S2"), (7, "s-x"), (5, "r0")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    assert_eq!(bench.seats(), [2, 5, 7]);
    assert_eq!(bench.health(2), Some(Health::Down), "until it answers");
    bench.rises(S1);
    assert_eq!(
        (bench.kinds(), bench.health(2)),
        (vec![EventKind::Joined], Some(Health::Up))
    );
    bench.rises(S3);
    assert!(bench.after(900 * MS).is_empty(), "time to answer");
    bench.after(100 * MS);
    assert_eq!(bench.starting_names(), [(7, "r1".to_owned())]);
    assert!(bench.removed().is_empty(), "it may answer first");
    assert!(!bench.plan.status().complete);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Withdrawn, EventKind::Joined]);
    assert_eq!(bench.list(), names("S2 r0 s-x"));
    assert!(bench.plan.status().complete);
    // A found replica is up since its start, and any other since its first answer.
    let infos = bench.plan.replica_infos(bench.now).into_iter();
    let up_for: Vec<_> = infos.map(|(_, info)| info.up_for).collect();
    let [found, new] = [3601 * SEC, SEC].map(Some);
    assert_eq!(up_for, [found, new, found, None]);
}

#[test]
fn a_refused_name_refuses_its_add_and_is_not_used_for_a_seat_again() {
    let why = || "is taken by a container that is not ours".to_owned();
    let mut bench = Bench::up(1);
    assert_eq!(bench.add(2, "lion"), None);
    let [lion, other] = bench.started()[..] else {
        panic!("expected two starts")
    };
    bench.rises(other);
    let id = lion;
    bench.report(EngineEvent::NameRefused { id, why: why() });
    assert_eq!(bench.removed().len(), 2, "all or nothing");
    bench.gone(lion);
    bench.gone(other);
    let sentence = "the name lion is taken by a container that is not ours";
    assert_eq!(bench.answer(), bad(sentence));
    assert_eq!(bench.list(), names("S1"));

    let mut bench = Bench::starting(1);
    bench.report(EngineEvent::NameRefused { id: S1, why: why() });
    assert_eq!(bench.kinds(), [EventKind::Failed]);
    bench.gone(S1);
    bench.after(SEC);
    assert_eq!(bench.starting_names(), [(1, "r1".to_owned())]);
}

#[test]
fn a_stop_with_keep_detaches_the_holders_of_seats() {
    let keep = Policy {
        keep: true,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(keep, 3);
    bench.rises(S1);
    bench.rises(S2);
    bench.falls_silent(S2);
    let successor = bench.started()[0];
    bench.feed(Input::Stop { leave: false });
    let expected = [
        (S1, StopMode::Detach),
        (S2, StopMode::Detach),
        (S3, StopMode::Kill),
        (successor, StopMode::Kill),
    ];
    assert_eq!(bench.removed(), expected);
}
