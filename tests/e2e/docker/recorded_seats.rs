//! The wanted seats in the label of the lock, and the next start after a crash: seats of which
//! nothing is left are filled, and a removal under way is not undone.

use crate::support::{Client, FakeDocker, FaultMode, TEST_TIMEOUT, eventually};

/// Waits until the label of the lock has these seats, and there is one lock.
#[track_caller]
pub(super) fn expect_recorded(engine: &FakeDocker, seats: &str) {
    eventually(TEST_TIMEOUT, seats, || {
        let all = engine.containers().into_iter();
        let locks: Vec<_> = all.filter(|one| one.name.contains("-lock")).collect();
        let is_named = locks.iter().all(|one| one.name == "ringmaster-lock");
        let recorded = locks
            .first()
            .and_then(|one| one.labels.get("ringmaster.seats"));
        locks.len() == 1 && is_named && recorded.is_some_and(|recorded| recorded == seats)
    });
}

#[test]
fn after_a_crash_of_everything_n_is_what_was_wanted_last() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "3"]);
    expect_recorded(&engine, "1,2,3");
    assert!(program.command("add 1 lion").contains("lion"));
    expect_recorded(&engine, "1,2,3,4");
    assert!(program.command("rm 1 S1").starts_with("N 3"));
    expect_recorded(&engine, "2,3,4");
    program.kill();
    // All that is left of seats 2 and 4 is the record.
    engine.lose("S2");
    engine.lose("lion");
    let program = engine.balancer(&["--replicas", "7"]);
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[1][..]), (3, "S3"), "{rep:?}");
    let seats = program.command("show");
    let seats: Vec<&str> = seats
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(seats[..3], ["2", "3", "4"], "{seats:?}");
    expect_recorded(&engine, "2,3,4");
    assert!(program.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_crash_during_a_removal_does_not_undo_it() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "3"]);
    let stop = format!("POST /containers/{}/stop", engine.container("S3").id);
    engine.inject(&stop, FaultMode::Held, 1);
    let mut order = Client::connect(program.control);
    order.send("scale 2\n");
    expect_recorded(&engine, "1,2");
    assert!(engine.container("S3").pid.is_some(), "it is being stopped");
    program.kill();
    let program = engine.balancer(&[]);
    assert_eq!(program.rep(), ["S1", "S2"]);
    eventually(TEST_TIMEOUT, "its container is removed", || {
        !engine.containers().iter().any(|one| one.name == "S3")
    });
}

#[test]
fn a_crash_between_two_locks_leaves_the_seats_of_the_next_one() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "2"]);
    assert!(program.command("add 1 lion").contains("lion"));
    expect_recorded(&engine, "1,2,3");
    program.kill();
    // As if it had ended after the former lock was removed and before the next had its name.
    engine.rename("ringmaster-lock", "ringmaster-lock-next");
    engine.lose("lion");
    let program = engine.balancer(&["--replicas", "2"]);
    assert_eq!(program.rep().len(), 3);
    expect_recorded(&engine, "1,2,3");
    assert!(program.stop().success());
    assert!(engine.containers().is_empty());
}
