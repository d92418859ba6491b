//! HAProxy in front of the balancer, which names its clients in PROXY headers of both versions and
//! checks the balancer's health.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use super::{Service, is_here};
use crate::support::{Backend, Client, Ringmaster};

/// HAProxy that relays TCP to `behind`.
fn before(behind: SocketAddr, server_options: &str) -> Service {
    Service::start(|folder, addr| {
        let text = format!(
            "global\n  maxconn 100\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             listen all\n  bind {addr}\n  server ringmaster {behind} {server_options}\n"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text).expect("a file");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file);
        command
    })
}

#[test]
fn haproxy_names_its_clients() {
    if !is_here("haproxy", "e2e::services::haproxy", true) {
        return;
    }
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let program = Ringmaster::before(backend.addr, &["--accept-proxy", "127.0.0.1"]);
    for options in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 100",
    ] {
        let haproxy = before(program.listen, options);
        let neighbour = Ipv4Addr::new(127, 99, 1, 2);
        let mut client = Client::connect_from(neighbour, haproxy.addr);
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 200, "{options}");
        let seen = backend.requests().pop().expect("a request");
        assert_eq!(
            seen.field("x-forwarded-for"),
            Some("127.99.1.2"),
            "{options}"
        );
    }
}
