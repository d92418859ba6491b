//! `stats`, `GET /stats` and `GET /history` for known counters.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::load::LoadBound;
use crate::metrics::ReplicaCounters;
use crate::ring::Seat;
use crate::roster::{self, Health, Member, ReplicaAddr, ReplicaId, Roster};

fn message(text: &str) -> Value {
    let answer: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(answer["status"], "successful");
    answer["message"].clone()
}

#[test]
fn the_json_has_the_documented_fields() {
    let port = port();
    let message = message(&port.ask("stats json\n"));
    assert_eq!(message["wanted"], 3);
    assert_eq!((&message["N"], &message["up"]), (&json!(2), &json!(1)));
    assert_eq!(
        (&message["ring"], &message["bound"]),
        (&json!("classic"), &json!(0.0))
    );
    assert_eq!(message["engine"], "fixed");
    let seats = message["seats"].as_array().unwrap();
    let of = |name: &str| {
        seats
            .iter()
            .map(|seat| seat[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("seat"), [1, 2, 3]);
    assert_eq!(of("name"), [json!("S1"), json!("S2"), Value::Null]);
    assert_eq!(of("state"), ["up", "suspect", "empty"]);
    assert_eq!(of("requests"), [4, 0, 0]);
    let first = &seats[0];
    let classes = json!({"1xx": 0, "2xx": 3, "3xx": 0, "4xx": 1, "5xx": 0});
    assert_eq!(first["responses"], classes);
    let ways = ["home", "spilled", "diverted", "private"].map(|way| first[way].clone());
    assert_eq!(ways, [1; 4].map(|n| json!(n)));
    assert_eq!(first["home_share"], 0.25);
    assert_eq!(first["share"], 1.0);
    assert_eq!(first["retries"]["stale"], 1);
    assert!(first["requests_per_s"].as_f64().unwrap() > 0.0);
    let median = first["first_byte_ms"]["p50"].as_f64().unwrap();
    assert!((0.8..=1.0).contains(&median), "{median}");
    let slowest = first["total_ms"]["p99"].as_f64().unwrap();
    assert!((16.0..=20.0).contains(&slowest), "{slowest}");
    assert_eq!(seats[1]["first_byte_ms"], json!({"p50": null, "p99": null}));
    let totals = &message["totals"];
    assert_eq!(totals["requests"], 4);
    assert_eq!(totals["pool"], json!({"hits": 3, "misses": 0}));
    assert_eq!(totals["access_log"], json!({"written": 0, "lost": 2}));
    for field in first.as_object().unwrap().keys() {
        let own = ["seat", "name", "address", "state", "weight"].contains(&field.as_str());
        assert_eq!(own, totals.get(field).is_none(), "{field}");
    }
}

#[test]
fn the_lines_are_aligned_and_have_the_same_values() {
    let port = port();
    let answer = port.ask("stats\n");
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines[0], "N 2 wanted 3 up 1 standby 1");
    for word in ["load", "time", "way"] {
        let mut table = lines
            .iter()
            .filter(|line| line.split(' ').next() == Some(word));
        let head = table.next().unwrap();
        let rows: Vec<&&str> = table.collect();
        let names: Vec<&str> = head.split_whitespace().collect();
        assert_eq!(rows.len(), 4, "{answer}");
        for row in rows {
            assert_eq!(row.len(), head.len(), "{head}\n{row}");
            assert_eq!(row.split_whitespace().count(), names.len(), "{head}\n{row}");
            assert!(row.len() <= 100, "{row}");
        }
    }
    let row = |begin: &str| {
        let found = lines.iter().find(|line| line.starts_with(begin));
        found.unwrap().split_whitespace().collect::<Vec<_>>()
    };
    let load = row("load    1 ");
    assert_eq!((load[2], load[3], load[4]), ("S1", "up", "4"));
    assert_eq!(load[6..], ["3", "0", "1", "0", "0", "1"]);
    assert_eq!(row("load  all ")[4], "4");
    assert_eq!(
        row("way     1 ")[3..],
        ["0.250", "1", "1", "0", "1", "0", "400", "1"]
    );
    assert_eq!(row("time    2 ")[3..], ["-"; 6]);
    assert!(
        answer.contains("\naccess-log written 0 lost 2\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\n\n"));
}

#[test]
fn http_returns_the_same_json() {
    let port = port();
    let reply = port.ask("GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.contains("application/json"),
        "{head}"
    );
    let (by_http, by_text) = (message(body), message(&port.ask("stats json\n")));
    assert_eq!(
        by_http["seats"][0]["responses"],
        by_text["seats"][0]["responses"]
    );
    let names = |message: &Value| {
        message
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&by_http), names(&by_text));
}

