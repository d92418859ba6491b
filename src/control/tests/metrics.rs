//! `/metrics` for known counters. The format is tested on the whole program.

use super::*;

fn metrics(port: &Fixture) -> (String, String) {
    let reply = port.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{reply}");
    (head.to_owned(), body.to_owned())
}

#[test]
fn counters_have_a_sample_for_each_seat() {
    let (head, text) = metrics(&port());
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        &format!("ringmaster_build_info{{version=\"{version}\"}} 1"),
        "ringmaster_start_time_seconds 1.5",
        "ringmaster_engine_up{engine=\"fixed\"} 1",
        "ringmaster_replicas_wanted 3",
        "ringmaster_replicas_answered 2",
        "ringmaster_replicas_up 1",
        "ringmaster_standbys 1",
        "ringmaster_versions 2",
        "ringmaster_replacing 1",
        "ringmaster_rollouts_total{stage=\"turned_back\"} 0",
        "ringmaster_replica_state{seat=\"1\",state=\"up\"} 1",
        "ringmaster_replica_state{seat=\"1\",state=\"down\"} 0",
        "ringmaster_replica_state{seat=\"2\",state=\"suspect\"} 1",
        "ringmaster_replica_state{seat=\"3\",state=\"empty\"} 1",
        "ringmaster_replica_weight{seat=\"2\"} 1",
        "ringmaster_requests_total{seat=\"1\",way=\"home\"} 1",
        "ringmaster_requests_total{seat=\"1\",way=\"spilled\"} 1",
        "ringmaster_requests_total{seat=\"1\",way=\"diverted\"} 1",
        "ringmaster_requests_total{seat=\"1\",way=\"private\"} 1",
        "ringmaster_replies_total{seat=\"1\",class=\"2xx\"} 3",
        "ringmaster_replies_total{seat=\"1\",class=\"4xx\"} 1",
        "ringmaster_retries_total{seat=\"1\",reason=\"stale\"} 1",
        "ringmaster_retries_total{seat=\"1\",reason=\"lost\"} 0",
        "ringmaster_sent_bytes_total{seat=\"1\"} 400",
        "ringmaster_first_byte_seconds_bucket{seat=\"1\",le=\"0.0005\"} 0",
        "ringmaster_first_byte_seconds_bucket{seat=\"1\",le=\"0.001\"} 3",
        "ringmaster_first_byte_seconds_bucket{seat=\"1\",le=\"0.01\"} 4",
        "ringmaster_first_byte_seconds_bucket{seat=\"1\",le=\"+Inf\"} 4",
        "ringmaster_first_byte_seconds_sum{seat=\"1\"} 0.012",
        "ringmaster_first_byte_seconds_count{seat=\"1\"} 4",
        "ringmaster_request_duration_seconds_sum{seat=\"1\"} 0.024",
        "ringmaster_heartbeat_seconds_count{seat=\"1\"} 0",
        "ringmaster_replacement_seconds_count 0",
        "ringmaster_retries_denied_total 4",
        "ringmaster_pool_hits_total 3",
        "ringmaster_access_log_lost_total 2",
        "ringmaster_own_replies_total{class=\"5xx\"} 0",
    ] {
        assert!(
            text.lines().any(|sample| sample == line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn names_and_addresses_are_no_labels() {
    let (_, text) = metrics(&port());
    for secret in ["S1", "127.0.0.1", "name="] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    assert!(
        samples
            .clone()
            .all(|line| line.starts_with("ringmaster_") || line.starts_with("process_")),
        "{text}"
    );
    // One seat with counters and three with a state; the number grows with the seats.
    assert!(samples.count() < 210, "{text}");
}

#[test]
fn metrics_need_no_token() {
    let get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(ask_as("192.0.2.7", None, get).starts_with("HTTP/1.1 200 "));
    let (head, _) = metrics(&port());
    assert!(
        head.to_ascii_lowercase().contains("content-length: "),
        "{head}"
    );
}
