//! Standbys that ran before the balancer: they remain standbys, or take a seat that was found
//! empty.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management};
use crate::ring::Weight;
use crate::roster::ReplicaAddr;

/// Plan for the found replica S1, or for its empty seat, and for the found standby s-a.
fn resumed(addr_of_s1: Option<ReplicaAddr>) -> Bench {
    let policy = Policy {
        standbys: 2,
        ..policy(Management::Managed)
    };
    let now = Instant::now();
    let first = [InitialSeat {
        seat: Seat(1),
        name: name("S1"),
        addr: addr_of_s1,
        backend: None,
        version: None,
        started: None,
        drained: false,
        serves: false,
        weight: Weight::ONE,
    }];
    let standby = found_standby("s-a", S2);
    Bench::of(Plan::resume(policy, &first, &[standby], now).unwrap(), now)
}

#[test]
fn found_standbys_remain_standbys() {
    let mut bench = resumed(Some(addr(S1)));
    let starts = [(1, "S1"), (0, "s-a"), (0, "r1")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), starts);
    bench.report(EngineEvent::Started {
        id: S2,
        addr: addr(S2),
    });
    assert_eq!(bench.did, [Action::StartProbing(S2, addr(S2))]);
    assert_eq!(bench.plan.status().standbys, 1);
}

#[test]
fn a_found_standby_takes_a_seat_that_was_found_empty() {
    let mut bench = resumed(None);
    let s_a = ReplicaId(1);
    assert_eq!(bench.promoted(), [(s_a, 1)]);
    bench.report(EngineEvent::Started {
        id: s_a,
        addr: addr(S2),
    });
    assert_eq!(bench.did, [], "its heartbeats have begun");
    bench.probe(s_a, ProbeEvent::Seated { knows: true });
    assert_eq!(bench.list(), names("s-a"));
    assert_eq!(bench.events()[0].reason, "from standby");
}
