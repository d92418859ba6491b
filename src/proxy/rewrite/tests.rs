//! Rewritten heads, byte for byte.

mod replies;

use super::fields::has_option;
use super::*;
use crate::proxy::generated_id::GeneratedId;
use crate::wire::framing::{self, Body};
use crate::wire::head::{self, Field, Fields, HeaderSlots, ResponseHeaderSlots, Version};
use crate::wire::lenient::{self, Rewritten};
use bytes::BytesMut;
use proptest::strategy::Strategy as _;
use std::time::Duration;

fn forwarded(text: &str, generated_id: Option<u32>) -> String {
    forwarded_by(text, generated_id, None)
}

fn forwarded_by(text: &str, generated_id: Option<u32>, via: Option<&str>) -> String {
    let mut slots = HeaderSlots::default();
    let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
    let client = "10.0.0.7".parse().ok();
    let extra = RewriteContext {
        client,
        host: "here:5000",
        generated_id: generated_id.map(GeneratedId::for_test),
        upgrade: asks_upgrade(&head),
        via,
    };
    let mut out = BytesMut::new();
    rewrite_request(&head, &extra, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

const TRAIL: &str = "X-Forwarded-For: 10.0.0.7\r\nX-Forwarded-Proto: http\r\n";

#[test]
fn all_else_goes_on_byte_for_byte_and_in_order() {
    let fields = "Host:a \r\nX-B:  1\t\r\nx-a: \u{e9}\r\nCookie: a=b; c\r\n";
    let text = format!("get /p%20?q=%zz HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(
        forwarded(&text, None),
        format!("get /p%20?q=%zz HTTP/1.1\r\n{fields}{TRAIL}\r\n")
    );
}

#[test]
fn hop_by_hop_fields_end_here_and_framing_cannot_be_nominated() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, close, Content-Length, host\r\nx-hop: 1\r\n\
        Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nHTTP2-Settings: x\r\n\
        Upgrade: h2c\r\nRingmaster-Seat: 9\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        forwarded(text, None),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{TRAIL}\r\n")
    );
}

#[test]
fn the_client_is_appended_to_the_last_x_forwarded_for() {
    let text = "GET / HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\
        X-Request-ID:\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(
        forwarded(text, Some(123_456)),
        "GET / HTTP/1.1\r\nHost: here:5000\r\nX-Forwarded-For: 1.1.1.1\r\n\
         X-Forwarded-For: 2.2.2.2, 10.0.0.7\r\nX-Forwarded-Proto: https\r\n\
         X-Request-ID: 123456\r\n\r\n"
    );
}

#[test]
fn an_upgrade_passes_and_an_absolute_target_replaces_the_host() {
    let text = "GET http://b.test:80/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        forwarded(text, None),
        format!(
            "GET /x HTTP/1.1\r\nHost: b.test:80\r\n{TRAIL}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        )
    );
}

#[test]
fn a_via_field_is_added_both_ways_under_a_name_that_was_given() {
    for (version, via) in [("1.0", "Via: 1.0 edge\r\n"), ("1.1", "Via: 1.1 edge\r\n")] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\nVia: 1.1 front\r\n\r\n");
        let expected = format!("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 front\r\n{TRAIL}");
        assert_eq!(
            forwarded_by(&text, None, Some("edge")),
            format!("{expected}{via}\r\n")
        );
        assert_eq!(forwarded(&text, None), format!("{expected}\r\n"));
        let text = format!("HTTP/{version} 200 OK\r\nDate: x\r\n\r\n");
        let plain = "HTTP/1.1 200 OK\r\nDate: x\r\n";
        assert_eq!(
            replied_by(&text, ASKED, Some("edge")).1,
            format!("{plain}{via}")
        );
        assert_eq!(replied_by(&text, ASKED, None).1, plain);
    }
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    let (_, head) = replied_by(interim, ASKED, Some("edge"));
    assert_eq!(head, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n");
}

