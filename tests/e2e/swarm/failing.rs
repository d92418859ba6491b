//! A swarm that answers late, wrongly or not at all: replicas and requests stay as they are.

use std::time::Duration;

use super::following::expect_list;
use crate::support::{
    FakeDocker, FaultMode, Load, Signal, TEST_TIMEOUT, eventually, exchange, signal,
};

const SERVICE: &str = "GET /services/s1";
const TASKS: &str = "GET /tasks";
const ALWAYS: usize = usize::MAX;
const FAILS: &str = "cannot follow the service, replicas stay as they are";

/// Waits for `more` calls that begin with `call`.
#[track_caller]
fn expect_calls(engine: &FakeDocker, call: &str, more: usize) {
    let count = || {
        let calls = engine.calls();
        calls.iter().filter(|one| one.starts_with(call)).count()
    };
    let least = count() + more;
    eventually(TEST_TIMEOUT, "more calls", || count() >= least);
}

#[test]
fn a_swarm_that_fails_in_any_way_removes_nothing_and_fails_no_request() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2, 3]);
    let program = engine.follower(&[]);
    let load = Load::start(program.listen, 4);
    let no_leader = FaultMode::Status(500);
    let faults = [
        (SERVICE, no_leader.clone()),
        (TASKS, no_leader),
        (SERVICE, FaultMode::Status(404)),
        (TASKS, FaultMode::Says("[]".to_owned())),
        (TASKS, FaultMode::Says("null".to_owned())),
        (TASKS, FaultMode::Says("[{\"ID\":".to_owned())),
        (SERVICE, FaultMode::Says("{}".to_owned())),
        (TASKS, FaultMode::DoneInSilence),
    ];
    let engine_is = |state: u8| {
        let line = format!("ringmaster_engine_up{{engine=\"swarm\"}} {state}\n");
        eventually(TEST_TIMEOUT, &line, || program.metrics().contains(&line));
    };
    for (call, fault) in faults {
        engine.inject(call, fault.clone(), ALWAYS);
        expect_calls(&engine, call, 3);
        load.go_on(50);
        assert_eq!(program.rep(), ["S1", "S2", "S3"], "{call} {fault:?}");
        // A list that cannot be is an answer.
        if matches!(fault, FaultMode::Status(500) | FaultMode::DoneInSilence) {
            engine_is(0);
        }
        engine.clear_faults();
        expect_calls(&engine, TASKS, 2);
        engine_is(1);
    }
    load.finish().expect_no_failure();
    program.expect_log(FAILS);
    program.expect_log("the service is followed again");
    let events = program.events();
    assert!(
        events.iter().all(|event| event["kind"] == "joined"),
        "{events:?}"
    );
}

#[test]
fn a_call_that_hangs_is_given_up_after_a_second() {
    let engine = FakeDocker::start();
    let first = engine.start_task(1);
    engine.start_task(2);
    engine.wants(2);
    let program = engine.follower(&[]);
    engine.inject(TASKS, FaultMode::Held, ALWAYS);
    // Each of them is a new call; the ones before still hang.
    expect_calls(&engine, TASKS, 2);
    program.expect_log("the engine did not answer within 1s");
    // The health of the replicas is known without the swarm.
    engine.kill_task(&first);
    program.event("down", 1);
    for _ in 0..20 {
        let request = "GET /home HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(exchange(program.listen, request).status(), 200);
    }
    engine.release(TASKS);
    engine.ends_task(&first, "shutdown");
    engine.start_task(1);
    program.event("moved", 1);
    expect_list(&program, &["S1", "S2"]);
}

#[test]
fn a_service_that_wants_no_replica_has_none() {
    let engine = FakeDocker::start();
    let only = engine.start_task(1);
    engine.wants(1);
    let program = engine.follower(&[]);
    // The list alone is no reason.
    engine.ends_task(&only, "remove");
    expect_calls(&engine, TASKS, 3);
    assert_eq!(program.rep(), ["S1"]);
    engine.wants(0);
    expect_list(&program, &[]);
    let answer = exchange(program.listen, "GET /home HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status(), 503);
    assert!(
        answer.text().contains("there are no replicas"),
        "{answer:?}"
    );
}

#[test]
fn an_older_state_of_the_swarm_does_not_count() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    let program = engine.follower(&[]);
    engine.edit_service(|service| service["Version"]["Index"] = 5.into());
    engine.start_task(3);
    program.expect_log("the engine's state is older than one before");
    expect_calls(&engine, SERVICE, 3);
    assert_eq!(program.rep(), ["S1", "S2"]);
    engine.edit_service(|service| service["Version"]["Index"] = 50.into());
    expect_list(&program, &["S1", "S2", "S3"]);
}

#[test]
fn a_service_that_is_made_again_is_followed_under_its_new_id() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    let program = engine.follower(&[]);
    engine.edit_service(|service| service["ID"] = "s9".into());
    program.expect_log(FAILS);
    engine.start_task(2);
    expect_list(&program, &["S1", "S2"]);
}

#[test]
fn a_swarm_without_a_leader_at_the_start_is_waited_for() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    engine.inject("GET /services", FaultMode::Status(500), ALWAYS);
    let program = engine.launch_follower(&[]);
    program.expect_log("the swarm gives no answer; waiting for it");
    let answer = exchange(
        program.control,
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("not known yet"), "{answer:?}");
    assert!(!program.ready_file().exists());
    engine.clear_faults();
    let program = program.ready();
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn an_engine_that_is_gone_stops_nothing() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    let program = engine.follower(&[]);
    engine.goes();
    program.expect_log(FAILS);
    let load = Load::start(program.listen, 2);
    load.go_on(100);
    load.finish().expect_no_failure();
    engine.comes_back();
    engine.start_task(3);
    expect_list(&program, &["S1", "S2", "S3"]);
    // The stop does not wait for the swarm.
    engine.inject("GET /", FaultMode::Slow(Duration::from_secs(5)), ALWAYS);
    assert!(program.stop().success());
}

#[test]
fn a_frozen_task_of_our_own_node_is_killed_and_the_swarm_fills_its_slot() {
    let engine = FakeDocker::start();
    let frozen = engine.start_task(1);
    engine.runs_slots(&[2, 3]);
    engine.wants(3);
    let program = engine.follower(&["--replace-after", "1s"]);
    let load = Load::start(program.listen, 4);
    load.reach(100);
    let pid = engine.container(&frozen).pid.expect("it runs");
    signal(pid, Signal::STOP);
    let event = program.event("evicted", 1);
    assert_eq!(event["reason"], "silent for 1s");
    let id = engine.container(&frozen).id;
    let call = format!("POST /containers/{id}/kill");
    let is_call = |one: &String| *one == call;
    eventually(TEST_TIMEOUT, "the call", || {
        engine.calls().iter().any(is_call)
    });
    eventually(TEST_TIMEOUT, "its end", || {
        engine.container(&frozen).pid.is_none()
    });
    engine.ends_task(&frozen, "shutdown");
    engine.start_task(1);
    program.event("moved", 1);
    load.go_on(100);
    load.finish().expect_no_failure();
    assert_eq!(engine.calls().iter().filter(|one| is_call(one)).count(), 1);
}
