//! Values that tie a line to other logs: the ID as it was sent, the trace, the host, the replica.
//! And the combined format, which other programs read.

use std::process::Command;

use serde_json::Value;

use super::{Log, OK, expect};
use crate::support::{Backend, Ringmaster, exchange, fresh_path};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Returns the heads of the requests that the backend got, as they came.
fn heads(backend: &Backend) -> Vec<String> {
    let requests = backend.requests().into_iter();
    requests.map(|request| request.head).collect()
}

fn get(fields: &str) -> String {
    format!("GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\n{fields}\r\n")
}

/// Starts the program before this backend, with a log and more flags.
fn start(backend: &Backend, log: &Log, more: &[&str]) -> Ringmaster {
    let args = ["--access-log", log.path()];
    Ringmaster::before(backend.addr, &[&args, more].concat())
}

#[test]
fn a_line_has_the_id_as_it_was_sent_the_trace_and_the_replica() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let program = start(&backend, &log, &[]);
    let fields =
        format!("X-Request-ID: 0x5f\r\nUser-Agent: probe/1 \"x\"\r\ntraceparent: {TRACE}\r\n");
    let mut client = program.client();
    client.ask(get(&fields));
    client.ask("GET /a?id=0042 HTTP/1.1\r\nHost: b\r\n\r\n");
    client.ask(get(""));
    let lines = log.expect(3);
    let first = [
        ("id", "0x5f"),
        ("host", "a.example:80"),
        ("user_agent", "probe/1 \\x22x\\x22"),
        ("traceparent", TRACE),
        ("replica", "S1"),
    ];
    expect(&lines[0], &first);
    assert_ne!(lines[0]["key"], lines[0]["id"], "the key is its hash");
    expect(
        &lines[1],
        &[
            ("id", "0042"),
            ("key", "42"),
            ("host", "b"),
            ("traceparent", ""),
        ],
    );
    assert_eq!(lines[2]["id"], lines[2]["key"], "a generated ID");
    assert!(!lines[0].contains_key("query"), "queries may hold secrets");
    // The replica got the trace byte for byte.
    let heads = heads(&backend);
    assert!(
        heads[0].contains(&format!("\r\ntraceparent: {TRACE}\r\n")),
        "{heads:?}"
    );
}

#[test]
fn a_query_is_logged_if_the_flag_says_so() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let program = start(&backend, &log, &["--access-log-query"]);
    program.client().ask(get(""));
    expect(&log.expect(1)[0], &[("query", "b=c"), ("path", "/a")]);
}

#[test]
fn a_generated_id_is_a_uuid_if_the_flag_says_so() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let program = start(&backend, &log, &["--request-id", "uuid"]);
    let mut client = program.client();
    client.ask(get(""));
    client.ask(get(""));
    let lines = log.expect(2);
    let ids = [&lines[0]["id"], &lines[1]["id"]];
    for (id, head) in ids.iter().zip(heads(&backend)) {
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id}");
        assert!(head.contains(&format!("\r\nX-Request-ID: {id}")), "{head}");
    }
    assert_ne!(ids[0], ids[1]);
    // The ID leads to the same replica when the client sends it itself.
    let answer = program.command(&format!("where {} json", ids[0]));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["message"]["hashed"], lines[0]["key"].as_str());
}

#[test]
fn goaccess_reads_the_combined_format() {
    let (log, backend) = (Log::new(), Backend::answering(OK));
    let program = start(
        &backend,
        &log,
        &["--access-log-format=combined", "--access-log-query"],
    );
    let mut client = program.client();
    client.ask(get("User-Agent: probe/1 \"x\"\r\nReferer: http://r/\r\n"));
    client.ask(get(""));
    assert_eq!(client.ask("nonsense\r\n\r\n").status(), 400);
    exchange(program.listen, "GET /x HTTP/1.0\r\n\r\n");
    let text = log.expect_text(4);
    assert!(text.contains("\"GET /a?b=c HTTP/1.1\" 200 "), "{text}");
    let found = Command::new("goaccess").arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED, because there is no goaccess");
        return;
    }
    let report = fresh_path("goaccess").with_extension("json");
    let output = Command::new("goaccess")
        .args([
            log.path(),
            "--log-format=COMBINED",
            "--no-global-config",
            "-o",
        ])
        .arg(&report)
        .output()
        .expect("goaccess");
    assert!(output.status.success(), "{output:?}");
    let read = std::fs::read_to_string(&report).expect("a report");
    std::fs::remove_file(&report).expect("it is there");
    let report: Value = serde_json::from_str(&read).expect("JSON");
    let general = &report["general"];
    assert_eq!(general["valid_requests"], 4, "{general}");
    assert_eq!(general["failed_requests"], 0, "{general}");
}
