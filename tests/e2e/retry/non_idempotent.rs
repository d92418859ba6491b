//! Requests that must not be done twice, in each way in which a connection may end under them.

use std::sync::atomic::Ordering;

use crate::support::{TEST_TIMEOUT, eventually};

use super::*;

/// Last bytes of a backend before it ends the connection, and `true` for an end by a reset.
const ENDINGS: [(&str, bool); 9] = [
    ("", false),
    ("", true),
    ("HTTP/1.1 2", false),
    ("HTTP/1.1 2", true),
    ("HTTP/1.1 102 Processing\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        false,
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nab", true),
];

/// Sends `request` where `warm` requests have gone well before, and returns how many more were
/// seen.
fn attempts(request: &str, warm: usize, (says, resets): (&'static str, bool)) -> usize {
    let (_all, addrs, seen) = backends(2, move |number, _, conversation| {
        if number < warm {
            return answer(conversation);
        }
        conversation.wire.write(says)?;
        if resets {
            conversation.wire.linger_not();
        }
        Ok(false)
    });
    let program = before_all(&addrs, &["--retries", "9", "--key", "path"]);
    let mut client = program.client();
    for _ in 0..warm {
        assert_eq!(client.ask(request).status(), 200);
    }
    client.send(request);
    // The client gets an error, or half a reply.
    loop {
        match client.try_reply(false) {
            Ok(interim) if interim.status() < 200 => {}
            Ok(reply) => break assert_eq!(reply.status(), 502, "{says:?}"),
            Err(_) => break,
        }
    }
    seen.load(Ordering::SeqCst) - warm
}

#[test]
fn a_post_is_sent_once_however_its_connection_ends() {
    for warm in [0, 1] {
        for ending in ENDINGS {
            assert_eq!(attempts(POST, warm, ending), 1, "{warm} {ending:?}");
        }
    }
}

#[test]
fn every_method_not_known_to_be_idempotent_is_sent_once() {
    for method in ["PATCH", "CONNECTED", "get", "LOCK"] {
        let request = POST.replace("POST", method);
        assert_eq!(attempts(&request, 0, ENDINGS[0]), 1, "{method}");
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let request = POST.replace("POST", method);
        assert_eq!(attempts(&request, 0, ENDINGS[0]), 2, "{method}");
    }
}

#[test]
fn a_post_is_not_lost_on_a_connection_that_ended_while_idle() {
    // Each reply is the last of its connection, without a field that announces it.
    let (all, addrs, seen) = backends(1, |_, _, conversation| answer(conversation).map(|_| false));
    let program = before_all(&addrs, &["--retries", "0"]);
    let mut client = program.client();
    for _ in 0..5 {
        // The end must have come before the next request: a close is sent from within the call.
        eventually(TEST_TIMEOUT, "the conversation is over", || {
            all[0].open() == 0
        });
        assert_eq!(client.ask(POST).text(), "ok");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    assert_eq!(all[0].connections(), 5);
}
