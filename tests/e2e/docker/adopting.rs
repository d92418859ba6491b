//! A balancer that was killed and comes back finds its containers, and two of one fleet never meet.

use super::recorded_seats::expect_recorded;
use crate::support::{
    FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, signal,
};

fn ids(engine: &FakeDocker) -> Vec<String> {
    let all = engine.containers().into_iter();
    let mut ids: Vec<String> = all
        .filter(|one| one.labels.contains_key("ringmaster.seat"))
        .map(|one| one.id)
        .collect();
    ids.sort();
    ids
}

#[test]
fn the_same_containers_serve_after_a_kill_and_n_is_as_it_was() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "2"]);
    assert!(program.command("add 2 lion").contains("lion"));
    expect_recorded(&engine, "1,2,3,4");
    let (rep, before) = (program.rep(), ids(&engine));
    program.kill();
    let calls = engine.calls().len();
    let program = engine.balancer(&["--replicas", "2"]);
    let mut after = program.rep();
    let mut expected = rep.clone();
    after.sort();
    expected.sort();
    assert_eq!(after, expected);
    assert_eq!(ids(&engine), before);
    // The start of the container, to the second: two clocks tell it.
    let shown = program.command("show lion");
    assert!(shown.contains("\nup_since 2001-02-03T04:05:0"), "{shown}");
    let later = engine.calls().split_off(calls);
    let changes: Vec<&String> = later
        .iter()
        .filter(|call| !call.starts_with("GET "))
        .collect();
    // The lock of the dead is found in the way, removed and made again.
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert!(program.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn the_dead_are_noted_removed_and_replaced_under_new_names() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    program.kill();
    let dead = engine.container("S2");
    signal(dead.pid.expect("it runs"), Signal::KILL);
    eventually(TEST_TIMEOUT, "its end", || {
        engine.container("S2").pid.is_none()
    });
    let program = engine.balancer(&["--replicas", "7"]);
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[0][..], &rep[2][..]), (3, "S1", "S3"));
    assert!(rep[1].starts_with("s-"), "{rep:?}");
    let down = program.event("down", 2);
    assert_eq!(
        down["reason"],
        "container ended with 137 (signal 9); last output: last word"
    );
    eventually(TEST_TIMEOUT, "the dead container is removed", || {
        !engine.containers().iter().any(|one| one.id == dead.id)
    });
}

/// Has the container of this name end while none can be made, and waits for some tries.
#[track_caller]
fn dies_for_want_of_an_engine(engine: &FakeDocker, program: &Ringmaster, name: &str) -> String {
    engine.inject(
        "POST /containers/create",
        FaultMode::Status(500),
        usize::MAX,
    );
    let dead = engine.container(name);
    signal(dead.pid.expect("it runs"), Signal::KILL);
    eventually(TEST_TIMEOUT, "some tries", || {
        let events = program.events().into_iter();
        events.filter(|event| event["kind"] == "failed").count() >= 3
    });
    dead.id
}

#[test]
fn a_seat_that_waits_for_another_try_outlives_the_balancer() {
    for is_told in [false, true] {
        let engine = FakeDocker::start();
        let program = engine.balancer(&["--on-exit", "keep"]);
        let dead = dies_for_want_of_an_engine(&engine, &program, "S2");
        match is_told {
            true => assert!(program.stop().success()),
            false => program.kill(),
        }
        its_seat_is_filled_again(&engine, &dead);
    }
}

