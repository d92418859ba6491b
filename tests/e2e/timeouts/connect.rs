//! Slow connections to replicas: which are waited for, which are not, and the errors.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, Wire, eventually};

use super::{GET, OK};

const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// A socket that listens with the smallest queue.
fn listen() -> (SocketAddr, TcpListener) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a listener");
    let listener = TcpListener::from(socket);
    (listener.local_addr().expect("its address"), listener)
}

/// Fills the accept queue, so that the kernel drops the SYN of the next client (listen(2)).
fn fill(addr: SocketAddr) -> Vec<socket2::Socket> {
    let mut held = Vec::new();
    loop {
        let next = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let next = next.expect("a socket");
        let limit = Duration::from_millis(100);
        if next.connect_timeout(&addr.into(), limit).is_err() {
            return held;
        }
        held.push(next);
    }
}

#[test]
fn a_lost_syn_is_waited_for_until_it_is_sent_again() {
    let (addr, listener) = listen();
    let held = fill(addr);
    let program = Ringmaster::before(addr, &[]);
    let mut client = program.client_after(GET);
    // No error shows that the first SYN was lost; the kernel sends it again after 1 s (tcp(7)).
    assert!(!client.has_bytes_within(Duration::from_millis(500)));
    drop(held);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut wire = Wire::new(stream);
            if wire.head().is_ok() {
                let _ = wire.write(LAST);
            }
        }
    });
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn the_error_names_the_connect_timeout() {
    let (addr, _listener) = listen();
    let _held = fill(addr);
    let flags = ["--connect-timeout", "100ms", "--seat-wait", "0s"];
    let program = Ringmaster::before(addr, &flags);
    let reply = program.client_after(GET).reply();
    assert_eq!(reply.status(), 503);
    let error = reply.text();
    assert!(
        error.contains("<Error> the connection to S1 timed out after 100ms"),
        "{error}"
    );
    let (refusing, _socket) = Backend::refusing();
    let program = Ringmaster::before(refusing, &[]);
    let error = program.client_after(GET).reply().text();
    assert!(
        error.contains("<Error> S1 refused the connection"),
        "{error}"
    );
}

#[test]
fn a_connection_to_a_replica_that_falls_silent_is_given_up_at_once() {
    let (addr, listener) = listen();
    let silent = Arc::<AtomicBool>::default();
    let is_silent = Arc::clone(&silent);
    // It accepts one connection, that of the heartbeats, and answers there until it falls silent.
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a heartbeat");
        let mut wire = Wire::new(stream);
        while wire.head().is_ok() && !is_silent.load(Ordering::SeqCst) {
            let held = "HTTP/1.1 200 OK\r\nRingmaster-Replica: S1\r\nContent-Length: 0\r\n\r\n";
            let _ = wire.write(held);
        }
        std::thread::park();
        drop((wire, listener));
    });
    let other = Backend::answering(OK);
    let backends = [format!("S1={addr}"), format!("S2={}", other.addr)];
    let program = Ringmaster::start(&[
        "--backend",
        &backends[0],
        "--backend",
        &backends[1],
        "--connect-timeout",
        "1h",
    ]);
    let _held = fill(addr);
    // One of these has its home in the first seat, and waits for a connection.
    let mut client = program.client();
    for id in 0.. {
        client.send(format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n"));
        if !client.has_bytes_within(Duration::from_millis(300)) {
            break;
        }
        assert_eq!(client.reply().text(), "ok");
    }
    silent.store(true, Ordering::SeqCst);
    assert_eq!(client.reply().text(), "ok");
    eventually(TEST_TIMEOUT, "the seat is passed over", || {
        program
            .log()
            .contains("replica S1 is suspect: heartbeat missed 3 times")
    });
}
