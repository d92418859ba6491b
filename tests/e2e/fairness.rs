//! Small requests beside clients that send or receive at full speed.
//!
//! The test does not judge times, which depend on the machine. It judges how many bytes of all
//! large bodies together went through between a small request and its answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{Backend, Conversation, Message, Ringmaster, exclusive_load};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MIB: u64 = 1024 * 1024;
/// Clients at full speed.
const BULK: usize = 20;
/// Limit of the bytes they move together while one small request is answered, in the median: some
/// turns of one client. Sessions that did not yield moved 300 to 400 MiB.
const MOST: u64 = 32 * MIB;
/// The same for bodies whose chunks are one byte each. Without turns it is 3.7 to 6.5 MiB.
const MOST_CHUNKED: u64 = 2 * MIB;

/// Number of bytes moved so far, counted by the receiver.
type Moved = Arc<AtomicU64>;

fn drain(mut stream: &TcpStream, moved: &Moved) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(1..) = stream.read(&mut buffer).inspect(|read| {
        moved.fetch_add(*read as u64, Ordering::Relaxed);
    }) {}
}

fn fill(mut stream: &TcpStream, piece: &[u8]) {
    while stream.write_all(piece).is_ok() {}
}

/// A piece of an endless body.
fn piece(chunked: bool) -> Vec<u8> {
    match chunked {
        true => b"1\r\nx\r\n".repeat(20_000),
        false => vec![b'x'; 256 * 1024],
    }
}

/// A server of endless bodies.
fn serve(conversation: &mut Conversation, head: &Message, moved: &Moved) -> std::io::Result<()> {
    let wire = &mut conversation.wire;
    let path = head.start_line().to_owned();
    let reply = match path.split(' ').nth(1) {
        Some("/down") => "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
        Some("/chunks") => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        Some("/tunnel") => "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        Some("/up") => {
            drain(&wire.stream, moved);
            return Ok(());
        }
        _ => return wire.write(OK),
    };
    wire.write(reply)?;
    fill(&wire.stream, &piece(path.contains("chunks")));
    Ok(())
}

/// Returns the median of the bytes moved for others between a small request and its answer. The
/// others are `BULK` clients that send `request` and then its body, if it has one.
fn moved_beside(request: &'static str) -> u64 {
    let _turn = exclusive_load();
    let moved = Moved::default();
    let received = Arc::clone(&moved);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            let head = conversation.head()?;
            serve(&mut conversation, &head, &received)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut bulk = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..BULK {
        let mut stream = TcpStream::connect(program.listen).expect("a connection");
        stream
            .write_all(request.as_bytes())
            .expect("a request sent");
        bulk.push(stream.try_clone().expect("a second handle"));
        let moved = Arc::clone(&moved);
        threads.push(std::thread::spawn(move || {
            match request.starts_with("POST") {
                true => fill(&stream, &piece(request.contains("chunked"))),
                false => drain(&stream, &moved),
            }
        }));
    }
    let mut client = program.client();
    let mut each = Vec::new();
    while moved.load(Ordering::Relaxed) < MIB {
        std::thread::yield_now();
    }
    for _ in 0..40 {
        let before = moved.load(Ordering::Relaxed);
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(), "ok");
        each.push(moved.load(Ordering::Relaxed) - before);
    }
    for stream in bulk {
        // It may have ended by itself.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    for thread in threads {
        thread.join().expect("a client that ends");
    }
    each.sort_unstable();
    each[each.len() / 2]
}

#[test]
fn small_requests_do_not_wait_for_uploads() {
    let moved =
        moved_beside("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n");
    assert!(moved <= MOST, "{moved} bytes");
}

#[test]
fn small_requests_do_not_wait_for_downloads() {
    let moved = moved_beside("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(moved <= MOST, "{moved} bytes");
}

#[test]
fn small_requests_do_not_wait_for_tunnels() {
    let moved = moved_beside(
        "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    );
    assert!(moved <= MOST, "{moved} bytes");
}

#[test]
fn small_requests_do_not_wait_for_tiny_chunks_of_replies() {
    let moved = moved_beside("GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(moved <= MOST_CHUNKED, "{moved} bytes");
}

#[test]
fn small_requests_do_not_wait_for_tiny_chunks_of_uploads() {
    let moved = moved_beside("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(moved <= MOST_CHUNKED, "{moved} bytes");
}
