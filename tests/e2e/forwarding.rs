//! Requests forwarded to a replica and replies returned to the client, byte for byte.

use crate::support::{Backend, Client, End, Message, Ringmaster};

const OK: &str = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";

/// Returns `request` as the backend gets it, without the forwarding fields that every head gets.
fn forwarded(program: &Ringmaster, backend: &Backend, request: &str) -> String {
    let mut client = program.client();
    assert_eq!(client.ask(request).status(), 200, "{request}");
    let seen = backend.requests().pop().expect("a request");
    let text = seen.text();
    format!("{}\r\n\r\n{text}", seen.head)
}

const TRAIL: &str = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n";

#[test]
fn heads_go_on_byte_for_byte_but_for_what_ends_here() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &[]);
    let cases = [
        // All else goes on as it came.
        (
            "get /a%20b?q=%zz&id=7 HTTP/1.1\r\nHOST:a.test \r\nX-B:  1\t\r\nx-b: \u{e9}\r\nCookie: a=b; c\r\n\r\n",
            format!(
                "get /a%20b?q=%zz&id=7 HTTP/1.1\r\nHOST:a.test \r\nX-B:  1\t\r\nx-b: \u{c3}\u{a9}\r\nCookie: a=b; c\r\n{TRAIL}\r\n"
            ),
        ),
        // Fields for this hop, fields named by Connection, and fields that only the balancer may
        // set.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nConnection: X-Hop, keep-alive\r\nconnection: x-other\r\n\
             x-hop: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n\
             Ringmaster-Seat: 9\r\nX-Kept: 3\r\n\r\n",
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nX-Kept: 3\r\n{TRAIL}\r\n"
            ),
        ),
        // The framing and the Host cannot be nominated away.
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nConnection: Content-Length, HOST\r\nContent-Length: 3\r\n\r\nabc",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nContent-Length: 3\r\n{TRAIL}\r\nabc"
            ),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nTransfer-Encoding: chunked\r\n{TRAIL}\r\nabc"
            ),
        ),
        // The list of addresses is continued, not replaced.
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2\r\n\
             X-Forwarded-Proto: https\r\nVia: 1.0 first\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\nX-Forwarded-For: 1.1.1.1\r\n\
             x-forwarded-for: 2.2.2.2, 127.0.0.1\r\nX-Forwarded-Proto: https\r\nVia: 1.0 first\r\n\r\n"
                .to_owned(),
        ),
        // The authority of an absolute target replaces the Host.
        (
            "GET http://b.test:80?id=7 HTTP/1.1\r\nHost: a\r\n\r\n",
            format!("GET /?id=7 HTTP/1.1\r\nHost: b.test:80\r\n{TRAIL}\r\n"),
        ),
        // No upgrade to a protocol that carries requests of its own.
        (
            "GET /?id=7 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
            format!("GET /?id=7 HTTP/1.1\r\nHost: a\r\n{TRAIL}\r\n"),
        ),
        (
            "GET /?id=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            format!("GET /?id=7 HTTP/1.1\r\nHost: a\r\n{TRAIL}\r\n"),
        ),
        // Another upgrade goes on; the backend may refuse it.
        (
            "GET /?id=7 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
            format!(
                "GET /?id=7 HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n{TRAIL}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            ),
        ),
        // A client of HTTP/1.0: no Host, no expectations, no upgrades.
        (
            "GET /?id=7 HTTP/1.0\r\nExpect: 100-continue\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            format!(
                "GET /?id=7 HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
                program.listen
            ),
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(forwarded(&program, &backend, request), expected);
    }
}

#[test]
fn a_drawn_request_id_is_the_only_one() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &[]);
    for field in ["", "X-Request-ID:\r\n"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        program.client().ask(request);
        let seen = backend.requests().pop().expect("a request");
        let id = seen.field("x-request-id").expect("an ID");
        assert!(id.len() == 6 && id.parse::<u32>().is_ok(), "{id}");
    }
}

/// A program before a backend that answers with `reply` and closes when `closes`.
fn replying(reply: String, closes: bool) -> (Backend, Ringmaster) {
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            conversation.wire.write(&reply)?;
            if closes {
                return Ok(());
            }
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    (backend, program)
}

