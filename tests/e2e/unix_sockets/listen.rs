//! `--listen unix:PATH`: clients without an address, and the file of the socket.

use super::*;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

pub(super) fn mode(path: &Path) -> u32 {
    let found = std::fs::metadata(path).expect("the file");
    found.permissions().mode() & 0o7777
}

#[test]
fn clients_of_a_unix_socket_have_no_address() {
    let (path, log) = (fresh_path("listen"), fresh_path("access"));
    let backend = Backend::answering(OK);
    let listen = beside(&path, "");
    let target = log.to_str().expect("UTF-8");
    let args = ["--listen", &listen, "--access-log", target];
    // The limit and the network are those of addresses.
    let limits = ["--max-connections-per-client=1", "--deny=0.0.0.0/0"];
    let program = Ringmaster::before(backend.addr, &[&args[..], &limits].concat());
    let mut client = Client::connect_unix(&path);
    let mut second = Client::connect_unix(&path);
    assert_eq!(client.ask(GET).body, b"ok");
    assert_eq!(second.ask(GET).body, b"ok");
    let forwarded = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    assert_eq!(client.ask(forwarded).body, b"ok");
    assert_eq!(client.ask("GET / HTTP/1.0\r\n\r\n").body, b"ok");
    let fields = |request: &Message| request.field("x-forwarded-for").map(str::to_owned);
    let seen: Vec<_> = backend.requests().iter().map(fields).collect();
    assert_eq!(seen, [None, None, Some("192.0.2.7".to_owned()), None]);
    let host = backend.requests()[3].field("host").map(str::to_owned);
    assert_eq!(host.as_deref(), Some("localhost"));
    eventually(TEST_TIMEOUT, "four lines of the log", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.matches(" client=unix ").count() == 4
    });
    assert_eq!(mode(&path), 0o660);
    assert!(program.stop().success());
    assert!(!path.exists(), "the file is still there");
}

#[test]
fn all_clients_of_a_unix_socket_have_one_key() {
    let path = fresh_path("source");
    let greeting = |word: &'static str| {
        Backend::scripted(move |mut conversation| conversation.wire.write(word))
    };
    let servers = ["a", "b", "c", "d"].map(greeting);
    let named = servers.iter().zip(["a", "b", "c", "d"]);
    let backends: Vec<String> = named
        .map(|(it, name)| format!("{name}={}", it.addr))
        .collect();
    let (backends, listen) = (backends.join(","), beside(&path, ""));
    let args = [
        "--listen",
        &listen,
        "--backend",
        &backends,
        "--balance=source",
    ];
    let program = Ringmaster::start(&[&args[..], &["--heartbeat-interval=0s"]].concat());
    let first = Client::connect_unix(&path).take(1);
    for _ in 0..8 {
        assert_eq!(Client::connect_unix(&path).take(1), first);
    }
    drop(program);
}

#[test]
fn mode_and_owner_are_those_of_the_flag() {
    let path = fresh_path("mode");
    let backend = Backend::answering(OK);
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // Only root may give a file away.
    let (user, group) = match user.is_root() {
        true => (65534, 65533),
        false => (user.as_raw(), group.as_raw()),
    };
    let listen = beside(&path, &format!(",mode=0602,owner={user}:{group}"));
    let program = Ringmaster::before(backend.addr, &["--listen", &listen]);
    let found = std::fs::metadata(&path).expect("the file");
    assert_eq!(
        (mode(&path), found.uid(), found.gid()),
        (0o602, user, group)
    );
    drop(program);
    std::fs::remove_file(path).expect("the file");
}

