//! Third-party servers as child processes: Python's HTTP server, which does not know the balancer.

use std::process::Command;

use crate::support::{
    Message, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, exclusive_load, is_gone,
    signal, variable,
};

/// Answers 200 to `GET /`, and closes each connection.
const SERVER: &str = "python3 -m http.server --bind 127.0.0.1 $PORT";

/// A balancer before three of them, with more flags; `None` if there is no Python.
fn start(more: &[&str]) -> Option<Ringmaster> {
    let version = Command::new("python3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED, because there is no python3");
        return None;
    }
    let flags = ["--replica-command", SERVER, "--heartbeat-path", "/"];
    Some(Ringmaster::start(&[&flags, more].concat()))
}

fn get(program: &Ringmaster, path: &str) -> Message {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    exchange(program.listen, request)
}

#[test]
fn third_party_servers_are_kept_alive_and_end_with_the_balancer() {
    let _turn = exclusive_load();
    let Some(program) = start(&[]) else { return };
    let reply = get(&program, "/");
    assert_eq!(reply.status(), 200);
    assert!(
        reply
            .field("server")
            .expect("a server")
            .starts_with("SimpleHTTP/")
    );
    assert_eq!(
        get(&program, "/rep").status(),
        404,
        "their paths are theirs"
    );

    signal(program.replica("S2"), Signal::KILL);
    let replaced = program.event("replaced", 2);
    let name = replaced["name"].as_str().expect("a name");
    let successor = program.replica(name);
    assert_eq!(variable(successor, "SERVER_ID").as_deref(), Some("2"));

    let children = program.children();
    assert_eq!(children.len(), 3);
    program.kill();
    eventually(TEST_TIMEOUT, "the end of all", || {
        children.iter().all(|pid| is_gone(*pid))
    });
}

#[test]
fn a_standby_without_a_seat_stands_in_until_a_successor_follows() {
    let _turn = exclusive_load();
    let Some(program) = start(&["--standby", "1"]) else {
        return;
    };
    let standby = program.standing_by(1).remove(0);
    let stand_in = program.replica(&standby);
    assert_eq!(variable(stand_in, "SERVER_ID").as_deref(), Some("0"));
    signal(program.replica("S2"), Signal::KILL);
    eventually(TEST_TIMEOUT, "one of the seat's own", || {
        assert_eq!(get(&program, "/").status(), 200);
        let events = program.events();
        let replaced = events.iter().filter(|event| event["kind"] == "replaced");
        let reasons: Vec<&str> = replaced
            .filter_map(|event| event["reason"].as_str())
            .collect();
        reasons == ["from standby", "it stood in"]
    });
    eventually(TEST_TIMEOUT, "the end of the one that stood in", || {
        is_gone(stand_in)
    });
    let name = program.rep().remove(1);
    assert_eq!(
        variable(program.replica(&name), "SERVER_ID").as_deref(),
        Some("2")
    );
    assert_ne!(program.standing_by(1), [standby]);
}
