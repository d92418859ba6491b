//! Targets of the access log: standard output, a file that is rotated, a full disk, a slow pipe,
//! none.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::{ASK, Log, OK, expect, fields};
use crate::support::{
    Backend, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, exchange, run_to_end,
};

fn lost(program: &Ringmaster) -> u64 {
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    stats["message"]["totals"]["access_log"]["lost"]
        .as_u64()
        .expect("a number")
}

#[test]
fn json_goes_to_standard_output() {
    let backend = Backend::answering(OK);
    let args = ["--access-log", "-", "--access-log-format", "json"];
    let program = Ringmaster::before(backend.addr, &args);
    assert_eq!(exchange(program.listen, ASK).status(), 200);
    // The last lines are written before the program ends.
    let lines = program.last_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let record: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(
        (&record["path"], &record["status"]),
        (&"/a".into(), &200.into())
    );
    assert_eq!(
        (&record["key"], &record["way"]),
        (&"5".into(), &"home".into())
    );
}

#[test]
fn a_file_that_was_moved_away_is_reopened() {
    let (log, old) = (Log::new(), Log::new());
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let mut client = program.client();
    client.ask(ASK);
    log.expect(1);
    std::fs::rename(&log.0, &old.0).expect("a new name");
    client.ask(ASK);
    assert_eq!(old.expect(2).len(), 2, "until it is told, it writes on");
    program.signal(Signal::HUP);
    eventually(TEST_TIMEOUT, "a new file", || log.0.exists());
    client.ask(ASK);
    log.expect(1);
    old.expect(2);
    program.expect_log("was reopened");
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", "/dev/full"]);
    let mut client = program.client();
    for _ in 0..50 {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    eventually(TEST_TIMEOUT, "50 lost lines", || lost(&program) == 50);
    let warnings = program.log().matches("cannot write the access log").count();
    assert_eq!(warnings, 1, "{}", program.log());
    let metrics = exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .text();
    assert!(
        metrics.contains("\nringmaster_access_log_lost_total 50\n"),
        "{metrics}"
    );
}

#[test]
fn a_slow_reader_keeps_no_request_waiting() {
    let log = Log::new();
    assert!(
        end_of(std::process::Command::new("mkfifo").arg(&log.0))
            .status
            .success()
    );
    // Without a reader it is an error, not a wait.
    let refused = run_to_end(&[
        "serve",
        "--access-log",
        log.path(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    // For reading and writing it is opened without waiting for the other side (fifo(7)).
    let pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&log.0);
    let pipe = pipe.expect("the pipe");
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--access-log", log.path()]);
    let mut client = program.client();
    // A pipe holds 64 KiB, which is less than this many lines.
    const REQUESTS: usize = 600;
    for _ in 0..REQUESTS {
        assert_eq!(client.ask(ASK).status(), 200);
    }
    let mut lines = BufReader::new(pipe).lines();
    for _ in 0..REQUESTS {
        let line = lines.next().expect("a line").expect("UTF-8");
        expect(&fields(&line), &[("status", "200"), ("ended", "whole")]);
    }
    assert_eq!(lost(&program), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_before_anything_is_served() {
    let end = run_to_end(&[
        "serve",
        "--access-log",
        "/nowhere/access.log",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!((end.status.code(), end.stdout.len()), (Some(1), 0));
    let errors = String::from_utf8_lossy(&end.stderr);
    let sentence =
        "ringmaster: --access-log /nowhere/access.log: cannot open it: No such file or directory";
    assert!(errors.contains(sentence), "{errors}");
    let end = run_to_end(&["serve", "--access-log", "", "--access-log-format", "xml"]);
    assert_eq!(end.status.code(), Some(2));
}
