//! `loadgen duel` with loads too small for figures: every installed peer is measured, the results
//! are written, and no process or file is left behind.

mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{ProgramOutput, beside, end_of, folder, is_tidy, until, within_deadline};

fn start(folder: &Path, args: &[&str]) -> Child {
    // Fails early if the workspace was not built.
    beside("ringmaster");
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .arg("duel")
        .args(args)
        .current_dir(folder)
        .env("TMPDIR", folder.join("tmp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn json(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("duel.json")).unwrap()).unwrap()
}

fn names(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|entry| entry["name"].as_str().unwrap()).collect()
}

/// Runs a short duel to its end.
fn tiny(folder: &Path, requests: &str, more: &[&str]) -> ProgramOutput {
    let mut args = vec!["--quick", "--json=duel.json", "--idle=30"];
    args.extend(["--requests", requests]);
    args.extend(more);
    end_of(start(folder, &args))
}

#[test]
fn measurements_are_in_table_json_and_chart() {
    let folder = folder("duel-figures");
    let mut args = vec!["--peer=direct", "--peer=ringmaster", "--svg=duel.svg"];
    for name in ["small", "close", "16k", "idle", "workers"] {
        args.extend(["--scenario", name]);
    }
    let ended = tiny(&folder, "200", &args);
    ended.exits(0);
    let record = json(&folder);
    let scenarios = record["scenarios"].as_array().unwrap();
    assert_eq!(
        names(&record["scenarios"]),
        BTreeSet::from(["16k", "close", "small", "workers"])
    );
    for scenario in scenarios {
        let paced = scenario["name"] != "workers";
        assert_eq!(scenario["rate"].is_number(), paced, "{scenario}");
        for lane in scenario["lanes"].as_array().unwrap() {
            let closed = lane["closed"].as_array().unwrap();
            assert_eq!(closed.len(), 2, "{lane}");
            assert!(
                closed.iter().all(|sample| sample["requests"] == 200),
                "{lane}"
            );
            assert_eq!(
                lane["open"].as_array().unwrap().len(),
                if paced { 2 } else { 0 }
            );
            let proxied = lane["name"] != "direct";
            assert_eq!(lane["summary"]["cpu_us"].is_object(), proxied, "{lane}");
        }
    }
    assert_eq!(
        names(&scenarios[3]["lanes"]),
        BTreeSet::from(["ringmaster x1", "ringmaster x2"])
    );
    let memory = &record["memory"][0];
    assert_eq!(memory["connections"], 30, "{record}");
    assert_eq!(memory["samples"].as_array().unwrap().len(), 2, "{record}");
    for line in [
        "small: 200-byte body",
        "close: ",
        "idle: 30 connections",
        "workers: ",
    ] {
        ended.prints(line);
    }
    assert!(
        fs::read_to_string(folder.join("duel.svg"))
            .unwrap()
            .contains("</svg>")
    );
    assert!(is_tidy(&folder));
}

#[test]
fn every_peer_is_measured_or_reported_as_skipped() {
    let folder = folder("duel-peers");
    let ended = tiny(&folder, "20", &["--scenario=small", "--scenario=1m"]);
    ended.exits(0);
    let record = json(&folder);
    let mut met = names(&record["scenarios"][0]["lanes"]);
    let missing = names(&record["skipped"]);
    for peer in missing.iter().filter(|name| **name != "strace") {
        eprintln!("without {peer}: it is not installed");
        ended.prints(&format!("{peer:<14} skipped: "));
        met.insert(peer);
    }
    let all = [
        "relay",
        "direct",
        "haproxy-http",
        "haproxy-tcp",
        "nginx-http",
        "nginx-stream",
        "ringmaster",
    ];
    assert_eq!(met, BTreeSet::from(all));
    assert!(is_tidy(&folder));
}

/// Child processes of all threads.
fn children(of: &Child) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{}/task", of.id())).unwrap();
    let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    let lists: Vec<String> = lists.map(Result::unwrap_or_default).collect();
    let ids = lists.iter().flat_map(|list| list.split_whitespace());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Returns `true` if the process has exited. It may stay a zombie for a moment.
fn is_gone(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// Starts a duel that never ends by itself, and returns once its proxies run.
fn endless(folder: &Path) -> (Child, Vec<u32>) {
    let mut args = vec!["--peer=direct", "--peer=ringmaster", "--scenario=small"];
    args.extend(["--rounds=1000", "--duration=100ms"]);
    let mut loadgen = start(folder, &args);
    let mut stderr = BufReader::new(loadgen.stderr.take().unwrap());
    let line = within_deadline(move || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        line
    });
    assert_eq!(line, "loadgen: measuring small\n");
    let mut ids = Vec::new();
    until(|| {
        ids = children(&loadgen);
        !ids.is_empty() && is_tidy(folder)
    });
    (loadgen, ids)
}

#[test]
fn a_signal_stops_all_proxies_and_the_report_is_printed() {
    let folder = folder("duel-signal");
    let (loadgen, ids) = endless(&folder);
    kill_process(Pid::from_child(&loadgen), Signal::INT).unwrap();
    let ended = end_of(loadgen);
    ended.exits(1);
    ended.prints("small: 200-byte body");
    assert!(
        ended.stdout.ends_with("\nfaults\n  interrupted\n"),
        "{ended:?}"
    );
    assert!(ids.into_iter().all(is_gone) && is_tidy(&folder));
}

#[test]
fn no_proxy_outlives_a_killed_loadgen() {
    let folder = folder("duel-killed");
    let (mut loadgen, ids) = endless(&folder);
    loadgen.kill().unwrap();
    loadgen.wait().unwrap();
    until(|| ids.iter().all(|id| is_gone(*id)));
    assert!(is_tidy(&folder));
}

#[test]
fn configurations_are_printed_and_nothing_is_started() {
    let folder = folder("duel-configs");
    let ended = end_of(start(&folder, &["--print-configs", "--peer=ringmaster"]));
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    assert!(
        ended.stdout.starts_with("# ringmaster: ringmaster "),
        "{ended:?}"
    );
    ended.prints("\nserve --listen 127.0.0.1:8000 ");
}

#[test]
fn a_named_program_must_be_there() {
    let folder = folder("duel-named");
    let ended = end_of(start(&folder, &["--haproxy", "/nowhere/haproxy"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(ended.stderr, "loadgen: /nowhere/haproxy does not exist\n");
}

#[test]
fn small_requests_are_measured_beside_large_bodies_of_each_kind() {
    let folder = folder("duel-fairness");
    let peers = ["--scenario=fairness", "--peer=direct", "--peer=ringmaster"];
    // Half a second: on busy cores the large bodies move nothing in less.
    let ended = tiny(&folder, "100", &peers);
    ended.exits(0);
    let record = json(&folder);
    let lines = record["fairness"].as_array().unwrap();
    let kinds = ["nothing", "uploads", "downloads", "tunnels", "chunks"];
    let expected = kinds.map(|kind| ["direct", "ringmaster"].map(|name| (kind, name)));
    let met = lines.iter().map(|line| {
        (
            line["bulk"].as_str().unwrap(),
            line["name"].as_str().unwrap(),
        )
    });
    assert_eq!(met.collect::<Vec<_>>(), expected.concat());
    for line in lines {
        assert_eq!(line["samples"].as_array().unwrap().len(), 2, "{line}");
        let summary = &line["summary"];
        assert_eq!(summary["requests"], 200, "{line}");
        // Only bodies of the measured kind are moved.
        let moved = summary["mib_per_second"].as_f64().unwrap() > 0.0;
        assert_eq!(moved, line["bulk"] != "nothing", "{line}");
    }
    let title = "fairness: 200-byte bodies at 200 requests/s, beside 20 clients at full speed";
    ended.prints(title);
    assert!(is_tidy(&folder));
}
