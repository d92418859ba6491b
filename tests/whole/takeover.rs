//! Hot restart: another process takes the sockets and the fleet over while clients go on asking.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{
    Client, Engine, FakeEngine, Load, Mood, PATIENCE, Ringmaster, end_of, eventually, exchange,
    is_gone, load_turn, on_both_engines, program, run_to_end, server_of,
};

on_both_engines!(another_process_takes_over_and_no_request_fails,);

/// Asks again and again, each time over a new connection, until told to stop; how often, and what went wrong.
fn knock(addr: SocketAddr, stop: &AtomicBool) -> (u64, Vec<String>) {
    let (mut count, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let mut client = Client::connect(addr);
        client.send("GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        match client.try_reply(false) {
            Ok(reply) if server_of(&reply.text()).is_some() => count += 1,
            Ok(reply) => failures.push(reply.text()),
            Err(err) => failures.push(err.to_string()),
        }
    }
    (count, failures)
}

fn another_process_takes_over_and_no_request_fails(engine: Engine) {
    let _turn = load_turn();
    let mut first = engine.start(&["--replicas", "2"]);
    assert!(first.command("add 1 lion").contains("lion"));
    assert!(
        first
            .command("ring set maglev; bound 1.2")
            .contains("bound 1.2")
    );
    let (rep, before) = (first.rep(), first.children());
    let listen = first.listen;
    let load = Load::start(listen, 8);
    let stop = Arc::new(AtomicBool::new(false));
    let knocking = thread::spawn({
        let stop = Arc::clone(&stop);
        move || knock(listen, &stop)
    });
    load.reach(200);

    let mut second = first.taken_over(&["--replicas", "9"]);
    assert!(first.wait().success(), "{}", first.log());
    load.go_round();
    load.go_on(200);
    assert_eq!(second.rep(), rep, "who sits where is as it was");
    let ring = second.command("ring");
    assert!(
        ring.starts_with("ring maglev\n") && ring.contains("\nbound 1.2\n"),
        "{ring}"
    );
    match engine {
        Engine::Process => assert!(before.into_iter().all(is_gone), "each has its own"),
        Engine::Docker => assert_eq!(second.children(), before, "the same containers"),
    }
    assert!(second.command("rm 1 lion").starts_with("N 2\n"));

    let third = second.taken_over(&[]);
    assert!(second.wait().success(), "{}", second.log());
    load.go_round();
    load.go_on(200);
    stop.store(true, Ordering::Relaxed);
    let (count, failures) = knocking.join().expect("the one who knocks");
    let tally = load.finish();
    println!(
        "{engine:?}: {count} connections; slowest GET {:?}",
        tally.slowest
    );
    tally.expect_no_failure();
    assert_eq!(failures, [""; 0]);
    assert_eq!(third.rep().len(), 2);
    let children = third.children();
    assert!(third.stop().success());
    assert!(children.into_iter().all(is_gone));
    assert!(
        TcpStream::connect(listen).is_err(),
        "nobody holds the port open"
    );
}

#[test]
fn one_whose_replicas_do_not_answer_leaves_everything_as_it_is() {
    let first = Ringmaster::start(&["--replicas", "2"]);
    let children = first.children();
    let control = first.control.to_string();
    let listen = first.listen.to_string();
    let output = run_to_end(&[
        "serve",
        "--takeover",
        "--listen",
        &listen,
        "--control",
        &control,
        "--start-timeout",
        "10ms",
        "--replica-command",
        "sleep 60",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("not all replicas answered within 5.01s; the one that served goes on"),
        "{said}"
    );
    first.expect_log("the process that was to take over is gone; all is as before");
    assert_eq!(first.children(), children);
    assert!(
        first.command("add 1 lion").contains("lion"),
        "changes go on"
    );
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200);
}

#[test]
fn changes_are_refused_while_another_process_takes_over() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    // It will not be ready before it is killed.
    let slow = ["--replica-command", "sleep 60", "--start-timeout", "60s"];
    let ports = [
        "serve",
        "--takeover",
        "--listen",
        &listen,
        "--control",
        &control,
    ];
    let mut second = program()
        .args([&ports[..], &slow].concat())
        .spawn()
        .expect("the binary");
    first.expect_log("takes over");
    eventually(PATIENCE, "a refusal", || {
        first.command("add 1") == "ERR ringmaster is stopping\n\n"
    });
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it serves all the same");
    second.kill().expect("a kill");
    second.wait().expect("its end");
    eventually(PATIENCE, "changes", || {
        first.command("add 1").starts_with("N 2\n")
    });
}

#[test]
fn containers_that_were_left_are_not_lost_when_the_new_process_fails() {
    let engine = FakeEngine::start();
    let mut first = engine.balancer(&["--replicas", "2"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let ports = ["--takeover", "--listen", &listen, "--control", &control];
    let before: Vec<_> = engine.containers().into_iter().map(|one| one.pid).collect();
    engine.mood("GET /containers/json", Mood::Status(500), usize::MAX);
    let mut command = engine.command();
    command.args(["serve", "--engine", "docker", "--image", "replica"]);
    let said = refused(&end_of(command.args(ports)));
    assert!(
        said.contains("cannot tell which replicas are there"),
        "{said}"
    );
    first.expect_log("nobody replaces them until another takes over (serve --takeover)");
    let reply = exchange(first.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it goes on");

    engine.calm();
    let second = engine.balancer(&ports);
    assert!(first.wait().success(), "{}", first.log());
    let mut rep = second.rep();
    rep.sort();
    assert_eq!(rep, ["S1", "S2"]);
    let pids = || engine.containers().into_iter().filter_map(|one| one.pid);
    assert_eq!(
        pids().map(Some).collect::<Vec<_>>(),
        before
            .into_iter()
            .filter(Option::is_some)
            .collect::<Vec<_>>()
    );
    assert!(second.stop().success());
    assert!(engine.containers().is_empty());
}

/// What a process says that wants to take over with these flags, and may not.
#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_of_another_kind_may_not() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let ports = ["serve", "--takeover", "--control", &control, "--listen"];
    let fixed = ["--backend", "a=127.0.0.1:1"];
    let said = refused(&run_to_end(&[&ports[..], &[&listen], &fixed].concat()));
    let sentence = "cannot take over --engine fixed from a balancer of --engine process";
    assert!(said.contains(sentence), "{said}");
    let said = refused(&run_to_end(&[&ports[..], &["127.0.0.1:1"]].concat()));
    let sentence =
        format!("the one that serves listens on {listen}, not on 127.0.0.1:1 (--listen)");
    assert!(said.contains(&sentence), "{said}");
    assert_eq!(first.rep(), ["S1"]);
}

#[test]
fn one_of_another_user_may_not() {
    let is_root = std::fs::metadata("/proc/self").expect("ourselves").uid() == 0;
    if !is_root {
        eprintln!("SKIPPED, because only root can be somebody else");
        return;
    }
    let first = Ringmaster::start(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    nobody.arg(program().get_program());
    nobody.args([
        "serve",
        "--takeover",
        "--control",
        &control,
        "--listen",
        &listen,
    ]);
    let said = refused(&end_of(&mut nobody));
    assert!(said.contains("cannot take over from process"), "{said}");
    first.expect_log("is of user 65534");
    assert_eq!(first.rep(), ["S1"]);
}

#[test]
fn where_nobody_serves_it_begins_as_ever() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let control = free.local_addr().expect("its address").to_string();
    drop(free);
    let program = Ringmaster::start(&["--takeover", "--replicas", "1", "--control", &control]);
    assert_eq!(program.rep(), ["S1"]);
    program.expect_log("nobody serves on");
}
