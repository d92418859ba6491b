//! A WebSocket (RFC 6455): the handshake's proof passes unchanged, and frames of every length
//! format go both ways, masked from the client as the RFC demands.

use std::io;

use crate::support::{Backend, Ringmaster, Wire};

/// The key of RFC 6455 §1.3, and the answer of a server that has understood it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Returns an unfragmented message (§5.2).
fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    if let Ok(short @ 0..=125) = u8::try_from(payload.len()) {
        bytes.push(masked | short);
    } else if let Ok(medium) = u16::try_from(payload.len()) {
        bytes.push(masked | 126);
        bytes.extend(medium.to_be_bytes());
    } else {
        bytes.push(masked | 127);
        bytes.extend((payload.len() as u64).to_be_bytes());
    }
    bytes.extend(
        mask.unwrap_or_default()
            .iter()
            .take(4 * usize::from(mask.is_some())),
    );
    let mask = mask.unwrap_or_default();
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// The next message, and whether it was masked.
fn receive(wire: &mut Wire) -> io::Result<(u8, Vec<u8>, bool)> {
    let start = wire.take(2)?;
    let masked = start[1] & 0x80 != 0;
    let len = match start[1] & 0x7f {
        126 => usize::from(u16::from_be_bytes(wire.take(2)?.try_into().expect("two"))),
        127 => usize::try_from(u64::from_be_bytes(wire.take(8)?.try_into().expect("eight")))
            .expect("a length"),
        short => usize::from(short),
    };
    let mask = if masked { wire.take(4)? } else { vec![0; 4] };
    let payload = wire.take(len)?;
    let payload = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    Ok((start[0] & 0x0f, payload.collect(), masked))
}

/// A server that echoes messages, answers pings, and returns a close.
fn echo() -> Backend {
    Backend::scripted(|mut conversation| {
        let request = conversation.request()?;
        // An intermediary that changed these fields would break the proof.
        assert_eq!(request.field("sec-websocket-key"), Some(KEY));
        assert_eq!(request.field("sec-websocket-version"), Some("13"));
        assert_eq!(request.field("upgrade"), Some("websocket"));
        let wire = &mut conversation.wire;
        wire.write(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        ))?;
        loop {
            let (opcode, payload, masked) = receive(wire)?;
            assert!(masked, "§5.1: a client masks");
            let opcode = if opcode == PING { PONG } else { opcode };
            wire.write(frame(opcode, &payload, None))?;
            if opcode == CLOSE {
                return Ok(());
            }
        }
    })
}

#[test]
fn messages_of_every_length_are_echoed() {
    let backend = echo();
    // Upgrades are routed by request; the first head of a connection may be one as well.
    for args in [&[][..], &["--balance", "connection"], &["--no-splice"]] {
        let program = Ringmaster::before(backend.addr, args);
        let mut client = Wire::new(std::net::TcpStream::connect(program.listen).unwrap());
        client
            .write(format!(
                "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Version: 13\r\nOrigin: http://a\r\n\r\n"
            ))
            .unwrap();
        let reply = client.head().unwrap();
        assert_eq!(
            (reply.status(), reply.field("sec-websocket-accept")),
            (101, Some(ACCEPT))
        );
        assert_eq!(reply.field("sec-websocket-protocol"), Some("chat"));
        assert!(
            reply
                .field("connection")
                .unwrap()
                .eq_ignore_ascii_case("upgrade")
        );
        for (at, len) in [0, 1, 125, 126, 65_535, 65_536, 1_000_000]
            .into_iter()
            .enumerate()
        {
            let payload = "wörter ".repeat(len / 7 + 1).into_bytes()[..len].to_vec();
            let opcode = if at % 2 == 0 { TEXT } else { BINARY };
            let mask = [at.to_le_bytes()[0], 0x5a, 0, 0xff];
            client.write(frame(opcode, &payload, Some(mask))).unwrap();
            let (echoed, back, masked) = receive(&mut client).unwrap();
            assert!(
                (echoed, masked) == (opcode, false) && back == payload,
                "{len}"
            );
        }
        client
            .write(frame(PING, b"are you there", Some([1, 2, 3, 4])))
            .unwrap();
        assert_eq!(
            receive(&mut client).unwrap(),
            (PONG, b"are you there".to_vec(), false)
        );
        client.write(frame(CLOSE, &[3, 232], Some([9; 4]))).unwrap();
        assert_eq!(receive(&mut client).unwrap(), (CLOSE, vec![3, 232], false));
        assert_eq!(client.rest().unwrap(), b"");
    }
}
