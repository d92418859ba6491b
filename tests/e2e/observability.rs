//! The examples for Prometheus and Grafana: the rules pass their tests, and every query of both has
//! an answer of a real Prometheus that scrapes a real balancer.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Ringmaster, TEST_TIMEOUT, eventually, exchange, fresh_path};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/examples/observability")
}

/// Returns `true` if this program is there, and says otherwise that the test is skipped.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED, because there is no {program}");
    }
    found
}

#[test]
fn the_rules_pass_their_tests() {
    if !has("promtool") {
        return;
    }
    for (what, file) in [
        (&["test", "rules"][..], "rules_test.yaml"),
        (&["check", "config"], "prometheus.yaml"),
    ] {
        let output = Command::new("promtool")
            .args(what)
            .arg(file)
            .current_dir(folder())
            .output();
        let output = output.expect("promtool");
        assert!(output.status.success(), "{output:?}");
    }
}

/// A Prometheus that scrapes this balancer every second.
struct Prometheus {
    process: Child,
    addr: SocketAddr,
    files: PathBuf,
}

impl Prometheus {
    fn start(program: &Ringmaster) -> Self {
        let files = fresh_path("prometheus");
        std::fs::create_dir(&files).expect("a folder");
        let config = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: ringmaster, static_configs: [{{targets: ['{}']}}]}}]\n",
            program.control
        );
        std::fs::write(files.join("config.yaml"), config).expect("a file");
        // It takes no port 0.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let addr = free.expect("a port");
        let process = Command::new("prometheus")
            .arg(format!(
                "--config.file={}",
                files.join("config.yaml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                files.join("data").display()
            ))
            .arg(format!("--web.listen-address={addr}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus");
        Self {
            process,
            addr,
            files,
        }
    }

    /// Returns the samples of a query.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let reply = exchange(
            self.addr,
            format!(
                "GET /api/v1/query?query={encoded} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ),
        );
        let answer: Value = serde_json::from_str(&reply.text()).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"]
            .as_array()
            .expect("samples")
            .clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

/// Returns the queries of the dashboard, for all instances.
fn dashboard_queries() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("grafana.json")).expect("a file");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets").iter());
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    let queries = queries.map(|query| query.replace("$__rate_interval", "10s"));
    queries
        .map(|query| query.replace("$instance", ".*"))
        .collect()
}

/// Returns the words of the rules that look like names of metrics.
fn names_in_rules() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("rules.yaml")).expect("a file");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).map(str::to_owned);
    words
        .filter(|word| word.starts_with("ringmaster_") || word.starts_with("process_"))
        .collect()
}

#[test]
fn every_query_of_the_examples_has_an_answer() {
    if !has("prometheus") {
        return;
    }
    let program = Ringmaster::start(&["--replicas", "2"]);
    let prometheus = Prometheus::start(&program);
    eventually(TEST_TIMEOUT, "a Prometheus that is ready", || {
        let ready = "GET /-/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        std::net::TcpStream::connect(prometheus.addr).is_ok()
            && exchange(prometheus.addr, ready).status() == 200
    });
    // Rates need two scrapes with requests before and between them.
    let get = "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    eventually(TEST_TIMEOUT, "a rate", || {
        assert_eq!(exchange(program.listen, get).status(), 200);
        let rates = prometheus.query("rate(ringmaster_requests_total{way=\"home\"}[10s]) > 0");
        !rates.is_empty()
    });
    let queries = dashboard_queries();
    assert!(queries.len() >= 20, "{queries:?}");
    for query in queries {
        assert!(
            !prometheus.query(&query).is_empty(),
            "{query} has no sample"
        );
    }
    for name in names_in_rules() {
        let found = prometheus.query(&format!("{{__name__=\"{name}\"}}"));
        assert!(!found.is_empty(), "{name} is no metric");
    }
    let descriptors = prometheus.query("process_open_fds / process_max_fds");
    let part = descriptors[0]["value"][1]
        .as_str()
        .and_then(|part| part.parse::<f64>().ok());
    assert!(
        part.is_some_and(|part| part > 0.0 && part < 1.0),
        "{descriptors:?}"
    );
}
