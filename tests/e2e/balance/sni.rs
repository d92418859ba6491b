//! `--balance sni`: the server name in the ClientHello of TLS decides, and every byte passes
//! undecrypted.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use super::{before, recording};
use crate::support::client_hello::{message, message_of_browser, records, server_name};
use crate::support::{Backend, Client, Ringmaster, Signal, TEST_TIMEOUT, Wire};
use crate::support::{eventually, fresh_path};

const BY_NAME: [&str; 2] = ["--balance", "sni"];

/// The shortest hello for this name.
fn hello(name: &str) -> Vec<u8> {
    records(&message(&[server_name(name.as_bytes())]), 16_384)
}

/// Three servers, and the program before them. They are `S1`, `S2` and `S3`.
fn before_three(args: &[&str]) -> (Vec<Backend>, Ringmaster) {
    let backends: Vec<Backend> = ["S1", "S2", "S3"].map(|name| recording(name).0).into();
    let addrs: Vec<SocketAddr> = backends.iter().map(|backend| backend.addr).collect();
    let program = before(&addrs, args);
    (backends, program)
}

/// Sends `bytes` and nothing more, and returns the name of the server that got them.
fn server(mut client: Client, bytes: &[u8]) -> String {
    client.send(bytes);
    client.half_close();
    String::from_utf8(client.rest()).expect("UTF-8")
}

/// The replica that serves a key, by the control port.
fn home(program: &Ringmaster, key: &str) -> String {
    let answer = program.command(&format!("where {key}"));
    let serves = answer.lines().find(|line| line.starts_with("serves seat "));
    let name = serves.and_then(|line| line.split(' ').nth(3));
    name.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[track_caller]
fn expect_refused(program: &Ringmaster, count: u32) {
    let counted = format!("\nringmaster_client_hellos_refused_total {count}\n");
    eventually(TEST_TIMEOUT, &counted, || {
        program.metrics().contains(&counted)
    });
}

#[test]
fn a_name_has_one_seat_which_where_names_too() {
    let (_backends, program) = before_three(&BY_NAME);
    let mut homes = BTreeSet::new();
    for at in 1..=30 {
        let name = format!("www{at}.example.com");
        let home = home(&program, &name);
        for spelling in [name.clone(), name.to_uppercase(), format!("{name}.")] {
            assert_eq!(server(program.client(), &hello(&spelling)), home, "{name}");
        }
        // Nor does the client's address matter, nor anything else in the hello.
        let client = Client::connect_from(Ipv4Addr::new(127, 0, 0, at), program.listen);
        let browser = records(&message_of_browser(&name), 16_384);
        assert_eq!(server(client, &browser), home, "{name}");
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "{homes:?}");
}

#[test]
fn every_byte_passes_whatever_pieces_the_hello_comes_in() {
    let (backend, receiver) = recording("S1");
    let program = Ringmaster::before(backend.addr, &BY_NAME);
    let message = message_of_browser("www.example.com");
    for fragment in [1, 7, 1_000, 16_384] {
        let all: Vec<u8> = (0..=255).collect();
        let bytes = [&records(&message, fragment)[..], &all].concat();
        let mut client = program.client();
        let drip = bytes.len().min(400);
        client.send_bytewise(&bytes[..drip]);
        assert_eq!(server(client, &bytes[drip..]), "S1");
        let seen = receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
        assert_eq!(seen, bytes, "{fragment}");
    }
}

#[test]
fn without_a_name_the_address_of_the_client_is_the_key() {
    let proxies = ["--accept-proxy", "127.0.0.99"];
    let (_backends, program) = before_three(&[&BY_NAME[..], &proxies].concat());
    let mut homes = BTreeSet::new();
    for last in 1..=20 {
        let source = Ipv4Addr::new(127, 0, 0, last);
        let home = home(&program, &source.to_string());
        for bytes in [records(&message(&[]), 16_384), hello("192.0.2.7")] {
            let client = Client::connect_from(source, program.listen);
            assert_eq!(server(client, &bytes), home, "{source}");
            // Behind a proxy it is the address that the proxy names.
            let header = format!("PROXY TCP4 {source} 127.0.0.1 4711 443\r\n");
            let bytes = [header.as_bytes(), &bytes].concat();
            let proxy = Client::connect_from(Ipv4Addr::new(127, 0, 0, 99), program.listen);
            assert_eq!(server(proxy, &bytes), home, "{source}");
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "{homes:?}");
}

#[test]
fn a_header_of_a_proxy_comes_first_and_stays_here() {
    let (backend, receiver) = recording("S1");
    let proxies = ["--accept-proxy", "127.0.0.0/8", "--head-timeout", "300ms"];
    let program = Ringmaster::before(backend.addr, &[&BY_NAME[..], &proxies].concat());
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let bytes = hello("www.example.com");
    assert_eq!(
        server(program.client(), &[&header[..], &bytes].concat()),
        "S1"
    );
    let mut client = program.client();
    client.send(header);
    assert_eq!(server(client, &bytes), "S1");
    for _ in 0..2 {
        let seen = receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
        assert_eq!(seen, bytes);
    }
    // A connection without a byte behind the header is an idle one, and no fault.
    let mut client = program.client();
    client.send(header);
    assert_eq!(client.rest(), b"");
    expect_refused(&program, 0);
    // An empty line is the beginning of no hello.
    let mut client = program.client();
    client.send([&header[..], b"\r\n"].concat());
    assert_eq!(client.rest(), b"");
    expect_refused(&program, 1);
}

#[test]
fn a_connection_without_a_right_hello_in_time_is_closed_and_counted() {
    let (backend, _receiver) = recording("S1");
    let log = fresh_path("access");
    let path = log.to_str().expect("UTF-8");
    let limits = ["--head-timeout", "300ms", "--access-log", path];
    let program = Ringmaster::before(backend.addr, &[&BY_NAME[..], &limits].concat());
    let whole = hello("www.example.com");
    let two_names = message(&[server_name(b"a"), server_name(b"b")]);
    let cases = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\r\n".to_vec(),
        records(&two_names, 16_384),
        hello("a b"),
        whole[..whole.len() - 1].to_vec(),
    ];
    for (at, bytes) in (1..).zip(&cases) {
        let mut client = program.client_after(bytes);
        // Nothing is answered: the client does not wait for an answer of ours.
        assert_eq!(client.rest(), b"", "{bytes:?}");
        expect_refused(&program, at);
    }
    program.expect_log("closed: it begins with no TLS ClientHello (--balance sni)");
    // The client leaves within the hello.
    let mut client = program.client_after(&whole[..9]);
    client.half_close();
    assert_eq!(client.rest(), b"");
    expect_refused(&program, 6);
    assert_eq!(backend.connections(), 0);
    eventually(TEST_TIMEOUT, "six lines of the log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let us = text.matches(" ended=us\n").count();
        us == 5 && text.contains(" from_client=9 ") && text.contains(" ended=client\n")
    });
    let _ = std::fs::remove_file(&log);
}

