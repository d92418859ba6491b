//! `--backend NAME=unix:PATH`: heartbeats, requests, deaths, and changes at run time.

use super::*;
use std::io::Read as _;
use std::os::unix::net::UnixListener;

#[test]
fn a_backend_at_a_unix_socket_serves_dies_and_returns() {
    let path = fresh_path("backend");
    let server = UnixBackend::answering(&path, OK);
    let (backend, at) = (format!("--backend=a={}", unix(&path)), unix(&path));
    let program = Ringmaster::start(&[&backend]);
    assert_eq!(exchange(program.listen, GET).body, b"ok");
    let hosts = server
        .requests()
        .iter()
        .map(|it| it.head.contains("Host: localhost"))
        .collect::<Vec<_>>();
    assert!(hosts.contains(&true), "no heartbeat: {hosts:?}");
    let shown = program.command("show a");
    assert!(shown.contains(&at), "{shown}");

    drop(server);
    assert!(!path.exists());
    let down = program.event("down", 1);
    assert!(down.to_string().contains("connection refused"), "{down}");
    let refused = exchange(program.listen, GET);
    assert_eq!(refused.status(), 503);

    let again = UnixBackend::answering(&path, OK);
    program.event("up", 1);
    assert_eq!(exchange(program.listen, GET).body, b"ok");
    drop(again);
    assert!(program.stop().success());
}

#[test]
fn a_request_leaves_a_socket_that_refuses_without_a_heartbeat() {
    let (gone, here) = (fresh_path("gone"), fresh_path("here"));
    // The file of a server that has ended is still there.
    drop(UnixListener::bind(&gone).expect("a socket"));
    let server = UnixBackend::answering(&here, OK);
    let backends = format!("--backend=a={},b={}", unix(&gone), unix(&here));
    let program = Ringmaster::start(&[&backends, "--heartbeat-interval=0s"]);
    for id in 0..32 {
        let ask = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\n\r\n");
        assert_eq!(exchange(program.listen, ask).body, b"ok");
    }
    let metrics = program.metrics();
    let mut lines = metrics.lines();
    let refused = "ringmaster_retries_total{seat=\"1\",reason=\"refused\"} ";
    let count = lines.find_map(|line| line.strip_prefix(refused));
    assert!(count.is_some_and(|count| count != "0"), "{metrics}");
    drop(server);
    std::fs::remove_file(gone).expect("the file");
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    const LENGTH: usize = 3 * 1024 * 1024;
    let path = fresh_path("bodies");
    let server = UnixBackend::scripted(&path, |mut conversation| {
        let request = conversation.request()?;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            request.body.len()
        );
        conversation.wire.write(head)?;
        conversation.wire.write(request.body)
    });
    let backend = format!("--backend=a={}", unix(&path));
    let sent = pattern(LENGTH);
    for more in [&[][..], &["--no-splice"], &["--balance=connection"]] {
        let args = [&[&backend[..], "--heartbeat-interval=0s"], more].concat();
        let program = Ringmaster::start(&args);
        let mut client = program.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
        ));
        client.send(&sent);
        assert_same(&client.reply().body, &sent, more);
    }
    drop(server);
}

#[test]
fn a_tunnel_ends_on_both_sides() {
    let path = fresh_path("tunnel");
    let server = UnixBackend::scripted(&path, |mut conversation| {
        conversation.wire.write("hello")?;
        let mut rest = Vec::new();
        conversation.wire.stream.read_to_end(&mut rest)?;
        conversation.wire.write(rest)
    });
    let backend = format!("--backend=a={}", unix(&path));
    let tunnel = ["--balance=source", "--heartbeat-path=tcp", &backend];
    let program = Ringmaster::start(&tunnel);
    let mut client = program.client();
    assert_eq!(client.take(5), b"hello");
    client.send("bye");
    client.half_close();
    assert_eq!(client.rest(), b"bye");
    drop(server);
}

#[test]
fn backends_move_to_a_unix_socket_and_stay_there_after_a_takeover_and_a_crash() {
    let (path, state) = (fresh_path("moved"), fresh_path("state"));
    let tcp = Backend::answering(OK);
    let server = UnixBackend::answering(&path, OK);
    let (backend, at) = (format!("--backend=a={}", tcp.addr), unix(&path));
    let kept = format!("--state={}", state.display());
    let mut program = Ringmaster::start(&[&backend, &kept]);
    assert_eq!(
        program.command(&format!("set a {at}; add b {at}")),
        "N 1\na\n\nN 2\na\nb\n\n"
    );
    assert_eq!(exchange(program.listen, GET).body, b"ok");
    let again = program.taken_over(&[&backend, &kept]);
    assert!(program.wait().success());
    assert!(again.command("show a").contains(&at));
    again.kill();
    let last = Ringmaster::start(&[&backend, &kept, "--start-timeout=300ms"]);
    assert!(last.command("show b").contains(&at));
    let before = last.command("rep");
    let missing = last.command("add c unix:/no/such.sock");
    let refused = "connection refused at unix:/no/such.sock";
    assert!(missing.contains(refused), "{missing}");
    assert_eq!(last.command("rep"), before);
    drop(server);
    std::fs::remove_file(state).expect("the file");
}

#[test]
fn a_path_of_no_use_is_an_error() {
    let long = format!("a=unix:/{}", "x".repeat(107));
    for (backend, sentence) in [
        (long.as_str(), "has 108 bytes, and the kernel allows 107"),
        ("a=unix:@app", "an abstract socket, is not supported"),
        ("a=unix:app.sock", "begins with /"),
    ] {
        let output = run_to_end(&["serve", "--backend", backend]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(sentence), "{errors}");
        assert_eq!(output.status.code(), Some(2));
    }
}
