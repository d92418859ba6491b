//! The harness itself: client and scripted backend connected without a program between.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, Client, End, TEST_TIMEOUT, eventually, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nok";

#[test]
fn replies_are_read_by_their_framing() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        let wire = &mut conversation.wire;
        wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n")?;
        wire.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")?;
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")?;
        wire.write("HTTP/1.0 200 OK\r\n\r\nto the end")
    });
    let mut client = Client::connect(backend.addr);
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(),
        100
    );
    assert_eq!(client.reply().text(), "abcde");
    assert_eq!(client.reply().status(), 304);
    let to_head = client.try_reply(true).unwrap();
    assert_eq!(to_head.field("content-length"), Some("5"));
    assert_eq!(client.reply().body, b"to the end");
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn requests_are_noted_however_they_arrive() {
    let backend = Backend::answering(OK);
    let mut client = Client::connect(backend.addr);
    client.send_bytewise("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.reply().fields("X-A"), ["1", "2"]);
    client.send("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    assert_eq!(client.reply().body, b"ok");
    exchange(backend.addr, "GET /c HTTP/1.1\r\n\r\n");
    let seen = backend.requests();
    let lines: Vec<_> = seen.iter().map(|request| request.start_line()).collect();
    assert_eq!(
        lines,
        ["POST /a HTTP/1.1", "POST /b HTTP/1.1", "GET /c HTTP/1.1"]
    );
    assert_eq!(
        (seen[0].text().as_str(), seen[1].text().as_str()),
        ("abc", "x")
    );
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_half_close_is_seen_and_answered() {
    let backend = Backend::scripted(|mut conversation| {
        let all = conversation.wire.rest()?;
        conversation.wire.write(all)
    });
    let mut client = Client::connect(backend.addr);
    client.send("tunnel bytes");
    client.half_close();
    assert_eq!(client.take(6), b"tunnel");
    assert_eq!(client.rest(), b" bytes");
}

#[test]
fn resets_go_both_ways() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        if conversation.number == 0 {
            conversation.head()?;
            conversation.reset();
            return Ok(());
        }
        let end = conversation.head().unwrap_err().kind();
        sender.lock().unwrap().send(end).unwrap();
        Ok(())
    });
    let mut client = Client::connect(backend.addr);
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.expect_closed(), End::Reset);
    let mut client = Client::connect(backend.addr);
    client.send("GET / HT");
    client.reset();
    assert_eq!(
        receiver.recv_timeout(TEST_TIMEOUT),
        Ok(std::io::ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_refusing_backend_refuses() {
    let (addr, _socket) = Backend::refusing();
    let refused = std::net::TcpStream::connect(addr).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_dropped_backend_ends_its_connections() {
    let backend = Backend::answering(OK);
    let mut client = Client::connect(backend.addr);
    assert_eq!(client.ask("GET / HTTP/1.1\r\n\r\n").status(), 200);
    let addr = backend.addr;
    drop(backend);
    client.expect_closed();
    eventually(TEST_TIMEOUT, "the port is closed", || {
        std::net::TcpStream::connect(addr).is_err()
    });
}

#[test]
fn waiting_ends_with_a_reason() {
    let message = Arc::new(Mutex::new(String::new()));
    let waited =
        std::panic::catch_unwind(|| eventually(Duration::from_millis(5), "the moon", || false));
    *message.lock().unwrap() = *waited.unwrap_err().downcast::<String>().unwrap();
    assert!(message.lock().unwrap().ends_with("the moon"));
}
