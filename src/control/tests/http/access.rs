//! Who may ask and who may change: pages of other sites, our own, strangers with and without a token.

use super::*;

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
