//! Servers that serve one connection at a time: no connection is held there, and all clients are
//! served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::busy::python;
use crate::support::{Ringmaster, TEST_TIMEOUT, Wire, eventually, exchange, exclusive_load};

/// Python's server for one connection at a time.
const ITERATIVE: &str = r#"
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/compute/"):
            time.sleep(float(self.path.split("/")[2]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

const KEPT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LEARNED: &str = "serves one connection at a time";

/// A listener of our own kind: it serves each connection to its end before it accepts the next.
/// Counts the connections that carried a request of a client.
fn iterative() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let addr = listener.local_addr().expect("its address");
    let counted = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&counted);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(true) = serve(Wire::new(stream)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (addr, counted)
}

/// Answers until the end of the connection; whether one of the requests was a client's.
fn serve(mut wire: Wire) -> io::Result<bool> {
    let mut is_clients = false;
    while let Ok(head) = wire.head() {
        is_clients |= !head.start_line().contains("/heartbeat");
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
    Ok(is_clients)
}

#[test]
fn every_request_is_served_and_no_connection_is_kept() {
    let (addr, counted) = iterative();
    let backend = format!("S1={addr}");
    let program = Ringmaster::start(&["--backend", &backend, "--workers", "2"]);
    program.expect_log(LEARNED);
    // More clients than workers, which keep their connections to the balancer and send in turn.
    let mut clients: Vec<_> = (0..5).map(|_| program.client()).collect();
    for _ in 0..4 {
        for client in &mut clients {
            assert_eq!(client.ask(KEPT).text(), "ok");
        }
    }
    eventually(TEST_TIMEOUT, "each connection has ended", || {
        counted.load(Ordering::SeqCst) == 20
    });
    // And all of them at once.
    for _ in 0..4 {
        clients.iter_mut().for_each(|client| client.send(KEPT));
        for client in &mut clients {
            assert_eq!(client.reply().text(), "ok");
        }
    }
    let events = program.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
}

#[test]
fn requests_are_served_before_an_iterative_server_is_detected() {
    let _turn = exclusive_load();
    let Some(program) = python(ITERATIVE, &["--replicas", "1"]) else {
        return;
    };
    for _ in 0..5 {
        assert_eq!(exchange(program.listen, LAST).text(), "ok");
    }
    program.expect_log(LEARNED);
    // Its queue has five places.
    let mut clients: Vec<_> = (0..12).map(|_| program.client_after(LAST)).collect();
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    // A successor is another one, of which nothing is known.
    let successor = program.command("replace S1");
    assert!(!successor.starts_with("ERR"), "{successor}");
    eventually(TEST_TIMEOUT, "it is found out too", || {
        program.log().matches(LEARNED).count() == 2
    });
    assert_eq!(exchange(program.listen, LAST).text(), "ok");
}

#[test]
fn a_replica_busy_with_its_only_connection_is_not_replaced() {
    let _turn = exclusive_load();
    let flags = ["--replicas", "1", "--replace-after", "1s"];
    let Some(program) = python(ITERATIVE, &flags) else {
        return;
    };
    program.expect_log(LEARNED);
    let slow = LAST.replace("GET /", "GET /compute/4");
    let mut first = program.client_after(slow);
    let mut second = program.client_after(LAST);
    assert_eq!(
        (first.reply().text(), second.reply().text()),
        ("ok".into(), "ok".into())
    );
    let events = program.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
}

#[test]
fn a_long_request_to_an_iterative_server_is_executed_once() {
    let _turn = exclusive_load();
    let flags = ["--replicas", "3", "--replace-after", "1s"];
    let Some(program) = python(ITERATIVE, &flags) else {
        return;
    };
    eventually(TEST_TIMEOUT, "all are found out", || {
        program.log().matches(LEARNED).count() == 3
    });
    let slow = LAST.replace("GET /", "GET /compute/4");
    assert_eq!(exchange(program.listen, slow).text(), "ok");
    let stats = "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let stats: serde_json::Value =
        serde_json::from_slice(&exchange(program.control, stats).body).expect("JSON");
    let totals = &stats["message"]["totals"];
    assert_eq!(totals["requests"], 1, "{totals}");
    let events = program.events();
    let bad = |event: &&serde_json::Value| event["kind"] == "suspect" || event["kind"] == "down";
    assert!(!events.iter().any(|event| bad(&event)), "{events:?}");
}

#[test]
fn connect_only_heartbeats_serve_an_iterative_server_as_well() {
    let (addr, _) = iterative();
    let backend = format!("S1={addr}");
    let flags = ["--backend", &backend, "--heartbeat-path", "tcp"];
    let program = Ringmaster::start(&flags);
    for _ in 0..5 {
        assert_eq!(exchange(program.listen, LAST).text(), "ok");
    }
}