#[test]
fn replies_lose_what_was_for_us_and_say_how_the_connection_goes_on() {
    let reply = "HTTP/1.1 200 Very Fine\r\nDate: x\r\nConnection: keep-alive, X-Hop\r\nx-hop: 1\r\nKeep-Alive: timeout=9\r\n\
        Set-Cookie: a\r\nset-cookie:b \r\nContent-Length: 2\r\n\r\nok";
    let (_backend, program) = replying(reply.to_owned(), false);
    let kept =
        "HTTP/1.1 200 Very Fine\r\nDate: x\r\nSet-Cookie: a\r\nset-cookie:b \r\nContent-Length: 2";
    for (request, ending, stays) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", true),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "\r\nConnection: close",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", "\r\nConnection: close", false),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "\r\nConnection: keep-alive",
            true,
        ),
    ] {
        let mut client = program.client();
        let reply = client.ask(request);
        assert_eq!(reply.head, format!("{kept}{ending}"), "{request}");
        assert_eq!(reply.body, b"ok");
        if stays {
            assert_eq!(client.ask(request).body, b"ok");
        } else {
            assert_eq!(client.expect_closed(), End::Fin);
        }
    }
}

#[test]
fn a_reply_without_a_date_gets_one() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (_backend, program) = replying(reply.to_owned(), false);
    let reply = program.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        reply
            .field("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
}

#[test]
fn a_client_of_http_1_0_gets_neither_chunks_nor_interim_replies() {
    let reply = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
    let (_backend, program) = replying(reply.to_owned(), false);
    let mut client = program.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let old: Message = client.reply();
    assert_eq!((old.status(), old.text().as_str()), (200, "abcde"));
    assert_eq!(old.field("transfer-encoding"), None);
    assert_eq!(old.field("connection"), Some("close"));
    let mut client = program.client();
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(),
        103
    );
    assert_eq!(client.reply().text(), "abcde");
}

#[test]
fn answers_to_head_have_the_fields_alone() {
    for (fields, old) in [
        ("Content-Length: 9\r\n", "Content-Length: 9\r\n"),
        // RFC 9112 §6.1: no transfer coding to an HTTP/1.0 client.
        ("Transfer-Encoding: chunked\r\n", ""),
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\nDate: x\r\n{fields}\r\n");
        let (backend, program) = replying(reply, false);
        let mut client = program.client();
        for _ in 0..2 {
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
            let head = client.try_reply(true).expect("a head").head;
            assert_eq!(
                format!("{head}\r\n"),
                format!("HTTP/1.1 200 OK\r\nDate: x\r\n{fields}")
            );
        }
        assert_eq!(backend.connections(), 1);
        let mut client = program.client();
        client.send("HEAD / HTTP/1.0\r\n\r\n");
        let head = client.try_reply(true).expect("a head").head;
        assert_eq!(
            format!("{head}\r\n"),
            format!("HTTP/1.1 200 OK\r\nDate: x\r\n{old}Connection: close\r\n")
        );
    }
}

#[test]
fn bodiless_replies_do_not_hold_the_connection_up() {
    for head in [
        "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n",
    ] {
        let (backend, program) = replying(head.to_owned(), false);
        let mut client: Client = program.client();
        for _ in 0..2 {
            let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(reply.body.is_empty());
        }
        assert_eq!(backend.connections(), 1);
    }
}

#[test]
fn an_unrequested_101_is_not_passed_on() {
    let reply = "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let (_backend, program) = replying(reply.to_owned(), true);
    let reply = program.client().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 502);
    assert!(reply.text().starts_with(r#"{"message":"<Error> "#));
}

#[test]
fn errors_of_our_own_are_json_with_a_line_feed() {
    let (refusing, _socket) = Backend::refusing();
    let program = Ringmaster::before(refusing, &[]);
    let mut client = program.client();
    for _ in 0..2 {
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.field("retry-after"), Some("1"));
        assert_eq!(reply.field("content-type"), Some("application/json"));
        let expected =
            "{\"message\":\"<Error> S1 refused the connection\",\"status\":\"failure\"}\n";
        assert_eq!(reply.text(), expected);
    }
}
