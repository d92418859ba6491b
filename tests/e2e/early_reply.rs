//! A final reply before the end of its request: it arrives at once, and the upload goes on for as
//! long as the replica reads.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, Wire, eventually};

const MIB: usize = 1024 * 1024;
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
const REFUSED: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";

fn post(bytes: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n")
}

#[test]
fn a_replica_that_answers_at_once_and_reads_on_gets_the_whole_upload() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            let head = conversation.head()?;
            conversation.wire.write(ACCEPTED)?;
            let body = conversation.wire.body(&head, false)?;
            let _ = sender.lock().unwrap().send(body.len());
        }
    });
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let piece = vec![b'x'; 64 * 1024];
    for chunked in [false, true] {
        let mut client = program.client();
        if chunked {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        } else {
            client.send(post(8 * MIB));
        }
        // Nothing of the body is on its way yet, and the reply is here.
        let reply = client.reply();
        assert_eq!(
            (reply.status(), reply.field("connection")),
            (202, Some("close"))
        );
        for _ in 0..8 * MIB / piece.len() {
            if chunked {
                client.send("10000\r\n");
            }
            client.send(&piece);
            if chunked {
                client.send("\r\n");
            }
        }
        if chunked {
            client.send("0\r\n\r\n");
        }
        assert_eq!(
            receiver.recv_timeout(TEST_TIMEOUT),
            Ok(8 * MIB),
            "{chunked}"
        );
        assert_eq!(client.expect_closed(), End::Fin);
    }
    // It has read the whole request, so its connection serves the next one too.
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_client_that_leaves_after_the_reply_ends_the_upload() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        conversation.wire.write(ACCEPTED)?;
        let rest = conversation.wire.rest().map(|rest| rest.len());
        let _ = sender.lock().unwrap().send(rest.unwrap_or_default());
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    for resets in [false, true] {
        let mut client = program.client();
        client.send(post(MIB));
        assert_eq!(client.reply().status(), 202);
        if resets {
            client.reset();
        } else {
            client.half_close();
            assert_eq!(client.expect_closed(), End::Fin);
        }
        assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok(0), "{resets}");
    }
}

#[test]
fn a_replica_that_refuses_and_closes_or_resets_ends_the_upload() {
    for resets in [false, true] {
        let (seen, client_saw) = mpsc::channel::<()>();
        let client_saw = Mutex::new(client_saw);
        let backend = Backend::scripted(move |mut conversation| {
            conversation.head()?;
            conversation.wire.write(REFUSED)?;
            if resets {
                // Only after the reply has gone through: a reset may destroy it.
                let _ = client_saw.lock().unwrap().recv_timeout(TEST_TIMEOUT);
                conversation.reset();
            }
            Ok(())
        });
        // Far longer than the test: no timeout ends the upload.
        let program = Ringmaster::before(backend.addr, &["--body-timeout", "10m"]);
        let mut client = program.client();
        client.send(post(MIB));
        assert_eq!(client.reply().status(), 413);
        let _ = seen.send(());
        assert_eq!(client.expect_closed(), End::Fin, "{resets}");
    }
}

#[test]
fn a_replica_that_refuses_and_reads_nothing_holds_no_client_for_long() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.head()?;
        conversation.wire.write(REFUSED)?;
        // It neither reads nor closes, until the balancer does.
        while conversation.wire.stream.peek(&mut [0]).is_ok_and(|n| n > 0) {
            std::thread::sleep(Duration::from_millis(20));
            if conversation.wire.stream.take_error()?.is_some() {
                break;
            }
        }
        Ok(())
    });
    let limits = ["--write-timeout", "500ms", "--body-timeout", "500ms"];
    let program = Ringmaster::before(backend.addr, &limits);
    // A client that sends more than all buffers hold is stopped by the write timeout.
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client.write(post(1 << 30)).unwrap();
    assert_eq!(client.head().unwrap().status(), 413);
    let mut sender = client.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || while sender.write_all(&[0; 64 * 1024]).is_ok() {});
    // The end of its connection comes while it still sends.
    client.take(2).unwrap();
    let ended = client.rest();
    assert!(ended.as_ref().is_ok_and(Vec::is_empty) || ended.is_err());
    drop(client);
    sending.join().unwrap();
    // A client that stops sending is closed at the body timeout.
    let mut client = program.client();
    client.send(post(MIB));
    assert_eq!(client.reply().status(), 413);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn the_end_of_a_connection_that_ends_a_reply_is_not_held_back_by_the_upload() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        let head = conversation.head()?;
        conversation.wire.write(
            "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        )?;
        let body = conversation.wire.body(&head, false)?;
        let _ = sender.lock().unwrap().send(body.len());
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    // An HTTP/1.0 client cannot see the end of chunks.
    client.send("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n");
    let reply = client.rest();
    assert!(reply.ends_with(b"\r\n\r\nok"), "{reply:?}");
    client.send("hello");
    assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok(5));
}

#[test]
fn a_client_that_waits_for_a_100_is_not_waited_for() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.head()?;
        conversation.wire.write(REFUSED)?;
        // The connection stays open.
        let _ = conversation.wire.rest();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "10m"]);
    let mut client = program.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(client.reply().status(), 413);
    assert_eq!(client.expect_closed(), End::Fin);
    eventually(TEST_TIMEOUT, "the replica's connection is closed", || {
        backend.open() == 0
    });
}
