//! Bodies: both directions at once, early answers, half-close, resets, and truncated bodies.

mod ends;
mod through;

use std::io::Write;
use std::net::TcpStream;

use crate::support::{Ringmaster, Wire};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MIB: usize = 1024 * 1024;

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
