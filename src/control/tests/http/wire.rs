//! Connections: several requests, half-closed clients, and malformed or slow requests.

use super::*;

#[test]
fn a_connection_carries_several_requests() {
    let port = port();
    let keep = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = port.ask(format!("{keep}{keep}{}", request("GET /rep", "")));
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert!(answer.ends_with(&format!("{REP}\n")), "{answer}");
}

#[test]
fn http_1_0_and_half_closed_clients_are_answered() {
    let port = port();
    assert_eq!(split(&port.ask("GET /rep HTTP/1.0\r\n\r\n")).0, 200);
    let open = "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(split(&port.ask_and_half_close(open)).0, 200);
}

#[test]
fn a_half_closed_client_is_waited_for() {
    let port = port();
    let mut stream = port.connect();
    let add = with_body("POST /add", r#"{"n":1,"hostnames":["hold"]}"#);
    stream.write_all(add.as_bytes()).unwrap();
    stream.shutdown(Half::Write).unwrap();
    let call = port.held();
    // A round trip, so that the port has seen the half-close.
    assert_eq!(split(&port.ask(request("GET /rep", ""))).0, 200);
    call.reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(split(&rest(stream)).0, 200);
}

#[test]
fn a_request_has_one_host() {
    let port = port();
    let none = "GET /rep HTTP/1.1\r\n\r\n";
    assert_failure(&port.ask(none), 400, "exactly one Host");
    assert_failure(
        &port.ask(request("GET /rep", "Host: localhost\r\n")),
        400,
        "exactly one Host",
    );
}

#[test]
fn malformed_requests_are_answered_or_closed() {
    let port = port();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64_000));
    let fields = "x: y\r\n".repeat(20_000);
    let cases = [
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/3.7\r\n\r\n",
        "GET / HTTP/\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /add HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &long,
        &request("GET /rep", &fields),
    ];
    for case in cases {
        let answer = port.ask(case);
        let good = answer.is_empty() || (400..506).contains(&split(&answer).0);
        assert!(good, "{case:?}: {answer}");
    }
    // A head that is incomplete.
    let answer = port.ask_and_half_close("GET /rep HTTP/1.1\r\nHost: loc");
    assert!(answer.is_empty() || split(&answer).0 == 400, "{answer}");
}

#[test]
fn an_order_outlives_its_sender() {
    let port = port();
    let mut stream = port.connect();
    let add = with_body("POST /add", r#"{"n":1,"hostnames":["hold"]}"#);
    stream.write_all(add.as_bytes()).unwrap();
    let call = port.held();
    drop(stream);
    // A round trip, so that the port has seen the close.
    assert_eq!(split(&port.ask(request("GET /rep", ""))).0, 200);
    let name = "hold".parse().unwrap();
    assert!(matches!(&call.order, Order::Add(change) if change.names == [name]));
    let _ = call.reply.send(Ok(Vec::new()));
}

#[test]
fn a_slow_head_and_an_idle_connection_are_closed() {
    let port = port_with(|context| context.limits.head_timeout = SOON);
    assert_eq!(port.ask("GET /rep HTTP/1.1\r\nHost: loc"), "");
    let answer = port.ask("GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.ends_with(&format!("{REP}\n")), "{answer}");
}

#[test]
fn a_client_above_the_limit_is_refused_in_json() {
    let port = port_with(|context| {
        context.limits.connections = 0;
        context.limits.slot_timeout = SOON;
    });
    assert_failure(
        &port.ask(request("GET /rep", "")),
        503,
        "0 connections are open already",
    );
}
