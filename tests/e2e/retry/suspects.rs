//! Suspects, and requests that wait for a seat.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, Message, Ringmaster, TEST_TIMEOUT, eventually, exchange};

use super::*;

/// A backend whose heartbeats fail on request, which makes it a suspect for good.
struct SuspectBackend {
    backend: Backend,
    fail: mpsc::Sender<()>,
    /// Receives each request that is no heartbeat.
    requests: mpsc::Receiver<Message>,
    replies: mpsc::Sender<()>,
}

impl SuspectBackend {
    fn new() -> Self {
        let (fail, failed) = mpsc::channel();
        let (ask, requests) = mpsc::channel();
        let (replies, answer) = mpsc::channel();
        let (failed, ask, answer) = (Mutex::new(failed), Mutex::new(ask), Mutex::new(answer));
        let backend = Backend::scripted(move |mut conversation| {
            loop {
                let request = conversation.request()?;
                if !request.start_line().contains("/heartbeat") {
                    ask.lock()
                        .expect("a lock")
                        .send(request)
                        .expect("a listener");
                    let _ = answer.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
                    conversation.wire.write(OK)?;
                } else if conversation.number > 0 {
                    conversation
                        .wire
                        .write("HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")?;
                } else {
                    conversation
                        .wire
                        .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
                    let _ = failed.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
                    // Well past the time in which a server may end a connection out of habit.
                    std::thread::sleep(Duration::from_millis(200));
                    return Ok(());
                }
            }
        });
        Self {
            backend,
            fail,
            requests,
            replies,
        }
    }

    fn become_suspect(&self, program: &Ringmaster) {
        self.fail.send(()).expect("a listener");
        eventually(TEST_TIMEOUT, "a suspect", || {
            program.log().contains("suspect")
        });
    }

    fn program(&self, also: &[&str]) -> Ringmaster {
        let name = format!("S1={}", self.backend.addr);
        let args = [
            "--backend",
            &name,
            "--heartbeat-interval",
            "500ms",
            "--heartbeat-timeout",
            "14s",
        ];
        Ringmaster::start(&[&args, also, &["--heartbeat-misses", "10000"]].concat())
    }
}

#[test]
fn a_lone_suspect_is_given_its_time() {
    let suspect = SuspectBackend::new();
    let program = suspect.program(&[]);
    suspect.become_suspect(&program);
    // The log line comes a moment before the last worker knows; readiness changes when all do.
    let readyz = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    eventually(TEST_TIMEOUT, "every worker knows", || {
        exchange(program.control, readyz).status() == 503
    });
    let mut client = program.client();
    client.send(GET);
    suspect.requests.recv_timeout(TEST_TIMEOUT).unwrap();
    // A second try would come within 200 ms, and could not succeed.
    let again = suspect.requests.recv_timeout(Duration::from_millis(600));
    assert!(again.is_err(), "asked twice");
    suspect.replies.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_held_by_a_seat_that_becomes_suspect_goes_elsewhere_if_it_can() {
    let suspect = SuspectBackend::new();
    let other = Backend::answering(OK);
    let second = format!("S2={}", other.addr);
    let program = suspect.program(&["--backend", &second]);
    // One of these lands at home on the first seat, and waits there.
    let mut client = program.client();
    let asked_other = |id: usize| {
        let line = format!("GET /?id={id} HTTP/1.1");
        other
            .requests()
            .iter()
            .any(|request| request.start_line() == line)
    };
    for id in 0.. {
        client.send(format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut held = false;
        eventually(TEST_TIMEOUT, "one of the two is asked", || {
            held = suspect.requests.try_recv().is_ok();
            held || asked_other(id)
        });
        if held {
            break;
        }
        assert_eq!(client.reply().text(), "ok");
    }
    suspect.become_suspect(&program);
    assert_eq!(client.reply().text(), "ok");
    assert!(suspect.requests.try_recv().is_err());
}

#[test]
fn a_request_that_cannot_be_repeated_waits_for_a_suspect() {
    let suspect = SuspectBackend::new();
    let program = suspect.program(&[]);
    let body = "0123456789".repeat(10_000);
    let mut client = program.client();
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    suspect.requests.recv_timeout(TEST_TIMEOUT).unwrap();
    suspect.become_suspect(&program);
    suspect.replies.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_waits_for_a_seat_that_refused_it_and_comes_back() {
    let heartbeats = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let backend = Backend::answering(heartbeats);
    let addr = backend.addr;
    let name = format!("S1={addr}");
    let args = [
        "--backend",
        &name,
        "--seat-wait",
        "14s",
        "--heartbeat-interval",
        "100ms",
    ];
    let program = Ringmaster::start(&args);
    drop(backend);
    eventually(TEST_TIMEOUT, "a refusal", || {
        std::net::TcpStream::connect(addr).is_err()
    });
    let mut client = program.client();
    client.send(GET);
    eventually(TEST_TIMEOUT, "the seat is down", || {
        program.log().contains("is down")
    });
    let listener = std::net::TcpListener::bind(addr).expect("the same port");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut wire = crate::support::Wire::new(stream);
            if wire.head().is_ok() {
                let _ = wire.write(heartbeats);
            }
        }
    });
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_waits_no_longer_than_the_seat_wait() {
    let backend = Backend::answering(OK);
    let name = format!("S1={}", backend.addr);
    let program = Ringmaster::start(&["--backend", &name, "--seat-wait", "100ms"]);
    drop(backend);
    eventually(TEST_TIMEOUT, "the seat is down", || {
        program.log().contains("is down")
    });
    let reply = program.client().ask(GET);
    assert_eq!(
        (reply.status(), reply.field("retry-after")),
        (503, Some("1"))
    );
}
