//! The outcome of a case, judged from the bytes the client got and the requests the backend saw.
//! Pure.
//!
//! The outcomes are those of tests/h1/cases.json: a status, `close`, `forward`, `truncate`. Besides
//! them there are `silent` and `hang`, which no case accepts.

use super::case::{Case, Side};
use super::scene::Seen;
use crate::support::Message;

/// Bytes that the client received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) closed: bool,
}

/// The first final reply in the received bytes.
#[derive(Debug, Default)]
struct Reply {
    interim: usize,
    /// `None` when nothing final came.
    head: Option<Message>,
    /// The body without framing, as far as it came.
    body: Vec<u8>,
    whole: bool,
}

/// Returns the problems; empty if the outcome is accepted.
pub(crate) fn problems(
    case: &Case,
    received: &Received,
    seen: &[Seen],
    faults: &[String],
) -> Vec<String> {
    let reply = read(case, received);
    let outcome = outcome(case, received, seen, &reply);
    let refused = outcome.starts_with('4') && case.accept.iter().any(|accept| accept == "4xx");
    let mut wrong = Vec::new();
    if !refused && !case.accept.contains(&outcome) {
        wrong.push(format!("outcome {outcome}"));
    }
    if case.close_after && !received.closed {
        wrong.push("left open".into());
    }
    if outcome == "forward" {
        if case
            .max_backend_requests
            .is_some_and(|most| seen.len() > most)
        {
            wrong.push(format!("{} requests at the backend", seen.len()));
        }
        wrong.extend_from_slice(faults);
        let broken = |wish: &&String| {
            let met = super::expectation::of_exchange(wish, received, seen);
            !met.unwrap_or_else(|| forwarded_as(wish, seen, &reply))
        };
        wrong.extend(
            case.if_forwarded
                .iter()
                .filter(broken)
                .map(|wish| format!("not so: {wish}")),
        );
    }
    let happened = |fear: &&String| happened(fear, received, seen);
    wrong.extend(case.never.iter().filter(happened).cloned());
    wrong
}

/// The outcome in one word.
fn outcome(case: &Case, received: &Received, seen: &[Seen], reply: &Reply) -> String {
    let Some(head) = &reply.head else {
        return if received.closed { "close" } else { "silent" }.into();
    };
    let forwarded = match (case.side, head.status()) {
        (Side::Request, status) => status < 400 && !seen.is_empty(),
        (Side::Response, status) => !matches!(status, 500 | 502 | 503 | 504),
    };
    match head.status() {
        status if !forwarded && (200..300).contains(&status) => "2xx".into(),
        status if !forwarded => status.to_string(),
        _ if case.side == Side::Request || reply.whole => "forward".into(),
        _ if received.closed => "truncate".into(),
        _ => "hang".into(),
    }
}

fn read(case: &Case, received: &Received) -> Reply {
    let mut reply = Reply::default();
    let mut rest = received.bytes.as_slice();
    let head = loop {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            return reply;
        };
        let head: String = rest[..end].iter().copied().map(char::from).collect();
        rest = &rest[end + 4..];
        let digits = head.strip_prefix("HTTP/1.").and_then(|tail| tail.get(2..5));
        match digits.and_then(|digits| digits.parse::<u16>().ok()) {
            None => return reply,
            Some(100 | 102..200) => reply.interim += 1,
            Some(_) => break head,
        }
    };
    let message = Message { head, body: vec![] };
    let request = match &case.send[0] {
        super::case::Step::Send(text) => text.as_str(),
        _ => "",
    };
    let bodiless = request.starts_with("HEAD ") || request.starts_with("CONNECT ");
    (reply.body, reply.whole) = if bodiless || matches!(message.status(), 101 | 204 | 304) {
        (rest.to_vec(), true)
    } else if !message.fields("transfer-encoding").is_empty() {
        unchunked(rest)
    } else if let Some(length) = message.fields("content-length").first() {
        let length = length.parse().unwrap_or(usize::MAX);
        (
            rest[..rest.len().min(length)].to_vec(),
            rest.len() >= length,
        )
    } else {
        (rest.to_vec(), received.closed)
    };
    reply.head = Some(message);
    reply
}

/// The content of chunks as far as it is there, and whether the last chunk and its trailers are.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
        rest = &rest[end + 2..];
        match size {
            Ok(0) => {
                let trailers = [b"\r\n", rest].concat();
                return (body, trailers.windows(4).any(|four| four == b"\r\n\r\n"));
            }
            Ok(size) if rest.len() >= size + 2 => {
                body.extend_from_slice(&rest[..size]);
                rest = &rest[size + 2..];
            }
            _ => break,
        }
    }
    (body, false)
}

