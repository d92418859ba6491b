//! The examples for Prometheus and Grafana: the rules pass their tests, and every query of both has
//! an answer of a real Prometheus that scrapes a real balancer.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::prometheus::scraping;
use super::{Service, is_here};
use crate::support::{Ringmaster, TEST_TIMEOUT, eventually, exchange};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/examples/observability")
}

#[test]
fn the_rules_pass_their_tests() {
    if !is_here("promtool", "the rules of the example", true) {
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

/// Returns the samples of a query.
#[track_caller]
fn samples(server: &Service, query: &str) -> Vec<Value> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let reply = exchange(
        server.addr,
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
    if !is_here("prometheus", "the queries of the examples", true) {
        return;
    }
    let program = Ringmaster::start(&["--replicas", "2"]);
    let prometheus = scraping(program.control, "1s");
    eventually(TEST_TIMEOUT, "a Prometheus that is ready", || {
        let ready = "GET /-/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        exchange(prometheus.addr, ready).status() == 200
    });
    // Rates need two scrapes with requests before and between them.
    let get = "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    eventually(TEST_TIMEOUT, "a rate", || {
        assert_eq!(exchange(program.listen, get).status(), 200);
        let rates = samples(
            &prometheus,
            "rate(ringmaster_requests_total{way=\"home\"}[10s]) > 0",
        );
        !rates.is_empty()
    });
    let queries = dashboard_queries();
    assert!(queries.len() >= 20, "{queries:?}");
    for query in queries {
        assert!(
            !samples(&prometheus, &query).is_empty(),
            "{query} has no sample"
        );
    }
    for name in names_in_rules() {
        let found = samples(&prometheus, &format!("{{__name__=\"{name}\"}}"));
        assert!(!found.is_empty(), "{name} is no metric");
    }
    let descriptors = samples(&prometheus, "process_open_fds / process_max_fds");
    let part = descriptors[0]["value"][1]
        .as_str()
        .and_then(|part| part.parse::<f64>().ok());
    assert!(
        part.is_some_and(|part| part > 0.0 && part < 1.0),
        "{descriptors:?}"
    );
}
