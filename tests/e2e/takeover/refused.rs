//! Processes that may not take over, and the reasons they get.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use super::successor;
use crate::support::{Ringmaster, end_of, program, run_to_end};

/// Returns the error output of a process that was refused a takeover.
#[track_caller]
pub(super) fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_balancer_of_another_engine_may_not_take_over() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let ports = ["serve", "--takeover", "--control", &control, "--listen"];
    let fixed = ["--backend", "a=127.0.0.1:1"];
    let stderr = refused(&run_to_end(&[&ports[..], &[&listen], &fixed].concat()));
    let sentence = "cannot take over --engine fixed from a balancer of --engine process";
    assert!(stderr.contains(sentence), "{stderr}");
    let stderr = refused(&run_to_end(&[&ports[..], &["127.0.0.1:1"]].concat()));
    let sentence =
        format!("the running balancer listens on {listen}, not on 127.0.0.1:1 (--listen)");
    assert!(stderr.contains(&sentence), "{stderr}");
    assert_eq!(first.rep(), ["S1"]);
}

#[test]
fn a_successor_without_a_writable_ready_file_leaves_the_old_one_alone() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let children = first.children();
    let flags = ["--ready-file", "/no/such/folder/ready.json"];
    let stderr = refused(&end_of(&mut successor(&first, &flags)));
    assert!(stderr.contains("--ready-file /no/such/folder"), "{stderr}");
    assert_eq!(first.rep(), ["S1"]);
    assert_eq!(first.children(), children);
}

#[test]
fn a_process_of_another_user_may_not_take_over() {
    let is_root = std::fs::metadata("/proc/self").expect("ourselves").uid() == 0;
    if !is_root {
        eprintln!("SKIPPED, because only root can become another user");
        return;
    }
    let first = Ringmaster::start(&["--replicas", "1"]);
    let (control, listen) = (first.control.to_string(), first.listen.to_string());
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    unprivileged.arg(program().get_program());
    unprivileged.args([
        "serve",
        "--takeover",
        "--control",
        &control,
        "--listen",
        &listen,
    ]);
    // The line about a refused process is written before the next one is served.
    for _ in 0..3 {
        let stderr = refused(&end_of(&mut unprivileged));
        assert!(
            stderr.contains("cannot take over from the running balancer: it refused, or ended"),
            "{stderr}"
        );
    }
    first.expect_log("belongs to user 65534");
    let lines = first.log().matches("belongs to user 65534").count();
    assert_eq!(lines, 1, "anybody could fill the log");
    assert_eq!(first.rep(), ["S1"]);
}
