//! Deadlines of a backend: for a connection, for its reply, for the rest of it, and for reading.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::{GET, OK, expect_error, falling_silent};
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, Wire};

#[test]
fn a_backend_that_owes_its_reply_is_not_asked_twice() {
    let backend = falling_silent("");
    let args = ["--reply-timeout", "150ms", "--retries", "9"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    client.send(GET);
    expect_error(&mut client, 504);
    assert_eq!(backend.requests().len(), 1);
    // The connection stays, because the client has sent its whole request.
    client.send(GET);
    expect_error(&mut client, 504);
    // A client that waits for a 100 gets the error as well, and owes nothing.
    let mut client = program.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect_error(&mut client, 504);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_backend_that_owes_the_rest_of_its_reply_ends_the_connection() {
    let limits = ["--body-timeout", "150ms"];
    let backend = falling_silent("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    let program = Ringmaster::before(backend.addr, &limits);
    // It fits the buffer, so nothing of it was seen.
    expect_error(&mut program.client_after(GET), 504);
    for (reply, body, end) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nab",
            "ab",
            End::Fin,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "3\r\nab",
            End::Fin,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nab", "ab", End::Reset),
    ] {
        let backend = falling_silent(reply);
        let program = Ringmaster::before(backend.addr, &limits);
        let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
        client.write(GET).unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.take(body.len()).unwrap(), body.as_bytes());
        let ended = client.take(1).unwrap_err().kind();
        let expected = match end {
            End::Fin => io::ErrorKind::UnexpectedEof,
            End::Reset => io::ErrorKind::ConnectionReset,
        };
        assert_eq!(ended, expected, "{reply}");
    }
}

#[test]
fn the_clock_of_a_reply_stands_still_while_the_client_owes_bytes() {
    let backend = Backend::scripted(|mut conversation| {
        let head = conversation.head()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let body = conversation.wire.body(&head, false)?;
        assert_eq!(body, b"abc");
        conversation.wire.write("2\r\nok\r\n0\r\n\r\n")
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "1500ms"]);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        .unwrap();
    let head = client.head().unwrap();
    for piece in ["b", "c"] {
        // Each within the client's time; both together are more than the backend's.
        std::thread::sleep(Duration::from_millis(900));
        client.write(piece).unwrap();
    }
    assert_eq!(client.body(&head, true).unwrap(), b"ok");
}

#[test]
fn a_backend_that_reads_nothing_is_given_up() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        let _ = gone.lock().unwrap().recv_timeout(TEST_TIMEOUT);
        Ok(())
    });
    let args = ["--write-timeout", "150ms", "--reply-timeout", "150ms"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .unwrap();
    let mut writer = Wire::new(client.stream.try_clone().unwrap());
    std::thread::spawn(move || while writer.write([b'x'; 64 * 1024]).is_ok() {});
    assert_eq!(client.head().unwrap().status(), 504);
    drop(go);
}

/// An address at which connecting neither succeeds nor fails: its queue is full (listen(2)).
pub(in crate::e2e) fn unanswering() -> (SocketAddr, Vec<socket2::Socket>) {
    let socket = || {
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket")
    };
    let listener = socket();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a socket");
    listener.listen(0).expect("a socket");
    let addr = listener.local_addr().expect("a socket");
    let mut held = vec![listener];
    loop {
        let next = socket();
        if next
            .connect_timeout(&addr, Duration::from_millis(50))
            .is_err()
        {
            break;
        }
        held.push(next);
    }
    (addr.as_socket().expect("a socket"), held)
}

#[test]
fn a_seat_that_cannot_be_connected_to_is_passed_over() {
    let (silent, _held) = unanswering();
    let backend = Backend::answering(OK);
    let args = [
        "--backend",
        &format!("S1={silent}"),
        "--backend",
        &format!("S2={}", backend.addr),
        "--connect-timeout",
        "100ms",
        "--heartbeat-interval",
        "0s",
    ];
    let program = Ringmaster::start(&args);
    let mut client = program.client();
    for id in 0..8 {
        let request = format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.ask(request).text(), "ok");
    }
    let alone = Ringmaster::before(silent, &["--connect-timeout", "100ms"]);
    expect_error(&mut alone.client_after(GET), 503);
}
