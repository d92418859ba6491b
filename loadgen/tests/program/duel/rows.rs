//! The rows beside plain loads: the relay, held connections, and settings in which the cost grows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::{json, names, tiny};
use crate::support::{ProgramOutput, beside, folder, is_tidy};

/// Runs a short duel of these scenarios without a fault, and returns its JSON file.
fn measured(
    folder: &Path,
    requests: &str,
    scenarios: &[&str],
    flags: &[&str],
) -> (ProgramOutput, Value) {
    let scenarios = scenarios.iter().map(|name| format!("--scenario={name}"));
    let scenarios: Vec<String> = scenarios.collect();
    let scenarios = scenarios.iter().map(String::as_str);
    let args: Vec<&str> = flags.iter().copied().chain(scenarios).collect();
    let ended = tiny(folder, requests, &args);
    ended.exits(0);
    (ended, json(folder))
}

/// A relay in front of the same backends moves small and large bodies, and knows no HTTP.
#[test]
fn the_relay_is_measured_for_small_and_spliced_bodies() {
    let folder = folder("duel-relay");
    let (_, record) = measured(
        &folder,
        "20",
        &["small", "16m", "close"],
        &["--peer=relay", "--peer=ringmaster"],
    );
    let both = BTreeSet::from(["relay", "ringmaster"]);
    let found = [0, 1, 2].map(|index| names(&record["scenarios"][index]["lanes"]));
    assert_eq!(found, [both.clone(), BTreeSet::from(["ringmaster"]), both]);
    assert!(is_tidy(&folder));
}

#[test]
fn every_kind_of_held_connections_is_measured() {
    let folder = folder("duel-memory");
    let rows = [
        "idle",
        "waiting",
        "stuck-uploads",
        "slow-uploads",
        "slow-readers",
        "slow-chunks",
        "burst",
        "rounds",
    ];
    let flags = ["--peer=ringmaster", "--connections=20", "--rounds=1"];
    let (ended, record) = measured(&folder, "20", &rows, &flags);
    let memory = record["memory"].as_array().unwrap();
    let found: Vec<&str> = memory
        .iter()
        .map(|result| result["row"].as_str().unwrap())
        .collect();
    assert_eq!(found, rows);
    for result in memory {
        let held = result["row"] != "rounds";
        let each = &result["summary"]["kib_per_connection"];
        assert_eq!(each.is_object(), held, "{result}");
        ended.prints(&format!("\n{}: ", result["row"].as_str().unwrap()));
    }
    assert!(is_tidy(&folder));
}

#[test]
fn cost_is_measured_in_each_setting_and_written_into_a_readme() {
    let folder = folder("duel-settings");
    let marks = ["begin", "end"].map(|end| format!("<!-- tables of loadgen duel: {end} -->\n"));
    let readme = folder.join("README.md");
    fs::write(
        &readme,
        format!("before\n{}old\n{}after\n", marks[0], marks[1]),
    )
    .unwrap();
    let scenarios = ["connections", "backends", "observed", "chunks"];
    let flags = ["--peer=ringmaster", "--rounds=1", "--readme=README.md"];
    let (_, record) = measured(&folder, "100", &scenarios, &flags);
    let lanes = |index: usize| {
        let lanes = record["scenarios"][index]["lanes"].as_array().unwrap();
        let names = lanes.iter().map(|lane| lane["name"].as_str().unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(lanes(0), ["ringmaster"]);
    let settings = |labels: [&str; 3]| labels.map(|label| format!("ringmaster {label}"));
    assert_eq!(lanes(1), settings(["c64", "c512", "c4096"]));
    assert_eq!(lanes(2), settings(["b3", "b64", "b256"]));
    assert_eq!(lanes(3), settings(["plain", "log", "scrape"]));
    let text = fs::read_to_string(&readme).unwrap();
    assert!(
        text.starts_with(&format!("before\n{}Machine: ", marks[0])),
        "{text}"
    );
    assert!(text.ends_with(&format!("{}after\n", marks[1])), "{text}");
    assert!(text.contains("| **backends**: ringmaster b256 |"), "{text}");
    assert!(!text.contains("old"), "{text}");
    assert!(is_tidy(&folder));
}

#[test]
fn backends_at_unix_sockets_are_measured_beside_those_at_ports() {
    let folder = folder("duel-sockets");
    let (recorder, recorded) = (folder.join("ringmaster"), folder.join("flags"));
    let program = beside("ringmaster");
    let script = format!("#!/bin/sh\necho \"$@\" >>{recorded:?}\nexec {program:?} \"$@\"\n");
    fs::write(&recorder, script).unwrap();
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755)).unwrap();
    let named = format!("--ringmaster={}", recorder.display());
    let flags = ["--peer=ringmaster", "--rounds=1", &named];
    let (_, record) = measured(&folder, "100", &["sockets"], &flags);
    let lanes = record["scenarios"][0]["lanes"].as_array().unwrap();
    let names = lanes.iter().map(|lane| lane["name"].as_str().unwrap());
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["ringmaster tcp", "ringmaster unix"]
    );
    assert!(lanes[1]["summary"]["growth"].is_object(), "{record}");
    let recorded = fs::read_to_string(&recorded).unwrap();
    let starts: Vec<&str> = recorded
        .lines()
        .filter(|line| line.starts_with("serve"))
        .collect();
    let at = |start: &str, prefix| start.matches(&format!("={prefix}")).count();
    let found = starts
        .iter()
        .map(|start| (at(start, "127.0.0.1:"), at(start, "unix:/")));
    assert_eq!(found.collect::<Vec<_>>(), [(3, 0), (0, 3)]);
    assert!(is_tidy(&folder));
}
