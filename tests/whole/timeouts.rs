//! Every limit of the data port at its edge: what is said, to whom, and that all else goes on.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

use crate::support::{Backend, Client, End, PATIENCE, Ringmaster, Wire};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that reads one request, says `reply` and then nothing, until its peer ends.
fn falling_silent(reply: &'static str) -> Backend {
    Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.write(reply)?;
        conversation.wire.rest().map(drop)
    })
}

#[track_caller]
fn expect_error(client: &mut Client, status: u16) {
    let reply = client.reply();
    assert_eq!(reply.status(), status);
    assert!(
        reply.text().starts_with("{\"message\":\"<Error> "),
        "{}",
        reply.text()
    );
}

#[test]
fn a_head_that_is_begun_must_end_in_time_however_steadily_it_drips() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--head-timeout", "150ms"]);
    let mut client = program.client();
    client.send("GET / HT");
    expect_error(&mut client, 408);
    assert_eq!(client.expect_closed(), End::Fin);
    let mut dripping = Wire::new(TcpStream::connect(program.listen).unwrap());
    let mut tap = Wire::new(dripping.stream.try_clone().unwrap());
    tap.write("GET / HTTP/1.1\r\nX: ").unwrap();
    let tap = std::thread::spawn(move || {
        while tap.write("x").is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(dripping.head().unwrap().status(), 408);
    dripping.stream.shutdown(std::net::Shutdown::Both).unwrap();
    tap.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let backend = Backend::answering(OK);
    let limits = ["--idle-timeout", "150ms", "--head-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &limits);
    assert_eq!(program.client().expect_closed(), End::Fin);
    let mut client = program.client();
    assert_eq!(client.ask(GET).status(), 200);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn an_empty_line_behind_a_request_begins_no_other() {
    let backend = Backend::answering(OK);
    let limits = ["--idle-timeout", "150ms", "--head-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &limits);
    // Some clients end a request with one (RFC 9112 §2.2): with it, or after its reply.
    let mut client = program.client();
    assert_eq!(client.ask([GET, "\r\n"].concat()).status(), 200);
    assert_eq!(client.ask(GET).status(), 200);
    client.send("\r\n");
    assert_eq!(client.expect_closed(), End::Fin);
    let mut client = program.client();
    assert_eq!(client.ask([GET, "\r\n"].concat()).status(), 200);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_client_that_owes_its_body_is_told_so() {
    let backend = falling_silent("");
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "150ms"]);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ] {
        let mut client = program.client();
        client.send(request);
        expect_error(&mut client, 408);
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_backend_that_owes_its_reply_is_not_asked_twice() {
    let backend = falling_silent("");
    let args = ["--reply-timeout", "150ms", "--retries", "9"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    client.send(GET);
    expect_error(&mut client, 504);
    assert_eq!(backend.requests().len(), 1);
    // The connection stays, for the client has said all it had to say.
    client.send(GET);
    expect_error(&mut client, 504);
    // One that waits for a 100 is told as well, and owes nothing.
    let mut client = program.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect_error(&mut client, 504);
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_backend_that_owes_the_rest_of_its_reply_ends_the_connection() {
    let limits = ["--body-timeout", "150ms"];
    let backend = falling_silent("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    let program = Ringmaster::before(backend.addr, &limits);
    // It fits the buffer, so nothing of it was seen.
    expect_error(&mut program.client_after(GET), 504);
    for (reply, body, end) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nab",
            "ab",
            End::Fin,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "3\r\nab",
            End::Fin,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nab", "ab", End::Reset),
    ] {
        let backend = falling_silent(reply);
        let program = Ringmaster::before(backend.addr, &limits);
        let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
        client.write(GET).unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.take(body.len()).unwrap(), body.as_bytes());
        let ended = client.take(1).unwrap_err().kind();
        let expected = match end {
            End::Fin => io::ErrorKind::UnexpectedEof,
            End::Reset => io::ErrorKind::ConnectionReset,
        };
        assert_eq!(ended, expected, "{reply}");
    }
}

#[test]
fn the_clock_of_a_reply_stands_still_while_the_client_owes_bytes() {
    let backend = Backend::scripted(|mut conversation| {
        let head = conversation.head()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let body = conversation.wire.body(&head, false)?;
        assert_eq!(body, b"abc");
        conversation.wire.write("2\r\nok\r\n0\r\n\r\n")
    });
    let program = Ringmaster::before(backend.addr, &["--body-timeout", "1500ms"]);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        .unwrap();
    let head = client.head().unwrap();
    for piece in ["b", "c"] {
        // Each within the client's time; both together are more than the backend's.
        std::thread::sleep(Duration::from_millis(900));
        client.write(piece).unwrap();
    }
    assert_eq!(client.body(&head, true).unwrap(), b"ok");
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        while conversation.wire.write([b'x'; 64 * 1024]).is_ok() {}
        tell.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &["--write-timeout", "150ms"]);
    let _client = program.client_after(GET);
    // A write of the backend's own would fail as late as that.
    told.recv_timeout(PATIENCE / 2).unwrap();
}

#[test]
fn a_backend_that_reads_nothing_is_given_up() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.head()?;
        let _ = gone.lock().unwrap().recv_timeout(PATIENCE);
        Ok(())
    });
    let args = ["--write-timeout", "150ms", "--reply-timeout", "150ms"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = Wire::new(TcpStream::connect(program.listen).unwrap());
    client
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        .unwrap();
    let mut writer = Wire::new(client.stream.try_clone().unwrap());
    std::thread::spawn(move || while writer.write([b'x'; 64 * 1024]).is_ok() {});
    assert_eq!(client.head().unwrap().status(), 504);
    drop(go);
}

/// An address at which connecting neither succeeds nor fails: its queue is full (listen(2)).
fn unanswering() -> (SocketAddr, Vec<socket2::Socket>) {
    let socket = || {
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket")
    };
    let listener = socket();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("a socket");
    listener.listen(0).expect("a socket");
    let addr = listener.local_addr().expect("a socket");
    let mut held = vec![listener];
    loop {
        let next = socket();
        if next
            .connect_timeout(&addr, Duration::from_millis(50))
            .is_err()
        {
            break;
        }
        held.push(next);
    }
    (addr.as_socket().expect("a socket"), held)
}

#[test]
fn a_seat_to_which_no_connection_comes_about_is_passed_over() {
    let (silent, _held) = unanswering();
    let backend = Backend::answering(OK);
    let args = [
        "--backend",
        &format!("S1={silent}"),
        "--backend",
        &format!("S2={}", backend.addr),
        "--connect-timeout",
        "100ms",
        "--heartbeat-interval",
        "0s",
    ];
    let program = Ringmaster::start(&args);
    let mut client = program.client();
    for id in 0..8 {
        let request = format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.ask(request).text(), "ok");
    }
    let alone = Ringmaster::before(silent, &["--connect-timeout", "100ms"]);
    expect_error(&mut alone.client_after(GET), 503);
}

#[test]
fn a_head_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--max-head", "1KiB"]);
    let head = |len: usize| {
        let bare = "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: {}\r\n\r\n",
            "f".repeat(len - bare)
        )
    };
    assert_eq!(program.client().ask(head(1024)).status(), 200);
    let mut slow = program.client();
    slow.send_bytewise(head(1024));
    assert_eq!(slow.reply().status(), 200);
    expect_error(&mut program.client_after(head(1025)), 431);
    // Refused before it ends, if it ever does.
    expect_error(&mut program.client_after(&head(2048)[..1100]), 431);
    expect_error(
        &mut program.client_after(format!("GET /{}", "x".repeat(1100))),
        414,
    );
}

