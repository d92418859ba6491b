//! Volume: far more bytes each way than any buffer holds, equal by hash, in memory that does not
//! grow.
//!
//! `RINGMASTER_SOAK_GIB=4` moves that many GiB each way instead of a quarter of one: `make soak`.
//! The bytes are made on one side and hashed on the other as they come, so that the test holds none
//! of them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3Default;

use crate::support::{Backend, Ringmaster, Wire, cpu_time, exclusive_load, kilobytes};

/// Written at a time; no divisor of anything.
const PIECE: usize = 130_001;
/// More memory than this at any time means that bytes have piled up.
const MOST_KILOBYTES: u64 = 48 * 1024;
/// Silence of this length on a test's own socket is a failure.
const SILENCE: Duration = Duration::from_secs(60);

fn bytes_each_way() -> u64 {
    let gib = std::env::var("RINGMASTER_SOAK_GIB").ok();
    match gib.map(|gib| gib.parse::<u64>().expect("RINGMASTER_SOAK_GIB is a number")) {
        Some(gib) => gib << 30,
        None => 256 << 20,
    }
}

/// Writes `len` bytes in which no piece is like another, and returns their hash.
fn send(to: &mut impl Write, len: u64, seed: u64) -> io::Result<u64> {
    let (mut state, mut hash, mut left) = (seed, Xxh3Default::new(), len);
    let mut piece = vec![0; PIECE];
    for word in piece.chunks_mut(8) {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
    }
    while left > 0 {
        // The number of bytes left makes each piece different.
        piece[..8].copy_from_slice(&left.to_le_bytes());
        let now = &piece[..usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        hash.update(now);
        to.write_all(now)?;
        left -= now.len() as u64;
    }
    Ok(hash.digest())
}

/// Reads `len` bytes and returns their hash.
fn receive(from: &mut impl Read, len: u64) -> io::Result<u64> {
    let (mut hash, mut left) = (Xxh3Default::new(), len);
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        match from.read(&mut piece[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                hash.update(&piece[..n]);
                left -= n as u64;
            }
        }
    }
    Ok(hash.digest())
}

/// Moves both directions at once; returns the hashes of the bytes sent and received.
fn both_ways(stream: &TcpStream, len: u64, seed: u64) -> io::Result<(u64, u64)> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let (mut reader, mut writer) = (stream.try_clone()?, stream.try_clone()?);
    let sending = std::thread::spawn(move || send(&mut writer, len, seed));
    let received = receive(&mut reader, len)?;
    Ok((sending.join().expect("a sender")?, received))
}

/// A backend that moves as much both ways, and then sends the two hashes.
fn backend(opens: fn(&mut Wire) -> io::Result<()>) -> Backend {
    let len = bytes_each_way();
    Backend::scripted(move |mut conversation| {
        opens(&mut conversation.wire)?;
        let (sent, received) = both_ways(&conversation.wire.stream, len, 11)?;
        conversation.wire.write(sent.to_le_bytes())?;
        conversation.wire.write(received.to_le_bytes())
    })
}

/// Moves the bytes over a client's connection and compares.
#[track_caller]
fn expect_equal(program: &Ringmaster, mut client: TcpStream, what: &str) {
    let (len, begun) = (bytes_each_way(), Instant::now());
    let (sent, received) = both_ways(&client, len, 12).expect("all bytes");
    let took = begun.elapsed();
    let mut hashes = [0; 16];
    client.read_exact(&mut hashes).expect("the hashes");
    let (theirs, ours) = hashes.split_at(8);
    assert_eq!(theirs, received.to_le_bytes(), "from the backend");
    assert_eq!(ours, sent.to_le_bytes(), "to the backend");
    client.shutdown(Shutdown::Both).expect("an end");
    let most = kilobytes(program.pid(), "VmHWM");
    let cpu = cpu_time(program.pid());
    // Not by a macro: what those print is kept back when a test passes.
    let line = format!(
        "{what}: {} MiB each way in {took:.1?}, {cpu:.1?} of the balancer's CPU, which had at most {most} kB\n",
        len >> 20
    );
    io::stderr().write_all(line.as_bytes()).expect("stderr");
    assert!(most < MOST_KILOBYTES, "{most} kB");
}

#[test]
fn a_connection_of_any_protocol_is_equal_byte_for_byte() {
    let _turn = exclusive_load();
    let backend = backend(|_| Ok(()));
    let program = Ringmaster::before(backend.addr, &["--balance", "source"]);
    let client = TcpStream::connect(program.listen).unwrap();
    expect_equal(&program, client, "source");
}

#[test]
fn a_body_each_way_is_equal_byte_for_byte() {
    let _turn = exclusive_load();
    let backend = backend(|wire| {
        read_head(&mut wire.stream)?;
        // Of the body, sixteen bytes are the hashes.
        let length = bytes_each_way() + 16;
        wire.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = TcpStream::connect(program.listen).unwrap();
    let length = bytes_each_way();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 200 "));
    expect_equal(&program, client, "bodies");
}

/// Byte by byte, so that nothing of the body is read with the head.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}
