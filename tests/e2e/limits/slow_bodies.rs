//! Large bodies that come slowly: the event loop may wake less often for them, but no byte is held
//! back until more arrive. Each piece is sent only once the one before it has arrived, so that a
//! piece held back fails the test.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use super::{GET, OK};
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, Wire};

/// While at least this many bytes are missing, the socket wakes its reader late (SO_RCVLOWAT).
const LOW_MARK: usize = 128 * 1024;

/// Requests a body that comes in `pieces` of these sizes, each sent when the client has the one
/// before.
fn step_by_step(pieces: &[usize], args: &[&str]) {
    let length: usize = pieces.iter().sum();
    let sent = pieces.to_vec();
    let (sender, arrived) = mpsc::channel::<()>();
    let arrived = Mutex::new(arrived);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            conversation.wire.write(head)?;
            for piece in &sent {
                conversation.wire.write(vec![b'x'; *piece])?;
                let receiver = arrived.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
                receiver.map_err(std::io::Error::other)?;
            }
        }
    });
    let program = Ringmaster::before(backend.addr, args);
    let mut client = Wire::new(TcpStream::connect(program.listen).expect("a connection"));
    // The second round uses a kept connection, whose mark must be reset.
    for round in 0..2 {
        client.write(GET).expect("sending");
        assert_eq!(client.head().expect("a head").status(), 200);
        for (at, piece) in pieces.iter().enumerate() {
            let taken = client.take(*piece);
            assert_eq!(
                taken.map(|bytes| bytes.len()).ok(),
                Some(*piece),
                "round {round}, piece {at}"
            );
            sender.send(()).expect("a listener");
        }
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn no_piece_of_a_slow_body_waits_for_the_next() {
    for args in [&[][..], &["--no-splice"]] {
        step_by_step(&[1, 1, 1000, 2_000_000, 1, 300_000, 1, 1], args);
        // The last pieces go below the mark, or meet it.
        step_by_step(&[LOW_MARK], args);
        step_by_step(&[LOW_MARK - 1, 1], args);
        step_by_step(&[1, LOW_MARK], args);
        step_by_step(&[LOW_MARK, LOW_MARK - 1, 1, LOW_MARK, 1], args);
    }
}

#[test]
fn a_rest_that_is_too_short_for_a_pipe_does_not_wait_for_the_mark() {
    // So much is above the mark when the head has been read, and a piece takes it all but the last.
    for first in (150_000..400_000).step_by(10_000) {
        step_by_step(&[first, 1_000], &[]);
    }
}

#[test]
fn the_reply_after_a_large_one_on_the_same_connection_may_be_short_and_slow() {
    let (sender, arrived) = mpsc::channel::<()>();
    let arrived = Mutex::new(arrived);
    let backend = Backend::scripted(move |mut conversation| {
        let large = 4 * LOW_MARK;
        loop {
            conversation.request()?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {large}\r\n\r\n");
            conversation.wire.write(head)?;
            conversation.wire.write(vec![b'x'; large])?;
            conversation.request()?;
            conversation
                .wire
                .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for chunk in ["1\r\na\r\n", "2\r\nbc\r\n", "0\r\n\r\n"] {
                let receiver = arrived.lock().unwrap().recv_timeout(TEST_TIMEOUT);
                receiver.map_err(std::io::Error::other)?;
                conversation.wire.write(chunk)?;
            }
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    for _ in 0..2 {
        client.write(GET).unwrap();
        let head = client.head().unwrap();
        assert_eq!(client.body(&head, true).unwrap().len(), 4 * LOW_MARK);
        client.write(GET).unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
        for chunk in ["1\r\na\r\n", "2\r\nbc\r\n", "0\r\n\r\n"] {
            sender.send(()).unwrap();
            assert_eq!(client.take(chunk.len()).unwrap(), chunk.as_bytes());
        }
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_large_body_that_stops_for_good_is_cut_off_in_time() {
    for (ends, args) in [
        (false, ["--body-timeout", "150ms"]),
        (false, ["--body-timeout", "5ms"]),
        (true, ["--body-timeout", "1h"]),
    ] {
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            conversation.wire.write(head)?;
            conversation.wire.write([b'x'; 50_000])?;
            if ends {
                return Ok(());
            }
            conversation.wire.rest().map(drop)
        });
        let program = Ringmaster::before(backend.addr, &args);
        let mut client = program.client_after(GET);
        let rest = client.rest();
        let body = rest.iter().rev().take_while(|byte| **byte == b'x').count();
        assert_eq!(body, 50_000, "{args:?}");
    }
}

/// Reads a little, again and again, for longer than twice this.
fn read_slowly(wire: &mut Wire, limit: Duration) -> usize {
    let (begun, mut taken) = (Instant::now(), 0);
    while begun.elapsed() < limit * 5 / 2 {
        taken += wire.take(32 * 1024).expect("more bytes").len();
        std::thread::sleep(limit / 20);
    }
    taken
}

#[test]
fn a_reader_that_is_slow_and_steady_is_not_given_up() {
    const LENGTH: usize = 32 * 1024 * 1024;
    const LIMIT: Duration = Duration::from_secs(2);
    let args = [&["--write-timeout", "2s"][..], &["--no-splice"]].concat();
    let both = [&args[..2], &args[..]].map(|args| {
        let backend = Backend::scripted(|mut conversation| {
            let head = conversation.head()?;
            if head.start_line().starts_with("PUT") {
                let taken = read_slowly(&mut conversation.wire, LIMIT);
                conversation.wire.take(LENGTH - taken)?;
                return conversation.wire.write(OK);
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            conversation.wire.write(head)?;
            conversation.wire.write(vec![b'x'; LENGTH])
        });
        let program = Ringmaster::before(backend.addr, args);
        (backend, program)
    });
    std::thread::scope(|scope| {
        for (_, program) in &both {
            // The client is the slow one, or the backend is.
            scope.spawn(|| {
                let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
                client.write(GET).unwrap();
                assert_eq!(client.head().unwrap().status(), 200);
                let taken = read_slowly(&mut client, LIMIT);
                let rest = client.take(LENGTH - taken).unwrap();
                assert_eq!(taken + rest.len(), LENGTH);
            });
            scope.spawn(|| {
                let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
                let head = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
                client.write(head).unwrap();
                client.write(vec![b'x'; LENGTH]).unwrap();
                assert_eq!(client.head().unwrap().status(), 200);
            });
        }
    });
}

#[test]
fn the_head_of_a_reply_must_end_in_time_however_steadily_it_drips() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation.wire.write("HTTP/1.1 200 OK\r\nX-Fill: ")?;
        while conversation.wire.write("x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--reply-timeout", "150ms"]);
    assert_eq!(program.client().ask(GET).status(), 504);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn a_body_may_drip_as_long_as_it_likes_if_no_pause_is_too_long() {
    // Both ways; each pause is far within the limit, all of them together are beyond it.
    let backend = Backend::scripted(|mut conversation| {
        let head = conversation.head()?;
        assert_eq!(conversation.wire.body(&head, false)?, b"0123456789");
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")?;
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(300));
            conversation.wire.write([b'x'; 5000])?;
        }
        conversation.request()?;
        conversation.wire.write(OK)
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "2500ms"]);
    let mut client = program.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for digit in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        client.send(digit.to_string());
    }
    assert_eq!(client.reply().body.len(), 50_000);
    assert_eq!(client.ask(GET).text(), "ok");
}
