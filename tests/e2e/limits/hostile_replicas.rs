//! Replicas that answer with bytes against which a proxy must defend itself: they get no more
//! memory than others, their clients get an error in time, and the other replica serves on.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::OK;
use super::memory::{MIB, peak_kib};
use crate::e2e::ring::{by_formula, with_id};
use crate::support::{Backend, Conversation, Ringmaster, TEST_TIMEOUT, eventually};

/// The most by which all clients of a hostile replica together may let the program grow. Each flood
/// is 16 times as long.
const MOST_KIB: u64 = 4 * 1024;
/// Clients that a hostile replica has at once.
const CLIENTS: usize = 8;
/// Time between two bytes of a slow reply.
const PACE: Duration = Duration::from_millis(200);
/// Bytes of a hostile reply, far above all limits.
const FLOOD: usize = 64 * MIB;

type Script = fn(Conversation) -> io::Result<()>;

/// Writes `piece` until the flood is over or the program closes.
fn flood(conversation: &mut Conversation, begin: &str, piece: &str) -> io::Result<()> {
    conversation.wire.write(begin)?;
    let pieces = piece.repeat((64 * 1024 / piece.len()).max(1));
    for _ in 0..FLOOD / pieces.len() {
        conversation.wire.write(&pieces)?;
    }
    Ok(())
}

fn head_without_end(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    flood(&mut conversation, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n")
}

fn field_without_end(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    flood(&mut conversation, "HTTP/1.1 200 OK\r\nX-A: ", "b")
}

fn no_http(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    flood(&mut conversation, "220 mail ready\r\n", "250 ok\r\n")
}

fn reset(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    conversation.reset();
    Ok(())
}

fn byte_by_byte(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    conversation.wire.stream.set_read_timeout(Some(PACE))?;
    for byte in "HTTP/1.1 200 OK\r\nX-Slow: abcdefghijklmnopqrstuvwxyz".chars() {
        conversation.wire.write(byte.to_string())?;
        // Until the program closes, which it does at its timeout.
        match conversation.wire.stream.peek(&mut [0]) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    Ok(())
}

fn chunk_size_without_end(mut conversation: Conversation) -> io::Result<()> {
    conversation.head()?;
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    flood(&mut conversation, head, "0")
}

fn reply_before_the_request(mut conversation: Conversation) -> io::Result<()> {
    flood(
        &mut conversation,
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "y",
    )
}

/// Returns the first bytes that a client gets whose request is sent once only, or an empty text if
/// its connection is closed.
fn begin_of_reply(program: &Ringmaster, id: u64) -> String {
    let mut client = TcpStream::connect(program.listen).expect("a connection");
    client
        .set_read_timeout(Some(TEST_TIMEOUT))
        .expect("a timeout");
    let request = with_id(id).replacen("GET", "POST", 1);
    client.write_all(request.as_bytes()).expect("sent");
    let mut begin = [0; 12];
    match client.read_exact(&mut begin) {
        Ok(()) => String::from_utf8_lossy(&begin).into_owned(),
        Err(err) if err.kind() == io::ErrorKind::WouldBlock => panic!("no answer in time"),
        Err(_) => String::new(),
    }
}

#[test]
fn hostile_replies_cost_little_and_other_replicas_serve_on() {
    let table: [(&str, Script, &[&str]); 7] = [
        ("a head without end", head_without_end, &["HTTP/1.1 502"]),
        ("a field without end", field_without_end, &["HTTP/1.1 502"]),
        ("no HTTP", no_http, &["HTTP/1.1 502"]),
        ("a reset", reset, &["HTTP/1.1 502"]),
        ("a byte now and then", byte_by_byte, &["HTTP/1.1 504"]),
        // Its head may have been passed on before the size is too long.
        (
            "a size without end",
            chunk_size_without_end,
            &["HTTP/1.1 200", "HTTP/1.1 502"],
        ),
        (
            "a reply before the request",
            reply_before_the_request,
            &["HTTP/1.1 200"],
        ),
    ];
    for (what, script, expected) in table {
        let (hostile, honest) = (Backend::scripted(script), Backend::answering(OK));
        let backends = [("bad", hostile.addr), ("good", honest.addr)];
        let [bad, good] = backends.map(|(name, addr)| format!("--backend={name}={addr}"));
        let args = [
            &bad,
            &good,
            "--ring=classic",
            "--heartbeat-interval=0s",
            "--reply-timeout=1s",
        ];
        let program = &Ringmaster::start(&args);
        let home = |seat| (100_000..).filter(move |id| by_formula(2, *id) == seat);
        let mut others = program.client();
        for id in home(2).take(20) {
            assert_eq!(others.ask(with_id(id)).status(), 200);
        }
        let before = peak_kib(program);
        std::thread::scope(|scope| {
            let ids = home(1).take(CLIENTS);
            let clients = ids.map(|id| scope.spawn(move || begin_of_reply(program, id)));
            let clients: Vec<_> = clients.collect();
            for id in home(2).take(200) {
                assert_eq!(others.ask(with_id(id)).status(), 200, "{what}");
            }
            for client in clients {
                let begin = client.join().expect("a client");
                assert!(expected.contains(&begin.as_str()), "{what}: {begin}");
            }
        });
        let growth = peak_kib(program) - before;
        eprintln!("{CLIENTS} clients of {what}: {growth} KiB more at the peak");
        assert!(growth < MOST_KIB, "{what}: {growth} KiB");
        eventually(TEST_TIMEOUT, "no connection to the hostile replica", || {
            hostile.open() == 0
        });
    }
}

#[test]
fn a_heartbeat_that_is_answered_with_gigabytes_costs_little() {
    let armed = Arc::new(AtomicBool::new(false));
    let floods = Arc::clone(&armed);
    let hostile = Backend::scripted(move |mut conversation| {
        while !floods.load(Ordering::Acquire) {
            conversation.request()?;
            conversation.wire.write(OK)?;
        }
        conversation.head()?;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n";
        flood(&mut conversation, head, "x")
    });
    let honest = Backend::answering(OK);
    let backends = [("bad", hostile.addr), ("good", honest.addr)];
    let [bad, good] = backends.map(|(name, addr)| format!("--backend={name}={addr}"));
    let program = Ringmaster::start(&[&bad, &good, "--ring=classic", "--heartbeat-interval=50ms"]);
    let before = peak_kib(&program);
    armed.store(true, Ordering::Release);
    let had = hostile.connections();
    eventually(TEST_TIMEOUT, "20 heartbeats", || {
        hostile.connections() > had + 20
    });
    let mut homes = (100_000..).filter(|id| by_formula(2, *id) == 2);
    let id = homes.next().expect("an ID of the other");
    assert_eq!(program.client().ask(with_id(id)).status(), 200);
    let growth = peak_kib(&program) - before;
    assert!(growth < MOST_KIB, "{growth} KiB");
}
