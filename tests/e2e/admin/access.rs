//! Access rules of orders: local peers and holders of the token may command, web pages of other
//! sites may not.

use std::net::SocketAddr;

use super::{PORTS, Port, State, expect, failure, get, request};
use crate::support::{Backend, Message, Ringmaster, exchange, reachable_by_remote_peers};

const TOKEN: [&str; 2] = ["--control-token", "s3cret"];
const RIGHT: &str = "Authorization: Bearer s3cret\r\n";

/// An order that comes as far as the checks of its body and no further.
fn order(fields: &str) -> String {
    request("POST /add", fields, "{}")
}

/// Returns `true` if an order with these fields passed the access check, which its 400 shows.
#[track_caller]
fn is_let_in(reply: &Message) -> bool {
    let text = reply.text();
    match reply.status() {
        400 => {
            assert!(text.contains("n is missing"), "{text}");
            true
        }
        403 => {
            assert_eq!(reply.field("content-type"), Some("application/json"));
            assert!(text.starts_with(r#"{"message":"<Error> /add "#), "{text}");
            false
        }
        _ => panic!("{} {text}", reply.head),
    }
}

#[test]
fn a_forwarded_request_is_not_local_on_the_data_port() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let before = State::of(&program);
    for field in [
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: ::1",
        "Via: 1.1 gateway",
        "via:",
    ] {
        let fields = format!("{field}\r\n");
        for (line, path) in [
            ("GET /rep", "/rep"),
            ("POST /add", "/add"),
            ("DELETE /rm", "/rm"),
        ] {
            let ask = request(line, &fields, r#"{"n":1}"#);
            let reply = exchange(program.listen, ask);
            let sentence = format!(
                "{path} is for local peers, you are 127.0.0.1 and the request was forwarded; set --control-token"
            );
            expect(&reply, 403, &failure(&sentence));
        }
        assert!(is_let_in(&exchange(program.control, order(&fields))));
    }
    assert_eq!(State::of(&program), before);
    assert_eq!(exchange(program.listen, get("/home")).status(), 200);
}

#[test]
fn a_page_of_another_site_neither_changes_nor_reads() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let before = State::of(&program);
    for port in PORTS {
        let at = port.of(&program);
        let own = format!("Origin: http://localhost:{}\r\n", at.port());
        for fields in [
            "Origin: http://evil.test\r\n",
            "Origin: null\r\n",
            "Origin: https://localhost\r\n",
            "Origin: http://localhost:1\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            // The Host of these requests has no port, so this is another origin.
            &own,
        ] {
            assert!(
                !is_let_in(&exchange(at, order(fields))),
                "{port:?} {fields}"
            );
            let list = format!("GET /rep HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            assert_eq!(exchange(at, list).status(), 403, "{port:?} {fields}");
            let rm = request("DELETE /rm", fields, r#"{"n":1}"#);
            assert_eq!(exchange(at, rm).status(), 403, "{port:?} {fields}");
        }
        for fields in [
            "Origin: http://localhost\r\n",
            "Sec-Fetch-Site: same-origin\r\n",
            "Sec-Fetch-Site: none\r\n",
        ] {
            assert!(is_let_in(&exchange(at, order(fields))), "{port:?} {fields}");
        }
        for (host, let_in) in [
            ("evil.test", false),
            ("localhost.evil.test", false),
            ("localhost.", false),
            ("127.0.0.1.nip.io:5000", false),
            ("127.0.0.1:5000", true),
            ("[::1]", true),
            ("LOCALHOST:80", true),
        ] {
            let ask = order("").replace("Host: localhost", &format!("Host: {host}"));
            assert_eq!(is_let_in(&exchange(at, ask)), let_in, "{port:?} {host}");
        }
    }
    assert_eq!(State::of(&program), before);
}

#[test]
fn only_the_right_token_permits_orders() {
    let program = Ringmaster::start(&[&["--replicas", "1"], &TOKEN[..]].concat());
    let closed = [
        (Port::Data, "Via: 1.1 gateway\r\n"),
        (Port::Data, "Origin: http://evil.test\r\n"),
        (Port::Control, "Origin: http://evil.test\r\n"),
    ];
    for (port, fields) in closed {
        let at = port.of(&program);
        for (shown, let_in) in [
            ("", false),
            ("Authorization: Bearer s3cre\r\n", false),
            ("Authorization: Bearer s3cret1\r\n", false),
            ("Authorization: Bearer S3CRET\r\n", false),
            ("Authorization: Bearer \r\n", false),
            ("Authorization: Basic s3cret\r\n", false),
            ("Authorization: s3cret\r\n", false),
            (RIGHT, true),
            ("authorization: bearer s3cret\r\n", true),
        ] {
            let reply = exchange(at, order(&format!("{fields}{shown}")));
            assert_eq!(is_let_in(&reply), let_in, "{port:?} {fields}{shown}");
            assert!(!reply.text().contains("s3cret"));
        }
        // Local peers need none, and a wrong one does not harm them.
        assert!(is_let_in(&exchange(at, order(""))));
    }
    let via = |shown: &str| exchange(program.listen, order(&format!("Via: 1.1 a\r\n{shown}")));
    let none = "/add is for local peers or a bearer token, you are 127.0.0.1 and the request was forwarded without one";
    expect(&via(""), 403, &failure(none));
    let wrong = "/add needs a bearer token, and yours is wrong";
    expect(&via("Authorization: Bearer x\r\n"), 403, &failure(wrong));
    // The log mentions wrong tokens at a limited rate, and never shows them.
    program.expect_log("127.0.0.1 showed a wrong token");
    assert!(!program.log().to_lowercase().contains("s3cre"));
}

#[test]
fn a_peer_from_elsewhere_is_told_what_to_set() {
    let all = ["--listen", "0.0.0.0:0"];
    let Some((program, ip)) = reachable_by_remote_peers(&all) else {
        return;
    };
    for port in PORTS {
        let at = SocketAddr::new(ip, port.of(&program).port());
        for (line, path) in [
            ("GET /rep", "/rep"),
            ("POST /add", "/add"),
            ("DELETE /rm", "/rm"),
        ] {
            let reply = exchange(at, request(line, "", r#"{"n":1}"#));
            let sentence = format!("{path} is for local peers, you are {ip}; set --control-token");
            expect(&reply, 403, &failure(&sentence));
        }
    }
    let at = SocketAddr::new(ip, program.control.port());
    for path in ["/healthz", "/readyz"] {
        assert_eq!(exchange(at, get(path)).status(), 200, "{path}");
    }
    assert_eq!(program.rep(), ["S1"]);
    drop(program);

    let Some((program, ip)) = reachable_by_remote_peers(&[&all, &TOKEN[..]].concat()) else {
        return;
    };
    for port in PORTS {
        let at = SocketAddr::new(ip, port.of(&program).port());
        assert!(!is_let_in(&exchange(at, order(""))), "{port:?}");
        assert!(is_let_in(&exchange(at, order(RIGHT))), "{port:?}");
    }
}

#[test]
fn data_port_orders_can_be_open_to_all_peers() {
    let args = ["--replicas", "1", "--data-port-admin", "any"];
    let program = Ringmaster::start(&args);
    assert!(is_let_in(&exchange(
        program.listen,
        order("Via: 1.1 a\r\n")
    )));
    let page = "Origin: http://evil.test\r\n";
    assert!(!is_let_in(&exchange(program.listen, order(page))));
    program.expect_log("--data-port-admin any");
}

#[test]
fn with_data_port_admin_off_the_paths_are_the_replicas_own() {
    let program = Ringmaster::start(&["--replicas", "1", "--data-port-admin", "off"]);
    for (line, path) in [
        ("GET /rep", "/rep"),
        ("POST /add", "/add"),
        ("DELETE /rm", "/rm"),
    ] {
        let reply = exchange(program.listen, request(line, "", r#"{"n":1}"#));
        let json = format!(
            r#"{{"message":"<Error> '{path}' endpoint does not exist in server replicas","status":"failure"}}"#
        );
        assert_eq!((reply.status(), reply.text().trim_end()), (400, &json[..]));
    }
    assert_eq!(program.rep(), ["S1"]);
    drop(program);

    // In front of fixed backends the data port's orders are off by default.
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntheir");
    let program = Ringmaster::before(backend.addr, &[]);
    let reply = exchange(program.listen, request("POST /add", "", r#"{"n":1}"#));
    assert_eq!(reply.text(), "their");
    let seen = backend.requests();
    assert_eq!((seen.len(), seen[0].text().as_str()), (1, r#"{"n":1}"#));
}
