//! Heads as they go on, byte for byte.

use super::*;

fn forwarded(text: &str, drawn: Option<u32>) -> String {
    let mut room = Room::default();
    let head = head::request(text.as_bytes(), &mut room).unwrap().unwrap();
    let client = "10.0.0.7:4711".parse().unwrap();
    let extra = Extra {
        client,
        host: "here:5000",
        drawn,
        upgrade: asks_upgrade(&head),
    };
    let mut out = BytesMut::new();
    request(&head, &extra, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

const TRAIL: &str =
    "X-Forwarded-For: 10.0.0.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 ringmaster\r\n";

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
        Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nHTTP2-Settings: x\r\n\
        Upgrade: h2c\r\nRingmaster-Seat: 9\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        forwarded(text, None),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{TRAIL}\r\n")
    );
}

#[test]
fn the_trail_is_appended_to_its_last_line() {
    let text = "GET / HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\
        X-Request-ID:\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(
        forwarded(text, Some(123_456)),
        "GET / HTTP/1.1\r\nHost: here:5000\r\nX-Forwarded-For: 1.1.1.1\r\n\
         X-Forwarded-For: 2.2.2.2, 10.0.0.7\r\nX-Forwarded-Proto: https\r\nVia: 1.0 ringmaster\r\n\
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

/// Field lines that a gateway must think about, and some that it must not.
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
    fn what_goes_on_is_read_as_the_same_message(
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

/// Forwards a request, if it is one that is forwarded, and compares what the next hop reads.
fn same_message(text: &str) {
    let mut room = Room::default();
    let Ok(Some(head)) = head::request(text.as_bytes(), &mut room) else {
        return;
    };
    let Ok(body) = framing::of_request(head.version, &head.fields) else {
        return;
    };
    let gone_on = forwarded(text, None);
    let mut room = Room::default();
    let next = head::request(gone_on.as_bytes(), &mut room);
    let next = next.expect("well-formed").expect("whole");
    assert_eq!(next.len, gone_on.len());
    assert_eq!((next.method, next.version), (head.method, Version::Http11));
    let asked = (head.target.path, head.target.query);
    assert_eq!((next.target.path, next.target.query), asked);
    let host = head.target.authority.or_else(|| head.fields.get("host"));
    assert_eq!(next.fields.get("host"), host);
    let framed = framing::of_request(next.version, &next.fields).expect("framed");
    let kind = |body: Body| match body {
        Body::Chunked(_) => None,
        body => Some(body.plain_ahead()),
    };
    assert_eq!(kind(framed), kind(body));
    for name in [
        "keep-alive",
        "proxy-connection",
        "te",
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
    // One more hop that is ours changes no more than the trail.
    let again = |field: &Field<'_>| !field.is("via") && !field.is("x-forwarded-for");
    let lines = |fields: &Fields<'_, '_>| fields.iter().filter(again).count();
    let mut room = Room::default();
    let twice = forwarded(&gone_on, None);
    let twice = head::request(twice.as_bytes(), &mut room);
    let twice = twice.expect("well-formed").expect("whole");
    assert_eq!(lines(&twice.fields), lines(&next.fields));
}

fn replied(text: &str, version: Version) -> (Facts, String) {
    let mut out = BytesMut::new();
    let asked = Asked {
        to_head: false,
        version,
        upgrade: false,
    };
    let facts = reply(text.as_bytes(), asked, &mut out).unwrap().unwrap();
    (facts, String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn replies_lose_what_was_for_us() {
    let text = "HTTP/1.0 200 Fine\r\nDate: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
        Keep-Alive: timeout=7, max=3\r\nContent-Length: 2\r\n\r\nok";
    let (facts, head) = replied(text, Version::Http11);
    assert_eq!(
        head,
        "HTTP/1.1 200 Fine\r\nDate: x\r\nContent-Length: 2\r\n"
    );
    assert!(facts.keep_alive);
    assert_eq!(facts.keep_for, Some(Duration::from_secs(7)));
    assert_eq!(facts.len, text.len() - 2);
}

#[test]
fn a_426_keeps_the_protocol_it_names() {
    let text = "HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nUpgrade: foo\r\nConnection: upgrade\r\n\
        Content-Length: 0\r\n\r\n";
    let (_, head) = replied(text, Version::Http11);
    assert_eq!(
        head,
        "HTTP/1.1 426 Upgrade Required\r\nDate: x\r\nUpgrade: foo\r\nContent-Length: 0\r\n\
         Connection: upgrade\r\n"
    );
}

#[test]
fn a_missing_date_is_added_and_bodiless_replies_lose_their_framing() {
    let (_, head) = replied(
        "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
        Version::Http11,
    );
    assert!(
        head.starts_with("HTTP/1.1 204 No\r\nDate: ") && !head.contains("Length"),
        "{head}"
    );
    let chunked = "HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (facts, head) = replied(chunked, Version::Http10);
    assert!(facts.decode && !head.contains("chunked"));
    let (facts, head) = replied(chunked, Version::Http11);
    assert!(!facts.decode && head.contains("chunked"));
}
