//! Wishes that a case spells out: `request has: NAME: VALUE`, `heard: BYTES` and the like. Pure.
//!
//! Other wishes are sentences, which verdict.rs knows one by one.

use super::case::latin1;
use super::scene::Seen;
use super::verdict::Received;
use crate::support::Message;

/// Returns `true` if the first request at the backend, or the final reply, is as `wish` spells out.
/// `None` if `wish` spells out nothing.
pub(crate) fn of_message(
    wish: &str,
    request: &Message,
    reply: &Message,
    body: &[u8],
) -> Option<bool> {
    let rest = |start: &str| wish.strip_prefix(start);
    Some(if let Some(line) = rest("request line: ") {
        request.start_line() == line
    } else if let Some(field) = rest("request has: ") {
        has(request, field)
    } else if let Some(field) = rest("request has not: ") {
        !has(request, field)
    } else if let Some(name) = rest("request lacks: ") {
        request.fields(name).is_empty()
    } else if let Some(text) = rest("request holds: ") {
        request.head.contains(text)
    } else if let Some(text) = rest("request body: ") {
        request.body == latin1(text)
    } else if let Some(field) = rest("reply has: ") {
        has(reply, field)
    } else if let Some(name) = rest("reply lacks: ") {
        reply.fields(name).is_empty()
    } else if let Some(text) = rest("reply body: ") {
        body == latin1(text)
    } else {
        return None;
    })
}

/// The same for the bytes that the client received and the number of requests at the backend.
pub(crate) fn of_exchange(wish: &str, received: &Received, seen: &[Seen]) -> Option<bool> {
    if let Some(text) = wish.strip_prefix("heard: ") {
        let text = latin1(text);
        return Some(
            received
                .bytes
                .windows(text.len())
                .any(|bytes| bytes == text),
        );
    }
    if let Some(count) = wish.strip_prefix("requests: ") {
        return Some(seen.len() == count.parse::<usize>().expect("a number"));
    }
    let path = wish
        .strip_prefix("backend sees ")
        .filter(|path| path.starts_with('/'))?;
    let sees = |seen: &Seen| seen.request.start_line().contains(path);
    Some(seen.iter().any(sees))
}

fn has(message: &Message, field: &str) -> bool {
    let (name, value) = field.split_once(':').expect("a field");
    message.fields(name).contains(&value.trim())
}

#[test]
fn spelt_out_wishes_are_looked_for() {
    let message = |head: &str, body: &str| Message {
        head: head.into(),
        body: body.into(),
    };
    let request = message("GET /x HTTP/1.1\r\nHost: a\r\nX-A: b", "abc");
    let reply = message("HTTP/1.1 200 OK\r\nVia: c", "");
    for (wish, met) in [
        ("request line: GET /x HTTP/1.1", Some(true)),
        ("request line: GET /", Some(false)),
        ("request has: x-a: b", Some(true)),
        ("request has: x-a: c", Some(false)),
        ("request has not: x-a: c", Some(true)),
        ("request lacks: host", Some(false)),
        ("request holds: a\r\nX-A", Some(true)),
        ("request body: abc", Some(true)),
        ("reply has: via: c", Some(true)),
        ("reply lacks: via", Some(false)),
        ("reply body: ok", Some(true)),
        ("one content-length", None),
    ] {
        assert_eq!(of_message(wish, &request, &reply, b"ok"), met, "{wish}");
    }
    let received = Received {
        bytes: b"HTTP/1.1 200 OK".into(),
        closed: false,
    };
    let seen = [Seen {
        request,
        connection: 0,
        whole: true,
    }];
    for (wish, met) in [
        ("heard: 200", Some(true)),
        ("heard: 400", Some(false)),
        ("requests: 1", Some(true)),
        ("requests: 2", Some(false)),
        ("backend sees /x", Some(true)),
        ("backend sees /hidden", Some(false)),
        ("backend receives a complete message", None),
    ] {
        assert_eq!(of_exchange(wish, &received, &seen), met, "{wish}");
    }
}
