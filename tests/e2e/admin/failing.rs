//! An `/add` that fails: it is rolled back as a whole, and the answer gives the reason.

use super::{PORTS, State, expect, failure, get, request};
use crate::support::{InstallDir, Ringmaster, TEST_TIMEOUT, eventually, exchange};

/// Installs the replica; in seat 5 it runs the shell commands `fails` instead until it is mended.
fn until_the_fifth(fails: &str) -> InstallDir {
    InstallDir::with_replica(&format!(
        "if [ \"$SERVER_ID\" = 5 ] && [ ! -e \"$HERE/mended\" ]; then\n{fails}\nfi\nexec \"$REAL\""
    ))
}

#[track_caller]
fn launch(install: &InstallDir, args: &[&str]) -> Ringmaster {
    let program = Ringmaster::launch(install.program(), args);
    eventually(TEST_TIMEOUT, "3 replicas", || program.rep().len() == 3);
    program
}

const ADD: &str = r#"{"n":3,"hostnames":["A","B"]}"#;

#[test]
fn add_is_rolled_back_when_a_replica_exits_at_once() {
    let install = until_the_fifth("echo 'no memory' >&2\nexit 7");
    let program = launch(&install, &[]);
    let before = State::of(&program);
    for port in PORTS {
        let reply = exchange(port.of(&program), request("POST /add", "", ADD));
        assert_eq!(reply.status(), 503, "{port:?}");
        let text = reply.text();
        let begin =
            r#"{"message":"<Error> could not start B: process ended, exit status: 7, within "#;
        let end = " of its start; last output: no memory\",\"status\":\"failure\"}\n";
        assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
        // A retry at once would not help.
        assert_eq!(reply.field("retry-after"), None, "{port:?}");
        assert_eq!(State::of(&program), before);
    }
    let events = program.events();
    let failed = events.iter().find(|event| event["kind"] == "failed");
    let failed = failed.expect("an event");
    assert_eq!((&failed["name"], &failed["seat"]), (&"B".into(), &5.into()));
    // Nothing of the failure stands in the way of the next.
    install.open_gate("mended");
    let reply = exchange(program.listen, request("POST /add", "", ADD));
    assert_eq!(reply.status(), 200);
    assert_eq!(program.rep()[..5], ["S1", "S2", "S3", "A", "B"]);
}

#[test]
fn add_is_rolled_back_when_a_replica_hangs() {
    let install = until_the_fifth("exec sleep 1000");
    let program = launch(&install, &["--start-timeout", "700ms"]);
    let before = State::of(&program);
    let reply = exchange(program.control, request("POST /add", "", ADD));
    let why = "could not start B: it did not answer within 700ms";
    expect(&reply, 503, &failure(why));
    assert_eq!(State::of(&program), before);
}

#[test]
fn add_is_rolled_back_when_a_replica_prints_nonsense() {
    let install = until_the_fifth("echo hello\nexec sleep 1000");
    let program = launch(&install, &[]);
    let before = State::of(&program);
    let reply = exchange(program.listen, request("POST /add", "", ADD));
    assert_eq!(reply.status(), 503);
    let text = reply.text();
    assert!(
        text.starts_with(r#"{"message":"<Error> could not start B: "#),
        "{text}"
    );
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert_eq!(State::of(&program), before);
}

#[test]
fn lists_and_requests_go_on_while_an_order_waits() {
    let install = until_the_fifth("while [ ! -e \"$HERE/mended\" ]; do sleep 0.01; done");
    let program = launch(&install, &[]);
    let mut adding = crate::support::Client::connect(program.control);
    adding.send(request("POST /add", "", ADD));
    eventually(TEST_TIMEOUT, "all are being started", || {
        program.children().len() == 6
    });
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    for port in PORTS {
        assert_eq!(exchange(port.of(&program), get("/rep")).status(), 200);
    }
    assert_eq!(exchange(program.listen, get("/home")).status(), 200);
    // The next order waits for its turn.
    let mut removing = crate::support::Client::connect(program.listen);
    removing.send(request("DELETE /rm", "", r#"{"n":1,"hostnames":["A"]}"#));
    install.open_gate("mended");
    assert_eq!(adding.reply().status(), 200);
    assert_eq!(removing.reply().status(), 200);
    assert!(!program.rep().contains(&"A".into()));
    assert_eq!(program.rep().len(), 5);
}
