//! HTTP on the control port, byte by byte.

use super::*;
use crate::admin::MAX_BODY;
use crate::control::http;

/// A request with a `Host`, that lets the connection end with its answer.
fn request(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

fn with_body(line: &str, body: &str) -> String {
    let length = format!("Content-Length: {}\r\n", body.len());
    request(line, &length) + body
}

/// Status, head in small letters, body.
fn split(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Checks that `answer` is JSON in the failure shape, and that its sentence holds `part`.
fn assert_failure(answer: &str, status: u16, part: &str) {
    let (is, head, body) = split(answer);
    assert_eq!(is, status, "{answer}");
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{answer}"
    );
    assert!(body.ends_with("}\n"), "{answer}");
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let sentence = value["message"].as_str().unwrap();
    assert!(
        sentence.starts_with("<Error> ") && sentence.contains(part),
        "{answer}"
    );
    assert_eq!(value["status"], "failure");
}

fn assert_body(answer: &str, body: &str) {
    let (status, head, is) = split(answer);
    assert_eq!((status, is), (200, format!("{body}\n")), "{answer}");
    assert!(
        head.contains("\r\ncontent-type: application/json"),
        "{answer}"
    );
}

#[test]
fn rep_answers_as_documented() {
    let port = port();
    assert_body(&port.ask(request("GET /rep", "")), REP);
    assert_body(&port.ask(request("GET /rep?x=1", "")), REP);
    assert_body(&port.ask(request("GET http://localhost:1/rep", "")), REP);
}

#[test]
fn add_and_rm_reach_the_fleet() {
    let port = port();
    let add = with_body("POST /add?q", r#"{"n":2,"hostnames":["S4","S5"]}"#);
    assert_body(
        &port.ask(add),
        r#"{"message":{"N":5,"replicas":["S1","S2","S3","S4","S5"]},"status":"successful"}"#,
    );
    let rm = with_body("DELETE /rm", r#"{"n":1,"hostnames":["S2"]}"#);
    assert_body(
        &port.ask(rm),
        r#"{"message":{"N":4,"replicas":["S1","S3","S4","S5"]},"status":"successful"}"#,
    );
}

#[test]
fn any_content_type_is_accepted() {
    let body = r#"{"n":1,"hostnames":["S4"]}"#;
    for kind in [
        "",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: ?\r\n",
    ] {
        let head = format!("{kind}Content-Length: {}\r\n", body.len());
        let answer = port().ask(request("POST /add", &head) + body);
        assert_eq!(split(&answer).0, 200, "{answer}");
    }
}

#[test]
fn a_chunked_body_is_read() {
    let head = request("DELETE /rm", "Transfer-Encoding: chunked\r\n");
    let body = "5\r\n{\"n\":\r\n2\r\n1}\r\n0\r\n\r\n";
    assert_eq!(split(&port().ask(head + body)).0, 200);
}

#[test]
fn a_wrong_body_never_reaches_the_fleet() {
    let port = port();
    assert_failure(
        &port.ask(request("POST /add", "")),
        400,
        "request body is not a JSON object",
    );
    assert_failure(
        &port.ask(with_body("POST /add", r#"{"n":0}"#)),
        400,
        "n is not a positive integer",
    );
    let chunked = request("POST /add", "Transfer-Encoding: chunked\r\n") + "zz\r\n";
    assert_failure(&port.ask(chunked), 400, "malformed");
    let cut = request("POST /add", "Content-Length: 9\r\n") + "{\"n\"";
    assert_failure(&port.ask_and_half_close(cut), 400, "cut off");
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_refusal_keeps_its_status() {
    let port = port();
    assert_failure(
        &port.ask(with_body("DELETE /rm", r#"{"n":7}"#)),
        400,
        "there are only 3",
    );
    let broken = with_body("POST /add", r#"{"n":1,"hostnames":["broken"]}"#);
    assert_failure(&port.ask(broken), 503, "could not start broken");
}

#[test]
fn health_and_readiness() {
    let ok = r#"{"message":"ok","status":"successful"}"#;
    let port = port();
    assert_body(&port.ask(request("GET /healthz", "")), ok);
    assert_body(&port.ask(request("GET /readyz", "")), ok);
    let port = port_with(|context| {
        context.ready = Arc::new(|| Err("1 of 3 replicas have answered".into()));
    });
    assert_body(&port.ask(request("GET /healthz", "")), ok);
    assert_failure(
        &port.ask(request("GET /readyz", "")),
        503,
        "1 of 3 replicas have answered",
    );
}

#[test]
fn head_is_get_without_the_body() {
    let port = port();
    for path in [
        "/rep",
        "/healthz",
        "/readyz",
        "/ring",
        "/where/1",
        "/events",
        "/openapi.json",
    ] {
        let answer = port.ask(request(&format!("HEAD {path}"), ""));
        let (status, head, body) = split(&answer);
        assert_eq!((status, body.as_str()), (200, ""), "{answer}");
        let whole = split(&port.ask(request(&format!("GET {path}"), ""))).2;
        assert!(
            head.contains(&format!("\r\ncontent-length: {}", whole.len())),
            "{answer}"
        );
    }
}

#[test]
fn unknown_paths_are_404() {
    let port = port();
    for path in ["/rep/", "//rep", "/REP", "/metrics/", "/%72ep"] {
        assert_failure(&port.ask(request(&format!("GET {path}"), "")), 404, path);
    }
    assert_failure(&port.ask(with_body("BREW /x", "tea")), 404, "/x");
}

#[test]
fn wrong_methods_are_405_and_say_which_are_right() {
    let port = port();
    let cases = [
        ("POST /rep", "get,head,options"),
        ("GET /add", "post,options"),
        ("HEAD /add", "post,options"),
        ("PUT /add", "post,options"),
        ("POST /rm", "delete,options"),
        ("DELETE /ring", "get,head,post,options"),
        ("PATCH /where/1", "get,head,options"),
        ("DELETE /healthz", "get,head,options"),
        ("BREW /readyz", "get,head,options"),
    ];
    for (line, allow) in cases {
        let answer = port.ask(with_body(line, r#"{"n":1}"#));
        match line.starts_with("HEAD") {
            true => assert_eq!(split(&answer).0, 405, "{answer}"),
            false => assert_failure(&answer, 405, "does not take"),
        }
        assert!(
            split(&answer)
                .1
                .contains(&format!("\r\nallow: {allow}\r\n")),
            "{answer}"
        );
    }
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn options_tells_the_methods_and_does_nothing() {
    let port = port();
    for (target, allow) in [
        ("/rep", "get,head,options"),
        ("/add", "post,options"),
        ("/ring", "get,head,post,options"),
        ("/where/x%2Fy", "get,head,options"),
        ("*", "get,head,post,delete,options"),
    ] {
        let answer = port.ask(request(&format!("OPTIONS {target}"), ""));
        let (status, head, body) = split(&answer);
        assert_eq!((status, body.as_str()), (204, ""), "{answer}");
        assert!(
            head.contains(&format!("\r\nallow: {allow}\r\n")),
            "{answer}"
        );
        assert!(!head.contains("access-control"), "{answer}");
    }
    assert_failure(&port.ask(request("OPTIONS /x", "")), 404, "/x");
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_body_may_have_64_kib_and_no_byte_more() {
    let port = port();
    let body = r#"{"n":1,"hostnames":["S4"]}"#;
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    assert_eq!(
        split(&port.ask(with_body("POST /add", &padded(MAX_BODY)))).0,
        200
    );
    let long = padded(MAX_BODY + 1);
    let sentence = "request body is longer than 65536 bytes";
    assert_failure(&port.ask(with_body("POST /add", &long)), 413, sentence);
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = request("DELETE /rm", "Transfer-Encoding: chunked\r\n");
    assert_failure(&port.ask(head + &chunked), 413, sentence);
}

#[test]
fn the_answer_to_a_huge_body_is_not_lost_in_a_reset() {
    let port = port();
    let body = "x".repeat(900 * 1024);
    assert_failure(&port.ask(with_body("POST /add", &body)), 413, "longer than");
}

#[test]
fn a_huge_body_that_was_only_announced_need_not_come() {
    let head = request(
        "POST /add",
        "Content-Length: 99999999\r\nExpect: 100-continue\r\n",
    );
    assert_failure(&port().ask(head), 413, "longer than");
}

#[test]
fn an_expected_body_is_asked_for() {
    let port = port();
    let mut stream = port.connect();
    let head = request("POST /add", "Content-Length: 7\r\nExpect: 100-continue\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"n":1}"#).unwrap();
    assert_eq!(split(&rest(stream)).0, 200);
}

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
    // The port is alive, so it has had every chance to take the half for the whole.
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
    // A head that ends in the middle.
    let answer = port.ask_and_half_close("GET /rep HTTP/1.1\r\nHost: loc");
    assert!(answer.is_empty() || split(&answer).0 == 400, "{answer}");
}

#[test]
fn a_page_of_another_site_may_not_change() {
    let port = port();
    let body = r#"{"n":1}"#;
    let cases = [
        "Host: localhost\r\nOrigin: http://evil.com\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: evil.com\r\n",
    ];
    for fields in cases {
        let fields = format!("{fields}Connection: close\r\nContent-Length: 7\r\n\r\n{body}");
        let changing = http::rows().filter(|(method, _)| *method != "GET");
        let lines =
            changing.map(|(method, path)| format!("{method} {}", path.replace(['{', '}'], "")));
        for line in lines {
            let answer = port.ask(format!("{line} HTTP/1.1\r\n{fields}"));
            assert_failure(&answer, 403, "web pages of other sites");
        }
        let answer = port.ask(format!("GET /rep HTTP/1.1\r\n{fields}"));
        assert_eq!(split(&answer).0, 200, "{answer}");
    }
    let rebound =
        "POST http://evil.com/add HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_failure(&port.ask(rebound), 403, "Host is neither");
    assert_eq!(
        port.orders
            .try_iter()
            .filter(|order| *order != Order::Rep)
            .count(),
        0
    );
}

#[test]
fn our_own_page_may_change() {
    let port = port();
    let host = port.addr;
    let answer = port.ask(format!(
        "POST /add HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{{\"n\":1}}"
    ));
    assert_eq!(split(&answer).0, 200, "{answer}");
}

#[test]
fn a_stranger_needs_the_token() {
    let stranger = |token, request: &str| ask_as("192.168.65.1", token, request);
    assert_failure(
        &stranger(None, &with_body("POST /add", r#"{"n":1}"#)),
        403,
        "/add is for local peers, you are 192.168.65.1; set --control-token",
    );
    let rep = request("GET /rep", "");
    assert_failure(&stranger(Some("s3cret"), &rep), 403, "bearer token");
    let wrong = request("GET /rep", "Authorization: Bearer secret\r\n");
    assert_failure(&stranger(Some("s3cret"), &wrong), 403, "yours is wrong");
    let right = request("GET /rep", "Authorization: Bearer s3cret\r\n");
    assert_body(&stranger(Some("s3cret"), &right), REP);
}

#[test]
fn a_stranger_may_ask_for_health() {
    for path in ["/healthz", "/readyz"] {
        let answer = ask_as("192.168.65.1", None, &request(&format!("GET {path}"), ""));
        assert_eq!(split(&answer).0, 200, "{answer}");
    }
}

#[test]
fn an_order_outlives_its_sender() {
    let port = port();
    let mut stream = port.connect();
    let add = with_body("POST /add", r#"{"n":1,"hostnames":["hold"]}"#);
    stream.write_all(add.as_bytes()).unwrap();
    let call = port.held();
    drop(stream);
    // The port is alive, so it has had every chance to notice.
    assert_eq!(split(&port.ask(request("GET /rep", ""))).0, 200);
    let name = "hold".parse().unwrap();
    assert!(matches!(&call.order, Order::Add(change) if change.names == [name]));
    let _ = call.reply.send(Ok(Vec::new()));
}

#[test]
fn a_slow_body_is_408() {
    let port = port_with(|context| context.limits.body_timeout = SOON);
    let begun = request("POST /add", "Content-Length: 7\r\n") + "{";
    assert_failure(&port.ask(begun), 408, "in time");
}

#[test]
fn a_slow_head_and_an_idle_connection_are_closed() {
    let port = port_with(|context| context.limits.head_timeout = SOON);
    assert_eq!(port.ask("GET /rep HTTP/1.1\r\nHost: loc"), "");
    let answer = port.ask("GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.ends_with(&format!("{REP}\n")), "{answer}");
}

#[test]
fn one_client_too_many_is_told_in_json() {
    let port = port_with(|context| context.limits.connections = 0);
    assert_failure(
        &port.ask(request("GET /healthz", "")),
        503,
        "0 connections are open already",
    );
}
