//! Standbys: started beside the seats, promoted to an empty seat, lost, and followed by a replica
//! that was started for the seat.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::Order;
use crate::roster::Health;

const R1: ReplicaId = ReplicaId(3);
const R2: ReplicaId = ReplicaId(4);

/// S1 and S2 that are up, and the standby r1.
fn warm() -> Bench {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 2);
    let expected = [(1, "S1"), (2, "S2"), (0, "r1")].map(|(seat, name)| (seat, name.to_owned()));
    assert_eq!(bench.starting_names(), expected);
    for id in [S1, S2, R1] {
        bench.rises(id);
    }
    bench
}

#[test]
fn a_standby_is_shown_and_not_listed() {
    let bench = warm();
    assert_eq!(bench.kinds(), [EventKind::Standby]);
    assert!(!bench.published(), "workers do not know of it");
    assert_eq!(bench.list(), names("S1 S2"));
    assert_eq!(bench.shown(), ["1 S1 up", "2 S2 up", "- r1 standby"]);
    let status = bench.plan.status();
    assert_eq!((status.wanted, status.up, status.standbys), (2, 2, 1));
    assert!(status.complete);
}

#[test]
fn readiness_does_not_wait_for_a_standby() {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    assert!(bench.plan.status().complete);
}

#[test]
fn a_standby_takes_an_empty_seat_by_its_answer() {
    let mut bench = warm();
    bench.ends(S2);
    assert_eq!(bench.promoted(), [(R1, 2)]);
    assert_eq!(
        bench.starting_names(),
        [(0, "r2".to_owned())],
        "the next standby"
    );
    assert_eq!(bench.shown()[2], "2 r1 promoting");
    assert_eq!(bench.list(), names("S1"));
    // An answer to a heartbeat before the promotion does not take the seat.
    bench.probe(R1, ProbeEvent::Answered);
    assert_eq!(bench.list(), names("S1"));
    bench.now += MS;
    bench.probe(R1, ProbeEvent::Seated { knows: true });
    assert!(bench.published());
    assert_eq!(bench.list(), names("S1 r1"));
    let event = bench.events()[0].clone();
    assert_eq!(
        (event.kind, event.reason.as_str()),
        (EventKind::Replaced, "from standby")
    );
    assert_eq!(
        (event.before, event.replaced_after),
        (Some(name("S2")), Some(MS))
    );
    assert_eq!(bench.started(), []);
}

#[test]
fn a_standby_that_does_not_know_its_seat_stands_in() {
    let mut bench = warm();
    bench.ends(S2);
    bench.probe(R1, ProbeEvent::Seated { knows: false });
    assert_eq!(bench.list(), names("S1 r1"));
    assert_eq!(bench.starting_names(), [(2, "r3".to_owned())]);
    let successor = ReplicaId(5);
    bench.fails(successor);
    assert_eq!(bench.list(), names("S1 r1"), "it still serves");
    assert_eq!(bench.started(), [], "and the next start waits");
    bench.after(500 * MS);
    assert_eq!(bench.starting_names(), [(2, "r4".to_owned())]);
    bench.rises(ReplicaId(6));
    assert_eq!(bench.list(), names("S1 r4"));
    assert_eq!(bench.events()[0].reason, "it stood in");
    assert_eq!(bench.draining(), [R1], "it finishes its requests");
    assert_eq!(bench.started(), [], "the seat needs no other successor");
}

#[test]
fn a_standby_that_does_not_answer_its_promotion_is_given_up() {
    let mut bench = warm();
    bench.ends(S2);
    bench.after(249 * MS);
    assert_eq!(bench.removed(), []);
    bench.after(MS);
    assert_eq!(bench.removed(), [(R1, StopMode::Kill)]);
    assert_eq!(
        bench.starting_names()[0],
        (2, "r3".to_owned()),
        "no other standby is warm"
    );
    assert_eq!(bench.events()[0].reason, "it did not answer within 250ms");
    // Its late answer changes nothing.
    bench.probe(R1, ProbeEvent::Seated { knows: true });
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn a_promoted_standby_that_is_not_needed_is_removed() {
    let mut bench = warm();
    bench.falls_silent(S2);
    assert_eq!(bench.promoted(), [(R1, 2)]);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.list(), names("S1 S2"));
    // The standby may have taken seat 2, so it cannot be used for another seat.
    assert_eq!(bench.removed(), [(R1, StopMode::Kill)]);
}

