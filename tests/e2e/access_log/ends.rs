//! Access log: the party that ended a request early, the seat of a queue that did not end in time;
//! and tunnels, which are one line each.

use super::{ASK, Log, OK, expect};
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, eventually};

#[test]
fn the_party_that_ended_a_request_is_logged() {
    let log = Log::new();
    let backend = Backend::scripted(|mut conversation| {
        let request = conversation.request()?;
        let reply = match request.start_line().split(' ').nth(1) {
            Some("/truncated") => "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly this",
            _ => OK,
        };
        conversation.wire.write(reply)
    });
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut client = program.client_after(get("/truncated"));
    assert!(client.try_reply(false).is_err());
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
    let mut leaving = program.client_after(post);
    leaving.half_close();
    assert_eq!(leaving.reply().status(), 400);
    let lines = log.expect(2);
    expect(
        &lines[0],
        &[
            ("path", "/truncated"),
            ("status", "200"),
            ("ended", "replica"),
        ],
    );
    let leaving = [("method", "POST"), ("status", "400"), ("ended", "client")];
    expect(&lines[1], &leaving);
    expect(&lines[1], &[("from_client", &post.len().to_string())]);
}

#[test]
fn a_tunnel_is_one_line() {
    let greeting = Backend::scripted(|mut conversation| {
        conversation.wire.write("hello")?;
        conversation.wire.rest()?;
        conversation.wire.write("bye")
    });
    let log = Log::new();
    let args = ["--access-log", log.path(), "--balance", "source"];
    let program = Ringmaster::before(greeting.addr, &args);
    let mut client = program.client();
    assert_eq!(client.take(5), b"hello");
    client.send("1234567");
    client.half_close();
    assert_eq!(client.rest(), b"bye");
    let line = log.expect(1).remove(0);
    let bytes = [
        ("from_client", "7"),
        ("to_client", "8"),
        ("seat", "1"),
        ("ended", "whole"),
    ];
    expect(&line, &bytes);
    expect(&line, &[("method", "-"), ("status", "-")]);

    let log = Log::new();
    let backend = Backend::answering(OK);
    let args = ["--access-log", log.path(), "--balance", "connection"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    for _ in 0..3 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    drop(client);
    let line = log.expect(1).remove(0);
    let sent = (3 * ASK.len()).to_string();
    let got = (3 * OK.len()).to_string();
    expect(
        &line,
        &[
            ("path", "/a"),
            ("key", "5"),
            ("from_client", &sent),
            ("to_client", &got),
        ],
    );
}

#[test]
fn a_request_that_no_queue_admits_has_its_seat() {
    for (balance, status) in [("request", "503"), ("connection", "503"), ("source", "-")] {
        let silent = Backend::scripted(|mut conversation| {
            conversation.request()?;
            conversation.wire.rest().map(drop)
        });
        let log = Log::new();
        let mut args = vec!["--access-log", log.path(), "--balance", balance];
        args.extend([
            "--max-in-flight-per-replica",
            "1",
            "--queue-timeout",
            "100ms",
        ]);
        let program = Ringmaster::before(silent.addr, &args);
        let _first = program.client_after(ASK);
        eventually(TEST_TIMEOUT, "one at the backend", || {
            silent.requests().len() == 1
        });
        let mut second = program.client_after(ASK);
        match status {
            "503" => assert_eq!(second.reply().status(), 503, "{balance}"),
            _ => assert_eq!(second.expect_closed(), End::Reset, "{balance}"),
        }
        let line = log.expect(1).remove(0);
        let seat = [("seat", "1"), ("way", "home"), ("replica", "S1")];
        expect(&line, &seat);
        expect(&line, &[("status", status), ("ended", "us")]);
    }
}