#[test]
fn a_stale_file_is_replaced_and_every_other_one_stays() {
    let path = fresh_path("stale");
    let backend = Backend::answering(OK);
    let listen = beside(&path, "");
    Ringmaster::before(backend.addr, &["--listen", &listen]).kill();
    assert!(path.exists(), "nothing was left");
    let program = Ringmaster::before(backend.addr, &["--listen", &listen]);
    assert_eq!(exchange_unix(&path, GET).body, b"ok");

    let fails = |listen: &str| {
        let backend = format!("a={}", backend.addr);
        let ports = ["--listen", listen, "--control", "127.0.0.1:0"];
        let output = run_to_end(&[&["serve", "--backend", &backend], &ports[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let errors = fails(&unix(&path));
    assert!(
        errors.contains(&format!("{} is taken (--listen)", unix(&path))),
        "{errors}"
    );
    assert_eq!(exchange_unix(&path, GET).body, b"ok");

    let other = fresh_path("file");
    std::fs::write(&other, "mine").expect("a file");
    let errors = fails(&unix(&other));
    assert!(
        errors.contains("there is a file that is no socket"),
        "{errors}"
    );
    assert_eq!(std::fs::read(&other).expect("the file"), b"mine");
    std::fs::remove_file(other).expect("the file");

    // The socket of another process has taken its place.
    std::fs::remove_file(&path).expect("the file");
    let successor = UnixBackend::answering(&path, OK);
    assert!(program.stop().success());
    assert!(path.exists(), "the file of another process was removed");
    drop(successor);
}

#[test]
fn a_unix_socket_may_be_the_only_one() {
    let (data, control) = (fresh_path("data"), fresh_path("control"));
    let backend = Backend::answering(OK);
    let named = format!("a={}", backend.addr);
    let (listen, control_at) = (unix(&data), unix(&control));
    let args = [
        "--listen",
        &listen,
        "--control",
        &control_at,
        "--backend",
        &named,
    ];
    let (program, ready) = Portless::start(&args);
    let expected = format!("{{\"listen\":\"{listen}\",\"control\":\"{control_at}\"}}\n");
    assert_eq!(ready, expected);
    assert_eq!(exchange_unix(&data, GET).body, b"ok");
    let own = exchange_unix(&control, "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(own.status(), 200);
    let answer = run_to_end(&["ctl", "--control", &control_at, &format!("add b {listen}")]);
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(errors.contains("is our own port (--listen"), "{errors}");
    program.stop();
    assert!(!data.exists() && !control.exists());
}

#[test]
fn a_proxy_at_the_unix_socket_names_its_clients() {
    let path = fresh_path("proxy");
    let backend = Backend::answering(OK);
    let listen = beside(&path, "");
    let args = ["--listen", &listen, "--accept-proxy=unix"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = Client::connect_unix(&path);
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n");
    assert_eq!(client.ask(GET).body, b"ok");
    let seen = backend.requests();
    assert_eq!(seen[0].field("x-forwarded-for"), Some("192.0.2.7"));
    // Without a header the proxy would be taken for its client.
    let mut silent = Client::connect_unix(&path);
    silent.send_if_open(GET);
    silent.expect_closed();
    program.expect_log("connection from unix closed");
    // The port has none.
    assert_eq!(exchange(program.listen, GET).body, b"ok");
}

#[test]
fn a_unix_client_is_as_local_as_one_on_loopback() {
    let path = fresh_path("admin");
    let listen = beside(&path, "");
    let program = Ringmaster::start(&["--replicas=1", "--listen", &listen]);
    let order = |more: &str| {
        let body = r#"{"n":1,"hostnames":["lion"]}"#;
        let length = body.len();
        format!(
            "POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        )
    };
    let denied = exchange_unix(&path, order("X-Forwarded-For: 192.0.2.7\r\n"));
    assert_eq!(denied.status(), 403);
    let sentence = "you are a client of a Unix socket and the request was forwarded";
    assert!(denied.text().contains(sentence), "{}", denied.text());
    let page = exchange_unix(&path, order("Origin: http://evil.example\r\n"));
    assert_eq!(page.status(), 403);
    assert_eq!(program.rep(), ["S1"]);
    assert_eq!(exchange_unix(&path, order("")).status(), 200);
    assert_eq!(program.rep(), ["S1", "lion"]);
}
