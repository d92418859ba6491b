//! Hot restart: another process takes the sockets and the fleet over while clients go on asking.

mod changes;
mod failing;
mod refused;
mod stopping;
mod untouched;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Backend, Client, Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange,
    exclusive_load, fresh_path, is_gone, on_both_engines, program, server_of,
};

on_both_engines!(a_takeover_fails_no_request,);

/// The bundled replica.
fn bundled() -> PathBuf {
    Path::new(program().get_program()).with_file_name("replica")
}

/// A command that starts a successor on the ports of `first`.
fn successor(first: &Ringmaster, flags: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["serve", "--takeover"])
        .args(["--listen", &first.listen.to_string()])
        .args(["--control", &first.control.to_string()])
        .args(flags);
    command
}

/// Sends requests, each over a new connection, until `stop` is set. Returns their number and the
/// failures.
fn connect_repeatedly(addr: SocketAddr, stop: &AtomicBool) -> (u64, Vec<String>) {
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

fn a_takeover_fails_no_request(engine: Engine) {
    let _turn = exclusive_load();
    let mut first = engine.start(&["--replicas", "2"]);
    assert!(first.command("add 1 lion").contains("lion"));
    assert!(
        first
            .command("ring set maglev; bound 1.2")
            .contains("bound 1.2")
    );
    assert!(first.command("drain S1").starts_with("N 3\n"));
    let (rep, before) = (first.rep(), first.children());
    let listen = first.listen;
    let load = Load::start(listen, 8);
    let stop = Arc::new(AtomicBool::new(false));
    let knocking = thread::spawn({
        let stop = Arc::clone(&stop);
        move || connect_repeatedly(listen, &stop)
    });
    load.reach(200);

    let mut second = first.taken_over(&["--replicas", "9"]);
    assert!(first.wait().success(), "{}", first.log());
    load.wait_for_one_reply_per_connection();
    load.go_on(200);
    assert_eq!(second.rep(), rep, "who sits where is as it was");
    let shown = second.command("show S1");
    assert!(shown.contains("drained"), "{shown}");
    assert!(second.command("ready S1").starts_with("N 3\n"));
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
    load.wait_for_one_reply_per_connection();
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
        "no process holds the port open"
    );
}

#[test]
fn more_workers_than_before_serve_and_fewer_are_raised() {
    let mut first = Ringmaster::start(&["--replicas", "1", "--workers", "2"]);
    let mut second = first.taken_over(&["--workers", "4"]);
    assert!(first.wait().success());
    let third = second.taken_over(&["--workers", "1"]);
    assert!(second.wait().success());
    third.expect_log("--workers 1 is raised to 4, the number of the old process");
    // The kernel spreads them over all four.
    for _ in 0..100 {
        let reply = exchange(third.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 200);
    }
    assert!(third.stop().success());
}

#[test]
fn a_successor_with_fewer_backends_waits_only_for_its_own() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let [one, two] = ["a", "b"].map(|name| format!("{name}={}", backend.addr));
    let mut first = Ringmaster::start(&[
        "--heartbeat-path",
        "/",
        "--backend",
        &one,
        "--backend",
        &two,
    ]);
    assert_eq!(first.rep(), ["a", "b"]);
    let flags = [
        "--heartbeat-path",
        "/",
        "--backend",
        &two,
        "--start-timeout",
        "10ms",
    ];
    let second = first.taken_over(&flags);
    assert!(first.wait().success(), "{}", first.log());
    assert_eq!(second.rep(), ["b"]);
    assert!(second.stop().success());
}

#[test]
fn a_ready_successor_serves_even_after_the_old_one_was_killed() {
    for kill in [Signal::KILL, Signal::TERM] {
        let mut first = Ringmaster::start(&["--replicas", "1"]);
        let (control, listen) = (first.control.to_string(), first.listen.to_string());
        // Python takes a while to be there.
        let gate = fresh_path("gate");
        let wait = format!(
            "sh -c 'while ! test -e {}; do sleep 0.02; done; exec {}'",
            gate.display(),
            bundled().display()
        );
        let ports = ["--takeover", "--listen", &listen, "--control", &control];
        let ready = thread::spawn({
            let args: Vec<String> = ports.iter().map(|arg| (*arg).to_owned()).collect();
            move || {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                Ringmaster::start(&[&args[..], &["--replica-command", &wait]].concat())
            }
        });
        first.expect_log("takes over");
        // A client that connects meanwhile waits in the queue of a socket that the new one has.
        first.signal(kill);
        first.wait();
        std::fs::write(&gate, "").expect("a file");
        let second = ready.join().expect("it is ready");
        let reply = exchange(second.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 200);
        std::fs::remove_file(&gate).expect("the file");
        assert!(second.stop().success());
    }
}

#[test]
fn the_control_port_is_the_new_ones_alone_while_the_old_one_drains() {
    let (sender, receiver) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (sender, gone) = (Mutex::new(sender), Mutex::new(gone));
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        sender.lock().expect("a lock").send(()).expect("a listener");
        let _ = gone.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let address = format!("S1={}", backend.addr);
    let flags = ["--backend", &address, "--heartbeat-interval", "0s"];
    let mut first = Ringmaster::start(&flags);
    let mut client = first.client_after("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    receiver.recv_timeout(TEST_TIMEOUT).expect("a request");
    let second = first.taken_over(&flags);
    first.expect_log("has taken over; this process stops");
    eventually(TEST_TIMEOUT, "the last of the old one", || {
        first.log().contains("draining")
    });
    for _ in 0..20 {
        assert!(second.command("drain S1; ready S1").starts_with("N 1\n"));
    }
    go.send(()).expect("the backend");
    assert_eq!(client.reply().text(), "ok", "what has begun is answered");
    assert!(first.wait().success());
}

#[test]
fn a_silent_connected_client_is_answered_by_the_successor() {
    /// As long as it is sure that the kernel keeps a silent client to itself (TCP_DEFER_ACCEPT,
    /// tcp(7)).
    const HIDDEN: Duration = Duration::from_secs(2);
    let mut serving = Ringmaster::start(&["--replicas", "1"]);
    let deadline = Instant::now() + TEST_TIMEOUT;
    // A takeover that takes longer shows nothing: the old process closes idle connections.
    loop {
        let connected = Instant::now();
        let silent: Vec<Client> = (0..16).map(|_| Client::connect(serving.listen)).collect();
        let second = serving.taken_over(&[]);
        assert!(serving.wait().success(), "{}", serving.log());
        serving = second;
        if connected.elapsed() < HIDDEN {
            for mut client in silent {
                let reply = client.ask("GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(reply.status(), 200, "{}", reply.text());
            }
            break;
        }
        assert!(Instant::now() < deadline, "no takeover is quick enough");
    }
    assert!(serving.stop().success());
}

#[test]
fn a_takeover_without_a_running_balancer_starts_normally() {
    // Other tests use ports of 127.0.0.1, so the port that is free here stays free until it is
    // bound again. All of 127.0.0.0/8 is loopback, and the process ID makes the address this run's
    // own.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::new(127, 99, high, low), 0));
    let free = free.expect("a port");
    let control = free.local_addr().expect("its address");
    drop(free);
    let flag = control.to_string();
    let mut program = Ringmaster::start(&["--takeover", "--replicas", "1", "--control", &flag]);
    program.control = control;
    assert_eq!(program.rep(), ["S1"]);
    program.expect_log("no balancer runs on");
}
