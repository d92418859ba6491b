//! `--accept-proxy`: a proxy in front names its client in a PROXY header. The named address is the
//! client's everywhere, and never a local one.

use crate::support::{Backend, Client, Ringmaster, Signal, eventually, exchange, fresh_path};
use crate::support::{TEST_TIMEOUT, server_of};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n";
const ASK: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const FROM_LOOPBACK: [&str; 2] = ["--accept-proxy", "127.0.0.0/8"];

/// A header of version 2 for 192.0.2.7 and port 4711, with an unknown vector.
fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    let block = b"\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x50\xe1\x00\x01x";
    header.extend([0, u8::try_from(block.len()).expect("a short block")]);
    header.extend_from_slice(block);
    header
}

#[test]
fn the_named_address_is_the_clients_in_fields_and_log() {
    let log = fresh_path("access");
    let path = log.to_str().expect("UTF-8");
    let backend = Backend::answering(OK);
    let args = [&FROM_LOOPBACK[..], &["--access-log", path]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    for header in [V1.as_bytes().to_vec(), v2()] {
        let mut client = program.client();
        client.send([&header[..], ASK.as_bytes()].concat());
        assert_eq!(client.reply().status(), 200);
        // The address stays for the next request of the connection.
        assert_eq!(client.ask(ASK).status(), 200);
    }
    for seen in backend.requests() {
        assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.7"));
    }
    eventually(TEST_TIMEOUT, "four lines of the log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.matches("client=192.0.2.7:4711").count() == 4
    });
}

#[test]
fn a_header_in_pieces_counts_and_a_proxy_may_speak_for_itself() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &FROM_LOOPBACK);
    for header in [V1.as_bytes().to_vec(), v2()] {
        let mut client = program.client();
        for byte in header {
            client.send([byte]);
        }
        assert_eq!(client.ask(ASK).status(), 200);
    }
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec();
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), local] {
        let mut client = program.client();
        client.send(header);
        assert_eq!(client.ask(ASK).status(), 200);
        let seen = backend.requests().pop().expect("a request");
        assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[test]
fn without_a_right_header_in_time_the_connection_is_closed_and_counted() {
    let backend = Backend::answering(OK);
    let args = [&FROM_LOOPBACK[..], &["--head-timeout", "300ms"]].concat();
    let program = Ringmaster::before(backend.addr, &args);
    for bytes in [
        ASK,
        "PROXY TCP4 192.0.2.7 here 4711 80\r\n",
        "PROXY TCP4 192.0.2.7 198.51",
        "\r\n\r\n",
    ] {
        let mut client = program.client();
        client.send(bytes);
        // Nothing is answered: the peer may speak any protocol.
        assert_eq!(client.rest(), b"", "{bytes:?}");
    }
    assert_eq!(backend.requests().len(), 0);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = exchange(program.control, scrape).text();
    let counted = "\nringmaster_proxy_headers_refused_total 4\n";
    assert!(metrics.contains(counted), "{metrics}");
    program.expect_log("it begins with no PROXY header (--accept-proxy)");
}

#[test]
fn a_connection_that_owes_its_header_is_as_idle_as_any() {
    let backend = Backend::answering(OK);
    let limits = ["--max-connections", "4", "--head-timeout", "1h"];
    // In this mode the kernel hands over connections without a byte at once.
    let source = ["--balance", "source", "--workers", "1"];
    let args = [&FROM_LOOPBACK[..], &limits, &source].concat();
    let mut program = Ringmaster::before(backend.addr, &args);
    let mut silent: Vec<Client> = (0..4).map(|_| program.client()).collect();
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    eventually(TEST_TIMEOUT, "four open connections", || {
        let metrics = exchange(program.control, scrape).text();
        metrics.contains("\nringmaster_connections_open 4\n")
    });
    // Another client takes the place of the longest idle one.
    assert_eq!(program.client().ask([V1, ASK].concat()).status(), 200);
    assert_eq!(silent.remove(0).rest(), b"");
    // Nothing is wrong with the others, and they delay no stop.
    let metrics = exchange(program.control, scrape).text();
    let none = "\nringmaster_proxy_headers_refused_total 0\n";
    assert!(metrics.contains(none), "{metrics}");
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    let log = program.log();
    assert!(!log.contains("the drain timeout is over"), "{log}");
}

#[test]
fn other_peers_cannot_name_another_address() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--accept-proxy", "192.0.2.0/24"]);
    let reply = program.client().ask([V1, ASK].concat());
    assert_eq!(reply.status(), 400);
    assert_eq!(program.client().ask(ASK).status(), 200);
}

#[test]
fn a_client_that_a_proxy_names_local_commands_nothing() {
    let program = Ringmaster::start(&[&FROM_LOOPBACK[..], &["--replicas", "1"]].concat());
    let header = "PROXY TCP4 127.0.0.1 127.0.0.1 4711 5000\r\n";
    let body = r#"{"n":1,"hostnames":["lion"]}"#;
    let order = format!(
        "{header}POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = program.client().ask(order);
    assert_eq!(reply.status(), 403, "{}", reply.text());
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn the_named_address_is_the_key_with_any_protocol_too() {
    let args = ["--key", "source"];
    let program = Ringmaster::start(&[&FROM_LOOPBACK[..], &args].concat());
    let home = |addr: &str| {
        let answer = program.command(&format!("where {addr}"));
        let line = answer.lines().find(|line| line.starts_with("seat "));
        let seat = line.and_then(|line| line.split(' ').nth(1)?.parse::<u32>().ok());
        seat.expect("a seat")
    };
    let by_source = Ringmaster::start(&[&FROM_LOOPBACK[..], &["--balance", "source"]].concat());
    for last in 1..=20 {
        let addr = format!("203.0.113.{last}");
        let header = format!("PROXY TCP4 {addr} 127.0.0.1 4711 80\r\n");
        let ask = format!("{header}GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
        for listen in [program.listen, by_source.listen] {
            let reply = Client::connect(listen).ask(&ask);
            assert_eq!(server_of(&reply.text()), Some(home(&addr)), "{addr}");
        }
    }
}
