//! Replies that go to the limits of what is passed on.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{GET, OK};
use crate::support::{Backend, Ringmaster};

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
