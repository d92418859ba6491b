//! Heartbeats that fail from the beginning have words: in the events, the log, `show` and the
//! reason of a failed start.

use crate::support::*;

fn reason_of(program: &Ringmaster, name: &str) -> String {
    let shown = program.command(&format!("show {name}"));
    let line = shown.lines().find(|line| line.starts_with("reason "));
    line.map(|line| line["reason ".len()..].to_owned())
        .unwrap_or_default()
}

/// A backend that answers every request with 404, as most servers do to an unknown path.
fn without_the_path() -> Backend {
    Backend::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn a_backend_that_fails_its_heartbeats_says_what_was_asked_and_what_came() {
    let wrong = without_the_path();
    let foreign = Backend::answering("220 mail ready\r\n");
    let (refusing, _port) = Backend::refusing();
    let args = [("a", wrong.addr), ("b", foreign.addr), ("c", refusing)];
    let args = args.map(|(name, addr)| format!("--backend={name}={addr}"));
    let program = Ringmaster::launch(program(), &args.each_ref().map(String::as_str));
    let expected = [
        (
            "a",
            "GET /heartbeat answered 404; see --heartbeat-path".to_owned(),
        ),
        (
            "b",
            format!(
                "{} does not speak HTTP; see --heartbeat-path tcp",
                foreign.addr
            ),
        ),
        ("c", format!("connection refused at {refusing}")),
    ];
    for (name, sentence) in &expected {
        eventually(TEST_TIMEOUT, sentence, || {
            reason_of(&program, name) == *sentence
        });
        let logged = format!("WARN replica {name} fails its heartbeats: {sentence}; 0 of 3 up");
        eventually(TEST_TIMEOUT, &logged, || program.log().contains(&logged));
    }
    let events = program.events();
    let failing = events.iter().filter(|event| event["kind"] == "failing");
    assert_eq!(failing.count(), 3, "{events:?}");
    let table = program.command("show");
    assert!(
        table.lines().next().expect("a head").ends_with("  REASON"),
        "{table}"
    );
    let ask = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(program.control, ask).status(), 503);
}

#[test]
fn a_start_and_an_add_that_fail_quote_the_heartbeat() {
    let server = "python3 -m http.server --bind 127.0.0.1 $PORT";
    let program = Ringmaster::launch(
        program(),
        &[
            "--replicas=1",
            "--replica-command",
            server,
            "--start-timeout=3s",
        ],
    );
    let why = "it did not answer within 3s with 2xx or 3xx: GET /heartbeat answered 404; see --heartbeat-path";
    eventually(TEST_TIMEOUT, "a failed start", || {
        let mut events = program.events().into_iter();
        events.any(|event| event["kind"] == "failed" && event["reason"] == why)
    });
    let answer = program.command("add 1 B");
    assert_eq!(answer, format!("ERR could not start B: {why}\n\n"));
}
