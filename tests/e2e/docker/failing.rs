//! A container engine that is slow, fails, answers nonsense or is gone: running replicas keep
//! running.

use std::time::Duration;

use crate::support::{
    FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, signal,
};

const HOME: &str = "GET /home HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LIST: &str = "GET /containers/json";

/// Waits until the engine got this number of calls since `calls` were made.
#[track_caller]
fn asked(engine: &FakeDocker, calls: usize, call: &str, times: usize) {
    eventually(2 * TEST_TIMEOUT, call, || {
        let later = engine.calls().split_off(calls);
        later.iter().filter(|made| made.starts_with(call)).count() >= times
    });
}

#[track_caller]
fn is_well(program: &Ringmaster, names: &[&str]) {
    assert_eq!(program.rep(), names);
    assert_eq!(program.client().ask(HOME).status(), 200);
    let bad = program
        .events()
        .into_iter()
        .find(|event| event["kind"] != "joined");
    assert_eq!(bad, None);
}

#[test]
fn a_list_that_fails_or_is_empty_removes_nothing() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    let odd = r#"[{"Id":"0","Names":["/S1"],"State":"levitating"}]"#;
    let faults = [
        FaultMode::Says("[]".to_owned()),
        FaultMode::Says(odd.to_owned()),
        FaultMode::Says("[".to_owned()),
        FaultMode::Status(500),
        FaultMode::DoneInSilence,
    ];
    for fault in faults {
        engine.inject(LIST, fault.clone(), 100);
        let calls = engine.calls().len();
        engine.cut_events();
        asked(&engine, calls, LIST, 2);
        is_well(&program, &["S1", "S2", "S3"]);
        engine.clear_faults();
    }
    let touched = engine.calls().into_iter();
    let touched: Vec<String> = touched.filter(|call| call.starts_with("DELETE")).collect();
    assert!(touched.is_empty(), "{touched:?}");
}

#[test]
fn an_unknown_container_state_is_no_death() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "1"]);
    engine.say_state("S1", "levitating");
    let calls = engine.calls().len();
    engine.cut_events();
    asked(&engine, calls, LIST, 2);
    is_well(&program, &["S1"]);
}

#[test]
fn deaths_are_seen_without_events() {
    let engine = FakeDocker::start();
    engine.inject("GET /events", FaultMode::Status(500), usize::MAX);
    let program = engine.balancer(&[]);
    signal(engine.container("S2").pid.expect("it runs"), Signal::KILL);
    program.event("replaced", 2);
    assert_eq!(program.rep()[0], "S1");
}

#[test]
fn a_slow_engine_still_starts_replicas() {
    let engine = FakeDocker::start();
    let slow = FaultMode::Slow(Duration::from_millis(700));
    engine.inject("POST /containers", slow.clone(), 8);
    engine.inject("GET /containers", slow, 8);
    let program = engine.balancer(&[]);
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
}

#[test]
fn containers_are_started_together_but_not_all_at_once() {
    let engine = FakeDocker::start();
    let slow = FaultMode::Slow(Duration::from_millis(300));
    engine.inject("POST /containers", slow, usize::MAX);
    let program = engine.balancer(&["--replicas", "9"]);
    engine.clear_faults();
    assert_eq!(program.rep().len(), 9);
    let most = engine.most_starts();
    assert!((2..=4).contains(&most), "{most} at a time");
}

