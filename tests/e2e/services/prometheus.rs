//! Prometheus: promtool accepts our metrics, and the server itself reads and understands them.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::{Service, is_here, says};
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, eventually, exchange, fresh_path};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A program that has served seven requests.
fn served() -> (Backend, Ringmaster) {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    for _ in 0..7 {
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(),
            200
        );
    }
    (backend, program)
}

#[test]
fn promtool_has_no_complaint() {
    if !is_here("promtool", "promtool check metrics", true) {
        return;
    }
    let (_backend, program) = served();
    let reply = exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let file = fresh_path("metrics");
    std::fs::write(&file, &reply.body).expect("a file");
    let text = File::open(&file).expect("the file");
    // It ends with 3 when a name, a unit or a help text is not as it should be.
    assert_eq!(
        says(
            Command::new("promtool")
                .args(["check", "metrics"])
                .stdin(text)
        ),
        ""
    );
    // That it is not just silent:
    std::fs::write(&file, "ringmaster_bad_milliseconds 1\n").expect("a file");
    let text = File::open(&file).expect("the file");
    let bad = super::outcome(
        Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(text),
    );
    assert!(!bad.status.success(), "{bad:?}");
    std::fs::remove_file(&file).expect("a file less");
}

/// Starts a Prometheus that scrapes this control port at an interval.
#[track_caller]
pub(super) fn scraping(target: SocketAddr, interval: &str) -> Service {
    Service::start(|folder, addr| {
        let config = format!(
            "scrape_configs:\n- job_name: ringmaster\n  scrape_interval: {interval}\n  \
             scrape_timeout: {interval}\n  static_configs:\n  - targets: ['{target}']\n"
        );
        let file = folder.join("config.yml");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={addr}"));
        command
    })
}

#[test]
fn the_server_reads_them() {
    if !is_here("prometheus", "a scrape by Prometheus", true) {
        return;
    }
    let (_backend, program) = served();
    let server = scraping(program.control, "250ms");
    let ask = |path: &str| -> Value {
        let request = format!("GET /api/v1/{path} HTTP/1.1\r\nHost: a\r\n\r\n");
        // Before the server is ready, its answer is no JSON.
        serde_json::from_slice(&exchange(server.addr, request).body).unwrap_or_default()
    };
    let value = |query: &str| -> Option<String> {
        let answer = ask(&format!("query?query={query}"));
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    eventually(TEST_TIMEOUT, "a scrape", || {
        value("up").as_deref() == Some("1")
    });
    eventually(TEST_TIMEOUT, "seven requests", || {
        value("sum(ringmaster_requests_total)").as_deref() == Some("7")
    });
    let quantile = "histogram_quantile(0.5,ringmaster_request_duration_seconds_bucket)";
    let median: f64 = value(quantile)
        .expect("a median")
        .parse()
        .expect("a number");
    assert!(
        median > 0.0 && median < TEST_TIMEOUT.as_secs_f64(),
        "{median}"
    );
    assert_eq!(
        value("ringmaster_replica_state{state=%22up%22}").as_deref(),
        Some("1")
    );
    let kinds = [
        ("requests_total", "counter"),
        ("requests_in_flight", "gauge"),
        ("first_byte_seconds", "histogram"),
    ];
    for (name, kind) in kinds {
        let name = format!("ringmaster_{name}");
        let shown = ask(&format!("metadata?metric={name}"));
        assert_eq!(shown["data"][&name][0]["type"], kind, "{shown}");
    }
}
