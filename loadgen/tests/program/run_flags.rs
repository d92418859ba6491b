//! Flags of `loadgen run` that hey and oha have too: the bytes that they send, the report, and the
//! values that they refuse.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{DEADLINE, folder, loadgen, loadgen_with, replica};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Starts a server that answers every request with `answer`, or never if it is empty. The receiver
/// gets every request, body included.
fn record(answer: &'static str) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (requests, seen) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let requests = requests.clone();
            thread::spawn(move || serve(client.unwrap(), answer, &requests));
        }
    });
    (addr, seen)
}

fn serve(mut client: TcpStream, answer: &str, requests: &Sender<String>) {
    let mut input = BufReader::new(client.try_clone().unwrap());
    loop {
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            if let Some(digits) = line.strip_prefix("Content-Length: ") {
                length = digits.trim_end().parse().unwrap();
            }
            request += &line;
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).unwrap();
        request += &String::from_utf8(body).unwrap();
        let _ = requests.send(request);
        client.write_all(answer.as_bytes()).unwrap();
    }
}

#[test]
fn method_fields_body_and_url_are_sent_as_given() {
    let (addr, seen) = record(ANSWER);
    let line = format!("run http://{addr}/items?all=1 -n 3 -c 1 -m POST -d a=-1");
    let fields = ["-H", "Accept: text/plain", "-H", "x-request-id: fixed"];
    let ended = loadgen_with(&line, &fields);
    ended.exits(0);
    ended.prints(&format!(
        "3 POST requests to http://{addr}/items?all=1 over 1 connection"
    ));
    let all: Vec<String> = seen.try_iter().collect();
    let expected = format!(
        "POST /items?all=1 HTTP/1.1\r\nHost: {addr}\r\nAccept: text/plain\r\n\
         x-request-id: fixed\r\nContent-Length: 4\r\n\r\na=-1"
    );
    assert_eq!(all, vec![expected; 3]);
}

#[test]
fn a_head_request_ends_with_its_head() {
    let replica = replica(1);
    let ended = loadgen(&format!(
        "run http://{}/home -n 20 -c 2 -m HEAD",
        replica.addr
    ));
    ended.exits(0);
    ended.prints("20 answered, 0 failed\n");
}

#[test]
fn a_duration_replaces_the_number_of_requests() {
    let replica = replica(1);
    let start = Instant::now();
    let line = format!("run http://{}/home -z 200ms -c 2 --json", replica.addr);
    let ended = loadgen(&line);
    ended.exits(0);
    assert!(start.elapsed() >= Duration::from_millis(200));
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["requests"], Value::Null);
    assert_eq!(found["duration_seconds"], json!(0.2));
    assert!(found["answered"].as_u64() > Some(1), "{found}");
}

#[test]
fn a_run_with_a_number_and_a_time_ends_with_the_first_of_them() {
    let replica = replica(1);
    let run = |flags: &str| {
        let ended = loadgen(&format!("run http://{}/home -c 2 {flags}", replica.addr));
        ended.exits(0);
        ended
    };
    let start = Instant::now();
    let found: Value = serde_json::from_str(&run("-z 1h -n 3 --json").stdout).unwrap();
    assert!(start.elapsed() < DEADLINE);
    assert_eq!(
        (&found["answered"], &found["requests"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(found["duration_seconds"], json!(3600.0));
    run("-z 1h -n 3 -q 1000").prints("1h of at most 3 requests to ");
    let found: Value = serde_json::from_str(&run("-z 100ms -n 100000000 --json").stdout).unwrap();
    assert!(found["answered"].as_u64() < Some(100_000_000), "{found}");
}

#[test]
fn the_time_limit_is_that_of_the_flag() {
    let (addr, _seen) = record("");
    let start = Instant::now();
    let ended = loadgen(&format!("run http://{addr}/ -n 2 -c 2 -t 0.2"));
    ended.exits(1);
    assert_eq!(ended.count("timed out"), 2);
    // The default is 10 s.
    assert!(start.elapsed() < Duration::from_secs(8), "{ended:?}");
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn the_text_has_a_histogram_and_the_json_has_the_same_figures() {
    let replica = replica(4);
    let url = format!("http://{}/home", replica.addr);
    let ended = loadgen(&format!("run {url} -n 500 -c 5 --seed 1"));
    ended.exits(0);
    ended.prints(", p99.9 ");
    let rows = ended.stdout.lines().filter(|line| line.starts_with('≤'));
    let counts: u64 = rows
        .map(|row| {
            row.split_whitespace()
                .nth(3)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(counts, 500, "{ended:?}");
    let out = folder("run-out");
    let line = format!("run {url} -n 500 -c 5 -q 5000 --json --out");
    let ended = loadgen_with(&line, &[out.to_str().unwrap()]);
    ended.exits(0);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["servers"], json!({"4": 500}));
    assert_eq!(
        (&found["rate"], &found["connections"]),
        (&json!(5000.0), &json!(5))
    );
    for figure in [
        "min", "mean", "p50", "p75", "p90", "p95", "p99", "p99_9", "max",
    ] {
        assert!(found["latency_ms"][figure].as_f64() > Some(0.0), "{figure}");
    }
    let file = fs::read_to_string(out.join("run.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), found);
    assert!(out.join("run.csv").is_file() && out.join("report.html").is_file());
}

#[test]
fn a_bad_value_is_named_and_nothing_is_sent() {
    let (addr, seen) = record(ANSWER);
    let url = format!("http://{addr}/");
    let cases: [(&[&str], &str); 15] = [
        (&["-n", "0"], "--requests"),
        (&["-c", "0"], "--concurrency"),
        (&["-z", "soon"], "a time is 1ms to 24h"),
        (&["-z", "0"], "a time is 1ms to 24h"),
        (&["-t", "25h"], "a time is 1ms to 24h"),
        (&["-t", "-1"], "-1"),
        (&["-q", "fast"], "a rate is 0.01 to 10000000 requests/s"),
        (&["-H", "Accept"], "a header field is 'Name: value'"),
        (&["-H", "A: x\r\nB: y"], "no control characters"),
        (
            &["-H", "Content-Length: 3"],
            "loadgen sets Content-Length itself",
        ),
        (&["-m", "GET /"], "a method is a word"),
        (&["-m", "CONNECT"], "CONNECT opens a tunnel"),
        (&["--path", "/a"], "cannot be used with"),
        (&["--target", "http://a"], "cannot be used with"),
        (&["--spawn"], "cannot be used with"),
    ];
    for (flags, sentence) in cases {
        let ended = loadgen_with(&format!("run {url}"), flags);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{flags:?}"
        );
        ended.complains(sentence);
    }
    for (url, sentence) in [
        ("https://a/", "loadgen speaks no TLS"),
        ("a", "a target begins with http://"),
        ("http://a/ b", "a path begins with /"),
    ] {
        let ended = loadgen_with("run", &[url]);
        ended.exits(2);
        ended.complains(sentence);
    }
    assert_eq!(seen.try_iter().count(), 0);
}