#[test]
fn a_hello_may_be_as_long_as_a_head() {
    let (backend, _receiver) = recording("S1");
    let bytes = records(&message_of_browser("www.example.com"), 500);
    let max = |len: usize| format!("{len}B");
    let (fits, short) = (max(bytes.len()), max(bytes.len() - 1));
    let args = |max| [&BY_NAME[..], &["--max-head", max]].concat();
    let program = Ringmaster::before(backend.addr, &args(&fits));
    assert_eq!(server(program.client(), &bytes), "S1");
    let program = Ringmaster::before(backend.addr, &args(&short));
    let mut client = program.client_after(&bytes);
    assert_eq!(client.rest(), b"");
    program.expect_log("closed: its ClientHello is too long (--balance sni)");
    expect_refused(&program, 1);
    // The first record tells enough.
    let mut client = program.client_after(b"\x16\x03\x01\x40\x00");
    assert_eq!(client.rest(), b"");
    expect_refused(&program, 2);
}

#[test]
fn a_connection_is_one_line_of_the_access_log_with_its_name() {
    let (backend, _receiver) = recording("S1");
    let log = fresh_path("access");
    let path = log.to_str().expect("UTF-8");
    let args = [&BY_NAME[..], &["--access-log", path]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    assert_eq!(server(program.client(), &hello("WWW.Example.com")), "S1");
    assert_eq!(
        server(program.client(), &records(&message(&[]), 16_384)),
        "S1"
    );
    let line = |id: &str| {
        let mut found = String::new();
        eventually(TEST_TIMEOUT, id, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let line = text.lines().find(|line| line.contains(id));
            found = line.unwrap_or_default().to_owned();
            !found.is_empty()
        });
        found
    };
    for id in ["id=\"www.example.com\"", "id=\"\""] {
        let line = line(id);
        assert!(line.contains(" seat=1 way=home "), "{line}");
        assert!(line.ends_with(" replica=S1 ended=whole"), "{line}");
    }
    let _ = std::fs::remove_file(&log);
}

#[test]
fn a_seat_that_refuses_is_passed_over_and_without_any_the_client_is_reset() {
    let (refusing, _socket) = Backend::refusing();
    let (backend, _receiver) = recording("S2");
    let program = before(&[refusing, backend.addr], &BY_NAME);
    for at in 1..=20 {
        let bytes = hello(&format!("www{at}.example.com"));
        assert_eq!(server(program.client(), &bytes), "S2");
    }
    let program = before(&[refusing], &BY_NAME);
    let mut stream = std::net::TcpStream::connect(program.listen).expect("a connection");
    std::io::Write::write_all(&mut stream, &hello("a.example")).expect("sending");
    let ended = Wire::new(stream).rest().expect_err("a reset");
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_stop_lets_a_session_end() {
    let (backend, receiver) = recording("S1");
    let mut program = Ringmaster::before(backend.addr, &BY_NAME);
    let bytes = hello("www.example.com");
    let mut client = program.client_after(&bytes[..bytes.len() - 1]);
    let mut tunnel = program.client_after(&bytes);
    eventually(TEST_TIMEOUT, "a tunnel", || backend.connections() == 1);
    program.signal(Signal::TERM);
    program.expect_log("draining");
    client.send(&bytes[bytes.len() - 1..]);
    for client in [&mut client, &mut tunnel] {
        client.half_close();
        assert_eq!(client.rest(), b"S1");
        receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
    }
    assert!(program.wait().success());
}
