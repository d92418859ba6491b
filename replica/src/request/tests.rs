//! Accepted and refused heads.

use super::*;

fn request(head: &str) -> Request {
    let (request, len) = parse(head.as_bytes()).unwrap().expect("a whole head");
    assert_eq!(len, head.len());
    request
}

fn refused(head: &str) -> &'static str {
    parse(head.as_bytes()).expect_err(head).status
}

#[test]
fn the_path_has_no_query_and_no_authority() {
    let cases = [
        ("/home", "/home"),
        ("/home?a=/b", "/home"),
        ("/", "/"),
        ("*", "*"),
        ("http://h:1/home?x", "/home"),
        ("http://h", "/"),
        ("http://h?x", "/"),
        ("/a://b/c", "/a://b/c"),
    ];
    for (target, path) in cases {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request(&head).path, path, "{target}");
    }
}

#[test]
fn a_head_is_incomplete_up_to_its_last_byte() {
    let head = "POST /home HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    for len in 0..head.len() {
        assert_eq!(parse(&head.as_bytes()[..len]), Ok(None), "{len}");
    }
    assert_eq!(request(head).body, Body::of_length(3));
}

#[test]
fn persistence_follows_version_and_connection() {
    let cases = [
        ("1.1", "", Persistence::Unstated),
        ("1.1", "Connection: foo, CLOSE\r\n", Persistence::Close),
        ("1.0", "", Persistence::Close),
        ("1.0", "Connection: Keep-Alive\r\n", Persistence::KeepAlive),
    ];
    for (version, field, persistence) in cases {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n");
        assert_eq!(request(&head).persistence, persistence, "{head}");
    }
}

#[test]
fn an_ambiguous_request_is_refused() {
    let fields = [
        "Content-Length: +5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: b\r\n",
        "X: a\n",
        " folded\r\n",
        "X : a\r\n",
    ];
    for field in fields {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        assert_eq!(refused(&head), "400 Bad Request", "{field:?}");
    }
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET /\r\n\r\n",
        "\x16\x03\x01\x02\x00",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(refused(head), "400 Bad Request", "{head:?}");
    }
    let gzip = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    assert_eq!(refused(gzip), "501 Not Implemented");
}

#[test]
fn a_seat_is_a_positive_number() {
    let seat = |value: &str| {
        request(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nringmaster-seat: {value}\r\n\r\n"
        ))
        .seat
    };
    assert_eq!((seat("1"), seat("4294967295")), (Some(1), Some(u32::MAX)));
    for no_seat in ["0", "-1", "+1", "", "x", "4294967296"] {
        assert_eq!(seat(no_seat), None, "{no_seat:?}");
    }
    assert_eq!(request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").seat, None);
}

#[test]
fn a_head_has_a_limit() {
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(MAX_HEAD));
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: a\r\n".repeat(MAX_FIELDS)
    );
    for head in [endless, many] {
        assert!(refused(&head).starts_with("431"));
    }
}
