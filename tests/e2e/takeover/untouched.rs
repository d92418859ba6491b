//! The containers of the old balancer while the successor gets ready, which adopts them as they
//! are: it changes none of them, whatever their heartbeats show.

use std::net::TcpListener;
use std::thread;

use super::refused::refused;
use crate::support::{
    Container, FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually,
    exchange, signal,
};

/// A balancer with one container in reserve.
fn with_standby(engine: &FakeDocker) -> Ringmaster {
    let first = engine.balancer(&["--replicas", "2", "--standby", "1"]);
    first.standing_by(1);
    first
}

/// Call that lists the containers.
const LIST: &str = "GET /containers/json";
/// Call that creates a container.
const CREATE: &str = "POST /containers/create";

/// Returns the number of calls so far that begin with `call`.
fn calls(engine: &FakeDocker, call: &str) -> usize {
    let calls = engine.calls().into_iter();
    calls.filter(|made| made.starts_with(call)).count()
}

/// Waits until a successor has received the fleet's state: it creates its lock then, in the second
/// try. `creates` were made before.
#[track_caller]
fn wait_for_handover(engine: &FakeDocker, creates: usize) {
    eventually(TEST_TIMEOUT, "the successor's lock", || {
        calls(engine, CREATE) > creates + 1
    });
}

/// Returns the containers without the lock: their IDs, and the processes in them.
fn replicas(engine: &FakeDocker) -> Vec<(String, Option<u32>)> {
    let is_replica = |one: &Container| one.labels.contains_key("ringmaster.seat");
    let mut all = engine.containers();
    all.retain(is_replica);
    let mut all: Vec<_> = all.into_iter().map(|one| (one.id, one.pid)).collect();
    all.sort();
    all
}

/// Starts a successor whose heartbeats cannot succeed. It must give up, and leave all as it was.
fn expect_untouched(engine: &FakeDocker, first: &Ringmaster, flags: &[&str]) {
    let before = replicas(engine);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let mut second = engine.command();
    second.args(["serve", "--engine", "docker", "--image", "replica"]);
    second.args(["--takeover", "--listen", &listen, "--control", &control]);
    second.args(["--start-timeout", "10ms"]);
    let stderr = refused(&end_of(second.args(flags)));
    assert!(
        stderr.contains("not all replicas answered within 5.01s"),
        "{stderr}"
    );
    assert!(
        stderr.contains("--replica-port and --heartbeat-path"),
        "{stderr}"
    );
    assert_eq!(replicas(engine), before, "{stderr}");
    first.expect_log("takeover aborted: the successor is gone; still serving");
    let events = first.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200);
    eventually(TEST_TIMEOUT, "changes", || {
        first.command("add 1").starts_with("N 3\n")
    });
}

#[test]
fn a_successor_with_another_replica_port_kills_no_container() {
    let engine = FakeDocker::start();
    let first = with_standby(&engine);
    // Containers that the successor starts itself answer on this port.
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("its address").port().to_string();
    expect_untouched(&engine, &first, &["--replica-port", &port]);
    assert!(first.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_successor_with_another_heartbeat_path_kills_no_container() {
    let engine = FakeDocker::start();
    let first = with_standby(&engine);
    let port = engine.port().to_string();
    let flags = ["--replica-port", &port, "--heartbeat-path", "/nowhere"];
    expect_untouched(&engine, &first, &flags);
    assert!(first.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn containers_that_end_meanwhile_are_replaced_and_one_that_hangs_is_waited_for() {
    let engine = FakeDocker::start();
    let mut first = engine.balancer(&["--replicas", "3"]);
    let names = ["S1", "S2", "S3"];
    let [hangs, ends, lives] = names.map(|name| engine.container(name));
    let (creates, streams) = (calls(&engine, CREATE), calls(&engine, "GET /events"));
    // The successor must see the containers of before.
    engine.inject(LIST, FaultMode::Held, usize::MAX);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let second = thread::scope(|scope| {
        let second = scope.spawn(|| {
            let ports = ["--takeover", "--listen", &listen, "--control", &control];
            engine.launch(&ports)
        });
        wait_for_handover(&engine, creates);
        engine.inject(CREATE, FaultMode::Status(500), usize::MAX);
        signal(hangs.pid.expect("it runs"), Signal::STOP);
        engine.release(LIST);
        eventually(TEST_TIMEOUT, "its fleet", || {
            calls(&engine, "GET /events") > streams
        });
        signal(ends.pid.expect("it runs"), Signal::KILL);
        first.event("down", 2);
        first.event("down", 1);
        engine.clear_faults();
        second.join().expect("it is ready")
    });
    assert!(first.wait().success(), "{}", first.log());
    let rep = second.rep();
    assert_eq!((rep.len(), &rep[2][..]), (3, "S3"), "{}", second.log());
    eventually(TEST_TIMEOUT, "one container for each, and the lock", || {
        engine.containers().len() == 4
    });
    assert_eq!(engine.container("S3").pid, lives.pid);
    for name in second.rep() {
        assert!(engine.container(&name).pid.is_some(), "{name}");
    }
    assert!(second.stop().success());
    assert!(engine.containers().is_empty());
}

#[test]
fn a_hanging_container_is_replaced_when_the_old_balancer_was_killed() {
    let engine = FakeDocker::start();
    let mut first = engine.balancer(&["--replicas", "2"]);
    let hangs = engine.container("S1").pid.expect("it runs");
    let creates = calls(&engine, CREATE);
    // The new one is to see it hang, not well.
    engine.inject(LIST, FaultMode::Held, usize::MAX);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let second = thread::scope(|scope| {
        let second = scope.spawn(|| {
            let ports = ["--takeover", "--listen", &listen, "--control", &control];
            engine.launch(&[&ports[..], &["--start-timeout", "60s"]].concat())
        });
        wait_for_handover(&engine, creates);
        signal(hangs, Signal::STOP);
        first.signal(Signal::KILL);
        first.wait();
        engine.release(LIST);
        second.join().expect("it serves")
    });
    second.expect_log("ended before this process served; its replicas are adopted");
    let rep = second.rep();
    assert!(
        rep.len() == 2 && rep[0] != "S1" && rep[1] == "S2",
        "{rep:?}"
    );
    engine.clear_faults();
    assert!(second.stop().success());
    assert!(engine.containers().is_empty());
}
