//! `--balance source`: the client's address decides, and the bytes may be of any protocol.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::{before, greeter, recording};
use crate::support::{Backend, Client, Ringmaster, Signal, TEST_TIMEOUT, Wire, exchange, signal};

const BY_SOURCE: [&str; 2] = ["--balance", "source"];

/// A connection from this address.
fn from(source: Ipv4Addr, program: &Ringmaster) -> Client {
    Client::connect_from(source, program.listen)
}

#[test]
fn the_server_may_speak_first_and_every_byte_passes() {
    let backend = greeter("hi");
    let program = Ringmaster::before(backend.addr, &BY_SOURCE);
    let mut client = program.client();
    assert_eq!(client.take(2), b"hi");
    let all: Vec<u8> = (0..=255).collect();
    client.send(&all);
    let twice: Vec<u8> = all.iter().flat_map(|byte| [*byte; 2]).collect();
    assert_eq!(client.take(512), twice);
}

#[test]
fn an_address_has_one_seat_and_addresses_are_spread() {
    let backends = [greeter("S1"), greeter("S2"), greeter("S3")];
    let addrs: Vec<SocketAddr> = backends.iter().map(|backend| backend.addr).collect();
    let program = before(&addrs, &BY_SOURCE);
    let mut homes = BTreeSet::new();
    for last in 1..=30 {
        let source = Ipv4Addr::new(127, 0, 0, last);
        let home = from(source, &program).take(2);
        for _ in 0..3 {
            assert_eq!(from(source, &program).take(2), home);
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "{homes:?}");
}

#[test]
fn a_seat_that_refuses_is_passed_over() {
    let (refusing, _socket) = Backend::refusing();
    let backend = greeter("S2");
    let program = before(&[refusing, backend.addr], &BY_SOURCE);
    for last in 1..=20 {
        let mut client = from(Ipv4Addr::new(127, 0, 0, last), &program);
        assert_eq!(client.take(2), b"S2");
    }
}

#[test]
fn a_heartbeat_may_be_a_connection_to_whatever_listens() {
    let [first, second] = [greeter("S1"), greeter("S2")];
    let backends = format!("S1={},S2={}", first.addr, second.addr);
    let flags = ["--backend", &backends, "--heartbeat-path", "tcp"];
    let program = Ringmaster::start(&[&flags[..], &BY_SOURCE].concat());
    let all = |last| from(Ipv4Addr::new(127, 0, 0, last), &program);
    let homes: BTreeSet<_> = (1..=20).map(|last| all(last).take(2)).collect();
    assert_eq!(homes.len(), 2, "{homes:?}");
    drop(first);
    let down = program.event("down", 1);
    assert_eq!(down["reason"], "connection refused");
    for last in 1..=20 {
        assert_eq!(all(last).take(2), b"S2");
    }
    assert_eq!(program.rep(), ["S2"]);
}

#[test]
fn a_client_is_reset_when_no_replica_is_up() {
    let (refusing, _socket) = Backend::refusing();
    let program = Ringmaster::before(refusing, &BY_SOURCE);
    // The reset may come before connect(2) returns.
    let ended = match TcpStream::connect(program.listen) {
        Ok(stream) => Wire::new(stream).rest().unwrap_err(),
        Err(err) => err,
    };
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let text = exchange(program.control, scrape).text();
    let counted = "\nringmaster_connections_unserved_total 1\n";
    assert!(text.contains(counted), "{text}");
    let stats = program.command("stats json");
    assert!(stats.contains("\"unserved\":1"), "{stats}");
}

#[test]
fn there_are_no_admin_paths_and_no_errors_of_ours() {
    let (backend, receiver) = recording("heard");
    let program = Ringmaster::before(backend.addr, &BY_SOURCE);
    for text in [
        "GET /rep HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "\r",
        "",
    ] {
        let mut client = program.client_after(text);
        client.half_close();
        assert_eq!(
            receiver.recv_timeout(TEST_TIMEOUT).unwrap(),
            text.as_bytes()
        );
        assert_eq!(client.rest(), b"heard");
    }
}

/// Heartbeats stay HTTP, so the replicas are watched and replaced.
#[test]
fn a_client_waits_for_the_successor_of_a_dead_replica() {
    let program = Ringmaster::start(&[
        "--replicas",
        "1",
        "--balance",
        "source",
        "--seat-wait",
        "15s",
    ]);
    let get = "GET /home HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = program.client();
    assert!(client.ask(get).text().contains("Server: 1"));
    signal(program.replica("S1"), Signal::KILL);
    // Its end is the client's, by a reset or not: the kernel closes for a dead process.
    client.expect_closed();
    // Its listener outlives the process by an instant, and a client accepted then is lost with it.
    program.event("down", 1);
    assert!(program.client().ask(get).text().contains("Server: 1"));
}

#[test]
fn a_client_that_leaves_without_a_word_lets_go_of_the_backend() {
    let (backend, receiver) = recording("heard");
    let program = Ringmaster::before(backend.addr, &BY_SOURCE);
    drop(TcpStream::connect(program.listen).unwrap());
    assert_eq!(receiver.recv_timeout(TEST_TIMEOUT).unwrap(), b"");
}
