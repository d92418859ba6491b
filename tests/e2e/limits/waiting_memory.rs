//! Memory of many clients whose requests wait for a replica, or whose bytes wait for a reader.
//!
//! The limits are for a debug build, whose sessions are larger than those of a release. A session
//! that keeps a buffer of its own exceeds each of them.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Barrier, Mutex, mpsc};

use super::{GET, gated};
use crate::e2e::splice::narrow;
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, Wire, eventually, kilobytes};

/// Clients in each test, each with a connection of its own to the backend.
const CLIENTS: usize = 500;
const MIB: usize = 1024 * 1024;

/// Runs `clients`, waits until `is_settled`, and returns the growth in KiB for each client.
fn growth_per_client<C>(
    program: &Ringmaster,
    mut client: impl FnMut() -> C,
    is_settled: impl Fn() -> bool,
) -> (u64, Vec<C>) {
    // Without the pages of the program itself, which its first requests touch.
    let resident = || kilobytes(program.pid(), "RssAnon");
    assert_eq!(
        program
            .client()
            .ask("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
            .status(),
        200
    );
    let before = resident();
    let clients: Vec<C> = (0..CLIENTS).map(|_| client()).collect();
    eventually(TEST_TIMEOUT, "all clients wait", is_settled);
    let growth = resident().saturating_sub(before) / CLIENTS as u64;
    eprintln!("{growth} KiB for each client");
    (growth, clients)
}

fn program(backend: &Backend, flags: &[&str]) -> Ringmaster {
    let one_worker = ["--workers", "1", "--slow-guard", "off"];
    Ringmaster::before(backend.addr, &[&one_worker[..], flags].concat())
}

#[test]
fn a_request_that_waits_holds_no_buffer() {
    let (backend, gate) = gated();
    let program = program(&backend, &[]);
    let client = || program.client_after(GET);
    let (growth, mut clients) =
        growth_per_client(&program, client, || backend.requests().len() == CLIENTS);
    let (open, condvar) = &*gate;
    *open.lock().unwrap() = true;
    condvar.notify_all();
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    assert!(growth <= 7, "{growth} KiB for each request");
}

#[test]
fn an_upload_to_a_replica_that_reads_nothing_is_not_kept() {
    let (_open, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        // The connection stays open until the test ends.
        let _ = released.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
        Ok(())
    });
    for flags in [&[][..], &["--no-splice"]] {
        let program = program(&backend, flags);
        let client = || {
            let mut client = TcpStream::connect(program.listen).expect("a connection");
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n";
            client.write_all(head.as_bytes()).expect("sending");
            client
                .write_all(&[b'x'; 64 * 1024])
                .expect("the kernel holds these");
            client
        };
        let accepted = backend.connections();
        let all_here = || backend.connections() == accepted + CLIENTS;
        let (growth, _clients) = growth_per_client(&program, client, all_here);
        assert!(growth <= 16, "{growth} KiB for each upload, {flags:?}");
    }
}

#[test]
fn a_client_that_reads_slowly_holds_one_buffer() {
    let backend = Backend::scripted(|mut conversation| {
        let is_chunked = conversation.request()?.start_line().contains("/chunked");
        let framing = match is_chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {MIB}"),
        };
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        conversation.wire.write(head)?;
        let piece = match is_chunked {
            true => [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat(),
            false => vec![b'x'; 4096],
        };
        conversation.wire.write(piece.repeat(MIB / 4096))
    });
    for (path, most) in [("/length", 34), ("/chunked", 34)] {
        for flags in [&[][..], &["--no-splice"]] {
            let program = program(&backend, flags);
            let get = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let client = || -> Wire {
                let mut client = narrow(program.listen);
                client.write(&get).expect("sending");
                let begun = client.stream.peek(&mut [0]);
                begun.expect("the beginning of a reply");
                client
            };
            let (growth, _clients) = growth_per_client(&program, client, || true);
            assert!(growth <= most, "{growth} KiB for each {path}, {flags:?}");
        }
    }
}

/// The bodies of 69 uploads fit the budget of a worker, 4 MiB; that of the next one does not.
#[test]
fn an_upload_beyond_the_budget_for_retries_is_not_repeatable() {
    const LEN: usize = 60_000;
    const FIT: usize = 4 * MIB / (LEN + 100);
    let lost = Arc::new(Barrier::new(FIT + 1));
    let backend = Backend::scripted(move |mut conversation| {
        if conversation.number > FIT {
            // A retry.
            conversation.request()?;
            return conversation.wire.write(super::OK);
        }
        conversation.head()?;
        conversation.wire.take(LEN - 1)?;
        lost.wait();
        Ok(())
    });
    let program = program(&backend, &[]);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nX-Fill: {}\r\nContent-Length: {LEN}\r\n\r\n",
        "f".repeat(40)
    );
    let body = vec![b'x'; LEN - 1];
    let client = |_| {
        let mut client = Wire::new(TcpStream::connect(program.listen).expect("a connection"));
        client.write(&head).expect("sending");
        client.write(&body).expect("sending");
        client
    };
    let mut clients: Vec<Wire> = (0..=FIT).map(client).collect();
    let mut unrepeatable = 0;
    for client in &mut clients {
        // The rest of the body. A client that was refused has a closed connection.
        let _ = client.write(b"x");
        let head = client.head().expect("a reply");
        let reply = client.body(&head, true).expect("a body");
        let reply = String::from_utf8_lossy(&reply);
        unrepeatable += usize::from(reply.contains("closed its connection too early"));
    }
    assert_eq!(unrepeatable, 1, "of {}", clients.len());
}
