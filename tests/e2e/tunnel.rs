//! Upgrades: a tunnel opens after a 101 and only then; bytes, half-close and resets go through it.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

use crate::support::{Backend, Client, Conversation, End, Ringmaster, TEST_TIMEOUT, Wire};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nDate: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: k\r\n\r\n";

/// A backend that switches protocols and then runs `script`.
fn switching<F>(script: F) -> (Backend, Ringmaster)
where
    F: Fn(Conversation) -> std::io::Result<()> + Send + Sync + 'static,
{
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.write(SWITCH)?;
        script(conversation)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    (backend, program)
}

#[track_caller]
fn expect_switch(client: &mut Client) {
    let reply = client.reply();
    assert_eq!(
        reply.head,
        "HTTP/1.1 101 Switching Protocols\r\nDate: x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: k\r\nConnection: upgrade"
    );
}

#[test]
fn bytes_go_both_ways_and_the_early_ones_are_not_lost() {
    let (_backend, program) = switching(|mut conversation| {
        // In one segment with the 101, as far as the kernel joins them.
        conversation.wire.write("hello")?;
        loop {
            let piece = conversation.wire.take(5)?;
            conversation.wire.write(piece)?;
        }
    });
    let mut client = program.client_after(format!("{UPGRADE}\r\nearly"));
    expect_switch(&mut client);
    assert_eq!(client.take(10), b"helloearly");
    for round in 0..100 {
        let text = format!("{round:05}");
        client.send(&text);
        assert_eq!(client.take(5), text.as_bytes());
    }
}

#[test]
fn large_messages_go_through_whole() {
    let (_backend, program) = switching(|mut conversation| {
        let all = conversation.wire.rest()?;
        conversation.wire.write(all)
    });
    let mut client = program.client_after(format!("{UPGRADE}\r\n"));
    expect_switch(&mut client);
    let message: Vec<u8> = (0..3_000_000_u32)
        .map(|n| n.to_be_bytes()[3] ^ n.to_be_bytes()[2])
        .collect();
    client.send(&message);
    // The backend answers with the bytes received once it has seen the half-close.
    client.half_close();
    assert!(client.rest() == message);
}

#[test]
fn a_half_close_of_the_backend_leaves_the_other_half_open() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let (_backend, program) = switching(move |mut conversation| {
        conversation.wire.write("bye")?;
        conversation
            .wire
            .stream
            .shutdown(std::net::Shutdown::Write)?;
        let rest = conversation.wire.rest()?;
        sender.lock().unwrap().send(rest).unwrap();
        Ok(())
    });
    let mut client = program.client_after(format!("{UPGRADE}\r\n"));
    expect_switch(&mut client);
    assert_eq!(client.rest(), b"bye");
    client.send("still here");
    client.half_close();
    assert_eq!(receiver.recv_timeout(TEST_TIMEOUT).unwrap(), b"still here");
}

#[test]
fn a_reset_goes_through_either_way() {
    let (sender, receiver) = mpsc::channel();
    let (sender, word) = (Mutex::new(sender), "bye");
    let (_backend, program) = switching(move |mut conversation| {
        if conversation.wire.take(word.len())? == word.as_bytes() {
            conversation.reset();
            return Ok(());
        }
        let end = conversation.wire.take(1).unwrap_err().kind();
        sender.lock().unwrap().send(end).unwrap();
        Ok(())
    });
    let mut client = program.client_after(format!("{UPGRADE}\r\n"));
    expect_switch(&mut client);
    client.send("bye");
    assert_eq!(client.expect_closed(), End::Reset);
    let mut client = program.client_after(format!("{UPGRADE}\r\nyou"));
    expect_switch(&mut client);
    client.reset();
    let end = receiver.recv_timeout(TEST_TIMEOUT).unwrap();
    assert_eq!(end, std::io::ErrorKind::ConnectionReset);
}

#[test]
fn an_upgrade_that_is_refused_stays_http() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    // Bytes after the request are another request, not the tunnel's first bytes.
    client.send(format!(
        "{UPGRADE}\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(client.reply().text(), "ok");
    let lines: Vec<_> = backend
        .requests()
        .iter()
        .map(|seen| seen.start_line().to_owned())
        .collect();
    assert_eq!(lines, ["GET /chat HTTP/1.1", "GET /next HTTP/1.1"]);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_tunnel_opens_after_the_whole_request() {
    let (_backend, program) = switching(|mut conversation| {
        let piece = conversation.wire.take(3)?;
        conversation.wire.write(piece)
    });
    let mut client = program.client();
    client.send(format!("{UPGRADE}Content-Length: 4\r\n\r\nbodytun"));
    expect_switch(&mut client);
    assert_eq!(client.take(3), b"tun");
}

#[test]
fn a_101_before_the_end_of_a_request_that_breaks_off_is_a_502() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.head()?;
        conversation.wire.write(SWITCH)?;
        conversation.reset();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client
        .write(format!("{UPGRADE}Content-Length: 100000000\r\n\r\n"))
        .unwrap();
    // The backend's end shows when the body is sent to it.
    let mut writer = Wire::new(client.stream.try_clone().unwrap());
    std::thread::spawn(move || while writer.write([b'x'; 4096]).is_ok() {});
    assert_eq!(client.head().unwrap().status(), 502);
}