#[test]
fn of_te_only_trailers_go_on_and_connection_names_them() {
    for (version, fields, gone_on) in [
        (
            "1.1",
            "TE: trailers\r\n",
            "TE: trailers\r\nConnection: TE\r\n",
        ),
        (
            "1.1",
            "te: gzip;q=0.5 , Trailers\r\nConnection: TE, close\r\n",
            "TE: trailers\r\nConnection: TE\r\n",
        ),
        (
            "1.1",
            "TE: trailers\r\nConnection: upgrade\r\nUpgrade: foo\r\n",
            "TE: trailers\r\nUpgrade: foo\r\nConnection: upgrade, TE\r\n",
        ),
        (
            "1.1",
            "TE: gzip, trailers2, chunked\r\nConnection: TE\r\n",
            "",
        ),
        ("1.1", "TE:\r\n", ""),
        ("1.0", "TE: trailers\r\nConnection: TE\r\n", ""),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let expected = format!("GET / HTTP/1.1\r\nHost: a\r\n{TRAIL}{gone_on}\r\n");
        assert_eq!(forwarded(&text, None), expected, "{fields}");
    }
}

#[test]
fn framing_goes_on_in_canonical_form() {
    for (field, gone_on) in [
        ("Content-Length:\t005 ", "Content-Length: 5"),
        ("content-length:5", "content-length: 5"),
        (
            "Transfer-Encoding:  CHUNKED\t",
            "Transfer-Encoding: chunked",
        ),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        let expected = format!("POST / HTTP/1.1\r\nHost: a\r\n{gone_on}\r\n{TRAIL}\r\n");
        assert_eq!(forwarded(&text, None), expected);
    }
    let head = ASKED_HEAD;
    for (request_meta, fields, gone_on) in [
        (
            ASKED,
            "Content-Length: 02, 2\r\nX: y\r\ncontent-length: 2\r\n",
            "Content-Length: 2\r\nX: y\r\n",
        ),
        (
            ASKED,
            "Content-Length: 9\r\nX: y\r\nTransfer-Encoding: Chunked,\r\n",
            "X: y\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            ASKED,
            "Transfer-Encoding: ,\r\nContent-Length: 2\r\n",
            "Content-Length: 2\r\n",
        ),
        (
            head,
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: 2\r\n",
        ),
        (
            head,
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\n",
        ),
        (head, "Content-Length: 2\r\nContent-Length: 3\r\n", ""),
        (head, "Transfer-Encoding: gzip\r\nContent-Length: x\r\n", ""),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nDate: x\r\n{fields}\r\n");
        let (_, head) = replied_by(&text, request_meta, None);
        assert_eq!(
            head,
            format!("HTTP/1.1 200 OK\r\nDate: x\r\n{gone_on}"),
            "{fields}"
        );
    }
}

#[test]
fn hops_are_counted_down_for_options_alone() {
    for (method, value, gone_on) in [
        ("OPTIONS", "3", "2"),
        ("OPTIONS", "99999999999999999999", "18446744073709551614"),
        ("OPTIONS", "x", "x"),
        ("GET", "3", "3"),
    ] {
        let text = format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n");
        let wanted =
            format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {gone_on}\r\n{TRAIL}\r\n");
        assert_eq!(forwarded(&text, None), wanted);
    }
}

/// Field lines that a gateway must handle, and some that it must leave alone.
const LINES: [&str; 26] = [
    "Host: a",
    "Host: b:80",
    "Connection: close",
    "Connection: X-Hop, content-length",
    "connection:transfer-encoding,host,x-kept",
    "X-Hop: 1",
    "X-Kept:\t2 ",
    "Keep-Alive: 5",
    "Proxy-Connection: close",
    "TE: trailers",
    "Upgrade: foo",
    "Upgrade: h2c",
    "Connection: upgrade",
    "HTTP2-Settings: x",
    "Content-Length: 3",
    "Content-Length: 003",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Max-Forwards: 7",
    "X-Forwarded-For: 1.1.1.1",
    "X-Forwarded-For:",
    "X-Forwarded-Proto: https",
    "Via: 1.1 front",
    "Ringmaster-Seat: 3",
    "X-Request-ID: 7",
    "Cookie: a=b;  c",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(9110),
        ..proptest::prelude::ProptestConfig::with_cases(600)
    })]

    #[test]
    fn a_forwarded_head_parses_as_the_same_message(
        method in proptest::sample::select(vec!["GET", "POST", "OPTIONS", "x"]),
        target in proptest::sample::select(vec!["/", "/a%2F?", "/x?y?z", "*", "http://c?d"]),
        version in proptest::sample::select(vec!["1.0", "1.1"]),
        lines in proptest::sample::subsequence(LINES.to_vec(), 0..=8),
    ) {
        let lines = lines.join("\r\n") + "\r\n";
        let host = if lines.contains("Host") { "" } else { "Host: a\r\n" };
        let text = format!("{method} {target} HTTP/{version}\r\n{host}{}\r\n", lines.trim_start());
        same_message(&text);
    }
}

