//! HTTP on the control port, byte by byte: the answers of each path, and its methods.

mod access;
mod bodies;
mod wire;

use super::*;
use crate::control::http;
use crate::orders::MAX_ORDER_BODY;

/// Returns a request with a `Host`, whose answer ends the connection.
fn request(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

fn with_body(line: &str, body: &str) -> String {
    let length = format!("Content-Length: {}\r\n", body.len());
    request(line, &length) + body
}

/// Returns the status, the head in lower case, and the body.
fn split(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Checks that `answer` is a failure in JSON and that its sentence contains `part`.
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
fn wrong_methods_are_405_with_allow() {
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
fn options_lists_the_methods_and_changes_nothing() {
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
