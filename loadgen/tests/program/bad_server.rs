//! A server with scripted faults: every failure counts under its own kind, nothing is sent twice,
//! and the IDs follow from the seed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::support::{ProgramOutput, loadgen};

/// Action of the server on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Sends these bytes and continues.
    Send(&'static str),
    /// Sends these bytes and closes.
    SendAndClose(&'static str),
    /// Closes with a reset (socket(7), SO_LINGER of 0).
    Reset,
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n\
                    {\"message\":\"Hello from Server: 4\",\"status\":\"successful\"}";

/// Repeats `script`, one step per request, on any number of connections in turn. The receiver gets
/// every request ID.
fn play(script: &'static [Action]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (ids, seen) = channel();
    thread::spawn(move || {
        let mut steps = script.iter().copied().cycle();
        for client in listener.incoming() {
            serve(client.unwrap(), &mut steps, &ids);
        }
    });
    (addr, seen)
}

/// Serves one connection until the script or the client ends it.
fn serve(mut client: TcpStream, steps: &mut impl Iterator<Item = Action>, ids: &Sender<String>) {
    let mut input = BufReader::new(client.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        while line != "\r\n" {
            if let Some(id) = line.strip_prefix("X-Request-ID: ") {
                let _ = ids.send(id.trim_end().to_owned());
            }
            line.clear();
            input.read_line(&mut line).unwrap();
        }
        match steps.next().unwrap() {
            Action::Send(bytes) => client.write_all(bytes.as_bytes()).unwrap(),
            Action::SendAndClose(bytes) => return client.write_all(bytes.as_bytes()).unwrap(),
            Action::Reset => {
                return set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            }
        }
    }
}

fn run(addr: SocketAddr, requests: &str) -> ProgramOutput {
    let target = format!("http://{addr}");
    loadgen(&format!(
        "run --target {target} --requests {requests} --concurrency 1 --seed 3"
    ))
}

#[test]
fn every_failure_is_counted_by_its_kind() {
    let (addr, seen) = play(&[
        Action::Send(GOOD),
        Action::Send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        Action::Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{]}"),
        Action::Send("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"message\":\"Hi\"}"),
        Action::SendAndClose(""),
        Action::SendAndClose("HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n{\"mess"),
        Action::Reset,
        Action::SendAndClose("SSH-2.0-OpenSSH\r\n"),
        Action::SendAndClose(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"message\":\"Hello from Server: 4\",\"status\":\"successful\"}",
        ),
    ]);
    let ended = run(addr, "90");
    ended.exits(1);
    ended.prints("20 answered, 70 failed\n");
    let kinds = [
        ("status 503", 10),
        ("bad body", 20),
        ("wrong answer", 10),
        ("closed early", 10),
        ("cut off", 10),
        ("reset", 10),
        ("4 ", 20),
    ];
    for (kind, count) in kinds {
        assert_eq!(ended.count(kind), count, "{kind}: {ended:?}");
    }
    // One ID per counted request: nothing was sent twice.
    assert_eq!(seen.try_iter().count(), 90);
}

#[test]
fn a_server_that_closes_between_requests_costs_nothing() {
    let (addr, _seen) = play(&[Action::SendAndClose(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 56\r\n\r\n\
         {\"message\":\"Hello from Server: 4\",\"status\":\"successful\"}",
    )]);
    let ended = run(addr, "50");
    assert_eq!((ended.code, ended.count("4 ")), (Some(0), 50), "{ended:?}");
}

#[test]
fn the_seed_decides_the_ids() {
    let ids = || {
        let (addr, seen) = play(&[Action::Send(GOOD)]);
        assert_eq!(run(addr, "20").code, Some(0));
        seen.try_iter().collect::<Vec<_>>()
    };
    let first = ids();
    assert_eq!(first.len(), 20);
    assert!(
        first
            .iter()
            .all(|id| id.len() == 6 && id.parse::<u32>().is_ok()),
        "{first:?}"
    );
    assert_eq!(first, ids());
}
