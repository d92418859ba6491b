//! Requests that wait for a seat: their limit, and their fate when the seat dies.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use crate::support::{Client, Ringmaster, TEST_TIMEOUT, Wire, eventually};

use super::*;

/// Limit of the requests of one worker that wait for a seat.
const MOST_WAITING: usize = 1_000;
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// A listener whose queue holds all of them.
fn listen(addr: SocketAddr) -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&addr.into()).expect("the port");
    socket.listen(4096).expect("a listener");
    socket.into()
}

/// Answers every request, on connections of their own.
fn answer_all(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut wire = Wire::new(stream);
            if wire.head().is_ok() {
                let _ = wire.write(LAST);
            }
        }
    });
}

#[test]
fn a_thousand_requests_wait_for_a_seat_and_the_next_is_told_so() {
    let backend = Backend::answering(LAST);
    let addr = backend.addr;
    let name = format!("S1={addr}");
    let program = Ringmaster::start(&[
        "--workers",
        "1",
        "--backend",
        &name,
        "--seat-wait",
        "1h",
        "--connect-timeout",
        "10s",
        "--heartbeat-interval",
        "100ms",
    ]);
    drop(backend);
    program.expect_log("is down");
    let mut waiting: Vec<Client> = Vec::new();
    let refused = loop {
        let mut client = program.client_after(GET);
        // All that are not among the waiting are answered, in turn with this one.
        if waiting.len() < MOST_WAITING {
            waiting.push(client);
            continue;
        }
        break client.reply();
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    answer_all(listen(addr));
    for client in &mut waiting {
        assert_eq!(client.reply().status(), 200);
    }
    // Their places are free again.
    assert_eq!(program.client_after(GET).reply().text(), "ok");
}

#[test]
fn a_request_held_by_a_seat_that_dies_goes_elsewhere() {
    let listener = listen(([127, 0, 0, 1], 0).into());
    let first = listener.local_addr().unwrap();
    let (ask, asked) = mpsc::channel();
    let accepting = std::thread::spawn(move || {
        // Kept open, and silent: only the heartbeats show that the listener is gone.
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut wire = Wire::new(stream);
            match wire.head() {
                Ok(head) if head.start_line().contains("/heartbeat") => {
                    let _ = wire.write(LAST);
                }
                Ok(_) => {
                    held.push(wire);
                    ask.send(()).expect("a listener");
                    return held;
                }
                Err(_) => {}
            }
        }
        held
    });
    let second = Backend::answering(LAST);
    let names = [format!("S1={first}"), format!("S2={}", second.addr)];
    let program = Ringmaster::start(&[
        "--workers",
        "1",
        "--backend",
        &names[0],
        "--backend",
        &names[1],
        "--heartbeat-interval",
        "100ms",
    ]);
    let mut client = program.client();
    for id in 0.. {
        client.send(format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let line = format!("GET /?id={id} HTTP/1.1");
        let mut held = false;
        eventually(TEST_TIMEOUT, "one of the two is asked", || {
            held |= asked.try_recv().is_ok();
            held || second
                .requests()
                .iter()
                .any(|seen| seen.start_line() == line)
        });
        if held {
            break;
        }
        assert_eq!(client.reply().text(), "ok");
    }
    assert_eq!(client.reply().text(), "ok");
    drop(accepting.join().expect("its connections"));
}
