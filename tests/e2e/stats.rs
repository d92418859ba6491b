//! `stats`, `GET /stats` and `GET /history` of the real program: they count the requests of
//! clients, and go on when a seat's replica is replaced.

use serde_json::Value;

use crate::support::{Backend, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ASK: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[track_caller]
fn stats(program: &Ringmaster) -> Value {
    read(program, "/stats")
}

#[track_caller]
fn read(program: &Ringmaster, path: &str) -> Value {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let reply = exchange(program.control, request);
    let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(answer["status"], "successful", "{answer}");
    answer["message"].clone()
}

#[test]
fn stats_count_the_requests_served() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--workers", "2"]);
    let mut client = program.client();
    for _ in 0..20 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    assert_eq!(exchange(program.listen, "nonsense\r\n\r\n").status(), 400);
    // A reply is counted as whole a moment after the client has it.
    eventually(TEST_TIMEOUT, "20 requests that ended", || {
        let seat = &stats(&program)["seats"][0];
        seat["responses"]["2xx"] == 20 && seat["in_flight"] == 0
    });
    let message = stats(&program);
    let (seat, totals) = (&message["seats"][0], &message["totals"]);
    assert_eq!((&message["wanted"], &message["N"]), (&1.into(), &1.into()));
    assert_eq!(
        (&seat["name"], &seat["state"]),
        (&"S1".into(), &"up".into())
    );
    assert_eq!(seat["address"], backend.addr.to_string());
    assert_eq!((&seat["requests"], &seat["home"]), (&20.into(), &20.into()));
    assert_eq!(seat["bytes_from_client"], 20 * ASK.len());
    assert!(seat["bytes_to_client"].as_u64() >= Some(20 * OK.len() as u64));
    assert!(seat["total_ms"]["p99"].as_f64() >= seat["first_byte_ms"]["p50"].as_f64());
    assert!(seat["requests_per_s"].as_f64() > Some(0.0), "{seat}");
    assert_eq!(totals["connections"]["accepted"], 2);
    assert_eq!(
        (&totals["refused"]["4xx"], &totals["own_replies"]["4xx"]),
        (&1.into(), &1.into())
    );
    assert_eq!(totals["pool"], serde_json::json!({"hits": 19, "misses": 1}));
    let lines = program.command("stats");
    let row = lines.lines().find(|line| line.starts_with("load    1 S1 "));
    let words: Vec<&str> = row.expect("a row").split_whitespace().collect();
    assert_eq!((words[3], words[4]), ("up", "20"), "{lines}");
}

#[test]
fn the_counts_of_a_seat_go_on_when_its_replica_dies() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let ask = |times: usize| {
        for _ in 0..times {
            let reply = exchange(program.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(reply.status(), 200);
        }
    };
    ask(5);
    program.strike(&["S1"], Signal::KILL);
    program.event("replaced", 1);
    ask(7);
    // One may have been sent to the dead one and then to its successor.
    let message = stats(&program);
    let seat = &message["seats"][0];
    assert!(seat["requests"].as_u64() >= Some(12), "{seat}");
    assert_ne!(seat["name"], "S1");
    assert_eq!(
        (&seat["deaths"], &seat["replacements"]),
        (&1.into(), &1.into())
    );
    eventually(TEST_TIMEOUT, "heartbeats", || {
        let seat = &stats(&program)["seats"][0];
        seat["heartbeats"].as_u64() > Some(1) && seat["heartbeat_ms"]["p50"].is_number()
    });
    program.command("rm 1");
    let message = stats(&program);
    assert_eq!(
        (&message["wanted"], &message["seats"]),
        (&0.into(), &serde_json::json!([]))
    );
    assert!(
        message["totals"]["requests"].as_u64() >= Some(12),
        "{message}"
    );
}

#[test]
fn the_history_goes_back_before_its_reader_and_begins_again_after_a_takeover() {
    let mut program = Ringmaster::start(&["--replicas", "1"]);
    let rates = |program: &Ringmaster| -> Vec<f64> {
        let message = read(program, "/history");
        let rates = message["requests_per_s"].as_array().expect("a list").iter();
        rates.filter_map(Value::as_f64).collect()
    };
    let reply = exchange(program.listen, "GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200);
    eventually(TEST_TIMEOUT, "the request among the seconds", || {
        let rates = rates(&program);
        rates.len() > 3 && rates.iter().any(|rate| *rate > 0.0)
    });
    let successor = program.taken_over(&["--replicas", "1"]);
    // Until its end the old process may accept a connection and close it unread.
    assert!(program.wait().success());
    eventually(TEST_TIMEOUT, "a second of the new process", || {
        !rates(&successor).is_empty()
    });
    let after = rates(&successor);
    assert!(after.iter().all(|rate| *rate == 0.0), "{after:?}");
}
