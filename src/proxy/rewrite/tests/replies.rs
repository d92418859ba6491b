//! Rewritten heads of replies.

use super::*;

/// Field lines of replies. For several, only one reading is valid.
const REPLY_LINES: [&str; 18] = [
    "Content-Length: 2",
    "Content-Length: 02,2",
    "content-length :2",
    "Content-Length: 3",
    "Content-Length:",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : Chunked ,",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding:",
    "Connection: close",
    "Connection: X-Hop, Content-Length",
    "X-Hop\t: 1",
    "X-Fold: a\r\n b",
    "X-Control: a\x01b",
    "Keep-Alive: timeout=3",
    "Set-Cookie: a=b",
    "Set-Cookie : c=d",
    "Upgrade: foo",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(9112),
        ..proptest::prelude::ProptestConfig::with_cases(1_000)
    })]

    #[test]
    fn a_reply_that_goes_on_is_read_as_the_same_one(
        status in proptest::sample::select(vec!["200 OK", "204", "304 ", " 404 x"]),
        version in proptest::sample::select(vec!["1.0", "1.1"]),
        to_head in proptest::prelude::any::<bool>(),
        end in proptest::sample::select(vec!["\r\n", "\n"]),
        lines in proptest::sample::subsequence(REPLY_LINES.to_vec(), 0..=5).prop_shuffle(),
    ) {
        let lines: String = lines.iter().map(|line| format!("{line}{end}")).collect();
        let text = format!("HTTP/{version} {status}{end}{lines}{end}");
        same_reply(&text, RequestMeta { to_head, ..ASKED });
    }
}

/// Rewrites a reply, unless it is refused, and compares what the strict reader of the next hop
/// reads.
fn same_reply(text: &str, request_meta: RequestMeta) {
    let mut bytes = BytesMut::from(text);
    let (mut out, mut tries) = (BytesMut::new(), 0);
    let meta = loop {
        out.clear();
        match rewrite_reply(&bytes, request_meta, None, &mut out) {
            Ok(meta) => break meta.expect("whole"),
            Err(_) if lenient::rewrite_response(&mut bytes) == Rewritten::Changed => tries += 1,
            Err(_) => return,
        }
        assert!(tries < 3, "{text:?}");
    };
    push_head_end(HeadEnding::Plain, &mut out);
    let mut slots = ResponseHeaderSlots::default();
    let next = head::response(&out, &mut slots)
        .expect("well-formed")
        .expect("whole");
    assert_eq!((next.len, next.status), (out.len(), meta.status));
    let named = |name: &'static str| next.fields.iter().filter(move |field| field.is(name));
    for name in ["connection", "keep-alive", "upgrade", "x-hop"] {
        let kept = name == "x-hop" && !text.contains("X-Hop, Content");
        assert!(kept || named(name).next().is_none(), "{name} in {out:?}");
    }
    assert_eq!(
        named("set-cookie").count(),
        text.matches("Set-Cookie").count()
    );
    let lengths: Vec<_> = named("content-length").map(|field| field.value).collect();
    let codings: Vec<_> = named("transfer-encoding")
        .map(|field| field.value)
        .collect();
    match meta.body {
        Body::Chunked(_) => assert_eq!((lengths, codings), (vec![], vec![&b"chunked"[..]])),
        Body::UntilClose => assert_eq!(lengths.len() + codings.len(), 0),
        Body::Length(0) => {
            let bodiless = request_meta.to_head || matches!(meta.status, 204 | 304);
            assert!(bodiless && lengths.len() + codings.len() <= 1, "{out:?}");
        }
        Body::Length(length) => {
            assert_eq!(
                (lengths, codings),
                (vec![length.to_string().as_bytes()], vec![])
            );
        }
    }
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
