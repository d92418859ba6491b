//! `show config`: the values that count, and their sources.

use serde_json::Value;

use super::File;
use crate::support::{Backend, Ringmaster, end_of, program, run_to_end};

/// A setting as `GET /config` shows it.
#[track_caller]
pub(super) fn setting(program: &Ringmaster, name: &str) -> Value {
    let all: Value = serde_json::from_str(&program.command("show config json")).expect("JSON");
    let settings = all["message"]["settings"].as_array().expect("a list");
    let found = settings.iter().find(|setting| setting["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {all}")).clone()
}

#[test]
fn each_setting_is_shown_with_its_value_and_its_source() {
    let file = File::new("\nmax-head = \"32KiB\"\nreplicas = 2\ncontrol-token = \"hunter2\"\n");
    let mut command = program();
    command
        .env("RINGMASTER_RETRIES", "1")
        .env("RINGMASTER_NO_SPLICE", "yes");
    let args = ["--config", file.path(), "--pool-idle", "7s"];
    let program = Ringmaster::launch(command, &args).ready();
    let shown = |name: &str| {
        let setting = setting(&program, name);
        (
            setting["value"].clone(),
            setting["source"].clone(),
            setting["line"].clone(),
        )
    };
    let none = Value::Null;
    let case = |value: &str, source: &str, line: Value| (value.into(), source.into(), line);
    assert_eq!(shown("max-head"), case("32KiB", "file", 2.into()));
    assert_eq!(shown("replicas"), case("2", "file", 3.into()));
    assert_eq!(shown("retries"), case("1", "variable", none.clone()));
    assert_eq!(shown("no-splice"), case("true", "variable", none.clone()));
    assert_eq!(shown("pool-idle"), case("7s", "flag", none.clone()));
    assert_eq!(shown("idle-timeout"), case("60s", "default", none.clone()));
    assert_eq!(shown("engine"), case("process", "default", none.clone()));
    assert_eq!(shown("replica-stop-timeout"), case("10s", "default", none));
    assert_eq!(shown("control-token"), case("set", "file", 4.into()));
    // The port was 0.
    let listen = setting(&program, "listen");
    assert_eq!(listen["value"], program.listen.to_string());
    assert_eq!(listen["configured"], "127.0.0.1:0");
    for answer in ["show config", "show config json"] {
        assert!(!program.command(answer).contains("hunter2"));
    }
    let control = program.control.to_string();
    let printed = run_to_end(&["ctl", "--control", &control, "show", "config"]);
    let printed = String::from_utf8(printed.stdout).expect("text");
    let line = printed.lines().find(|line| line.starts_with("max-head "));
    let source = format!("{}:2", file.path());
    let words: Vec<&str> = line.expect("a line").split_whitespace().collect();
    assert_eq!(words, ["max-head", &source, "32KiB"]);
}

#[test]
fn a_value_that_changed_since_the_start_is_shown_as_it_is() {
    let program = Ringmaster::start(&["--replicas", "2", "--bound", "1.5"]);
    assert!(
        program
            .command("ring set maglev; scale 1")
            .contains("N 1\n")
    );
    let ring = setting(&program, "ring");
    assert_eq!(
        (&ring["value"], &ring["configured"]),
        (&"maglev".into(), &"uniform".into())
    );
    let replicas = setting(&program, "replicas");
    assert_eq!(
        (&replicas["value"], &replicas["configured"]),
        (&"1".into(), &"2".into())
    );
    let bound = setting(&program, "bound");
    assert_eq!(
        (&bound["value"], bound.get("configured")),
        (&"1.5".into(), None)
    );
}

#[test]
fn a_limit_that_was_lowered_is_shown_as_it_counts() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut limited = crate::support::under(&["prlimit", "--nofile=1000:1000"]);
    if end_of(std::process::Command::new("prlimit").arg("--version"))
        .status
        .code()
        != Some(0)
    {
        eprintln!("SKIPPED, because there is no prlimit");
        return;
    }
    limited.env("RINGMASTER_MAX_CONNECTIONS", "5000");
    let at = format!("a={}", backend.addr);
    let args = ["--backend", &at, "--heartbeat-interval=0s", "--workers=1"];
    let program = Ringmaster::launch(limited, &args).ready();
    let shown = setting(&program, "max-connections");
    assert_eq!(
        (&shown["value"], &shown["configured"]),
        (&"300".into(), &"5000".into())
    );
    assert_eq!(setting(&program, "replicas")["value"], Value::Null);
    assert_eq!(setting(&program, "data-port-admin")["value"], "off");
}

#[test]
fn a_default_that_depends_on_another_flag_is_shown_with_it() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let at = format!("--backend=a={}", backend.addr);
    let names = [
        "queue",
        "queue-timeout",
        "burst-per-client",
        "resolve-interval",
        "replica-stop-timeout",
    ];
    let shown = |args: &[&str]| {
        let program = Ringmaster::start(args);
        names.map(|name| {
            let setting = setting(&program, name);
            setting["value"].as_str().map(str::to_owned)
        })
    };
    let some = |value: &str| Some(value.to_owned());
    let none = || None::<String>;
    let limits = [
        &at,
        "--max-in-flight-per-replica=4",
        "--rate-per-client=7/s",
    ];
    let expected = [some("128"), some("5s"), some("7"), some("5s"), none()];
    assert_eq!(shown(&limits), expected);
    let given = [
        "--queue=0",
        "--queue-timeout=1500ms",
        "--burst-per-client=3",
    ];
    let expected = [some("0"), some("1500ms"), some("3"), some("5s"), none()];
    assert_eq!(shown(&[&limits[..], &given[..]].concat()), expected);
    let managed = ["--replicas=1", "--drain-timeout=1s"];
    let expected = [none(), none(), none(), none(), some("2s")];
    assert_eq!(shown(&managed), expected);
}
