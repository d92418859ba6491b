//! Memory limit of one client, whatever it does.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use super::{GET, OK};
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, Wire, eventually};

/// The most by which the program may grow for one client: far above the size of its buffers, far
/// below the number of bytes that the client sends.
const MOST_KIB: u64 = 4 * 1024;
pub(super) const MIB: usize = 1024 * 1024;

/// The most memory that the program has held so far, in KiB.
pub(super) fn peak_kib(program: &Ringmaster) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid()));
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
    figure.and_then(|kib| kib.parse().ok()).expect("a figure")
}

/// A program that has served a client of each usual kind, and the most that it has held so far.
fn warm(backend: &Backend, args: &[&str]) -> (Ringmaster, u64) {
    let program = Ringmaster::before(backend.addr, &[&["--workers", "1"], args].concat());
    let mut client = program.client();
    for _ in 0..20 {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    let peak = peak_kib(&program);
    (program, peak)
}

#[track_caller]
fn expect_bounded(program: &Ringmaster, before: u64, what: &str) {
    let growth = peak_kib(program) - before;
    eprintln!("one client that {what}: {growth} KiB more at its peak");
    assert!(growth < MOST_KIB, "{what}: {growth} KiB");
}

/// Writes until all is taken, or nothing more is for this long. How much was.
fn push(stream: &mut TcpStream, piece: &[u8], most: usize, silence: Duration) -> usize {
    stream.set_write_timeout(Some(silence)).expect("a timeout");
    let mut pushed = 0;
    while pushed < most {
        // A write that was cut short is gone on with: chunks stay chunks.
        match stream.write(&piece[pushed % piece.len()..]) {
            Ok(len) => pushed += len,
            Err(_) => break,
        }
    }
    pushed
}

#[test]
fn the_largest_heads_cost_little() {
    let backend = Backend::answering(OK);
    let (program, before) = warm(&backend, &[]);
    let bare = "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: \r\n\r\n".len();
    let fill = "f".repeat(16 * 1024 - bare);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Fill: {fill}\r\n\r\n");
    let mut client = program.client();
    // 16 MiB in all, four times the limit: a program that keeps every fourth head fails.
    for _ in 0..1000 {
        assert_eq!(client.ask(&head).status(), 200);
    }
    client.send(&head[..16 * 1024 - 1]);
    assert_eq!(program.client().ask(GET).status(), 200);
    expect_bounded(&program, before, "sends the largest heads");
}

#[test]
fn an_endless_body_costs_little() {
    let backend = Backend::scripted(|mut conversation| {
        let head = conversation.head()?;
        if head.start_line().starts_with("PUT /reads") {
            while !conversation.wire.take(MIB)?.is_empty() {}
        } else if head.start_line().starts_with("PUT") {
            // Nothing of the body is ever read.
            std::thread::sleep(TEST_TIMEOUT);
        }
        loop {
            conversation.wire.write(OK)?;
            conversation.request()?;
        }
    });
    for args in [&[][..], &["--no-splice"]] {
        let (program, before) = warm(&backend, args);
        let chunk = format!("ffff\r\n{}\r\n", "x".repeat(0xffff));
        for (framing, piece) in [
            ("Transfer-Encoding: chunked", chunk.as_str()),
            ("Content-Length: 99999999999", &chunk[6..]),
        ] {
            for path in ["/reads", "/stuck"] {
                let mut client = TcpStream::connect(program.listen).unwrap();
                let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
                client.write_all(head.as_bytes()).unwrap();
                let mut wanted = 32 * MIB;
                if path == "/stuck" {
                    wanted = usize::MAX;
                }
                // However much the kernel holds, it is less than that.
                let silence = Duration::from_millis(500);
                let pushed = push(
                    &mut client,
                    piece.as_bytes(),
                    wanted.min(256 * MIB),
                    silence,
                );
                assert!(path == "/reads" || pushed < 256 * MIB, "it is never read");
                client.shutdown(Shutdown::Both).unwrap();
            }
        }
        expect_bounded(&program, before, "sends bodies without an end");
    }
}

#[test]
fn ten_thousand_requests_of_one_that_never_reads_cost_little() {
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n{}",
        "x".repeat(8000)
    );
    let reply: &'static str = Box::leak(reply.into_boxed_str());
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            let request = conversation.request()?;
            let large = request.start_line().contains("/large");
            conversation.wire.write(if large { reply } else { OK })?;
        }
    });
    let (program, before) = warm(&backend, &[]);
    let mut client = TcpStream::connect(program.listen).unwrap();
    let mut writer = client.try_clone().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let request = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
        sender.send(writer.write_all(request.as_bytes()).is_ok())
    });
    // Wait until the kernel's buffers are full of replies, and no further request is forwarded.
    let asked = || backend.requests().len();
    let mut before_that = 0;
    eventually(TEST_TIMEOUT, "it stops asking", || {
        let settled = asked() > 20 && asked() == std::mem::replace(&mut before_that, asked());
        std::thread::sleep(Duration::from_millis(200));
        settled
    });
    assert!(asked() < 10_000, "{} replies fit the kernel", asked());
    assert_eq!(program.client().ask(GET).text(), "ok");
    expect_bounded(&program, before, "never reads");
    // It has lost nothing by it.
    let mut wire = Wire::new(client.try_clone().unwrap());
    for _ in 0..10_000 {
        let head = wire.head().unwrap();
        assert_eq!(wire.body(&head, true).unwrap().len(), 8000);
    }
    assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok(true));
    client.flush().unwrap();
}

#[test]
fn a_reply_without_an_end_to_one_that_never_reads_costs_little() {
    let backend = Backend::scripted(|mut conversation| {
        loop {
            let request = conversation.request()?;
            let fields = match request.start_line().split(' ').nth(1) {
                Some("/known") => "Content-Length: 99999999999",
                Some("/chunks") => "Transfer-Encoding: chunked",
                Some("/open") => "X-Open: 1",
                _ => {
                    conversation.wire.write(OK)?;
                    continue;
                }
            };
            conversation
                .wire
                .write(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"))?;
            let chunk = format!("ffff\r\n{}\r\n", "x".repeat(0xffff));
            while conversation.wire.write(&chunk).is_ok() {}
            return Ok(());
        }
    });
    for args in [&[][..], &["--no-splice"]] {
        let (program, before) = warm(&backend, args);
        for path in ["/known", "/chunks", "/open"] {
            let mut client = program.client();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            // As much as is read here is sent on; the rest waits with the backend.
            assert_eq!(client.take(8 * MIB).len(), 8 * MIB);
            assert_eq!(program.client().ask(GET).text(), "ok");
        }
        expect_bounded(&program, before, "is sent more than it reads");
    }
}
