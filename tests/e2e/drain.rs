//! The stop: requests under way are answered, waiting connections are accepted and served, exit
//! code 0.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

use crate::support::{
    Backend, Client, End, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[track_caller]
fn expect_last(client: &mut Client) {
    let reply = client.reply();
    assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"));
    assert_eq!(reply.field("connection"), Some("close"));
    assert_eq!(client.expect_closed(), End::Fin);
}

fn start_drain(program: &Ringmaster) {
    program.signal(Signal::TERM);
    // The workers close their listeners only after they have received the stop.
    eventually(TEST_TIMEOUT, "no new connection is taken", || {
        TcpStream::connect(program.listen).is_err()
    });
}

/// A backend that reports each request, and answers it when it is allowed to.
fn holding() -> (Backend, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (sender, receiver) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let (sender, gone) = (Mutex::new(sender), Mutex::new(gone));
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            sender.lock().expect("a lock").send(()).expect("a listener");
            let _ = gone.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
            conversation.wire.write(OK)?;
        }
    });
    (backend, receiver, go)
}

#[test]
fn a_stop_is_seen_at_readyz_at_once_and_the_data_port_goes_on_for_the_lame_duck() {
    let backend = Backend::answering(OK);
    let mut program = Ringmaster::before(backend.addr, &["--lame-duck", "60s"]);
    eventually(TEST_TIMEOUT, "readiness", || program.readyz().0 == 200);
    program.signal(Signal::TERM);
    program.expect_log("stopping: /readyz is 503; the data port closes in 60s");
    let (status, text) = program.readyz();
    assert_eq!(status, 503);
    assert!(text.contains("ringmaster is stopping"), "{text}");
    let refused = program.command("drain a");
    assert_eq!(refused, "ERR ringmaster is stopping\n\n");
    assert_eq!(exchange(program.listen, GET).text(), "ok", "a new client");
    program.signal_again(Signal::TERM);
    assert_eq!(program.wait().code(), Some(1));
}

#[test]
fn the_data_port_closes_after_the_lame_duck() {
    let backend = Backend::answering(OK);
    let mut program = Ringmaster::before(backend.addr, &["--lame-duck", "300ms"]);
    let begun = std::time::Instant::now();
    program.signal(Signal::TERM);
    program.expect_log("draining");
    assert!(begun.elapsed() >= std::time::Duration::from_millis(300));
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn readyz_is_503_while_the_last_requests_are_answered() {
    let (backend, arrived, go) = holding();
    let mut program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client_after(GET);
    arrived.recv_timeout(TEST_TIMEOUT).unwrap();
    start_drain(&program);
    assert_eq!(program.readyz().0, 503);
    go.send(()).unwrap();
    expect_last(&mut client);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn requests_under_way_are_answered() {
    let (backend, arrived, go) = holding();
    let mut program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client_after(GET);
    arrived.recv_timeout(TEST_TIMEOUT).unwrap();
    start_drain(&program);
    go.send(()).unwrap();
    expect_last(&mut client);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn an_idle_connection_may_ask_once_more_and_is_closed_if_it_does_not() {
    let backend = Backend::answering(OK);
    let mut program = Ringmaster::before(backend.addr, &[]);
    let mut clients = [program.client(), program.client()];
    for client in &mut clients {
        assert_eq!(client.ask(GET).field("connection"), None);
    }
    start_drain(&program);
    let [mut asks, mut idles] = clients;
    asks.send(GET);
    expect_last(&mut asks);
    assert_eq!(idles.expect_closed(), End::Fin);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn a_client_that_never_said_a_word_does_not_hold_the_stop_up() {
    let backend = Backend::answering(OK);
    let limits = ["--drain-timeout", "1h", "--head-timeout", "1h"];
    let mut program = Ringmaster::before(backend.addr, &limits);
    let mut silent = TcpStream::connect(program.listen).unwrap();
    assert_eq!(program.client().ask(GET).status(), 200);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
    // The kernel may have deferred the accept so far: then the client is closed when it sends.
    silent.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let _ = silent.write_all(GET.as_bytes());
    match silent.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        Err(err) => assert_eq!(err.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn clients_that_wait_to_be_accepted_are_served() {
    let backend = Backend::answering(OK);
    // This many connections at once may need a second SYN at the backend: its queue is short
    // (tcp(7)).
    let args = [
        "--max-connections",
        "1",
        "--workers",
        "1",
        "--connect-timeout",
        "8s",
    ];
    let mut program = Ringmaster::before(backend.addr, &args);
    let mut first = program.client();
    assert_eq!(first.ask(GET).status(), 200);
    // A request that has begun keeps its slot.
    let (begun, rest) = GET.split_at(8);
    first.send(begun);
    // More than one turn of the event loop takes.
    let waiting: Vec<Client> = (0..150).map(|_| program.client_after(GET)).collect();
    program.signal(Signal::TERM);
    for mut client in waiting {
        expect_last(&mut client);
    }
    first.send(rest);
    expect_last(&mut first);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn a_request_that_exceeds_the_drain_timeout_is_cut_off() {
    let (backend, arrived, go) = holding();
    let mut program = Ringmaster::before(backend.addr, &["--drain-timeout", "100ms"]);
    let mut client = program.client_after(GET);
    arrived.recv_timeout(TEST_TIMEOUT).unwrap();
    program.signal(Signal::TERM);
    client.expect_closed();
    assert_eq!(program.wait().code(), Some(0));
    drop(go);
}

#[test]
fn a_tunnel_is_cut_off_with_the_drain() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")?;
        conversation.wire.rest().map(drop)
    });
    let mut program = Ringmaster::before(backend.addr, &["--drain-timeout", "100ms"]);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut client = program.client_after(upgrade);
    assert_eq!(client.reply().status(), 101);
    program.signal(Signal::TERM);
    client.expect_closed();
    assert_eq!(program.wait().code(), Some(0));
}
