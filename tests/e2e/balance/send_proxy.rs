//! `--send-proxy`: a PROXY header in front of each connection to a replica, heartbeats included.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::{before, recording};
use crate::support::client_hello::{message, records};
use crate::support::{
    Backend, Client, Ringmaster, TEST_TIMEOUT, eventually, fresh_path, run_to_end,
};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: a\r\nX-Request-ID: 7\r\n\r\n";

/// The header of this version for a client of 127.0.0.5 with this port.
fn header(version: &str, port: u16, program: &Ringmaster) -> Vec<u8> {
    let to = program.listen.port();
    if version == "v1" {
        return format!("PROXY TCP4 127.0.0.5 127.0.0.1 {port} {to}\r\n").into();
    }
    let fixed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x05\x7f\x00\x00\x01";
    [&fixed[..], &port.to_be_bytes(), &to.to_be_bytes()].concat()
}

/// A balancer that sends headers of this version to one server with heartbeats, which has answered.
pub(in crate::e2e) fn sending(server: SocketAddr, version: &str, more: &[&str]) -> Ringmaster {
    let backend = format!("--backend=S1={server}");
    let header = format!("--send-proxy={version}");
    let flags = [&backend, "--balance=source", &header];
    let program = Ringmaster::start(&[&flags[..], more].concat());
    program.event("joined", 1);
    program
}

#[test]
fn every_connection_begins_with_a_header_that_names_the_client() {
    let hello = records(&message(&[]), 16_384);
    for version in ["v1", "v2"] {
        for (balance, bytes) in [
            ("connection", ASK.as_bytes()),
            ("source", b"any bytes"),
            ("source", b""),
            ("sni", &hello),
        ] {
            let (backend, receiver) = recording("ok");
            let (refusing, _socket) = Backend::refusing();
            let args = ["--balance", balance, "--send-proxy", version];
            // The second try is a new connection, with a header too.
            let program = before(&[refusing, backend.addr], &args);
            for _ in 0..3 {
                let source = Ipv4Addr::new(127, 0, 0, 5);
                let mut client = Client::connect_from(source, program.listen);
                let port = client.local_port();
                client.send(bytes);
                client.half_close();
                assert_eq!(client.rest(), b"ok");
                let seen = receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
                let expected = [&header(version, port, &program)[..], bytes].concat();
                assert_eq!(seen, expected, "{version} {balance}");
            }
        }
    }
}

#[test]
fn a_client_that_a_proxy_names_is_named_to_the_replica() {
    let (backend, receiver) = recording("ok");
    let args = ["--balance", "source", "--send-proxy", "v1"];
    let proxies = ["--accept-proxy", "127.0.0.0/8"];
    let program = Ringmaster::before(backend.addr, &[&args[..], &proxies].concat());
    let mut client = program.client();
    client.send("PROXY TCP6 2001:db8::7 ::1 4711 443\r\nhello");
    client.half_close();
    assert_eq!(client.rest(), b"ok");
    let seen = receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
    // Client and server are those of the connection to the proxy.
    let expected = "PROXY TCP6 2001:db8::7 ::1 4711 443\r\nhello";
    assert_eq!(String::from_utf8_lossy(&seen), expected);
}

/// Returns the values of the vectors behind the addresses of a header, by type.
fn vectors(mut bytes: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let before = vectors.insert(*kind, rest[..len].to_vec());
        assert_eq!(before, None);
        bytes = &rest[len..];
    }
    vectors
}

#[test]
fn the_id_of_a_connection_is_that_of_the_proxy_in_front_or_drawn_and_logged() {
    let (backend, receiver) = recording("ok");
    let log = fresh_path("access");
    let args = ["--balance", "source", "--send-proxy", "v2,unique-id,crc32c"];
    let more = ["--accept-proxy", "127.0.0.2", "--access-log"];
    let log_to = ["--access-log-format", "json"];
    let path = log.display().to_string();
    let flags = [&args[..], &more, &[&path], &log_to].concat();
    let program = Ringmaster::before(backend.addr, &flags);
    let logged = |count: usize| {
        let mut lines = Vec::<Value>::new();
        eventually(TEST_TIMEOUT, "the access log", || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let whole = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines = whole.collect();
            lines.len() == count
        });
        lines[count - 1]["unique_id"].as_str().map(str::to_owned)
    };
    let seen = || receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
    let mut ids = BTreeSet::new();
    for count in 1..=2 {
        let mut client = program.client();
        client.half_close();
        assert_eq!(client.rest(), b"ok");
        let header = seen();
        let len = usize::from(u16::from_be_bytes([header[14], header[15]]));
        assert_eq!(header.len(), 16 + len);
        let vectors = vectors(&header[28..]);
        assert_eq!(
            vectors.keys().collect::<Vec<_>>(),
            [&3, &5],
            "checksum and ID"
        );
        let id = String::from_utf8(vectors[&5].clone()).expect("text");
        // A UUID of version 7.
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id}");
        assert_eq!(logged(count).as_deref(), Some(&id[..]));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 2);
    // A proxy in front has named the client, the address that it connected to, and the connection.
    let named = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 187];
    let id = [&[5, 0, 5][..], b"7-abc"].concat();
    let mut from_proxy = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14".to_vec();
    from_proxy.extend([&named[..], &id].concat());
    let mut proxy = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), program.listen);
    proxy.send(&from_proxy);
    proxy.half_close();
    assert_eq!(proxy.rest(), b"ok");
    let header = seen();
    assert_eq!(header[16..28], named);
    assert_eq!(vectors(&header[28..])[&5], b"7-abc");
    assert_eq!(logged(3).as_deref(), Some("7-abc"));
}

#[test]
fn heartbeats_begin_with_a_header_of_the_balancers_own() {
    const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    for (version, header) in [("v1", &b"PROXY UNKNOWN\r\n"[..]), ("v2", LOCAL)] {
        let backend = Backend::scripted(move |mut conversation| {
            let begun = conversation.wire.take(header.len())?;
            assert_eq!(begun, header);
            loop {
                conversation.request()?;
                let reply = "HTTP/1.1 204 No Content\r\n\r\n";
                conversation.wire.write(reply)?;
            }
        });
        let program = sending(backend.addr, version, &[]);
        // A held connection has a single header.
        eventually(TEST_TIMEOUT, "heartbeats on held connections", || {
            backend.requests().len() > backend.connections() + 2
        });
        for request in backend.requests() {
            assert_eq!(request.start_line(), "GET /heartbeat HTTP/1.1");
        }
        assert_eq!(program.rep(), ["S1"]);
        // A heartbeat that is only a connection has one too.
        let (backend, receiver) = recording("");
        let _program = sending(backend.addr, version, &["--heartbeat-path", "tcp"]);
        let seen = receiver.recv_timeout(TEST_TIMEOUT).expect("a connection");
        assert_eq!(seen, header, "{version}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let backend = ["--backend", "S1=127.0.0.1:1"];
    for (args, sentence) in [
        (
            &[&["--send-proxy", "v1"], &backend[..]].concat()[..],
            "--send-proxy v1 goes with --balance connection, source or sni: ",
        ),
        (
            &["--send-proxy", "v2", "--balance", "source"],
            "--send-proxy v2 needs servers that read the header ",
        ),
        (&["--send-proxy", "v3"], "'v3' is not v1 or v2"),
    ] {
        let output = run_to_end(&[&["serve"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(sentence), "{text}");
    }
}