/// Returns `true` if a forwarded request or reply is as `wish` says. Wishes that need a reader are
/// taken as met.
fn forwarded_as(wish: &str, seen: &[Seen], reply: &Reply) -> bool {
    let (nothing, no_request) = (Message::default(), Message::default());
    let request = seen.first().map_or(&no_request, |seen| &seen.request);
    let answer = reply.head.as_ref().unwrap_or(&nothing);
    let chunked = |message: &Message| {
        let codings = message.fields("transfer-encoding");
        codings.len() == 1 && codings[0].eq_ignore_ascii_case("chunked")
    };
    let has = |message: &Message, names: &[&str]| {
        names.iter().any(|name| !message.fields(name).is_empty())
    };
    if let Some(met) = super::expectation::of_message(wish, request, answer, &reply.body) {
        return met;
    }
    match wish {
        "transfer-encoding: chunked only"
        | "if unfolded: chunked only"
        | "body framing still announced to the backend" => chunked(request),
        "no content-length" => !has(request, &["content-length"]),
        "the 36 bytes travel as body" => request.body.len() == 36,
        "content-length: 3, or the very digits, and 3 bytes" => request.body.len() == 3,
        "the whitespace-led line is dropped" => !has(request, &["x"]),
        "method unchanged \"get\"" => request.head.starts_with("get "),
        "Host replaced by b.test" => request.fields("host") == ["b.test"],
        "no x-hop, keep-alive, proxy-connection" => {
            !has(request, &["x-hop", "keep-alive", "proxy-connection"])
        }
        "connection is the relay's own" => {
            let own = |value: &&str| !value.to_ascii_lowercase().contains("x-hop");
            request.fields("connection").iter().all(own)
        }
        "h2c and http2-settings removed" => !has(request, &["upgrade", "http2-settings"]),
        "chunked only, no content-length" => chunked(answer) && !has(answer, &["content-length"]),
        "one content-length to the backend" => request.fields("content-length").len() == 1,
        "one content-length" => answer.fields("content-length").len() == 1,
        "body abcdef" => reply.body == b"abcdef",
        "no body, content-length: 5 kept" => {
            reply.body.is_empty() && answer.fields("content-length") == ["5"]
        }
        "no body awaited" | "body bytes not relayed" => reply.body.is_empty(),
        "no body; content-length dropped" => {
            reply.body.is_empty() && !has(answer, &["content-length"])
        }
        "no TE in a 204, no body" => reply.body.is_empty() && !has(answer, &["transfer-encoding"]),
        "no 1xx to HTTP/1.0" => reply.interim == 0,
        "100 dropped or relayed; final 200" | "1xx never has a body" => {
            answer.status() == 200 && reply.body == b"ok"
        }
        "tunnel; \"raw\" delivered in the same order" => reply.body == b"raw",
        "413 delivered, not lost to a RST" => answer.status() == 413,
        "fold replaced by SP" => !answer.head.contains("\r\n "),
        "space removed" => !answer.head.contains(" :"),
        "bare CR replaced by SP" => !answer.head.replace("\r\n", "").contains('\r'),
        "NUL replaced by SP" => !answer.head.contains('\0'),
        _ => true,
    }
}

/// Returns `true` if the forbidden `fear` happened. Fears shown by the outcome or the next request
/// are not here.
fn happened(fear: &str, received: &Received, seen: &[Seen]) -> bool {
    if let Some(happened) = super::expectation::of_exchange(fear, received, seen) {
        return happened;
    }
    match fear {
        "backend receives a complete message" => seen.iter().any(|seen| seen.whole),
        "forwarded with Host: a.test" => seen
            .iter()
            .any(|seen| seen.request.fields("host").contains(&"a.test")),
        "a terminating 0-chunk invented" => received.bytes.ends_with(b"0\r\n\r\n"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        serde_json::from_str(text).unwrap()
    }

    fn received(text: &str, closed: bool) -> Received {
        let bytes = text.into();
        Received { bytes, closed }
    }

    fn seen(head: &str) -> Seen {
        let request = Message {
            head: head.into(),
            body: vec![],
        };
        Seen {
            request,
            connection: 0,
            whole: true,
        }
    }

    #[test]
    fn a_request_is_judged_by_status_close_and_backend() {
        let strict = case(
            r#"{"id":"a","side":"request","send":["GET"],"accept":["400"],"level":"MUST",
                "close_after":true,"max_backend_requests":0,"never":["backend sees /hidden"]}"#,
        );
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let answered = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let hidden = [seen("GET /hidden HTTP/1.1\r\nHost: a")];
        assert_eq!(
            problems(&strict, &received(refused, true), &[], &[]),
            [""; 0]
        );
        assert_eq!(
            problems(&strict, &received(refused, false), &[], &[]),
            ["left open"]
        );
        assert_eq!(
            problems(&strict, &received("", true), &[], &[]),
            ["outcome close"]
        );
        assert_eq!(
            problems(&strict, &received("", false), &[], &[])[0],
            "outcome silent"
        );
        assert_eq!(
            problems(&strict, &received(answered, true), &[], &[]),
            ["outcome 2xx"]
        );
        assert_eq!(
            problems(
                &strict,
                &received(answered, true),
                &hidden,
                &["fault".into()]
            ),
            [
                "outcome forward",
                "1 requests at the backend",
                "fault",
                "backend sees /hidden"
            ]
        );
    }

    #[test]
    fn a_reply_is_judged_by_its_framing() {
        let any = case(r#"{"id":"a","side":"response","send":["GET"],"accept":[],"level":"MUST"}"#);
        let tries = [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
                false,
                "forward",
            ),
            (
                "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                true,
                "truncate",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                false,
                "hang",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nab", true, "forward"),
            ("HTTP/1.1 204 No\r\n\r\n", false, "forward"),
            ("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", false, "502"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n",
                false,
                "forward",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
                false,
                "forward",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
                true,
                "truncate",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
                false,
                "hang",
            ),
            ("HTTP/1.1 100 C\r\n\r\n", false, "silent"),
        ];
        for (text, closed, outcome) in tries {
            let found = problems(&any, &received(text, closed), &[], &[]);
            assert_eq!(found, [format!("outcome {outcome}")], "{text:?}");
        }
    }

    #[test]
    fn wishes_and_fears_are_looked_at() {
        let wishful = case(
            r#"{"id":"a","side":"request","send":["POST"],"accept":["forward"],"level":"MUST",
                "if_forwarded":["no content-length"],"never":["backend receives a complete message"]}"#,
        );
        let ok = received("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
        let long = [seen("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3")];
        assert_eq!(
            problems(&wishful, &ok, &long, &[]),
            [
                "not so: no content-length",
                "backend receives a complete message"
            ]
        );
    }
}
