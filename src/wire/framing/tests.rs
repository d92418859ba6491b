//! Which heads are followed to the end of their body, and which are refused.

use super::*;
use crate::wire::head::{self, Room};

fn request_body(fields: &str) -> Result<Body, Refused> {
    let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut room = Room::default();
    let head = head::request(text.as_bytes(), &mut room).unwrap().unwrap();
    of_request(head.version, &head.fields)
}

/// What of a response's body comes and what its field says; `None` for chunks.
type Read = (Option<u64>, Option<Option<u64>>);

/// The framing of a response of HTTP/1.1.
fn response_framing(status: u16, to_head: bool, fields: &str) -> Result<Read, BadResponse> {
    let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
    let mut room = Room::default();
    let head = head::response(text.as_bytes(), &mut room).unwrap().unwrap();
    let framing = of_response(head.status, to_head, head.version, &head.fields)?;
    let length = |body: Body| (!body.is_chunked()).then(|| body.plain_ahead());
    Ok((length(framing.body), framing.said.map(length)))
}

#[test]
fn responses_that_repeat_themselves_are_followed() {
    for (fields, length) in [
        ("Content-Length: 5\r\n", Some(5)),
        ("Content-Length: 005 \r\n", Some(5)),
        ("Content-Length: 5, 05\r\ncontent-length:5\r\n", Some(5)),
        ("Content-Length:\r\n 5,\r\n\t5\r\n", Some(5)),
        ("Content-Length : 5\r\n", Some(5)),
        ("Transfer-Encoding: Chunked \r\n", None),
        (
            "Transfer-Encoding: chunked, CHUNKED\r\ntransfer-encoding: chunked\r\n",
            None,
        ),
    ] {
        let read = response_framing(200, false, fields).unwrap();
        assert_eq!(read, (length, Some(length)), "{fields}");
    }
    assert_eq!(
        response_framing(200, false, "").unwrap(),
        (Some(u64::MAX), None)
    );
}

/// Fields that do not say where a body ends.
const IN_DOUBT: [&str; 9] = [
    "Content-Length: 5, 6\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5,\r\n",
    "Content-Length: ,5\r\n",
    "Content-Length: 5\r\n 5\r\n",
    "Content-Length:\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
];

#[test]
fn responses_in_doubt_are_bad_unless_they_have_no_body() {
    for fields in IN_DOUBT {
        assert!(response_framing(200, false, fields).is_err(), "{fields}");
        for (status, to_head) in [
            (200, true),
            (404, true),
            (304, false),
            (204, false),
            (103, false),
        ] {
            let read = response_framing(status, to_head, fields).unwrap();
            assert_eq!(read, (Some(0), None), "{status} {fields}");
        }
    }
}

#[test]
fn what_get_would_have_had_is_said_without_a_body() {
    for (status, to_head) in [(200, true), (304, false), (304, true)] {
        let read = |fields| response_framing(status, to_head, fields).unwrap();
        assert_eq!(read("Content-Length: 05\r\n"), (Some(0), Some(Some(5))));
        assert_eq!(
            read("Transfer-Encoding: chunked\r\n"),
            (Some(0), Some(None))
        );
    }
    for status in [103, 204] {
        let read = response_framing(status, false, "Content-Length: 5\r\n").unwrap();
        assert_eq!(read, (Some(0), None));
    }
}

#[test]
fn content_length_is_digits_only() {
    assert_eq!(content_length(b"0003"), Some(3));
    assert_eq!(content_length(b"9223372036854775807"), Some((1 << 63) - 1));
    for bad in [
        "",
        "+5",
        "-5",
        "5 5",
        "0x3",
        "3.0",
        "1_0",
        "3, 3",
        "9223372036854775808",
    ] {
        assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn doubtful_requests_are_refused() {
    for (fields, status) in [
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: chunked, chunked\r\n", 501),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            400,
        ),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked;q=1\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400),
    ] {
        assert_eq!(request_body(fields).unwrap_err().status, status, "{fields}");
    }
    assert!(matches!(
        request_body("Transfer-Encoding: CHUNKED \r\n"),
        Ok(Body::Chunked(_))
    ));
    assert!(matches!(request_body(""), Ok(Body::Length(0))));
}

#[test]
fn a_body_takes_its_own_bytes_only() {
    let mut body = Body::Length(3);
    let mut out = BytesMut::new();
    assert_eq!(body.relay(b"ab", &mut out), Ok(2));
    assert!(!body.is_complete());
    assert_eq!(body.relay(b"cGET", &mut out), Ok(1));
    assert_eq!(&out[..], b"abc");
    assert!(body.is_complete());
    let mut chunked = Body::Chunked(Scanner::default());
    let mut out = BytesMut::new();
    assert_eq!(
        chunked.decode(b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\nGET", &mut out),
        Ok(19)
    );
    assert!(chunked.is_complete());
    assert_eq!(&out[..], b"abcd");
}
