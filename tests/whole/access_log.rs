//! The access log of the real program: a line for each request that tells what became of it, in a file that
//! may be moved away, full, slow or nowhere, none of which a client feels.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{
    Backend, PATIENCE, Ringmaster, Signal, end_of, eventually, exchange, fresh_path, program,
    run_to_end, signal,
};

const OK: &str = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const ASK: &str = "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Request-ID: 5\r\n\r\n";

type Line = BTreeMap<String, String>;

/// A file of this test's own, and what stands in it.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        Self(fresh_path("access"))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // One that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(fields).collect()
    }

    /// Waits for so many lines.
    #[track_caller]
    fn expect(&self, count: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        eventually(PATIENCE, &format!("{count} lines"), || {
            lines = self.lines();
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `TIME name=value name="value" …`
#[track_caller]
fn fields(line: &str) -> Line {
    assert!(
        line.is_ascii() && !line.contains(char::is_control),
        "{line:?}"
    );
    let (time, mut rest) = line.split_once(' ').expect("a time");
    let mut fields = Line::from([("time".to_owned(), time.to_owned())]);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').expect("a field");
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').expect("a second quote");
                (value, next.strip_prefix(' ').unwrap_or(next))
            }
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        let twice = fields.insert(name.to_owned(), value.to_owned());
        assert!(twice.is_none(), "{name} twice: {line}");
        rest = next;
    }
    fields
}

#[track_caller]
fn expect(line: &Line, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(
            line.get(*name).map(String::as_str),
            Some(*value),
            "{name}: {line:?}"
        );
    }
}

fn lost(program: &Ringmaster) -> u64 {
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    stats["message"]["totals"]["access_log"]["lost"]
        .as_u64()
        .expect("a number")
}

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

#[test]
fn who_ended_it_is_told() {
    let log = Log::new();
    let backend = Backend::scripted(|mut conversation| {
        let request = conversation.request()?;
        let reply = match request.start_line().split(' ').nth(1) {
            Some("/truncated") => "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly this",
            Some("/never") => {
                conversation.wire.rest()?;
                return Ok(());
            }
            _ => OK,
        };
        conversation.wire.write(reply)
    });
    let args = ["--access-log", log.path(), "--drain-timeout", "100ms"];
    let mut program = Ringmaster::before(backend.addr, &args);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut client = program.client_after(get("/truncated"));
    assert!(client.try_reply(false).is_err());
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
    let mut leaving = program.client_after(post);
    leaving.half_close();
    assert_eq!(leaving.reply().status(), 400);
    let lines = log.expect(2);
    expect(
        &lines[0],
        &[
            ("path", "/truncated"),
            ("status", "200"),
            ("ended", "replica"),
        ],
    );
    expect(&lines[1], &[("method", "POST"), ("status", "400")]);
    // What is under way when the time to drain is over is cut off by us, and told all the same.
    let _hanging = program.client_after(get("/never"));
    eventually(PATIENCE, "the request", || backend.requests().len() == 2);
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    let lines = log.expect(3);
    expect(
        &lines[2],
        &[("path", "/never"), ("status", "-"), ("ended", "us")],
    );
}

