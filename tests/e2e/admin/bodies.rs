//! Accepted bodies of orders: any type and framing, up to 64 KiB and not a byte more.

use super::{PORTS, Port, State, expect, failure, get, listing, request};
use crate::support::{
    Client, End, Engine, Ringmaster, TEST_TIMEOUT, eventually, exchange, on_both_engines,
};

on_both_engines!(an_order_outlives_its_connection,);

const LIMIT: usize = 64 * 1024;
const TOO_LONG: &str = "request body is longer than 65536 bytes";

/// An order that is refused in the end, filled up with blanks to this many bytes.
fn refused_body(bytes: usize) -> String {
    let order = r#"{"n":0}"#;
    order.to_owned() + &" ".repeat(bytes - order.len())
}

/// As chunks of 1000 bytes.
fn chunked(line: &str, body: &str) -> String {
    let mut text =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.as_bytes().chunks(1000) {
        let data = String::from_utf8_lossy(chunk);
        text.push_str(&format!("{:x}\r\n{data}\r\n", chunk.len()));
    }
    text + "0\r\n\r\n"
}

#[test]
fn a_body_of_64_kib_is_read_and_a_longer_one_refused() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let before = State::of(&program);
    for port in PORTS {
        for line in ["POST /add", "DELETE /rm"] {
            let mut client = Client::connect(port.of(&program));
            let json = failure("n is not a positive integer");
            let body = refused_body(LIMIT);
            expect(&client.ask(request(line, "", &body)), 400, &json);
            expect(&client.ask(chunked(line, &body)), 400, &json);
            let body = refused_body(LIMIT + 1);
            expect(
                &client.ask(request(line, "", &body)),
                413,
                &failure(TOO_LONG),
            );
            let reply = exchange(port.of(&program), chunked(line, &body));
            expect(&reply, 413, &failure(TOO_LONG));
        }
    }
    assert_eq!(State::of(&program), before);
}

#[test]
fn a_length_that_is_too_large_is_refused_before_the_body() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        for fields in ["", "Expect: 100-continue\r\n"] {
            let mut client = Client::connect(port.of(&program));
            let head = format!(
                "POST /add HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: 65537\r\n\r\n"
            );
            expect(&client.ask(head), 413, &failure(TOO_LONG));
        }
    }
}

#[test]
fn an_answer_survives_a_body_that_is_not_read() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        // Bytes of the body are unread when the connection closes: a reset would destroy the
        // answer.
        client.send("POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n");
        client.send("x".repeat(60_000));
        let reply = client.reply();
        expect(&reply, 413, &failure(TOO_LONG));
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn any_content_type_will_do() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        for kind in [
            "application/x-www-form-urlencoded",
            "text/plain; charset=latin1",
            "multipart/form-data",
            "nonsense",
        ] {
            let fields = format!("Content-Type: {kind}\r\n");
            let add = request("POST /add?x=y", &fields, r#"{"n":1,"hostnames":["T"]}"#);
            expect(&client.ask(add), 200, &listing(&["S1", "T"]));
            let rm = request("DELETE /rm?n=9", &fields, r#"{"n":1,"hostnames":["T"]}"#);
            expect(&client.ask(rm), 200, &listing(&["S1"]));
        }
    }
}

#[test]
fn a_chunked_body_is_an_order_too() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        let add = chunked("POST /add", r#"{"n":1,"hostnames":["T"]}"#);
        client.send_bytewise(&add);
        expect(&client.reply(), 200, &listing(&["S1", "T"]));
        let rm = chunked("DELETE /rm", r#"{"n":1,"hostnames":["T"]}"#);
        expect(&client.ask(rm), 200, &listing(&["S1"]));
        let broken =
            "POST /add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
        let reply = client.ask(broken);
        assert_eq!(reply.status(), 400, "{port:?}");
        assert!(reply.text().starts_with(r#"{"message":"<Error> "#));
        assert_eq!(client.expect_closed(), End::Fin);
    }
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        let body = r#"{"n":1,"hostnames":["T"]}"#;
        let fields = "Expect: 100-continue\r\n";
        for (line, after) in [("POST /add", &["S1", "T"][..]), ("DELETE /rm", &["S1"])] {
            let all = request(line, fields, body);
            let (head, body) = all.split_at(all.len() - body.len());
            assert_eq!(client.ask(head).status(), 100, "{port:?}");
            expect(&client.ask(body), 200, &listing(after));
        }
        // A client that will be refused anyway need not send the body.
        let head = "PUT /add HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(client.ask(head).status(), 405, "{port:?}");
    }
}

#[test]
fn a_body_that_is_cut_off_changes_nothing() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let before = State::of(&program);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        let all = request("POST /add", "", r#"{"n":1,"hostnames":["T"]} "#);
        client.send(&all[..all.len() - 1]);
        client.half_close();
        let reply = client.reply();
        assert_eq!(reply.status(), 400, "{port:?}");
        assert!(reply.text().starts_with(r#"{"message":"<Error> "#));
        client.expect_closed();
    }
    assert_eq!(State::of(&program), before);
}

#[test]
fn a_list_can_be_asked_for_with_a_body_and_pipelined() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        let mut client = Client::connect(port.of(&program));
        let ask = request("GET /rep", "", "{}") + &get("/rep") + &request("POST /add", "", "{}");
        client.send(ask + &get("/rep"));
        for status in [200, 200, 400, 200] {
            assert_eq!(client.reply().status(), status, "{port:?}");
        }
    }
}

fn an_order_outlives_its_connection(engine: Engine) {
    let program = engine.start(&["--replicas", "1"]);
    for (port, name) in [(Port::Data, "T"), (Port::Control, "U")] {
        let mut client = Client::connect(port.of(&program));
        let body = format!(r#"{{"n":1,"hostnames":["{name}"]}}"#);
        client.send(request("POST /add", "", &body));
        // Whose the order is must be seen before the socket is closed.
        program.expect_log(&format!("order /add n=1 {name}"));
        drop(client);
        eventually(TEST_TIMEOUT, "the replica is there", || {
            program.rep().iter().any(|listed| listed == name)
        });
        let mut client = Client::connect(port.of(&program));
        let body = format!(r#"{{"n":1,"hostnames":["{name}"]}}"#);
        client.send(request("DELETE /rm", "", &body));
        client.half_close();
        // A client that half-closed still gets the answer.
        expect(&client.reply(), 200, &listing(&["S1"]));
    }
}
