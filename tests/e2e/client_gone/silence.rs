//! Clients that leave within a reply: while it is silent, while it drips, and while it is not read.

use std::io;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::{GET, Leaves, NEVER, SECOND, expect_end, expect_nothing_held, silent_after, totals};
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, eventually};

/// Heads of replies of every framing, each of which goes on for longer than anything is held back.
const BEGINNINGS: [(&str, &str); 3] = [
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "5\r\nhello\r\n",
    ),
    ("HTTP/1.1 200 OK\r\n\r\nhello", "hello"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nhello",
        "hello",
    ),
];

#[test]
fn a_client_that_leaves_ends_a_silent_reply() {
    for leaves in Leaves::ALL {
        for (beginning, expected) in BEGINNINGS {
            for pipelined in ["", GET] {
                let (backend, receiver) = silent_after(beginning);
                let args = [&leaves.grace()[..], &["--body-timeout", NEVER]].concat();
                let program = Ringmaster::before(backend.addr, &args);
                let mut client = program.client_after([GET, pipelined].concat());
                let (_, body) = beginning.split_once("\r\n\r\n").expect("a head");
                assert_eq!(body, expected);
                let head = client.until_head();
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                assert_eq!(client.take(expected.len()), expected.as_bytes());
                leaves.leave(client);
                expect_end(&receiver, &format!("{leaves:?} {beginning:?}"));
                expect_nothing_held(&program);
            }
        }
    }
}

/// A backend that sends `beginning` and then one `piece` after the other, `pause` apart, and
/// reports its end.
fn dripping(
    beginning: &'static str,
    piece: &'static str,
    pause: Duration,
    pieces: usize,
) -> (Backend, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let mut drip = || -> io::Result<()> {
            conversation.wire.write(beginning)?;
            for _ in 0..pieces {
                std::thread::sleep(pause);
                conversation.wire.write(piece)?;
            }
            Ok(())
        };
        let dripped = drip();
        let sender = sender.lock().expect("a lock");
        sender.send(()).map_err(io::Error::other)?;
        dripped
    });
    (backend, receiver)
}

#[test]
fn a_reply_that_drips_lets_go_of_a_client_long_gone() {
    // Far more pieces than there is patience for.
    let (pause, pieces) = (SECOND / 20, 2_000);
    for (beginning, piece) in [
        // Short enough to be held back until it is whole.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", "x"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
        ),
    ] {
        for leaves in [Leaves::ByReset, Leaves::ByClose] {
            let (backend, receiver) = dripping(beginning, piece, pause, pieces);
            let program = Ringmaster::before(backend.addr, &leaves.grace());
            let client = program.client_after(GET);
            eventually(TEST_TIMEOUT, "the reply has begun", || {
                totals(&program)["responses"]["2xx"] == 1
            });
            leaves.leave(client);
            expect_end(&receiver, &format!("{leaves:?} {beginning:?}"));
            expect_nothing_held(&program);
        }
    }
}

#[test]
fn many_short_waits_hide_a_client_no_better_than_a_long_one() {
    const BEGIN: &str = "HTTP/1.1 102 Processing\r\n\r\n";
    let http10 = "GET / HTTP/1.0\r\n\r\n";
    // Each wait is shorter than the time after which a client is watched.
    let (pause, pieces) = (SECOND / 250, 10_000);
    for (request, beginning, piece) in [
        // Nothing of it is written to such a client, so no write fails.
        (http10, BEGIN, "HTTP/1.1 102 Processing\r\n\r\n"),
        (GET, "HTTP/1.1 200 OK\r\nX: ", "x"),
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n", "x"),
    ] {
        for leaves in [Leaves::ByReset, Leaves::ByClose] {
            let (backend, receiver) = dripping(beginning, piece, pause, pieces);
            let args = [&leaves.grace()[..], &["--reply-timeout", NEVER]].concat();
            let program = Ringmaster::before(backend.addr, &args);
            let client = program.client_after(request);
            eventually(TEST_TIMEOUT, "the request is under way", || {
                backend.requests().len() == 1
            });
            leaves.leave(client);
            expect_end(&receiver, &format!("{leaves:?} {beginning:?}"));
            expect_nothing_held(&program);
        }
    }
}

#[test]
fn a_half_closed_client_that_reads_gets_a_reply_that_drips() {
    // Each pause is within the grace, all of them together are not.
    let (pause, pieces) = (SECOND / 4, 12);
    for beginning in [
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let (backend, receiver) = dripping(beginning, "x", pause, pieces);
        let program = Ringmaster::before(backend.addr, &["--half-close-grace", "2s"]);
        let mut client = program.client_after(GET);
        client.half_close();
        let head = client.until_head();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(client.take(pieces), "x".repeat(pieces).as_bytes());
        expect_end(&receiver, beginning);
    }
}

#[test]
fn a_half_closed_client_that_reads_slowly_is_not_gone() {
    // The client is waited for, longer than the grace, and the replica has nothing to do with that.
    let length = 32 * 1024 * 1024;
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        conversation.wire.write(head)?;
        conversation.wire.write(vec![b'x'; length])
    });
    for args in [&[][..], &["--no-splice"]] {
        let args = [args, &["--half-close-grace", "1s"]].concat();
        let program = Ringmaster::before(backend.addr, &args);
        let mut client = program.client_after(GET);
        client.half_close();
        assert!(client.has_bytes_within(TEST_TIMEOUT));
        // The slow reading itself: nothing is awaited, and a longer pause changes nothing.
        std::thread::sleep(2 * SECOND);
        assert_eq!(client.reply().body.len(), length);
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_client_that_resets_while_a_write_to_it_waits_is_noticed() {
    for args in [&[][..], &["--no-splice"]] {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            conversation.wire.write(head)?;
            let mut written = 0;
            while conversation.wire.write([b'x'; 64 * 1024]).is_ok() {
                written += 64 * 1024;
            }
            assert!(written < 1_000_000_000);
            let sender = sender.lock().expect("a lock");
            sender.send(()).map_err(io::Error::other)
        });
        let args = [
            args,
            &["--write-timeout", NEVER, "--half-close-grace", NEVER],
        ]
        .concat();
        let program = Ringmaster::before(backend.addr, &args);
        let mut client = program.client_after(GET);
        assert!(client.has_bytes_within(TEST_TIMEOUT));
        std::thread::sleep(SECOND / 2);
        client.reset();
        expect_end(&receiver, "a blocked write");
        expect_nothing_held(&program);
    }
}