#[track_caller]
fn its_seat_is_filled_again(engine: &FakeDocker, dead: &String) {
    engine.clear_faults();
    let program = engine.balancer(&[]);
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[0][..], &rep[2][..]), (3, "S1", "S3"));
    assert_eq!(program.event("down", 2)["name"], "S2");
    eventually(TEST_TIMEOUT, "the dead container is removed", || {
        !ids(engine).contains(dead)
    });
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn a_seat_that_is_given_up_while_it_waits_leaves_nothing() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    let dead = dies_for_want_of_an_engine(&engine, &program, "S3");
    assert!(ids(&engine).contains(&dead), "it is the seat's last");
    assert!(program.command("scale 2").starts_with("N 2\n"));
    eventually(TEST_TIMEOUT, "the dead container is removed", || {
        !ids(&engine).contains(&dead)
    });
    engine.clear_faults();
    expect_recorded(&engine, "1,2");
    program.kill();
    let program = engine.balancer(&[]);
    assert_eq!(program.rep(), ["S1", "S2"]);
}

#[test]
fn a_silent_adopted_container_gets_a_successor() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "2"]);
    program.kill();
    let silent = engine.container("S1").pid.expect("it runs");
    signal(silent, Signal::STOP);
    let program = engine.balancer(&[]);
    let replaced = program.event("replaced", 1);
    assert_eq!(replaced["before"], "S1");
    assert_eq!(program.rep()[1], "S2");
}

#[test]
fn the_seat_in_a_reply_wins_over_the_label() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "1"]);
    program.kill();
    engine.relabel("S1", "ringmaster.seat", "5");
    let program = engine.balancer(&[]);
    assert_eq!(program.rep(), ["S1"]);
    program.event("joined", 1);
    assert!(
        program
            .log()
            .contains("S1 in seat 5 answers as S1 in seat 1"),
        "{}",
        program.log()
    );
}

#[test]
fn containers_that_are_kept_are_taken_over() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--on-exit", "keep"]);
    let before = ids(&engine);
    assert!(program.stop().success());
    assert_eq!(
        (ids(&engine), engine.containers().len()),
        (before.clone(), 3),
        "no lock is left"
    );
    let program = engine.balancer(&[]);
    assert_eq!(ids(&engine), before);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_second_balancer_of_a_fleet_is_refused_and_another_fleet_is_not() {
    let engine = FakeDocker::start();
    let first = engine.balancer(&["--replicas", "1"]);
    let mut second = engine.command();
    second.args(["serve", "--engine", "docker", "--image", "replica"]);
    second.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    let refused = end_of(&mut second);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("another balancer runs fleet ringmaster: process "),
        "{errors}"
    );
    assert!(
        engine
            .containers()
            .iter()
            .any(|one| one.name == "ringmaster-lock")
    );

    let other = engine.balancer(&["--replicas", "1", "--fleet", "blue"]);
    assert_eq!(other.rep(), ["S1"]);
    assert_eq!(
        engine.container("blue-S1").labels["ringmaster.fleet"],
        "blue"
    );
    assert!(first.stop().success());
    assert_eq!(
        engine.containers().len(),
        2,
        "S1 and lock of the other fleet"
    );
    assert_eq!(other.rep(), ["S1"]);
    assert!(other.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_removed_lock_is_created_again() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "1"]);
    let lock = |engine: &FakeDocker| {
        let mut all = engine.containers().into_iter();
        all.find(|one| one.name == "ringmaster-lock")
    };
    let first = lock(&engine).expect("a lock");
    engine.lose("ringmaster-lock");
    eventually(TEST_TIMEOUT, "another lock", || lock(&engine).is_some());
    let second = lock(&engine).expect("a lock");
    assert_ne!(second.id, first.id);
    assert_eq!(second.labels, first.labels);
    program.expect_log("the lock ringmaster-lock of fleet ringmaster was gone; it is made again");
    // An empty list is no sign that it is gone.
    engine.inject(
        "GET /containers/json",
        FaultMode::Says("[]".to_owned()),
        100,
    );
    engine.cut_events();
    let creates = "POST /containers/create";
    eventually(TEST_TIMEOUT, "a try", || {
        let calls = engine.calls();
        calls.iter().filter(|call| **call == creates).count() >= 4
    });
    engine.clear_faults();
    assert_eq!(lock(&engine).expect("a lock").id, second.id);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}