#[test]
fn clients_beyond_the_limit_wait_and_are_served() {
    let backend = Backend::answering(OK);
    let args = ["--max-connections", "1", "--workers", "8"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut first = program.client();
    assert_eq!(first.ask(GET).status(), 200);
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let waiting: Vec<Client> = (0..12).map(|_| program.client_after(ask)).collect();
    assert_eq!(first.ask(GET).status(), 200);
    assert_eq!(backend.requests().len(), 2, "one at a time");
    drop(first);
    for mut client in waiting {
        assert_eq!(client.reply().status(), 200);
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

/// Lets the program open this many descriptors.
fn limit_descriptors(program: &Ringmaster, most: Option<u64>) {
    let pid = i32::try_from(program.pid()).ok().and_then(Pid::from_raw);
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most.or(hard),
        maximum: hard,
    };
    rustix::process::prlimit(pid, Resource::Nofile, limit).expect("prlimit");
}

/// The numbers of the descriptors that it has open.
fn open_descriptors(program: &Ringmaster) -> Vec<u64> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("its descriptors");
    let number =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    open.filter_map(number).collect()
}

#[test]
fn a_program_out_of_descriptors_turns_clients_away_and_recovers() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut first = program.client();
    assert_eq!(first.ask(GET).status(), 200);
    // The limit is on numbers, not on how many there are, and the reserve must stay below it.
    let open = open_descriptors(&program);
    let limit = open.iter().max().map_or(0, |highest| highest + 1);
    limit_descriptors(&program, Some(limit));
    let unused = usize::try_from(limit).unwrap() - open.len();
    let mut clients: Vec<Client> = (0..unused + 8).map(|_| program.client_after(GET)).collect();
    let mut turned_away = 0;
    for client in &mut clients {
        // With a descriptor for the client and none for the backend, it is told so.
        match client.try_reply(false) {
            Ok(reply) => assert!(matches!(reply.status(), 200 | 503), "{}", reply.head),
            Err(_) => turned_away += 1,
        }
    }
    assert!(turned_away > 0);
    program.expect_log("cannot accept: ");
    assert_eq!(first.ask(GET).status(), 200);
    limit_descriptors(&program, None);
    drop(clients);
    assert_eq!(program.client().ask(GET).status(), 200);
}

#[test]
fn a_tunnel_in_which_nobody_speaks_is_broken_off() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")?;
        conversation.wire.rest().map(drop)
    });
    let program = Ringmaster::before(backend.addr, &["--tunnel-timeout", "1500ms"]);
    let mut client = program
        .client_after("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.reply().status(), 101);
    // As long as one side speaks, both are heard.
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(900));
        client.send("still here");
    }
    assert_eq!(client.expect_closed(), End::Reset);
}
