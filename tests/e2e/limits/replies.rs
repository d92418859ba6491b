//! Replies at the limits of what the balancer forwards.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use super::{GET, OK};
use crate::e2e::splice::narrow;
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT};

/// The longest head of a reply.
const LONGEST_HEAD: usize = 64 * 1024;
/// Interim replies to one request that are passed on without delay.
const INTERIM_BURST: usize = 100;
/// Time between two more of them.
const INTERIM_INTERVAL: Duration = Duration::from_millis(1);

#[test]
fn the_head_of_a_reply_may_be_as_long_as_64_kib_and_not_a_byte_more() {
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
            assert!(
                reply.text().contains(&LONGEST_HEAD.to_string()),
                "{}",
                reply.text()
            );
        }
    }
    assert_eq!(
        backend.requests().len(),
        lengths.len(),
        "none is asked twice"
    );
}

#[test]
fn all_interim_replies_are_passed_on_at_a_bounded_pace() {
    let beyond = 300;
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
        let all = interim.repeat(INTERIM_BURST + beyond);
        conversation.wire.write(all + OK)?;
        conversation.wire.rest().map(drop)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let begun = Instant::now();
    let mut client = program.client_after(GET);
    for _ in 0..INTERIM_BURST + beyond {
        assert_eq!(client.reply().status(), 103);
    }
    assert_eq!(client.reply().status(), 200);
    let least = INTERIM_INTERVAL * u32::try_from(beyond).expect("a few");
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn an_interim_reply_gives_the_final_one_its_whole_time_again() {
    let pause = Duration::from_millis(700);
    for version in ["1.1", "1.0"] {
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            for _ in 0..4 {
                std::thread::sleep(pause);
                conversation.wire.write("HTTP/1.1 102 Processing\r\n\r\n")?;
            }
            std::thread::sleep(pause);
            conversation.wire.write(OK)?;
            // Then silence for good, once more after an interim reply.
            conversation.request()?;
            conversation.wire.write("HTTP/1.1 102 Processing\r\n\r\n")?;
            conversation.wire.rest().map(drop)
        });
        let program = Ringmaster::before(backend.addr, &["--reply-timeout", "2s"]);
        let mut client = program.client();
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        for expected in [200, 504] {
            client.send(&request);
            let reply = loop {
                let reply = client.reply();
                match reply.status() {
                    102 => assert_eq!(version, "1.1"),
                    _ => break reply,
                }
            };
            assert_eq!(reply.status(), expected, "HTTP/{version}");
        }
    }
}

#[test]
fn an_interim_reply_that_was_begun_is_not_followed_by_an_error() {
    let interim = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
        "l".repeat(30_000)
    );
    let (sender, over) = mpsc::channel();
    let (flood, sender) = (interim.repeat(64), Mutex::new(sender));
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        // The write fails if the client is given up before all of it is written.
        let _ = conversation.wire.write(&flood);
        let _ = conversation.wire.rest();
        sender.lock().expect("a lock").send(()).expect("a listener");
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "150ms"]);
    // It owes its body, and does not read either.
    let mut client = narrow(program.listen);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    client.write(head).expect("sending");
    over.recv_timeout(TEST_TIMEOUT).expect("an end");
    let received = client.rest().expect("an end in order");
    let whole = interim.repeat(64);
    assert!(!received.is_empty() && received.len() < whole.len());
    let end = String::from_utf8_lossy(&received[received.len() - 30..]);
    assert!(whole.as_bytes().starts_with(&received), "ends in {end:?}");
}
