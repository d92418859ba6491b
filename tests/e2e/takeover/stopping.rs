//! A signal to the old process: while it answers its last requests, the replicas belong to the
//! successor. Before that, only the replicas started by the successor do.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::failing::killed;
use crate::support::{
    Client, Engine, FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, eventually, is_gone,
    on_both_engines, variable,
};

on_both_engines!(a_signal_to_the_old_one_takes_no_replica_of_the_new_one_along,);

/// A client whose request does not end, so that this balancer drains and does not end.
fn unfinished(program: &Ringmaster) -> Client {
    let mut client = Client::connect(program.listen);
    let reply = client.ask("GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it was let in");
    client.send("POST /home HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
    eventually(TEST_TIMEOUT, "a request in flight", || {
        let shown = program.command("show");
        shown.lines().any(|line| line.trim_end().ends_with(" 1"))
    });
    client
}

fn a_signal_to_the_old_one_takes_no_replica_of_the_new_one_along(engine: Engine) {
    let mut first = engine.start(&["--replicas", "2"]);
    let client = unfinished(&first);
    let second = first.taken_over(&[]);
    first.expect_log("draining");
    let replicas = second.children();
    first.signal(Signal::TERM);
    assert!(!first.wait().success(), "{}", first.log());
    drop(client);
    // The change takes longer than the end of a replica that got SIGTERM.
    assert!(second.command("add 1 lion").starts_with("N 3\n"));
    let events = second.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
    assert!(!replicas.iter().any(|pid| is_gone(*pid)));
}

#[test]
fn a_signal_before_its_time_takes_no_container_of_the_new_one_along() {
    let engine = FakeDocker::start();
    let mut first = engine.balancer(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let ports = ["--takeover", "--listen", &listen, "--control", &control];
    let mut second = engine.command();
    second.args(["serve", "--engine", "docker", "--image", "replica"]);
    // Its replicas answer on no port, so it never becomes ready. Its standby is its own.
    second.args(["--replica-env", "WHOSE=second", "--start-timeout", "60s"]);
    second.args(["--standby", "1"]);
    let second = second.args(ports).stderr(Stdio::null()).spawn();
    let second = second.expect("the binary");
    let its = |pid| variable(pid, "WHOSE").as_deref() == Some("second");
    let mut own = None;
    eventually(TEST_TIMEOUT, "a container of the new one", || {
        let mut all = engine.containers().into_iter();
        own = all.find(|one| one.pid.is_some_and(its));
        own.is_some()
    });
    first.signal(Signal::TERM);
    first.wait();
    let own = own.map(|one| (one.id, one.pid));
    let mut left = engine.containers().into_iter();
    assert!(
        left.any(|one| Some((one.id, one.pid)) == own),
        "{}",
        first.log()
    );
    killed(second);
}

#[test]
fn a_signal_that_comes_with_the_new_ones_word_takes_no_container_along() {
    let engine = FakeDocker::start();
    let mut first = engine.balancer(&["--replicas", "2"]);
    let count = || {
        let calls = engine.calls().into_iter();
        calls
            .filter(|call| call == "POST /containers/create")
            .count()
    };
    let creates = count();
    let list = "GET /containers/json";
    engine.inject(
        list,
        FaultMode::Slow(Duration::from_millis(300)),
        usize::MAX,
    );
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let second = thread::scope(|scope| {
        let second = scope.spawn(|| {
            let ports = ["--takeover", "--listen", &listen, "--control", &control];
            engine.launch(&ports)
        });
        // The successor creates its lock, in the second try, when it has received the fleet's
        // state.
        eventually(TEST_TIMEOUT, "its lock", || count() > creates + 1);
        first.signal(Signal::STOP);
        second.join().expect("it is ready")
    });
    let pids = || ["S1", "S2"].map(|name| engine.container(name).pid);
    let before = pids();
    first.signal(Signal::TERM);
    first.signal(Signal::CONT);
    first.wait();
    first.expect_log("has taken over; this process stops");
    assert_eq!(pids(), before);
    assert_eq!(second.rep(), ["S1", "S2"]);
    let events = second.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
    assert!(second.stop().success());
}
