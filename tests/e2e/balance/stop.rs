//! Connections that are balanced whole and that the balancer ends: for silence, for a drain of
//! their replica, or because the program stops.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::greeter;
use crate::support::{Backend, End, Ringmaster, Signal, TEST_TIMEOUT, Wire, eventually};

const GET: &str = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_silent_connection_is_reset_and_one_with_traffic_is_not() {
    let backend = greeter("hi");
    let args = ["--balance", "source", "--tunnel-timeout", "4s"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut speaks = program.client();
    let mut silent = program.client();
    assert_eq!(
        (speaks.take(2), silent.take(2)),
        (b"hi".to_vec(), b"hi".to_vec())
    );
    // The speaking connection sends a byte every half second until the silent one has timed out.
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| silent.expect_closed());
        while !silent.is_finished() {
            assert!(!speaks.has_bytes_within(Duration::from_millis(500)));
            speaks.send("x");
            assert_eq!(speaks.take(2), b"xx");
        }
        assert_eq!(silent.join().expect("its end"), End::Reset);
    });
    speaks.send("x");
    assert_eq!(speaks.take(2), b"xx", "it outlives the silent one");
    assert_eq!(speaks.expect_closed(), End::Reset);
}

#[test]
fn a_reader_that_pauses_for_longer_than_a_write_may_take_loses_nothing() {
    const LEN: usize = 8 * 1024 * 1024;
    let backend = Backend::scripted(|mut conversation| conversation.wire.write(vec![7; LEN]));
    let args = ["--balance", "source", "--write-timeout", "200ms"];
    let program = Ringmaster::before(backend.addr, &args);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&program.listen.into()).unwrap();
    let mut client = Wire::new(socket.into());
    client.take(1).unwrap();
    // This pause is the subject of the test.
    std::thread::sleep(Duration::from_millis(600));
    let rest = client.rest().unwrap();
    assert!(rest.len() == LEN - 1 && rest.iter().all(|byte| *byte == 7));
}

#[test]
fn a_replica_is_removed_when_its_connections_have_ended() {
    let program = Ringmaster::start(&["--replicas", "1", "--balance", "connection"]);
    let mut client = program.client();
    assert!(client.ask(GET).text().contains("Server: 1"));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(program.command("rm 1 S1")).expect("a listener"));
        // No new connection goes there, while the existing ones go on.
        eventually(TEST_TIMEOUT, "no seat is left", || {
            program.client().ask(GET).status() == 503
        });
        assert!(client.ask(GET).text().contains("Server: 1"));
        assert!(receiver.try_recv().is_err(), "removed under a connection");
        drop(client);
        let answer = receiver.recv_timeout(TEST_TIMEOUT).unwrap();
        assert!(!answer.contains("ERR"), "{answer}");
    });
}

#[test]
fn a_stop_waits_for_a_connection_and_then_resets_it() {
    const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
    let backend = greeter("hi");
    let mut program = Ringmaster::before(
        backend.addr,
        &["--balance", "source", "--drain-timeout", "3s"],
    );
    let mut client = program.client();
    assert_eq!(client.take(2), b"hi");
    let stopped = Instant::now();
    program.signal(Signal::TERM);
    program.expect_log("draining");
    client.send("x");
    assert_eq!(client.take(2), b"xx", "the connection works while draining");
    assert_eq!(client.expect_closed(), End::Reset);
    // A lower bound holds on a busy machine too; the deadline of `expect_closed` is the upper one.
    assert!(stopped.elapsed() >= DRAIN_TIMEOUT, "cut off too early");
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn a_stop_is_over_when_the_last_one_has_ended() {
    let backend = greeter("hi");
    let mut program = Ringmaster::before(
        backend.addr,
        &["--balance", "source", "--drain-timeout", "1h"],
    );
    let mut client = program.client();
    assert_eq!(client.take(2), b"hi");
    program.signal(Signal::TERM);
    client.send("x");
    assert_eq!(client.take(2), b"xx");
    drop(client);
    assert_eq!(program.wait().code(), Some(0));
}
