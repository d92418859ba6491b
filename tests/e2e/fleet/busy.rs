//! Replicas that compute and answer nothing meanwhile, as an event loop does: routed around, not
//! ended.
//!
//! The replica is a Python server that handles one request at a time, on as many connections as
//! there are.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{
    Engine, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, exclusive_load, on_both_engines,
};

on_both_engines!(a_replica_that_stops_for_a_moment_is_left_in_its_seat);

/// An event loop: `GET /compute/SECONDS` keeps everything else waiting. A body is the replica's
/// name. Heartbeats for another Host than `EXPECTED_HOST` are refused, if that is set.
const EVENT_LOOP: &str = r#"
import http.server, os, threading, time
turn = threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with turn:
            if self.path.startswith("/compute/"):
                time.sleep(float(self.path.split("/")[2].split("?")[0]))
        wrong = self.path == "/heartbeat" and "EXPECTED_HOST" in os.environ \
            and self.headers["Host"] != os.environ["EXPECTED_HOST"]
        body = os.environ["REPLICA_NAME"].encode()
        self.send_response(421 if wrong else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.serve_forever()
"#;

/// A balancer before servers of this Python program, which is without single quotes; `None` if
/// there is no Python.
pub(super) fn python(program: &str, flags: &[&str]) -> Option<Ringmaster> {
    let version = Command::new("python3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED, because there is no python3");
        return None;
    }
    let command = format!("python3 -c '{program}'");
    let flags = [&["--replica-command", &command], flags].concat();
    Some(Ringmaster::start(&flags))
}

/// A request for `path` with this ID.
fn request(path: &str, id: u64) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-ID: {id}\r\nConnection: close\r\n\r\n")
}

/// An ID whose home is the replica of this name.
fn id_of(program: &Ringmaster, name: &str) -> u64 {
    let at_home = |id: &u64| exchange(program.listen, request("/", *id)).text() == name;
    (0..200).find(at_home).expect("an ID for each seat")
}

fn count(program: &Ringmaster, kind: &str) -> usize {
    let events = program.events();
    events.iter().filter(|event| event["kind"] == kind).count()
}

/// Lets all of these requests go at once, and gives their bodies.
fn all_at_once(program: &Ringmaster, requests: &[String]) -> Vec<String> {
    let send = |request: &String| program.client_after(request);
    let mut clients: Vec<_> = requests.iter().map(send).collect();
    let bodies = clients.iter_mut().map(|client| {
        let reply = client.reply();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        reply.text()
    });
    bodies.collect()
}

#[test]
fn a_request_that_computes_is_answered_and_no_replica_is_replaced() {
    let _turn = exclusive_load();
    let Some(program) = python(EVENT_LOOP, &["--replicas", "2"]) else {
        return;
    };
    let (children, begun) = (program.children(), Instant::now());
    let reply = exchange(program.listen, request("/compute/2", 1));
    println!("computed for 2 s: answered after {:?}", begun.elapsed());
    assert_eq!(reply.status(), 200, "{}", reply.text());
    // The two may be silent a little longer than the request lasts.
    eventually(TEST_TIMEOUT, "both are up again", || {
        count(&program, "up") == 2
    });
    assert_eq!(
        (count(&program, "suspect"), count(&program, "down")),
        (2, 0)
    );
    assert_eq!(
        (program.rep(), program.children()),
        (vec!["S1".into(), "S2".into()], children)
    );
}

#[test]
fn at_most_one_of_two_replicas_silenced_by_a_request_is_replaced() {
    let _turn = exclusive_load();
    let flags = ["--replicas", "2", "--replace-after", "1s"];
    let Some(program) = python(EVENT_LOOP, &flags) else {
        return;
    };
    let reply = exchange(program.listen, request("/compute/6", 1));
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let events = program.events();
    let replaced = |event: &&serde_json::Value| event["kind"] == "replaced";
    let replaced: Vec<_> = events.iter().filter(replaced).collect();
    assert_eq!(replaced.len(), 1, "{events:?}");
    assert_ne!(replaced[0]["before"], reply.text(), "the other one");
    assert!(program.rep().contains(&reply.text()));
}