/// Rewrites a request, unless it is refused, and compares what the next hop reads.
fn same_message(text: &str) {
    let mut slots = HeaderSlots::default();
    let Ok(Some(head)) = head::request(text.as_bytes(), &mut slots) else {
        return;
    };
    let Ok(body) = framing::request_body(head.version, &head.fields) else {
        return;
    };
    let gone_on = forwarded(text, None);
    let mut slots = HeaderSlots::default();
    let next = head::request(gone_on.as_bytes(), &mut slots);
    let next = next.expect("well-formed").expect("whole");
    assert_eq!(next.len, gone_on.len());
    assert_eq!((next.method, next.version), (head.method, Version::Http11));
    let request_meta = (head.target.path, head.target.query);
    assert_eq!((next.target.path, next.target.query), request_meta);
    let host = head.target.authority.or_else(|| head.fields.get("host"));
    assert_eq!(next.fields.get("host"), host);
    let framed = framing::request_body(next.version, &next.fields).expect("framed");
    let kind = |body: Body| match body {
        Body::Chunked(_) => None,
        body => Some(body.opaque_ahead()),
    };
    assert_eq!(kind(framed), kind(body));
    let asks_trailers = head.fields.get("te").is_some() && head.version == Version::Http11;
    assert_eq!(next.fields.get("te").is_some(), asks_trailers);
    assert_eq!(has_option(&next.fields, "te"), asks_trailers);
    for name in [
        "keep-alive",
        "proxy-connection",
        "http2-settings",
        "ringmaster-seat",
    ] {
        assert_eq!(next.fields.get(name), None);
    }
    let nominated = |name: &str| has_option(&head.fields, name);
    for name in ["x-hop", "x-kept", "cookie", "x-request-id"] {
        let kept = head.fields.get(name).filter(|_| !nominated(name));
        assert_eq!(next.fields.get(name), kept, "{name}");
    }
    // A second hop through Ringmaster changes only the forwarding fields.
    let again = |field: &Field<'_>| !field.is("x-forwarded-for");
    let lines = |fields: &Fields<'_, '_>| fields.iter().filter(again).count();
    let mut slots = HeaderSlots::default();
    let twice = forwarded(&gone_on, None);
    let twice = head::request(twice.as_bytes(), &mut slots);
    let twice = twice.expect("well-formed").expect("whole");
    assert_eq!(lines(&twice.fields), lines(&next.fields));
}

const ASKED: RequestMeta = RequestMeta {
    to_head: false,
    version: Version::Http11,
    upgrade: false,
};

const ASKED_HEAD: RequestMeta = RequestMeta {
    to_head: true,
    ..ASKED
};

fn replied(text: &str, version: Version) -> (ResponseMeta, String) {
    replied_by(text, RequestMeta { version, ..ASKED }, None)
}

fn replied_by(text: &str, request_meta: RequestMeta, via: Option<&str>) -> (ResponseMeta, String) {
    let mut out = BytesMut::new();
    let meta = rewrite_reply(text.as_bytes(), request_meta, via, &mut out);
    let meta = meta.unwrap().unwrap();
    (meta, String::from_utf8(out.to_vec()).unwrap())
}