#[test]
fn a_call_whose_answer_is_lost_counts_as_made() {
    let engine = FakeDocker::start();
    engine.inject("POST /containers/create", FaultMode::DoneInSilence, 2);
    let program = engine.balancer(&["--replicas", "1"]);
    assert_eq!(program.rep(), ["S1"]);
    engine.inject("DELETE /containers", FaultMode::DoneInSilence, 1);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn a_start_that_fails_is_told_and_tried_again() {
    let engine = FakeDocker::start();
    engine.inject("POST /containers/create", FaultMode::Status(404), 0);
    let program = engine.balancer(&["--replicas", "1"]);
    engine.inject("POST /containers/create", FaultMode::Status(404), 1);
    let refused = program.command("add 1 S7");
    assert!(
        refused.contains("could not start S7: the engine has no image replica; build it"),
        "{refused}"
    );
    engine.inject("POST /containers/", FaultMode::Status(500), 1);
    let refused = program.command("add 1 S8");
    assert!(
        refused.contains("could not start S8: a mood (status 500)"),
        "{refused}"
    );
    assert_eq!(
        engine.containers().len(),
        2,
        "what was made for them is gone"
    );
    assert!(program.command("add 1 S8").contains("S8"));
}

#[test]
fn a_container_that_is_being_removed_already_is_waited_for() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "2"]);
    engine.inject("DELETE /containers", FaultMode::Status(409), 3);
    engine.inject("DELETE /containers", FaultMode::Status(500), 1);
    assert!(program.command("rm 1 S2").contains("S1"));
    assert!(!engine.containers().iter().any(|one| one.name == "S2"));
}

#[test]
fn without_an_engine_traffic_goes_on_and_with_it_the_fleet() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    engine.goes();
    eventually(TEST_TIMEOUT, "a word about it", || {
        program.log().contains("cannot list containers")
    });
    is_well(&program, &["S1", "S2", "S3"]);
    signal(engine.container("S3").pid.expect("it runs"), Signal::KILL);
    program.event("down", 3);
    program.event("failed", 3);
    assert_eq!(program.rep(), ["S1", "S2"]);
    for _ in 0..20 {
        assert_eq!(program.client().ask(HOME).status(), 200);
    }
    engine.comes_back();
    program.event("replaced", 3);
    eventually(TEST_TIMEOUT, "a word about it", || {
        program.log().contains("answers again")
    });
    eventually(TEST_TIMEOUT, "the dead container is removed", || {
        !engine.containers().iter().any(|one| one.name == "S3")
    });
    assert!(program.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_start_fails_when_the_containers_cannot_be_listed() {
    let engine = FakeDocker::start();
    engine.inject(LIST, FaultMode::Status(500), 1);
    let fails = |sentence: &str| {
        let mut command = engine.command();
        command.args(["serve", "--engine", "docker", "--image", "replica"]);
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        let output = end_of(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(sentence), "{errors}");
    };
    fails("cannot tell which replicas are there: a mood (status 500)");
    assert!(engine.containers().is_empty(), "the lock is given back");
    engine.inject("GET /images", FaultMode::Status(404), 1);
    engine.inject("POST /images/create", FaultMode::Status(404), 1);
    fails("the engine has no image replica; build it, or fetch it with: docker pull replica");
    engine.goes();
    fails("cannot reach the container engine at unix:///");
}

#[test]
fn a_very_slow_engine_stops_nothing_and_doubles_no_replica() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--start-timeout", "3s"]);
    // Longer than any client timeout, for every call.
    engine.inject("", FaultMode::Slow(Duration::from_secs(7)), usize::MAX);
    engine.cut_events();
    signal(engine.container("S3").pid.expect("it runs"), Signal::KILL);
    program.event("down", 3);
    let failed = program.event("failed", 3);
    assert_eq!(failed["reason"], "it did not answer within 3s");
    program.expect_log("cannot list containers, replicas run on unwatched");
    assert_eq!(program.rep(), ["S1", "S2"]);
    for _ in 0..20 {
        assert_eq!(program.client().ask(HOME).status(), 200);
    }
    engine.clear_faults();
    program.event("replaced", 3);
    program.expect_log("the container engine answers again");
    // A container that was created after its deadline is removed again.
    eventually(3 * TEST_TIMEOUT, "three containers and the lock", || {
        let all = engine.containers();
        all.len() == 4 && all.iter().filter(|one| one.pid.is_some()).count() == 3
    });
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}
