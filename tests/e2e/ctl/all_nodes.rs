//! `ctl --all-nodes`: several balancers under one name, as a swarm's DNS has them.

use std::fs;
use std::process::{Command, Output};

use super::outcome;
use crate::support::{Ringmaster, end_of, fresh_path, program, run_to_end};

/// Runs `ctl --all-nodes` where the name `nodes` has two addresses, in a mount namespace of its
/// own. `None` if this user may not make one.
fn ask(port: u16, words: &[&str]) -> Option<Output> {
    let hosts = fresh_path("hosts");
    fs::write(&hosts, "127.0.0.1 nodes\n127.0.0.2 nodes\n").expect("a file");
    let enter = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let ctl = program();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", enter])
        .arg(&hosts)
        .arg(ctl.get_program());
    command.args(["ctl", "--all-nodes", "--control", &format!("nodes:{port}")]);
    let output = end_of(command.args(words));
    fs::remove_file(&hosts).expect("the file");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("unshare failed") || errors.contains("permission denied") {
        eprintln!("SKIPPED: no mount namespace: {errors}");
        return None;
    }
    Some(output)
}

#[test]
fn balancers_with_equal_rings_are_one_group_and_another_ring_is_told() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let port = first.control.port();
    let Some(alone) = ask(port, &["bound"]) else {
        return;
    };
    let absent = format!("nothing listens on 127.0.0.2:{port} (--control)\n");
    let one = format!("1 of 2: 127.0.0.1:{port}\nbound 0\n");
    assert_eq!(outcome(&alone), (1, one.as_str(), absent.as_str()));
    let second = Ringmaster::start(&["--replicas", "1", "--control", &format!("127.0.0.2:{port}")]);
    let both = format!("2 of 2: 127.0.0.1:{port} 127.0.0.2:{port}\n");
    let ring = ask(port, &["ring"]).expect("as before");
    let (code, out, errors) = outcome(&ring);
    assert_eq!((code, errors), (0, ""));
    let lines = out.strip_prefix(&both).expect("one group");
    assert_eq!(lines.trim_end(), first.command("ring").trim_end());
    second.command("bound 1.25");
    let ring = ask(port, &["ring"]).expect("as before");
    let (code, out, _) = outcome(&ring);
    assert_eq!(code, 1);
    let groups = out.lines().filter(|line| line.starts_with("1 of 2: "));
    assert_eq!(groups.count(), 2, "{out}");
}

#[test]
fn orders_and_streams_are_not_sent_to_all_nodes() {
    for command in [&["add", "1"][..], &["watch"], &["rep; drain S1"]] {
        let output = run_to_end(&[&["ctl", "--all-nodes"], command].concat());
        let sentence = "error: --all-nodes goes with commands that only read\n";
        assert_eq!(outcome(&output), (2, "", sentence), "{command:?}");
    }
    let control = ["ctl", "--all-nodes", "--control", "unix:/run/c.sock", "rep"];
    let sentence = "ringmaster: --all-nodes needs a host and a port (--control)\n";
    assert_eq!(outcome(&run_to_end(&control)), (1, "", sentence));
}

#[test]
fn the_token_may_stand_in_a_file() {
    let first = Ringmaster::start(&["--replicas", "1", "--control-token", "s3cret"]);
    let path = fresh_path("token");
    fs::write(&path, "s3cret\n").expect("a file");
    let (control, at) = (first.control.to_string(), path.to_str().expect("UTF-8"));
    let ask = |file: &str| {
        run_to_end(&[
            "ctl",
            "--control",
            &control,
            "--control-token-file",
            file,
            "rep",
        ])
    };
    assert_eq!(outcome(&ask(at)), (0, "N 1\nS1\n", ""));
    fs::remove_file(&path).expect("the file");
    let output = ask(at);
    let (code, _, errors) = outcome(&output);
    assert!(
        code == 2 && errors.contains("--control-token-file"),
        "{errors}"
    );
}