#[test]
fn all_requests_wait_for_a_lone_replica_that_computes() {
    let _turn = exclusive_load();
    let Some(program) = python(EVENT_LOOP, &["--replicas", "1"]) else {
        return;
    };
    let mut first = program.client_after(request("/compute/3", 1));
    program.event("suspect", 1);
    let mut second = program.client_after(request("/", 2));
    assert_eq!(first.reply().text(), "S1");
    assert_eq!(second.reply().text(), "S1");
    assert_eq!(
        (count(&program, "down"), program.rep()),
        (0, vec!["S1".into()])
    );
}

#[test]
fn several_requests_that_compute_are_answered_and_no_replica_is_replaced() {
    let _turn = exclusive_load();
    let Some(program) = python(EVENT_LOOP, &["--replicas", "3"]) else {
        return;
    };
    // Two for each replica: a longer queue would be silence of more than five seconds.
    let ids = ["S1", "S2", "S3"].map(|name| id_of(&program, name));
    let twice = ids.iter().chain(&ids);
    let requests: Vec<String> = twice.map(|id| request("/compute/1.2", *id)).collect();
    let bodies = all_at_once(&program, &requests);
    println!("six that compute: {bodies:?}");
    assert_eq!(
        (count(&program, "down"), count(&program, "replaced")),
        (0, 0)
    );
}

#[test]
fn a_removed_replica_finishes_its_computation() {
    let _turn = exclusive_load();
    let Some(program) = python(EVENT_LOOP, &["--replicas", "2"]) else {
        return;
    };
    let id = id_of(&program, "S2");
    let mut client = program.client_after(request("/compute/3", id));
    eventually(TEST_TIMEOUT, "it is in flight", || {
        let shown = program.command("show S2");
        shown.lines().any(|line| line == "in_flight 1")
    });
    // More than three heartbeats are missed meanwhile.
    assert!(!program.command("rm 1 S2").starts_with("ERR"));
    assert_eq!(client.reply().text(), "S2");
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn heartbeats_name_the_host_they_are_told_to() {
    let _turn = exclusive_load();
    let flags = [
        "--replicas",
        "1",
        "--replica-env",
        "EXPECTED_HOST=health.example:8080",
        "--heartbeat-host",
        "health.example:8080",
    ];
    // It is ready, so it was answered.
    let Some(program) = python(EVENT_LOOP, &flags) else {
        return;
    };
    assert_eq!(exchange(program.listen, request("/", 1)).text(), "S1");
}

/// Longer than any three heartbeats, and shorter than the silence that is deadly.
const MOMENT: Duration = Duration::from_secs(2);

fn a_replica_that_stops_for_a_moment_is_left_in_its_seat(engine: Engine) {
    let program = engine.start(&[]);
    let before = (program.rep(), program.children());
    let begun = Instant::now();
    program.strike(&["S2"], Signal::STOP);
    let suspect = program.event("suspect", 2);
    assert_eq!(suspect["reason"], "heartbeat missed 3 times");
    assert!(suspect["detected_within_ms"].is_number(), "{suspect}");
    assert!(program.command("show S2").contains("\nreason silent for "));
    assert_eq!(program.rep(), before.0, "it is not dead");
    while begun.elapsed() < MOMENT {
        // Its keys are served by others.
        for id in 0..8 {
            let reply = exchange(program.listen, request("/home", id));
            assert_eq!(reply.status(), 200);
        }
    }
    program.strike(&["S2"], Signal::CONT);
    program.event("up", 2);
    assert_eq!((program.rep(), program.children()), before);
    assert_eq!(count(&program, "down"), 0);
}
