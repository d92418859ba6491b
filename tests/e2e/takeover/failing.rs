//! A process that wants to take over and does not get that far: everything is as before.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::refused::refused;
use super::{connect_repeatedly, successor};
use crate::support::{
    FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, exchange, signal,
};

#[test]
fn a_successor_whose_replicas_do_not_answer_changes_nothing() {
    let first = Ringmaster::start(&["--replicas", "2"]);
    let children = first.children();
    let flags = ["--start-timeout", "10ms", "--replica-command", "sleep 60"];
    let output = end_of(&mut successor(&first, &flags));
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("not all replicas answered within 5.01s; the old process continues"),
        "{errors}"
    );
    first.expect_log("takeover aborted: the successor is gone; still serving");
    assert_eq!(first.children(), children);
    assert!(
        first.command("add 1 lion").contains("lion"),
        "changes go on"
    );
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200);
}

/// Starts a successor that is never ready, with more flags, and waits until the first has heard of
/// it.
fn slow(first: &Ringmaster, more: &[&str]) -> Child {
    let flags = ["--replica-command", "sleep 60", "--start-timeout", "60s"];
    let second = successor(first, &flags)
        .args(more)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    first.expect_log("takes over");
    second
}

pub(super) fn killed(mut process: Child) {
    process.kill().expect("a kill");
    process.wait().expect("its end");
}

#[test]
fn a_successor_stopped_before_it_serves_does_not_take_over() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let mut second = slow(&first, &[]);
    signal(second.id(), Signal::TERM);
    let mut end = None;
    eventually(TEST_TIMEOUT, "its end", || {
        end = second.try_wait().expect("a child");
        end.is_some()
    });
    assert_eq!(end.and_then(|end| end.code()), Some(1));
    first.expect_log("takeover aborted: the successor is gone; still serving");
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it serves on");
}

#[test]
fn changes_are_refused_while_another_process_takes_over() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let second = slow(&first, &[]);
    let refusal = "ERR another process takes over this balancer; try again in a moment\n\n";
    eventually(TEST_TIMEOUT, "a refusal", || {
        first.command("add 1") == refusal
    });
    assert_eq!(first.rep()[0], "S1", "questions are answered");
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it serves all the same");
    // A death is still repaired.
    signal(first.replica("S1"), Signal::KILL);
    first.event("replaced", 1);
    let n = first.rep().len();
    killed(second);
    eventually(TEST_TIMEOUT, "changes", || {
        first.command("add 1").starts_with("N ")
    });
    assert_eq!(first.rep().len(), n + 1);
}

#[test]
fn a_successor_that_is_not_ready_accepts_no_client() {
    let first = Ringmaster::start(&["--replicas", "1", "--workers", "1"]);
    let stop = Arc::new(AtomicBool::new(false));
    let connecting = thread::spawn({
        let (listen, stop) = (first.listen, Arc::clone(&stop));
        move || connect_repeatedly(listen, &stop)
    });
    let second = slow(&first, &["--workers", "4"]);
    let refusal = "ERR another process takes over this balancer; try again in a moment\n\n";
    eventually(TEST_TIMEOUT, "a refusal", || {
        first.command("add 1") == refusal
    });
    for _ in 0..200 {
        let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 200);
    }
    killed(second);
    stop.store(true, Ordering::Relaxed);
    let (_, failures) = connecting.join().expect("the one who knocks");
    assert_eq!(failures, [""; 0]);
}

#[test]
fn an_engine_that_fails_leaves_containers_and_lock_to_the_old_one() {
    let engine = FakeDocker::start();
    let first = engine.balancer(&["--replicas", "2"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let ports = ["--takeover", "--listen", &listen, "--control", &control];
    let before = engine.containers().len();
    engine.inject("GET /containers/json", FaultMode::Status(500), usize::MAX);
    let mut command = engine.command();
    command.args(["serve", "--engine", "docker", "--image", "replica"]);
    let stderr = refused(&end_of(command.args(ports)));
    assert!(
        stderr.contains("cannot tell which replicas are there"),
        "{stderr}"
    );
    first.expect_log("takeover aborted: the successor is gone; still serving");
    engine.clear_faults();
    signal(engine.container("S1").pid.expect("it runs"), Signal::KILL);
    first.event("replaced", 1);
    eventually(TEST_TIMEOUT, "changes", || {
        first.command("add 1").starts_with("N 3\n")
    });
    eventually(TEST_TIMEOUT, "three, and the lock", || {
        engine.containers().len() == before + 1
    });
    // The lock is its own again.
    let other = refused(&end_of(engine.command().args([
        "serve",
        "--engine",
        "docker",
        "--image",
        "replica",
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
    ])));
    assert!(
        other.contains("another balancer runs fleet ringmaster"),
        "{other}"
    );
    assert!(first.stop().success());
    assert!(engine.containers().is_empty());
}
