//! HAProxy in front of the balancer, which names its clients in PROXY headers of both versions and
//! checks the balancer's health; and behind it, where the balancer names them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::{Service, is_here};
use crate::e2e::balance::send_proxy::sending;
use crate::support::{Backend, Client, Ringmaster, fresh_path};

/// HAProxy that relays TCP to `behind`.
fn before(behind: SocketAddr, server_options: &str) -> Service {
    start(
        "",
        &format!("mode tcp\n  server ringmaster {behind} {server_options}"),
    )
}

/// HAProxy that listens with these options, and does the rest as `section` says.
fn start(bind_options: &str, section: &str) -> Service {
    Service::start(|folder, addr| {
        let text = format!(
            "global\n  maxconn 100\n\
             defaults\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
             listen all\n  bind {addr} {bind_options}\n  {section}\n"
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

#[test]
fn haproxy_and_nginx_behind_the_balancer_see_the_client() {
    let test = "e2e::services::haproxy";
    if !is_here("haproxy", test, true) || !is_here("nginx", test, true) {
        return;
    }
    let reply =
        "http-request return status 200 content-type text/plain lf-string %[src]:%[src_port]";
    let haproxy = start("accept-proxy", &format!("mode http\n  {reply}"));
    let nginx = super::nginx::start("master_process off;", |_, addr| {
        let named = "$proxy_protocol_addr:$proxy_protocol_port";
        format!("listen {addr} proxy_protocol; location / {{ return 200 {named}; }}")
    });
    for (service, name) in [(&haproxy, "haproxy"), (&nginx, "nginx")] {
        for version in ["v1", "v2", "v2,crc32c,unique-id"] {
            // Both answer heartbeats, whose headers name no client.
            let program = sending(service.addr, version, &[]);
            let neighbour = Ipv4Addr::new(127, 99, 1, 2);
            let mut client = Client::connect_from(neighbour, program.listen);
            let named = format!("127.99.1.2:{}", client.local_port());
            let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(reply.text(), named, "{name} {version}");
            assert_eq!(program.rep(), ["S1"]);
        }
    }
}

#[test]
fn a_second_haproxy_learns_what_the_first_one_knows() {
    if !is_here("haproxy", "e2e::services::haproxy", true) {
        return;
    }
    let known = "%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_unique_id]";
    let reply = format!("lf-string \"{known}\"");
    let reply = format!("http-request return status 200 content-type text/plain {reply}");
    let behind = start("accept-proxy", &format!("mode http\n  {reply}"));
    let more = ["--accept-proxy", "127.0.0.1"];
    let program = sending(behind.addr, "v2,crc32c,unique-id", &more);
    let options = "send-proxy-v2 proxy-v2-options crc32c,unique-id";
    let server = format!("server ringmaster {} {options}", program.listen);
    // HAProxy makes IDs of HTTP requests, and its log has the same ID.
    let id = "unique-id-format %{+X}o%ci-%cp";
    let front = start("", &format!("mode http\n  {id}\n  {server}"));
    let neighbour = Ipv4Addr::new(127, 99, 1, 2);
    let mut client = Client::connect_from(neighbour, front.addr);
    let port = client.local_port();
    let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text();
    let expected = format!("127.99.1.2:{port} {} 7F630102-{port:X}", front.addr);
    assert_eq!(reply, expected);
}

#[test]
fn haproxy_and_nginx_in_front_come_over_a_unix_socket() {
    let test = "e2e::services::haproxy";
    if !is_here("haproxy", test, true) || !is_here("nginx", test, true) {
        return;
    }
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let serving = |path: &Path, more: &[&str]| {
        let listen = format!("127.0.0.1:0 unix:{},mode=0666", path.display());
        Ringmaster::before(backend.addr, &[&["--listen", &listen], more].concat())
    };
    let (named, plain) = (fresh_path("named"), fresh_path("plain"));
    let _of_haproxy = serving(&named, &["--accept-proxy=unix"]);
    let _of_nginx = serving(&plain, &[]);
    let server = format!(
        "server all unix@{} send-proxy-v2 check inter 100",
        named.display()
    );
    let haproxy = start("", &format!("mode tcp\n  {server}"));
    let nginx = super::nginx::start("master_process off;", |_, addr| {
        let field = "proxy_set_header X-Forwarded-For $remote_addr;";
        let pass = format!("proxy_pass http://unix:{}:/;", plain.display());
        format!("listen {addr}; location / {{ {field} {pass} }}")
    });
    for service in [&haproxy, &nginx] {
        let neighbour = Ipv4Addr::new(127, 99, 1, 2);
        let mut client = Client::connect_from(neighbour, service.addr);
        let reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(reply.status(), 200, "{}", service.addr);
        let seen = backend.requests().pop().expect("a request");
        assert_eq!(seen.field("x-forwarded-for"), Some("127.99.1.2"));
    }
}
