//! Bodies that are forwarded whole, whatever their size, framing and pace.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::{MIB, OK, chunked, connect, trickle};
use crate::support::{Backend, Ringmaster, Wire, assert_same, pattern};

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
    assert_same(&client.body(&head, true).unwrap(), &body, "the reply");
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
        assert_same(&client.body(&head, true).unwrap(), &reply_body, "the reply");
        writer.join().unwrap().unwrap();
        assert_same(&backend.requests().pop().unwrap().body, &body, "the upload");
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
    assert_same(&client.body(&head, true).unwrap(), &body, "the reply");
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
