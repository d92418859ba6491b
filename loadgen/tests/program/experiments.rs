//! The experiments on the real ringmaster, with small loads: their files, the restored state, and
//! their errors.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::balancer::Balancer;
use crate::support::{beside, end_of, folder, loadgen, loadgen_with};

const NAMES: [&str; 3] = ["S1", "S2", "S3"];

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn total(point: &Value) -> u64 {
    let answers = point["answers"].as_object().unwrap();
    answers.values().map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn scaling_counts_every_request_and_draws_it() {
    beside("ringmaster");
    let out = folder("scaling");
    let line = "scaling --spawn --requests 150 --concurrency 10 --repeats 2 --seed 3 --out";
    let ended = loadgen_with(line, &[out.to_str().unwrap()]);
    ended.exits(0);
    ended.prints("Busiest server against the mean");
    let found = json(&out, "scaling.json");
    let points = found["points"].as_array().unwrap();
    let ns: Vec<u64> = points
        .iter()
        .map(|point| point["n"].as_u64().unwrap())
        .collect();
    assert_eq!(ns, [2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    assert!(points.iter().all(|point| total(point) == 150), "{found}");
    for chart in ["scaling-average", "scaling-balance", "scaling-variation"] {
        let svg = fs::read_to_string(out.join(format!("{chart}.svg"))).unwrap();
        assert!(svg.contains("number of servers N"), "{svg}");
        for ending in ["", "-dark"] {
            let png = fs::read(out.join(format!("{chart}{ending}.png"))).unwrap();
            assert!(png.starts_with(b"\x89PNG"));
        }
    }
    // The header, and one row per server and load.
    let csv = fs::read_to_string(out.join("scaling.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * (2 + 3 + 4 + 5 + 6));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2 * 3);
    // The same seed sends the same IDs, so the same servers answer if the ring alone decides.
    assert_eq!(points[0]["seed"], 3);
}

#[test]
fn recovery_kills_own_replicas_and_reports_failures_of_clients() {
    beside("ringmaster");
    let out = folder("recovery");
    let line = "recovery --spawn --kills 2 --requests 600 --rate 400 --concurrency 20 --out";
    let ended = loadgen_with(line, &[out.to_str().unwrap()]);
    ended.exits(0);
    let found = json(&out, "recovery.json");
    assert_eq!(total(&found["load"]), 600, "{found}");
    let kills = found["kills"].as_array().unwrap();
    let seats: Vec<u64> = kills
        .iter()
        .map(|kill| kill["seat"].as_u64().unwrap())
        .collect();
    assert_eq!(seats, [1, 2]);
    assert!(
        kills.iter().all(|kill| kill["replaced_after_ms"].is_f64()),
        "{found}"
    );
    for path in ["/home", "/heartbeat", "/rep", "/other"] {
        let endpoint = &found["endpoints"][path];
        assert!(
            endpoint["asked"].as_u64() > Some(0) && endpoint["wrong"] == 0,
            "{found}"
        );
    }
    let csv = fs::read_to_string(out.join("recovery.csv")).unwrap();
    assert!(
        csv.starts_with("ms,server 1,server 2,server 3\n0,"),
        "{csv}"
    );
    assert!(out.join("recovery-zoom.png").is_file());
}

#[test]
fn a_program_of_the_user_removes_replicas() {
    let balancer = Balancer::start("kill-with", &[]);
    let script = folder("kill-with-script").join("kill");
    let pid = balancer.pid();
    let text = format!(
        "#!/bin/sh\nfor pid in $(cat /proc/{pid}/task/*/children); do\n\
         tr '\\0' '\\n' < /proc/$pid/environ | grep -qx \"REPLICA_NAME=$1\" && kill -9 $pid\n\
         done\nexit 0\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let run = |program: &str| {
        let line = format!(
            "recovery {} --requests 300 --rate 300 --kills 1",
            balancer.flags()
        );
        loadgen_with(&line, &["--kill-with", program])
    };
    let ended = run(script.to_str().unwrap());
    ended.exits(0);
    ended.prints("replica S1 (seat 1) killed at");
    let now = balancer.replicas();
    assert!(now.len() == 3 && now[0] != "S1", "{now:?}");
    let ended = run("false");
    ended.exits(1);
    ended.complains("failed (exit status: 1)");
}

#[test]
fn an_unknown_ring_is_reported_and_left_out() {
    beside("ringmaster");
    let out = folder("hashes");
    let line = "hashes --spawn --ring classic --ring no-such-ring --requests 200 --concurrency 10 \
                --repeats 1 --seed 5 --out";
    let ended = loadgen_with(line, &[out.to_str().unwrap()]);
    ended.exits(0);
    ended.prints("left out: no-such-ring: ");
    let found = json(&out, "hashes.json");
    let ring = &found["rings"][0];
    assert_eq!(
        (ring["ring"].as_str(), found["left_out"][0].as_str()),
        (Some("classic"), Some("no-such-ring"))
    );
    // 8359 of 10,000, computed by hand.
    let share = ring["expected_shares"][1][0].as_f64().unwrap();
    assert!((share - 0.8359).abs() < 1e-4, "{share}");
    let nothing = loadgen("hashes --spawn --ring no-such-ring");
    nothing.exits(1);
    nothing.complains("none of these rings: no-such-ring");
}

#[test]
fn a_running_balancer_is_restored() {
    let balancer = Balancer::start("restored", &[]);
    let line = "scaling --requests 60 --concurrency 5 --repeats 1";
    let ended = loadgen(&format!("{line} {}", balancer.flags()));
    ended.exits(0);
    assert_eq!(balancer.replicas(), NAMES);
}

#[test]
fn a_running_balancer_is_restored_after_ctrl_c() {
    let balancer = Balancer::start("interrupted", &[]);
    let child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["scaling", "--requests", "1000000000"])
        .args(balancer.flags().split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The experiment begins with two replicas.
    balancer.reaches(2);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = end_of(child);
    ended.exits(1);
    ended.complains("restored: add 1 S3\n");
    assert!(
        ended
            .stderr
            .ends_with("interrupted; the unfinished experiment is not reported\n"),
        "{ended:?}"
    );
    assert_eq!(balancer.replicas(), NAMES);
}

#[test]
fn a_running_balancer_is_restored_after_a_refusal() {
    let balancer = Balancer::start("refused", &["--max-replicas", "4"]);
    let line = "scaling --requests 40 --concurrency 4 --repeats 1";
    let ended = loadgen(&format!("{line} {}", balancer.flags()));
    ended.exits(1);
    ended.complains("'add 1' was refused: ");
    assert_eq!(balancer.replicas(), NAMES);
}

#[test]
fn an_unreachable_target_is_one_sentence() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap().to_string();
    drop(free);
    let target = format!("http://{addr}");
    for experiment in ["distribution", "scaling", "recovery", "hashes", "all"] {
        let ended = loadgen(&format!("{experiment} --target {target} --control {addr}"));
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{ended:?}"
        );
        let sentence = format!("loadgen: cannot reach {target}: ");
        assert!(ended.stderr.starts_with(&sentence), "{ended:?}");
    }
}
