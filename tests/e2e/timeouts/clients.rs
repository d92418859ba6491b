//! Deadlines of a client: for a head, for a body, for reading; and the end of silent clients.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::{GET, OK, expect_error, falling_silent};
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, Wire};

#[test]
fn a_begun_head_must_end_in_time_however_steadily_it_drips() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--head-timeout", "150ms"]);
    let mut client = program.client();
    client.send("GET / HT");
    expect_error(&mut client, 408);
    assert_eq!(client.expect_closed(), End::Fin);
    let mut dripping = Wire::new(TcpStream::connect(program.listen).unwrap());
    let mut tap = Wire::new(dripping.stream.try_clone().unwrap());
    tap.write("GET / HTTP/1.1\r\nX: ").unwrap();
    let tap = std::thread::spawn(move || {
        while tap.write("x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(dripping.head().unwrap().status(), 408);
    dripping.stream.shutdown(std::net::Shutdown::Both).unwrap();
    tap.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let backend = Backend::answering(OK);
    let limits = ["--idle-timeout", "150ms", "--head-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &limits);
    let mut client = program.client();
    assert_eq!(client.ask(GET).status(), 200);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn an_empty_line_behind_a_request_begins_no_other() {
    let backend = Backend::answering(OK);
    let limits = ["--idle-timeout", "150ms", "--head-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &limits);
    // Some clients end a request with one (RFC 9112 §2.2): with it, or after its reply.
    let mut client = program.client();
    assert_eq!(client.ask([GET, "\r\n"].concat()).status(), 200);
    assert_eq!(client.ask(GET).status(), 200);
    client.send("\r\n");
    assert_eq!(client.expect_closed(), End::Fin);
    let mut client = program.client();
    assert_eq!(client.ask([GET, "\r\n"].concat()).status(), 200);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_client_that_owes_its_body_is_told_so() {
    let backend = falling_silent("");
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "150ms"]);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ] {
        let mut client = program.client();
        client.send(request);
        expect_error(&mut client, 408);
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        while conversation.wire.write([b'x'; 64 * 1024]).is_ok() {}
        sender.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--write-timeout", "150ms"]);
    let _client = program.client_after(GET);
    // A write of the backend's own would fail as late as that.
    receiver.recv_timeout(TEST_TIMEOUT / 2).unwrap();
}

#[test]
fn a_silent_tunnel_is_broken_off() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")?;
        conversation.wire.rest().map(drop)
    });
    let program = Ringmaster::before(backend.addr, &["--tunnel-timeout", "1500ms"]);
    let mut client = program
        .client_after("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.reply().status(), 101);
    // As long as one side sends, both directions are forwarded.
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(900));
        client.send("still here");
    }
    assert_eq!(client.expect_closed(), End::Reset);
}
