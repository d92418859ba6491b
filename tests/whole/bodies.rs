//! Bodies: both directions at once, early answers, half-close, resets, and what is cut off.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, End, PATIENCE, Ringmaster, Wire};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MIB: usize = 1024 * 1024;

/// Bytes in which a lost, doubled or moved piece shows.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Compares without printing megabytes.
#[track_caller]
fn same(left: &[u8], right: &[u8]) {
    assert_eq!(left.len(), right.len());
    assert_eq!(left.iter().zip(right).position(|(a, b)| a != b), None);
}

/// `body` as chunks of odd sizes.
fn chunked(body: &[u8], seed: usize) -> Vec<u8> {
    let sizes = [1, 2, 3, 17, 1000, 4095, 16 * 1024 + 1, 70_001];
    let (mut out, mut rest, mut at) = (Vec::new(), body, seed);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(sizes[at % sizes.len()].min(rest.len()));
        let extension = if at.is_multiple_of(3) { ";a=b" } else { "" };
        write!(out, "{:x}{extension}\r\n", chunk.len()).expect("room");
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = after;
        at += 1;
    }
    out.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
    out
}

/// Writes `bytes` in pieces that fit nothing, on a thread of its own.
fn trickle(stream: &TcpStream, bytes: Vec<u8>) -> std::thread::JoinHandle<std::io::Result<()>> {
    let mut stream = stream.try_clone().expect("a second handle");
    std::thread::spawn(move || {
        let mut rest = &bytes[..];
        for size in [1, 2, 13, 1447, 9973, 65_537, 3].into_iter().cycle() {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            stream.write_all(piece)?;
            rest = after;
            if rest.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    })
}

fn connect(program: &Ringmaster) -> Wire {
    Wire::new(TcpStream::connect(program.listen).expect("a connection"))
}

#[test]
fn large_bodies_of_known_length_go_both_ways_at_once() {
    let backend = Backend::scripted(|mut conversation| {
        let head = conversation.head()?;
        let length: usize = head.field("content-length").unwrap().parse().unwrap();
        let wire = &mut conversation.wire;
        wire.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        let mut left = length;
        while left > 0 {
            let piece = wire.take(left.min(50_000))?;
            left -= piece.len();
            wire.write(piece)?;
        }
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let body = pattern(8 * MIB);
    let mut client = connect(&program);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write(head).unwrap();
    let writer = trickle(&client.stream, body.clone());
    let head = client.head().unwrap();
    // The reply began before the request was through: the connection ends with it.
    assert_eq!(
        (head.status(), head.field("connection")),
        (200, Some("close"))
    );
    same(&client.body(&head, true).unwrap(), &body);
    writer.join().unwrap().unwrap();
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn chunks_of_any_size_go_both_ways() {
    let reply_body = pattern(2 * MIB + 5);
    let laid_out = chunked(&reply_body, 0);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            conversation
                .wire
                .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let writer = trickle(&conversation.wire.stream, laid_out.clone());
            writer.join().unwrap()?;
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let body = pattern(MIB + 3);
    let mut client = connect(&program);
    for seed in 0..2 {
        let mut request =
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        request.extend(chunked(&body, seed));
        let writer = trickle(&client.stream, request);
        let head = client.head().unwrap();
        assert_eq!(head.status(), 200);
        same(&client.body(&head, true).unwrap(), &reply_body);
        writer.join().unwrap().unwrap();
        same(&backend.requests().pop().unwrap().body, &body);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let body = pattern(4 * MIB);
    let sent = body.clone();
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
        conversation.wire.write(head)?;
        conversation.wire.write(&sent)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&program.listen.into()).unwrap();
    let mut client = Wire::new(socket.into());
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let head = client.head().unwrap();
    same(&client.body(&head, true).unwrap(), &body);
}

#[test]
fn an_expectation_is_met_by_the_backend_or_given_up_by_the_client() {
    let backend = Backend::scripted(|mut conversation| {
        loop {
            let head = conversation.head()?;
            if head.start_line().contains("/asks") {
                conversation.wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = conversation.wire.body(&head, false)?;
            assert_eq!(body, b"body");
            conversation.wire.write(OK)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    for round in 0..2 {
        client.send(
            "POST /asks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        assert_eq!(client.reply().status(), 100, "{round}");
        client.send("body");
        assert_eq!(client.reply().status(), 200, "{round}");
        client.send("POST /does-not HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        client.send("body");
        assert_eq!(client.reply().status(), 200, "{round}");
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_answer_that_comes_before_the_body_arrives_and_ends_the_connection() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.head()?;
        conversation
            .wire
            .write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")?;
        // The rest of the request is of no interest.
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    for expects in ["", "Expect: 100-continue\r\n"] {
        let mut client = program.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{expects}Content-Length: 1000000\r\n\r\n"
        ));
        if expects.is_empty() {
            client.send(pattern(30_000));
        }
        let reply = client.reply();
        assert_eq!((reply.status(), reply.text().as_str()), (413, "no"));
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let _ = gone.lock().unwrap().recv_timeout(PATIENCE);
        conversation.wire.write(OK)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client.half_close();
    go.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_client_that_ends_or_resets_amid_its_body_ends_the_request() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::scripted(move |mut conversation| {
        if conversation.head()?.start_line().contains("/next") {
            return conversation.wire.write(OK);
        }
        tell.lock().unwrap().send("begun").unwrap();
        let ended = conversation.wire.take(10);
        assert!(ended.is_err());
        tell.lock().unwrap().send("ended").unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    for resets in [false, true] {
        let mut client = program.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
        if resets {
            client.reset();
        } else {
            client.half_close();
            assert_eq!(client.reply().status(), 400);
            assert_eq!(client.expect_closed(), End::Fin);
        }
        assert_eq!(told.recv_timeout(PATIENCE), Ok("ended"));
    }
    let next = program
        .client()
        .ask("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(next.status(), 200);
}

#[test]
fn a_client_that_resets_amid_the_reply_lets_go_of_the_backend() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        let piece = pattern(64 * 1024);
        while conversation.wire.write(&piece).is_ok() {}
        tell.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.take(100_000);
    client.reset();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(()));
}

#[test]
fn a_reply_that_is_cut_off_is_never_made_whole() {
    let (long, part) = ("Content-Length: 100000\r\n\r\n", "x".repeat(60_000));
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\nEA60\r\n{part}\r\n");
    let open = format!("\r\n{part}");
    // What the backend sends after the status line, whether it resets, and how the client's connection ends.
    let cases = [
        (format!("{long}{part}"), false, End::Fin),
        (chunks, false, End::Fin),
        (open.clone(), true, End::Reset),
        // Here the end of the connection is the end of the body.
        (open, false, End::Fin),
    ];
    for (reply, resets, end) in cases {
        let (seen, client_saw) = mpsc::channel();
        let client_saw = Mutex::new(client_saw);
        let reply = format!("HTTP/1.1 200 OK\r\nDate: x\r\n{reply}");
        let sent = reply.clone();
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            conversation.wire.write(&sent)?;
            let _ = client_saw.lock().unwrap().recv_timeout(PATIENCE);
            if resets {
                conversation.reset();
            }
            Ok(())
        });
        let program = Ringmaster::before(backend.addr, &[]);
        let mut client = program.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (head, body) = reply.split_at(reply.find("\r\n\r\n").unwrap() + 2);
        let expected = format!("{head}Connection: close\r\n{body}");
        assert_eq!(
            String::from_utf8(client.take(expected.len())).unwrap(),
            expected
        );
        seen.send(()).unwrap();
        assert_eq!(client.expect_closed(), end, "{head}");
        // Nothing of it was asked for twice.
        assert_eq!(backend.requests().len(), 1);
    }
}

#[test]
fn a_hundred_requests_in_one_write_are_answered_in_order() {
    let backend = Backend::scripted(|mut conversation| {
        loop {
            let request = conversation.request()?;
            let path = request.start_line().split(' ').nth(1).unwrap().to_owned();
            let text = format!("{path}{}", request.text());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            conversation.wire.write(head + &text)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    let mut all = String::new();
    for number in 0..100 {
        all += &match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n---"),
            _ => format!(
                "PUT /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n---\r\n0\r\n\r\n"
            ),
        };
    }
    client.send(all);
    for number in 0..100 {
        let body = if number % 3 == 0 { "" } else { "---" };
        assert_eq!(client.reply().text(), format!("/{number}{body}"));
    }
}

#[test]
fn a_request_that_fills_the_buffer_to_its_last_byte_leaves_an_idle_connection() {
    let backend = Backend::answering(OK);
    let limits = ["--head-timeout", "50ms", "--max-head", "16KiB"];
    let program = Ringmaster::before(backend.addr, &limits);
    let stream = TcpStream::connect(program.listen).unwrap();
    let mut client = Wire::new(stream);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18300\r\nX-Fill: ";
    let fill = 18 * 1024 - 18_300 - head.len() - 4;
    let request = format!("{head}{}\r\n\r\n{}", "f".repeat(fill), "b".repeat(18_300));
    client.write(request).unwrap();
    let reply = client.head().unwrap();
    assert_eq!(client.body(&reply, true).unwrap(), b"ok");
    // Not one byte of a head has come: its clock must not run.
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let err = client.take(1).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::WouldBlock);
    client.stream.shutdown(Shutdown::Both).unwrap();
}