#[test]
fn a_tunnel_is_one_line() {
    let greeting = Backend::scripted(|mut conversation| {
        conversation.wire.write("hello")?;
        conversation.wire.rest()?;
        conversation.wire.write("bye")
    });
    let log = Log::new();
    let args = ["--access-log", log.path(), "--balance", "source"];
    let program = Ringmaster::before(greeting.addr, &args);
    let mut client = program.client();
    assert_eq!(client.take(5), b"hello");
    client.send("1234567");
    client.half_close();
    assert_eq!(client.rest(), b"bye");
    let line = log.expect(1).remove(0);
    let bytes = [
        ("from_client", "7"),
        ("to_client", "8"),
        ("seat", "1"),
        ("ended", "whole"),
    ];
    expect(&line, &bytes);
    expect(&line, &[("method", "-"), ("status", "-")]);

    let log = Log::new();
    let backend = Backend::answering(OK);
    let args = ["--access-log", log.path(), "--balance", "connection"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client();
    for _ in 0..3 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    drop(client);
    let line = log.expect(1).remove(0);
    let sent = (3 * ASK.len()).to_string();
    let got = (3 * OK.len()).to_string();
    expect(
        &line,
        &[
            ("path", "/a"),
            ("key", "5"),
            ("from_client", &sent),
            ("to_client", &got),
        ],
    );
}

#[test]
fn json_goes_to_standard_output() {
    let backend = Backend::answering(OK);
    let ready = fresh_path("ready");
    let mut child = program()
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
        ])
        .args([
            "--access-log",
            "-",
            "--access-log-format",
            "json",
            "--heartbeat-interval",
            "0s",
        ])
        .args(["--backend", &format!("S1={}", backend.addr), "--ready-file"])
        .arg(&ready)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    eventually(PATIENCE, "the ready file", || ready.exists());
    let ports: Value =
        serde_json::from_slice(&std::fs::read(&ready).expect("a file")).expect("JSON");
    let listen = ports["listen"]
        .as_str()
        .expect("an address")
        .parse()
        .expect("an address");
    assert_eq!(exchange(listen, ASK).status(), 200);
    // The last lines are written before the program ends.
    signal(child.id(), Signal::TERM);
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let lines: Vec<String> = out.lines().map(|line| line.expect("UTF-8")).collect();
    assert!(child.wait().expect("its end").success());
    assert_eq!(lines.len(), 2, "{lines:?}");
    let told: Value = serde_json::from_str(&lines[1]).expect("JSON");
    assert_eq!(
        (&told["path"], &told["status"]),
        (&"/a".into(), &200.into())
    );
    assert_eq!((&told["key"], &told["way"]), (&5.into(), &"home".into()));
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let (log, old) = (Log::new(), Log::new());
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let mut client = program.client();
    client.ask(ASK);
    log.expect(1);
    std::fs::rename(&log.0, &old.0).expect("a new name");
    client.ask(ASK);
    assert_eq!(old.expect(2).len(), 2, "until it is told, it writes on");
    program.signal(Signal::HUP);
    eventually(PATIENCE, "a new file", || log.0.exists());
    client.ask(ASK);
    log.expect(1);
    old.expect(2);
    program.expect_log("was opened anew");
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", "/dev/full"]);
    let mut client = program.client();
    for _ in 0..50 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    eventually(PATIENCE, "50 lost lines", || lost(&program) == 50);
    let warnings = program.log().matches("cannot write the access log").count();
    assert_eq!(warnings, 1, "{}", program.log());
    let metrics = exchange(program.control, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").text();
    assert!(
        metrics.contains("\nringmaster_access_log_lost_total 50\n"),
        "{metrics}"
    );
}

#[test]
fn a_slow_reader_keeps_no_request_waiting() {
    let log = Log::new();
    assert!(
        end_of(std::process::Command::new("mkfifo").arg(&log.0))
            .status
            .success()
    );
    // Without a reader it is an error, not a wait.
    let refused = run_to_end(&[
        "serve",
        "--access-log",
        log.path(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    // For reading and writing it is opened without waiting for the other side (fifo(7)).
    let pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&log.0);
    let pipe = pipe.expect("the pipe");
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let mut client = program.client();
    // A pipe holds 64 KiB, which is less than this many lines.
    const REQUESTS: usize = 600;
    for _ in 0..REQUESTS {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    let mut lines = BufReader::new(pipe).lines();
    for _ in 0..REQUESTS {
        let line = lines.next().expect("a line").expect("UTF-8");
        expect(&fields(&line), &[("status", "200"), ("ended", "whole")]);
    }
    assert_eq!(lost(&program), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_before_anything_is_served() {
    let end = run_to_end(&[
        "serve",
        "--access-log",
        "/nowhere/access.log",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!((end.status.code(), end.stdout.len()), (Some(1), 0));
    let told = String::from_utf8_lossy(&end.stderr);
    let sentence =
        "ringmaster: --access-log /nowhere/access.log: cannot open it: No such file or directory";
    assert!(told.contains(sentence), "{told}");
    let end = run_to_end(&["serve", "--access-log", "", "--access-log-format", "xml"]);
    assert_eq!(end.status.code(), Some(2));
}
