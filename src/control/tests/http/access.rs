//! Access to reads and changes: pages of other sites, the dashboard, remote clients with and
//! without a token.

use super::*;

#[test]
fn a_page_of_another_site_may_neither_change_nor_read() {
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
        let get = |path: &str| port.ask(format!("GET {path} HTTP/1.1\r\n{fields}"));
        let reading = http::rows().filter(|(method, _)| *method == "GET");
        for (_, path) in reading {
            let answer = get(&path.replace(['{', '}'], ""));
            match path {
                // These show nothing of the fleet.
                "/" | "/help" | "/openapi.json" | "/healthz" | "/readyz" => {
                    assert_eq!(split(&answer).0, 200, "{answer}");
                }
                crate::control::dashboard::FOLDER => {}
                _ => assert_failure(&answer, 403, "web pages of other sites"),
            }
        }
        let stream = format!("Accept: text/event-stream\r\n{fields}");
        let answer = port.ask(format!("GET /events HTTP/1.1\r\n{stream}"));
        assert_failure(&answer, 403, "/events is not for web pages of other sites");
    }
    let rebound =
        "POST http://evil.com/add HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_failure(&port.ask(rebound), 403, "Host is neither");
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_scraper_may_use_a_name_of_control_host() {
    let port = port_with(|context| {
        context.access.hosts = ["ringmaster".parse().unwrap()].into();
    });
    let get = |path: &str, host: &str| {
        port.ask(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
    };
    for path in ["/metrics", "/rep", "/stats", "/events"] {
        assert_eq!(split(&get(path, "ringmaster:5001")).0, 200, "{path}");
        assert_failure(&get(path, "other:5001"), 403, "--control-host");
    }
}

#[test]
fn too_many_wrong_tokens_are_answered_with_retry_after() {
    let port = port_with(|context| {
        context.access.token = Some("s3cret".parse().unwrap());
    });
    let show = |token: &str| {
        let fields = format!("Origin: null\r\nAuthorization: Bearer {token}\r\n");
        port.ask(request("GET /rep", &fields))
    };
    // The limit is ten at once, and one more for each quarter of a second that this takes.
    let refused = until("too many", || {
        let answer = show("wrong");
        answer.starts_with("HTTP/1.1 429").then_some(answer)
    });
    assert_failure(
        &refused,
        429,
        "too many wrong tokens from 127.0.0.1; wait 1 s",
    );
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    // The right token is accepted a moment later.
    let answer = until("it may try again", || {
        let answer = show("s3cret");
        (!answer.starts_with("HTTP/1.1 429")).then_some(answer)
    });
    assert_eq!(split(&answer).0, 200, "{answer}");
}

#[test]
fn the_dashboard_may_change() {
    let port = port();
    let host = port.addr;
    let answer = port.ask(format!(
        "POST /add HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{{\"n\":1}}"
    ));
    assert_eq!(split(&answer).0, 200, "{answer}");
}

#[test]
fn a_remote_client_needs_the_token() {
    let remote = |token, request: &str| ask_as("192.168.65.1", token, request);
    assert_failure(
        &remote(None, &with_body("POST /add", r#"{"n":1}"#)),
        403,
        "/add is for local peers, you are 192.168.65.1; set --control-token",
    );
    let rep = request("GET /rep", "");
    assert_failure(&remote(Some("s3cret"), &rep), 403, "bearer token");
    let wrong = request("GET /rep", "Authorization: Bearer secret\r\n");
    assert_failure(&remote(Some("s3cret"), &wrong), 403, "yours is wrong");
    let right = request("GET /rep", "Authorization: Bearer s3cret\r\n");
    assert_body(&remote(Some("s3cret"), &right), REP);
}

#[test]
fn health_needs_no_token() {
    for path in ["/healthz", "/readyz"] {
        let answer = ask_as("192.168.65.1", None, &request(&format!("GET {path}"), ""));
        assert_eq!(split(&answer).0, 200, "{answer}");
    }
}