#[test]
fn a_dead_standby_is_followed_by_another() {
    let mut bench = warm();
    for (at, kill) in [(R1, 0), (R2, 1), (ReplicaId(5), 2)] {
        match kill {
            0 => bench.ends(at),
            1 => bench.falls_silent(at),
            _ => bench.probe(at, ProbeEvent::Refused(Refusal::Connection)),
        }
        assert_eq!(bench.kinds(), [EventKind::Down]);
        assert_eq!(bench.events()[0].seat, None);
        assert_eq!(bench.removed(), [(at, StopMode::Kill)]);
        let next = bench.started();
        assert_eq!(next.len(), 1);
        bench.gone(at);
        bench.rises(next[0]);
    }
    assert_eq!(bench.plan.status().standbys, 1);
}

#[test]
fn failed_starts_of_standbys_are_retried_later() {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    bench.fails(S2);
    assert_eq!(
        (bench.kinds(), bench.started()),
        (vec![EventKind::Failed], vec![])
    );
    assert_eq!(bench.plan.deadline(), Some(bench.now + 500 * MS));
    bench.after(499 * MS);
    assert_eq!(bench.started(), []);
    bench.after(MS);
    assert_eq!(bench.starting_names(), [(0, "r2".to_owned())]);
}

#[test]
fn no_more_standbys_are_promoted_than_there_are() {
    let mut bench = warm();
    bench.ends(S1);
    bench.ends(S2);
    assert_eq!(bench.promoted(), []);
    assert_eq!(
        bench.starting_names(),
        [(2, "r3".to_owned())],
        "the only standby took seat 1"
    );
    assert_eq!(bench.shown()[0], "1 S1 removing");
}

#[test]
fn orders_about_a_standby_are_refused_because_it_has_no_seat() {
    let mut bench = warm();
    let sentence = "r1 is a standby and has no seat";
    assert_eq!(bench.rm(1, "r1"), bad(sentence));
    assert_eq!(bench.replace("r1"), bad(sentence));
    for order in [Order::Drain(name("r1")), Order::Ready(name("r1"))] {
        assert_eq!(bench.order(order), bad(sentence));
    }
    assert_eq!(bench.add(1, "r1"), bad("the name r1 is taken"));
}

#[test]
fn a_stop_removes_or_detaches_standbys_like_the_others() {
    for (keep, leave, mode) in [
        (false, false, StopMode::Graceful),
        (true, false, StopMode::Detach),
        (false, true, StopMode::Detach),
    ] {
        let policy = Policy {
            keep,
            standbys: 1,
            ..policy(Management::Managed)
        };
        let mut bench = Bench::with(policy, 1);
        bench.rises(S1);
        bench.rises(S2);
        bench.feed(Input::Stop { leave });
        assert_eq!(bench.removed(), [(S1, mode), (S2, mode)]);
        bench.gone(S1);
        // Requests still go to a replica that another balancer serves on from.
        let health = if leave { Health::Up } else { Health::Down };
        assert_eq!(bench.health(1), Some(health));
        bench.gone(S2);
        assert_eq!(bench.did, [Action::Finished]);
    }
}

#[test]
fn a_standby_is_not_promoted_while_another_process_may_promote_it() {
    let mut bench = warm();
    bench.feed(Input::Ownership(Ownership::Offering));
    bench.ends(S2);
    assert_eq!(bench.promoted(), []);
    let starts = bench.starting_names();
    assert_eq!(
        starts,
        [(2, "r2".to_owned())],
        "the seat is filled nevertheless"
    );
    bench.feed(Input::Ownership(Ownership::Owned));
    bench.ends(S1);
    assert_eq!(bench.promoted(), [(R1, 1)]);
}

#[test]
fn a_released_fleet_starts_promotes_and_removes_no_replica() {
    let mut bench = warm();
    bench.feed(Input::Ownership(Ownership::Released));
    bench.ends(S2);
    assert_eq!((bench.promoted(), bench.started()), (vec![], vec![]));
    assert_eq!(bench.removed(), [(S2, StopMode::Detach)]);
    assert_eq!(bench.health(2), Some(Health::Down), "requests go elsewhere");
    bench.falls_silent(R1);
    assert_eq!(bench.removed(), [(R1, StopMode::Detach)]);
    bench.after(10 * SEC);
    assert_eq!((bench.started(), bench.removed()), (vec![], vec![]));
    assert_eq!(bench.list(), names("S1"));
    let sentence = "another process takes over this balancer; try again in a moment";
    assert_eq!(
        bench.add(1, ""),
        Some(Err(crate::orders::OrderError::unavailable(sentence)))
    );
}
