//! Replies that go to the limits of what is passed on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::sleep;
use std::time::Duration;

use super::{GET, OK};
use crate::support::{Backend, PATIENCE, Ringmaster};
use crate::whole::splice::narrow;

/// The longest head of a reply.
const LONGEST_HEAD: usize = 64 * 1024;
/// Interim replies that are passed on in a second.
const MOST_INTERIM: usize = 1000;
/// So long that a pause of a quarter of it stays below it on a busy machine, too.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn the_head_of_a_reply_may_be_as_long_as_that_and_not_a_byte_longer() {
    // A long chunk first, for which the buffers grow.
    let lengths = [
        0,
        LONGEST_HEAD,
        LONGEST_HEAD + 1,
        0,
        LONGEST_HEAD + 1,
        LONGEST_HEAD,
    ];
    let next = AtomicUsize::new(0);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            let length = lengths[next.fetch_add(1, Ordering::SeqCst)];
            if length == 0 {
                let body = "x".repeat(1_000_000);
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let reply = format!("{head}f4240\r\n{body}\r\n0\r\n\r\n");
                conversation.wire.write(reply)?;
                continue;
            }
            let start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Fill: ";
            let fill = "f".repeat(length - start.len() - 4);
            conversation.wire.write(format!("{start}{fill}\r\n\r\n"))?;
        }
    });
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    for length in lengths {
        let reply = program.client().ask(GET);
        let expected = if length > LONGEST_HEAD { 502 } else { 200 };
        assert_eq!(reply.status(), expected, "{length}");
        if expected == 502 {
            let sentence = "the replica's reply is malformed: its head is longer than 64 KiB";
            assert!(reply.text().contains(sentence), "{}", reply.text());
        }
    }
    assert_eq!(
        backend.requests().len(),
        lengths.len(),
        "none is asked twice"
    );
}

/// A program before a backend that sends so many interim replies at once, and a client that has asked.
fn interim(many: usize) -> (Backend, Ringmaster) {
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
        // Not all of it, when it is too much.
        let _ = conversation.wire.write(interim.repeat(many) + OK);
        conversation.wire.rest().map(drop)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    (backend, program)
}

#[test]
fn so_many_interim_replies_are_passed_on_at_once() {
    let (backend, program) = interim(MOST_INTERIM);
    let mut client = program.client_after(GET);
    for _ in 0..MOST_INTERIM {
        assert_eq!(client.reply().status(), 103);
    }
    assert_eq!(client.reply().status(), 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_flood_of_interim_replies_is_a_bad_reply() {
    // A program that passes so many on within their seconds would be busy for minutes.
    let (backend, program) = interim(300 * MOST_INTERIM);
    let mut client = program.client_after(GET);
    let (mut passed, mut last) = (0, client.reply());
    while last.status() == 103 {
        passed += 1;
        last = client.reply();
    }
    assert_eq!(last.status(), 502);
    let sentence = "more than 1000 interim replies in a second";
    assert!(last.text().contains(sentence), "{}", last.text());
    assert!(passed >= MOST_INTERIM, "{passed}");
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn each_interim_reply_renews_the_clock_of_the_final_one() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        for _ in 0..10 {
            conversation.wire.write("HTTP/1.1 102 Processing\r\n\r\n")?;
            sleep(REPLY_TIMEOUT / 4);
        }
        conversation.wire.write(OK)?;
        conversation.wire.rest().map(drop)
    });
    let limit = format!("{}ms", REPLY_TIMEOUT.as_millis());
    let program = Ringmaster::before(backend.addr, &["--reply-timeout", &limit]);
    let mut client = program.client_after(GET);
    for _ in 0..10 {
        assert_eq!(client.reply().status(), 102);
    }
    assert_eq!(client.reply().status(), 200);
    // An HTTP/1.0 client sees none of them, and waits as long.
    let mut client = program.client_after("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply().status(), 200);
}

#[test]
fn a_reply_that_never_follows_its_interim_ones_times_out() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        for _ in 0..3 {
            conversation.wire.write("HTTP/1.1 102 Processing\r\n\r\n")?;
        }
        conversation.wire.rest().map(drop)
    });
    let program = Ringmaster::before(backend.addr, &["--reply-timeout", "300ms"]);
    let mut client = program.client_after(GET);
    for _ in 0..3 {
        assert_eq!(client.reply().status(), 102);
    }
    assert_eq!(client.reply().status(), 504);
}

#[test]
fn an_interim_reply_that_was_begun_is_not_followed_by_an_error() {
    let interim = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
        "l".repeat(30_000)
    );
    let (tell, over) = mpsc::channel();
    let flood = interim.repeat(64);
    let (whole, tell) = (flood.clone(), Mutex::new(tell));
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        // Given up with the client, be it that all of it was written or not.
        let _ = conversation.wire.write(&flood);
        let _ = conversation.wire.rest();
        tell.lock().expect("a lock").send(()).expect("a listener");
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "150ms"]);
    // It owes its body, and does not read either.
    let mut client = narrow(program.listen);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    client.write(head).expect("sending");
    over.recv_timeout(PATIENCE).expect("an end");
    let heard = client.rest().expect("an end in order");
    assert!(!heard.is_empty() && heard.len() < whole.len());
    let end = String::from_utf8_lossy(&heard[heard.len() - 30..]);
    assert!(whole.as_bytes().starts_with(&heard), "ends in {end:?}");
}