#[test]
fn the_history_has_a_value_for_each_tick() {
    let port = port_with(|context| {
        let (recorder, begin) = (&context.sources.recorder, Instant::now());
        // Four requests of 2 and 18 ms; the third tick is missed.
        for second in [1, 2, 4, 10] {
            recorder.tick(begin + Duration::from_secs(second));
        }
    });
    let reply = port.ask("GET /history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let message = message(body);
    assert_eq!(message["interval_s"], 1.0);
    let values = |list: &Value| -> Vec<Option<f64>> {
        let values = list.as_array().unwrap().iter();
        values.map(Value::as_f64).collect()
    };
    let is_given = |list: &Value| -> Vec<bool> {
        // The port may have added a tick of its own.
        let values = values(list).into_iter().take(10);
        values.map(|value| value.is_some()).collect()
    };
    let slots = [
        true, true, false, true, false, false, false, false, false, true,
    ];
    let requests = values(&message["requests_per_s"]);
    assert_eq!(is_given(&message["requests_per_s"]), slots);
    assert!((3.0..=4.0).contains(&requests[0].unwrap()), "{requests:?}");
    assert!((1.5..=2.0).contains(&requests[1].unwrap()), "{requests:?}");
    assert!(requests[3] < requests[1] && requests[3] > Some(0.0));
    let bytes = values(&message["bytes_to_client_per_s"]);
    assert!((300.0..=400.0).contains(&bytes[0].unwrap()), "{bytes:?}");
    let (p50, p99) = (&message["total_ms"]["p50"], &message["total_ms"]["p99"]);
    assert!((1.6..=2.0).contains(&values(p50)[0].unwrap()), "{p50}");
    assert!((16.0..=20.0).contains(&values(p99)[0].unwrap()), "{p99}");
}

#[test]
fn remote_clients_are_denied() {
    let history = "GET /history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let refusal = ask_as("192.0.2.7", None, history);
    assert!(refusal.contains("/history is for local peers"), "{refusal}");
    for bytes in [
        "stats\n",
        "GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let refusal = ask_as("192.0.2.7", None, bytes);
        assert!(refusal.contains("/stats is for local peers"), "{refusal}");
    }
}

#[test]
fn a_long_name_keeps_the_columns_aligned() {
    let long = "a-replica-whose-name-is-as-long-as-names-may-be-0123456789abcde";
    let port = port_with(|context| {
        let ring = Spec::Uniform.build(&[Seat(1)].into()).unwrap();
        let member = Member {
            id: ReplicaId(1),
            seat: Seat(1),
            name: long.parse().unwrap(),
            addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
            health: Health::Up,
            drained: false,
            slow_start: None,
            counters: Arc::new(ReplicaCounters::new(1)),
        };
        let roster = Roster::new(7, ring, LoadBound::OFF, true, vec![member]);
        context.roster = roster::channel(1, roster).0.observer();
    });
    let answer = port.ask("stats\n");
    for word in ["load", "time", "way"] {
        let table = answer
            .lines()
            .filter(|line| line.split(' ').next() == Some(word));
        let lengths: Vec<usize> = table.map(str::len).collect();
        assert!(
            lengths.len() == 3 && lengths.iter().all(|len| *len == lengths[0]),
            "{answer}"
        );
    }
}
