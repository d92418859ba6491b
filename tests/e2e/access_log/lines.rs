//! Access log: the fields of a completed or refused request. No client can forge a line.

use super::{ASK, Log, OK, expect};
use crate::support::{Backend, Ringmaster, exchange};

#[test]
fn a_line_tells_what_became_of_a_request() {
    let log = Log::new();
    let backend = Backend::answering(OK);
    let args = ["--access-log", log.path(), "--data-port-admin", "local"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    let reply = client.ask(ASK);
    assert_eq!(reply.status(), 200);
    let post = "POST /b HTTP/1.1\r\nHost: a\r\nX-Request-ID: 5\r\nContent-Length: 3\r\n\r\nxyz";
    client.ask(post);
    let add = "POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"n\":0}";
    assert_eq!(client.ask(add).status(), 400);
    assert_eq!(client.ask("nonsense\r\n\r\n").status(), 400);
    let lines = log.expect(4);
    let port = lines[0]["client"].strip_prefix("127.0.0.1:");
    assert!(
        port.is_some_and(|port| port.parse::<u16>().is_ok()),
        "{lines:?}"
    );
    assert!(
        lines[0]["time"].ends_with('Z') && lines[0]["time"].len() == 24,
        "{lines:?}"
    );
    let served = [
        ("key", "5"),
        ("seat", "1"),
        ("way", "home"),
        ("status", "200"),
        ("retries", "0"),
    ];
    for line in &lines[..2] {
        expect(line, &served);
        expect(line, &[("ended", "whole")]);
        let ms = |name: &str| line[name].parse::<f64>().expect("milliseconds");
        assert!(
            ms("first_byte_ms") > 0.0 && ms("total_ms") >= ms("first_byte_ms"),
            "{line:?}"
        );
    }
    let asked = ASK.len().to_string();
    expect(
        &lines[0],
        &[("method", "GET"), ("path", "/a"), ("from_client", &asked)],
    );
    let posted = post.len().to_string();
    expect(
        &lines[1],
        &[("method", "POST"), ("path", "/b"), ("from_client", &posted)],
    );
    let added = add.len().to_string();
    let ours = [
        ("key", "-"),
        ("seat", "-"),
        ("status", "400"),
        ("ended", "us"),
    ];
    expect(&lines[2], &[("path", "/add"), ("from_client", &added)]);
    expect(
        &lines[3],
        &[("method", "-"), ("path", ""), ("from_client", "12")],
    );
    lines[2..].iter().for_each(|line| expect(line, &ours));
}

#[test]
fn refused_requests_are_logged_as_far_as_they_are_readable() {
    let backend = Backend::answering(OK);
    let log = Log::new();
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let big = format!(
        "GET /big HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(17 * 1024)
    );
    let cases = [
        (
            "GET /bad?q HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "400",
            "GET",
            "/bad",
        ),
        (
            "TRACE /trace HTTP/1.1\r\nHost: a\r\n\r\n",
            "501",
            "TRACE",
            "/trace",
        ),
        (
            "GET /later HTTP/2.0\r\nHost: a\r\n\r\n",
            "505",
            "GET",
            "/later",
        ),
        (&big, "431", "GET", "/big"),
    ];
    for (count, (ask, status, method, path)) in (1..).zip(cases) {
        assert_eq!(exchange(program.listen, ask).status().to_string(), status);
        let line = log.expect(count).remove(count - 1);
        expect(
            &line,
            &[("status", status), ("method", method), ("path", path)],
        );
    }
}

#[test]
fn the_where_command_takes_a_key_from_the_log() {
    let backend = Backend::answering(OK);
    let log = Log::new();
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let hashed = |key: &str| {
        let answer = program.command(&format!("where {key} json"));
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        answer["message"]["hashed"].clone()
    };
    let ids: Vec<String> = (0..32).map(|n| format!("a-{n}")).collect();
    let mut client = program.client();
    for id in &ids {
        client.ask(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\n\r\n"
        ));
    }
    let lines = log.expect(ids.len());
    for (id, line) in ids.iter().zip(&lines) {
        assert_eq!(hashed(id), hashed(&line["key"]), "{id}: {line:?}");
    }
    assert!(
        lines.iter().any(|line| line["key"].starts_with("xxh3:")),
        "{lines:?}"
    );
}

#[test]
fn no_client_can_forge_a_line() {
    let log = Log::new();
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let long = "/".to_owned() + &"x".repeat(4_000);
    let paths: [&[u8]; 6] = [
        b"/a\"status=200\"b",
        b"/\\x22",
        b"/%0d%0aforged",
        b"/\x1b[2J",
        b"/\xc2\x9b\xff",
        long.as_bytes(),
    ];
    for path in paths {
        let ask = [
            b"GET ",
            path,
            b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ]
        .concat();
        let status = exchange(program.listen, ask).status();
        assert!([200, 400].contains(&status), "{status}");
    }
    let mut lines = log.expect(paths.len());
    // Each connection has a session of its own, which may end in any order.
    lines.sort_by(|a, b| a["time"].cmp(&b["time"]));
    let met: Vec<&str> = lines.iter().map(|line| line["path"].as_str()).collect();
    assert!(met.contains(&"/%0d%0aforged"), "{met:?}");
    assert!(met.iter().all(|path| path.len() <= 1_024), "{met:?}");
    assert!(met.iter().any(|path| path.len() == 1_024), "{met:?}");
}
