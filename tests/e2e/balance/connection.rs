//! `--balance connection`: the head of the first request decides, and is passed on as it came.

use std::sync::{Mutex, mpsc};

use super::before;
use crate::support::{Backend, Client, End, Ringmaster, TEST_TIMEOUT};

const BY_CONNECTION: [&str; 2] = ["--balance", "connection"];
/// Fields that a gateway would remove or change, and one without a value.
const FIELDS: &str = "Host:a \r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nRingmaster-Seat: 3\r\nTE: trailers\r\nExpect: 100-continue\r\nX-Empty:\r\n";

/// A backend that answers each request with its own name.
fn named(name: &'static str) -> Backend {
    Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            conversation.wire.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{name}"
            ))?;
        }
    })
}

/// A backend that reads `len` bytes, sends them to the channel, and answers with bytes that are no
/// HTTP.
fn hearing(len: usize) -> (Backend, mpsc::Receiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        let received = conversation.wire.take(len)?;
        sender
            .lock()
            .expect("a lock")
            .send(received)
            .expect("a listener");
        conversation.wire.write("\0no HTTP at all\n")?;
        conversation.wire.rest().map(drop)
    });
    (backend, receiver)
}

#[test]
fn the_first_request_goes_on_byte_for_byte_and_so_does_all_that_follows() {
    let text = format!(
        "\r\nPOST /a%20?q=%zz HTTP/1.1\r\n{FIELDS}X-Request-ID: 17\r\nContent-Length: 2\r\n\r\n"
    );
    let after = "xx\u{1}\0 not a request \r\n\r\n\r\n";
    let (backend, receiver) = hearing(text.len() + after.len());
    let program = Ringmaster::before(backend.addr, &BY_CONNECTION);
    for pieces in [1, 2, 40] {
        let all = format!("{text}{after}").into_bytes();
        let mut client = program.client();
        for piece in all.chunks(all.len().div_ceil(pieces)) {
            client.send(piece);
        }
        assert_eq!(receiver.recv_timeout(TEST_TIMEOUT).unwrap(), all);
        assert_eq!(client.take(16), b"\0no HTTP at all\n");
    }
}

#[test]
fn an_id_that_is_drawn_is_the_one_thing_added() {
    let (line, body) = ("GET / HTTP/1.1\r\n", "body");
    let mark = "X-Request-ID: 123456\r\n";
    let len = line.len() + FIELDS.len() + mark.len() + 2 + body.len();
    let (backend, receiver) = hearing(len);
    let program = Ringmaster::before(backend.addr, &BY_CONNECTION);
    let _client = program.client_after(format!("{line}{FIELDS}X-Request-Id: \r\n\r\n{body}"));
    let received = String::from_utf8(receiver.recv_timeout(TEST_TIMEOUT).unwrap()).unwrap();
    let (before, rest) = received.split_once("X-Request-ID: ").expect("the field");
    assert_eq!(before, format!("{line}{FIELDS}"));
    let (id, rest) = rest.split_at(6);
    assert!(id.parse::<u32>().unwrap() >= 100_000);
    assert_eq!(rest, format!("\r\n\r\n{body}"));
}

#[test]
fn a_connection_stays_where_its_first_request_belongs() {
    let backends = [named("S1"), named("S2")];
    let addrs = [backends[0].addr, backends[1].addr];
    let (by_connection, by_request) = (before(&addrs, &BY_CONNECTION), before(&addrs, &[]));
    let ask = |client: &mut Client, id: u32| {
        let request = format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.ask(request).text()
    };
    let mut homes = [0, 0];
    for id in 1..=20 {
        let mut client = by_connection.client();
        let home = ask(&mut client, id);
        assert_eq!(home, ask(&mut by_request.client(), id), "{id}");
        homes[usize::from(home == "S2")] += 1;
        // Where these belong is not looked at.
        for other in 1..=20 {
            assert_eq!(ask(&mut client, other), home);
        }
    }
    assert!(!homes.contains(&0), "{homes:?}");
}

#[test]
fn a_seat_that_refuses_costs_nothing() {
    let (refusing, _socket) = Backend::refusing();
    let backend = named("S2");
    let program = before(&[refusing, backend.addr], &BY_CONNECTION);
    for id in 1..=20 {
        let post = format!("POST /?id={id} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(program.client().ask(post).text(), "S2");
    }
    let bodies = backend.requests();
    assert!(bodies.len() == 20 && bodies.iter().all(|request| request.text() == "abc"));
}

#[test]
fn our_own_answers_are_the_usual_ones() {
    let (refusing, _socket) = Backend::refusing();
    let program = Ringmaster::before(
        refusing,
        &[&BY_CONNECTION[..], &["--head-timeout", "300ms"]].concat(),
    );
    let mut client = program.client();
    let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (reply.status(), reply.field("retry-after")),
        (503, Some("1"))
    );
    assert!(
        reply.text().contains("<Error> S1 refused the connection"),
        "{}",
        reply.text()
    );
    assert_eq!(client.expect_closed(), End::Fin);
    for (bad, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 408),
    ] {
        let mut client = program.client_after(bad);
        let reply = client.reply();
        assert_eq!(
            (reply.status(), reply.field("connection")),
            (status, Some("close")),
            "{bad}"
        );
        assert_eq!(client.expect_closed(), End::Fin);
    }
    let mut client = program.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.rest().ends_with(b"\r\n\r\n"));
}

#[test]
fn admin_paths_answer_as_long_as_nothing_is_decided() {
    let backend = named("S1");
    let admin = ["--data-port-admin", "local"];
    let program = Ringmaster::before(backend.addr, &[&BY_CONNECTION[..], &admin].concat());
    let mut client = program.client();
    let rep = "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..2 {
        assert_eq!(
            client.ask(rep).text().trim_end(),
            r#"{"message":{"N":1,"replicas":["S1"]},"status":"successful"}"#
        );
    }
    assert_eq!(
        client.ask("PUT /rm HTTP/1.1\r\nHost: a\r\n\r\n").status(),
        405
    );
    assert_eq!(
        client.ask("GET /home HTTP/1.1\r\nHost: a\r\n\r\n").text(),
        "S1"
    );
    // The connection is the replica's now.
    assert_eq!(client.ask(rep).text(), "S1");
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn ends_and_resets_of_the_backend_arrive_as_what_they_are() {
    let backend = Backend::scripted(|mut conversation| {
        let resets = conversation.request()?.start_line().contains("/reset");
        // A body that ends with the connection: only the kind of its end shows whether it is whole.
        conversation.wire.write("HTTP/1.1 200 OK\r\n\r\npart")?;
        conversation.wire.take(2)?;
        if resets {
            conversation.reset();
        }
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &BY_CONNECTION);
    for (path, end) in [("/reset", End::Reset), ("/end", End::Fin)] {
        let mut client = program.client_after(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(client.take(23).ends_with(b"part"));
        client.send("go");
        assert_eq!(client.expect_closed(), end);
    }
}

#[test]
fn a_client_that_resets_is_a_reset_for_the_backend() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.write("!")?;
        let end = conversation.wire.take(1).unwrap_err().kind();
        sender
            .lock()
            .expect("a lock")
            .send(end)
            .expect("a listener");
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &BY_CONNECTION);
    let mut client = program.client_after("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.take(1), b"!");
    client.reset();
    assert_eq!(
        receiver.recv_timeout(TEST_TIMEOUT),
        Ok(std::io::ErrorKind::ConnectionReset)
    );
}
