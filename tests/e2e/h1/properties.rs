//! The checks of tests/fuzz on some thousand messages each run: every case of tests/h1/, whole and
//! with bytes changed, and messages built from words that are hard on parsers.
//!
//! The seed is fixed: a failure is the same on every machine, and shrunk to its smallest.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

use super::case::{self, Side, Step, latin1};
use crate::support::client_hello;

#[path = "../../fuzz/checks.rs"]
mod checks;

const CASES: u32 = 400;

/// Fragments of heads and chunks, well-formed or not.
const WORDS: [&str; 52] = [
    "GET / HTTP/1.1\r\n",
    "POST http://a?b HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 304 \r\n",
    "HTTP/1.1 103 E\r\n\r\n",
    "Host: a\r\n",
    "Host:\r\n",
    "Host: [::1]:80\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: +3\r\n",
    "content-length:\t0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding:chunked \r\n",
    "Connection: close, X\r\n",
    "X-A: b\r\n",
    "X-A:\u{e9}\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ";",
    "=",
    "\"",
    "\\",
    "\0",
    "a",
    "0",
    "3",
    "0a",
    "ffffffffffffffff",
    "3\r\nabc\r\n",
    "1;a=\"b\"\r\nx\r\n",
    "2 ; a = b\r\nxy\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "0\r\nHost: b\r\nX: y\r\n\r\n",
    "X",
    "-Sum: 9\r\n",
    "Trailer",
    "HTTP/1.1",
    "HTTP/2.0",
    "GET",
    "/x#",
    "*",
    "%zz",
    "\u{ff}",
];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(9112),
        ..ProptestConfig::default()
    }
}

/// Generates messages of words, with some arbitrary bytes between them.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => select(WORDS.to_vec()).prop_map(latin1),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(word, 0..16).prop_map(|words| words.concat())
}

/// The messages of the cases, with a few bytes overwritten, and cut.
fn bent(messages: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), select(b"\r\n\t :;,0aX\0\xff".to_vec()));
    (select(messages), vec(change, 0..4), any::<Index>()).prop_map(
        |(mut message, changes, length)| {
            for (at, byte) in changes {
                let at = at.index(message.len());
                message[at] = byte;
            }
            let length = message.len() - length.index(message.len()) / 4;
            message.truncate(length);
            message
        },
    )
}

/// Returns the messages of the cases that are sent in one piece: requests, or replies of their
/// backends.
fn messages(side: Side) -> Vec<Vec<u8>> {
    let cases = [case::GIVEN, case::MORE].map(case::load).concat();
    let scripts = cases.into_iter().filter_map(|case| match side {
        Side::Request => Some(case.send),
        Side::Response => case.backend,
    });
    let flat = |script: Vec<Step>| {
        let bytes = script.into_iter().filter_map(|step| match step {
            Step::Send(text) | Step::Bytewise { data: text, .. } => Some(latin1(&text)),
            Step::Repeat { repeat, n } => Some(latin1(&repeat).repeat(n.min(300))),
            _ => None,
        });
        bytes.collect::<Vec<_>>().concat()
    };
    let messages = scripts.map(flat).filter(|bytes| !bytes.is_empty());
    let messages: Vec<Vec<u8>> = messages.collect();
    assert!(messages.len() > 90, "only {} messages", messages.len());
    messages
}

/// Returns the bytes behind the head of a message.
fn behind_head(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(message, |end| &message[end + 4..])
}

#[test]
fn the_cases_themselves_hold() {
    for message in messages(Side::Request) {
        checks::request(&message);
        checks::body(behind_head(&message), &[7, 1, 3]);
    }
    for message in messages(Side::Response) {
        checks::response(&message);
        checks::body(behind_head(&message), &[7, 1, 3]);
    }
}

#[test]
fn requests_hold_when_bent() {
    proptest!(config(), |(message in bent(messages(Side::Request)))| checks::request(&message));
}

#[test]
fn proxy_headers_hold_when_bent() {
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x50\xe1\0\x01x";
    let v1 = b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n";
    let headers = vec![v1.to_vec(), v2.to_vec()];
    headers
        .iter()
        .for_each(|header| checks::proxy_header(header));
    proptest!(config(), |(header in bent(headers))| checks::proxy_header(&header));
}

#[test]
fn client_hellos_hold_when_bent() {
    let message = client_hello::message_of_browser("www.example.com");
    // The limit in front of each is 16 KiB.
    let hello = |fragment| [b"\0\x40", &client_hello::records(&message, fragment)[..]].concat();
    let hellos: Vec<_> = [1, 4, 300, 16_384].map(hello).into();
    hellos.iter().for_each(|hello| checks::client_hello(hello));
    proptest!(config(), |(hello in bent(hellos))| checks::client_hello(&hello));
}

#[test]
fn kinds_of_rings_hold_when_bent() {
    let kinds = [
        "classic:h=i*i+2*i+17,phi=i*i+j*j+2*j+25,slots=512,vnodes=9,probe=quadratic",
        "classic:h=i^3%7-i,phi=i/(j-1)*-j,slots=1,vnodes=1",
        "uniform",
    ];
    let kinds: Vec<_> = kinds.map(|kind| kind.as_bytes().to_vec()).into();
    kinds.iter().for_each(|kind| checks::ring(kind));
    proptest!(config(), |(kind in bent(kinds))| checks::ring(&kind));
}

#[test]
fn responses_hold_when_bent() {
    proptest!(config(), |(message in bent(messages(Side::Response)))| checks::response(&message));
}

#[test]
fn bodies_hold_when_bent() {
    let messages = [messages(Side::Request), messages(Side::Response)].concat();
    let splits = vec(any::<u8>(), 0..8);
    proptest!(config(), |(message in bent(messages), splits in splits)| {
        checks::body(behind_head(&message), &splits);
    });
}

#[test]
fn anything_holds() {
    let splits = vec(0_u8..40, 0..8);
    proptest!(config(), |(message in words(), splits in splits)| {
        checks::request(&message);
        checks::response(&message);
        checks::body(&message, &splits);
    });
}
