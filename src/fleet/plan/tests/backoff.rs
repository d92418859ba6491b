//! Delays of successors: the back-off, and the hold after a mass silence.

use std::time::Duration;

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::EventKind;

#[test]
fn a_failed_start_waits_twice_as_long_each_time() {
    let mut bench = Bench::starting(1);
    let mut id = S1;
    let waits = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    for wait in waits.map(Duration::from_millis) {
        bench.fails(id);
        assert_eq!(bench.kinds(), [EventKind::Failed]);
        assert_eq!(bench.removed(), [(id, StopMode::Kill)]);
        bench.gone(id);
        assert_eq!(bench.plan.deadline(), Some(bench.now + wait));
        assert!(bench.after(wait - MS).is_empty());
        bench.after(MS);
        // The replica has never answered, so its name is free for the next start.
        assert_eq!(bench.starting_names(), [(1, "S1".to_owned())]);
        id = bench.started()[0];
    }
    bench.rises(id);
    bench.after(59 * SEC);
    bench.ends(id);
    assert_eq!(
        bench.started().len(),
        1,
        "a replica that answered is replaced at once"
    );
    bench.fails(bench.started()[0]);
    bench.after(29 * SEC);
    assert!(bench.started().is_empty(), "the back-off continues");
    bench.after(SEC);
    let id = bench.started()[0];
    bench.rises(id);
    bench.after(60 * SEC);
    bench.ends(id);
    bench.fails(bench.started()[0]);
    bench.after(500 * MS);
    assert_eq!(
        bench.started().len(),
        1,
        "a minute of health resets the delay"
    );
}

#[test]
fn a_start_that_takes_too_long_has_failed() {
    let mut bench = Bench::starting(1);
    bench.report(EngineEvent::Started {
        id: S1,
        addr: addr(S1),
    });
    assert_eq!(bench.plan.deadline(), Some(bench.now + 10 * SEC));
    bench.after(10 * SEC);
    assert_eq!(bench.removed(), [(S1, StopMode::Kill)]);
    assert_eq!(bench.events()[0].reason, "it did not answer within 10s");
}

#[test]
fn the_eleventh_death_within_a_minute_waits() {
    let mut bench = Bench::up(1);
    let mut id = S1;
    for death in 1..=10 {
        bench.ends(id);
        assert_eq!(bench.started().len(), 1, "death {death}");
        let next = bench.started()[0];
        bench.gone(id);
        bench.rises(next);
        bench.now += SEC;
        id = next;
    }
    bench.ends(id);
    assert!(bench.started().is_empty());
    bench.after(499 * MS);
    assert!(bench.started().is_empty());
    bench.after(MS);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn silent_replicas_are_not_replaced_for_a_while_when_many_fall_silent_at_once() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S1);
    assert_eq!(bench.started(), [ReplicaId(4)]);
    bench.now += 250 * MS;
    bench.falls_silent(S2);
    assert_eq!(
        bench.kinds(),
        [EventKind::Down, EventKind::Held, EventKind::Withdrawn]
    );
    assert_eq!(bench.removed(), [(ReplicaId(4), StopMode::Kill)]);
    bench.falls_silent(S3);
    assert!(bench.started().is_empty());
    bench.ends(S3);
    assert_eq!(bench.started().len(), 1, "S3 is dead for certain");
    bench.rises(bench.started()[0]);
    bench.after(1_999 * MS);
    assert!(bench.started().is_empty());
    bench.after(MS);
    let one = bench.started();
    assert_eq!(one.len(), 1, "one seat at a time");
    bench.after(SEC);
    assert!(bench.started().is_empty());
    bench.rises(one[0]);
    let two = bench.started();
    assert_eq!(two.len(), 1, "then the next");
    bench.rises(two[0]);
    assert_eq!(bench.plan.status().up, 3);
    assert_eq!(bench.plan.state.mass_silence.held_until(), None);
}

#[test]
fn answers_of_the_silent_replicas_end_the_hold() {
    let mut bench = Bench::up(3);
    bench.falls_silent(S1);
    bench.falls_silent(S2);
    bench.probe(S1, ProbeEvent::Answered);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.plan.status().up, 3);
    bench.now += 251 * MS;
    bench.falls_silent(S3);
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn few_or_slowly_silent_seats_do_not_begin_a_hold() {
    let mut two = Bench::up(2);
    two.falls_silent(S1);
    two.falls_silent(S2);
    assert_eq!(two.started().len(), 1);
    let mut three = Bench::up(3);
    for id in [S1, S2, S3] {
        three.falls_silent(id);
        assert_eq!(three.started().len(), 1);
        three.now += 251 * MS;
    }
}

#[test]
fn half_of_the_seats_silent_at_once_do_not_begin_a_hold() {
    let mut bench = Bench::up(4);
    for id in [S1, S2] {
        bench.falls_silent(id);
        assert_eq!(bench.kinds(), [EventKind::Down]);
        assert_eq!(bench.started().len(), 1);
    }
    bench.falls_silent(S3);
    assert!(bench.kinds().contains(&EventKind::Held), "more than half");
}

#[test]
fn many_deaths_at_once_double_the_delay_only_once() {
    let policy = Policy {
        standbys: 20,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    let all = bench.started();
    for id in &all {
        bench.rises(*id);
    }
    let mut started = 0;
    for id in &all[1..] {
        bench.ends(*id);
        started += bench.started().len();
    }
    assert_eq!(started, 10, "as many as may die within a minute");
    bench.after(500 * MS);
    assert_eq!(bench.started().len(), 10);
}

#[test]
fn promotion_of_a_standby_that_was_warm_for_long_resets_the_back_off() {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    // Repeated failures make the delay long.
    let mut standby = S2;
    for _ in 0..7 {
        bench.fails(standby);
        bench.gone(standby);
        bench.after(30 * SEC);
        standby = bench.started()[0];
    }
    bench.rises(standby);
    bench.after(61 * SEC);
    bench.ends(S1);
    assert_eq!(bench.promoted(), [(standby, 1)]);
    let next = bench.started()[0];
    bench.probe(standby, ProbeEvent::Seated { knows: true });
    bench.fails(next);
    bench.gone(next);
    bench.after(500 * MS);
    assert_eq!(bench.started().len(), 1, "as after the first failure");
}
