//! Replies that go to the limits of what is passed on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use super::{GET, OK};
use crate::support::{Backend, PATIENCE, Ringmaster};
use crate::whole::splice::narrow;

/// The longest head of a reply.
const LONGEST_HEAD: usize = 36 * 1024;
/// Interim replies that are passed on before a final one.
const MOST_INTERIM: usize = 64;

#[test]
fn the_head_of_a_reply_may_fill_the_buffer_and_not_a_byte_more() {
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
        let status = program.client().ask(GET).status();
        let expected = if length > LONGEST_HEAD { 502 } else { 200 };
        assert_eq!(status, expected, "{length}");
    }
    assert_eq!(
        backend.requests().len(),
        lengths.len(),
        "none is asked twice"
    );
}

#[test]
fn so_many_interim_replies_are_passed_on_and_not_one_more() {
    for over in [0, 1] {
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
            let all = interim.repeat(MOST_INTERIM + over);
            conversation.wire.write(all + OK)?;
            conversation.wire.rest().map(drop)
        });
        let program = Ringmaster::before(backend.addr, &[]);
        let mut client = program.client_after(GET);
        for _ in 0..MOST_INTERIM {
            assert_eq!(client.reply().status(), 103);
        }
        assert_eq!(client.reply().status(), if over == 0 { 200 } else { 502 });
        assert_eq!(backend.requests().len(), 1);
    }
}

#[test]
fn an_interim_reply_that_was_begun_is_not_followed_by_an_error() {
    let interim = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n",
        "l".repeat(30_000)
    );
    let (tell, over) = mpsc::channel();
    let (flood, tell) = (interim.repeat(MOST_INTERIM), Mutex::new(tell));
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
    let whole = interim.repeat(MOST_INTERIM);
    assert!(!heard.is_empty() && heard.len() < whole.len());
    let end = String::from_utf8_lossy(&heard[heard.len() - 30..]);
    assert!(whole.as_bytes().starts_with(&heard), "ends in {end:?}");
}
