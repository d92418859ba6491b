//! Standbys: started beside the seats, called to one that is empty, lost, and followed by one of the seat's own.

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::orders::Order;
use crate::roster::Health;

const R1: ReplicaId = ReplicaId(3);
const R2: ReplicaId = ReplicaId(4);

/// S1 and S2 up, and r1 standing by.
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
    assert!(!bench.published(), "no worker has to do with it");
    assert_eq!(bench.list(), names("S1 S2"));
    assert_eq!(bench.cards(), ["1 S1 up", "2 S2 up", "- r1 standby"]);
    let status = bench.plan.status();
    assert_eq!((status.wanted, status.up, status.standbys), (2, 2, 1));
    assert!(status.complete);
}

#[test]
fn nobody_waits_for_a_standby() {
    let policy = Policy {
        standbys: 1,
        ..policy(Management::Managed)
    };
    let mut bench = Bench::with(policy, 1);
    bench.rises(S1);
    assert!(bench.plan.status().complete);
}

#[test]
fn it_takes_an_empty_seat_by_its_answer() {
    let mut bench = warm();
    bench.ends(S2);
    assert_eq!(bench.called(), [(R1, 2)]);
    assert_eq!(
        bench.starting_names(),
        [(0, "r2".to_owned())],
        "the next one"
    );
    assert_eq!(bench.cards()[2], "2 r1 promoting");
    assert_eq!(bench.list(), names("S1"));
    // What was asked before it was called says nothing of its seat.
    bench.pulse(R1, ProbeEvent::Answered);
    assert_eq!(bench.list(), names("S1"));
    bench.now += MS;
    bench.pulse(R1, ProbeEvent::Seated { knows: true });
    assert!(bench.published());
    assert_eq!(bench.list(), names("S1 r1"));
    let note = bench.notes()[0].clone();
    assert_eq!(
        (note.kind, note.reason.as_str()),
        (EventKind::Replaced, "from standby")
    );
    assert_eq!(
        (note.before, note.replaced_after),
        (Some(name("S2")), Some(MS))
    );
    assert_eq!(bench.started(), []);
}

#[test]
fn one_that_does_not_know_its_seat_stands_in() {
    let mut bench = warm();
    bench.ends(S2);
    bench.pulse(R1, ProbeEvent::Seated { knows: false });
    assert_eq!(bench.list(), names("S1 r1"));
    assert_eq!(bench.starting_names(), [(2, "r3".to_owned())]);
    let successor = ReplicaId(5);
    bench.fails(successor);
    assert_eq!(bench.list(), names("S1 r1"), "it goes on");
    assert_eq!(bench.started(), [], "and the next start waits");
    bench.after(500 * MS);
    assert_eq!(bench.starting_names(), [(2, "r4".to_owned())]);
    bench.rises(ReplicaId(6));
    assert_eq!(bench.list(), names("S1 r4"));
    assert_eq!(bench.notes()[0].reason, "it stood in");
    assert_eq!(bench.draining(), [R1], "it finishes what it has begun");
    assert_eq!(bench.started(), [], "one of the seat's own is enough");
}

#[test]
fn one_that_does_not_answer_its_call_is_given_up() {
    let mut bench = warm();
    bench.ends(S2);
    bench.after(249 * MS);
    assert_eq!(bench.removed(), []);
    bench.after(MS);
    assert_eq!(bench.removed(), [(R1, StopMode::Kill)]);
    assert_eq!(
        bench.starting_names()[0],
        (2, "r3".to_owned()),
        "nobody else is warm"
    );
    assert_eq!(bench.notes()[0].reason, "it did not answer within 250ms");
    // Its late word changes nothing.
    bench.pulse(R1, ProbeEvent::Seated { knows: true });
    assert_eq!(bench.list(), names("S1"));
}

#[test]
fn one_that_is_not_needed_after_all_goes() {
    let mut bench = warm();
    bench.falls_silent(S2);
    assert_eq!(bench.called(), [(R1, 2)]);
    bench.pulse(S2, ProbeEvent::Answered);
    assert_eq!(bench.list(), names("S1 S2"));
    // It may know seat 2 by now, and is of no use for another.
    assert_eq!(bench.removed(), [(R1, StopMode::Kill)]);
}

#[test]
fn a_dead_one_is_followed_by_another() {
    let mut bench = warm();
    for (at, kill) in [(R1, 0), (R2, 1), (ReplicaId(5), 2)] {
        match kill {
            0 => bench.ends(at),
            1 => bench.falls_silent(at),
            _ => bench.pulse(at, ProbeEvent::Refused("connection refused".to_owned())),
        }
        assert_eq!(bench.kinds(), [EventKind::Down]);
        assert_eq!(bench.notes()[0].seat, None);
        assert_eq!(bench.removed(), [(at, StopMode::Kill)]);
        let next = bench.started();
        assert_eq!(next.len(), 1);
        bench.gone(at);
        bench.rises(next[0]);
    }
    assert_eq!(bench.plan.status().standbys, 1);
}

#[test]
fn starts_that_fail_are_tried_again_later() {
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
fn at_most_so_many_are_called_as_there_are() {
    let mut bench = warm();
    bench.ends(S1);
    bench.ends(S2);
    assert_eq!(bench.called(), []);
    assert_eq!(
        bench.starting_names(),
        [(2, "r3".to_owned())],
        "the first took it"
    );
    assert_eq!(bench.cards()[0], "1 S1 removing");
}

#[test]
fn orders_about_it_say_that_it_has_no_seat() {
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
fn a_stop_removes_it_or_leaves_it_with_the_others() {
    for (keep, leave, farewell) in [
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
        assert_eq!(bench.removed(), [(S1, farewell), (S2, farewell)]);
        bench.gone(S1);
        // Whom another balancer goes on with, requests still go to.
        let health = if leave { Health::Up } else { Health::Down };
        assert_eq!(bench.health(1), Some(health));
        bench.gone(S2);
        assert_eq!(bench.did, [Action::Finished]);
    }
}

#[test]
fn while_another_process_may_call_it_it_is_not_called() {
    let mut bench = warm();
    bench.feed(Input::Hold(Ownership::Offering));
    bench.ends(S2);
    assert_eq!(bench.called(), []);
    let starts = bench.starting_names();
    assert_eq!(starts, [(2, "r2".to_owned())], "it is filled all the same");
    bench.feed(Input::Hold(Ownership::Owned));
    bench.ends(S1);
    assert_eq!(bench.called(), [(R1, 1)]);
}

#[test]
fn what_is_given_away_is_neither_started_nor_called_nor_removed() {
    let mut bench = warm();
    bench.feed(Input::Hold(Ownership::Released));
    bench.ends(S2);
    assert_eq!((bench.called(), bench.started()), (vec![], vec![]));
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
