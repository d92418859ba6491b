//! `--spawn`: the ringmaster is started with the documented flags, used, stopped in order, and never
//! left behind. A script stands in for it here: it becomes a replica and writes the ready file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{beside, end_of, folder, is_tidy, listen_of, until, within_deadline};

/// A folder with loadgen and a stand-in for ringmaster in it.
fn stage(name: &str, script: &str) -> PathBuf {
    let folder = folder(name);
    fs::hard_link(env!("CARGO_BIN_EXE_loadgen"), folder.join("loadgen")).unwrap();
    if !script.is_empty() {
        let path = folder.join("ringmaster");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    folder
}

/// Becomes a replica, whose one line is a ready file; leaves its arguments and address behind.
fn stand_in(name: &str) -> PathBuf {
    stand_in_as(name, 3)
}

/// The same, as server `id`.
fn stand_in_as(name: &str, id: u32) -> PathBuf {
    let replica = beside("replica");
    stage(
        name,
        &format!(
            r#"here="${{0%/*}}"
echo "$@" > "$here/args"
: > "$9"
ln "$9" "$here/ready"
exec {} --listen 127.0.0.1:0 --id {id} > "$9""#,
            replica.display()
        ),
    )
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(folder.join("loadgen"))
        .args(args)
        .env("TMPDIR", folder.join("tmp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Where the stand-in listens, once it does.
fn address(folder: &Path) -> SocketAddr {
    let mut line = String::new();
    until(|| {
        line = fs::read_to_string(folder.join("ready")).unwrap_or_default();
        line.ends_with('\n')
    });
    listen_of(&line)
}

fn is_gone(addr: SocketAddr) -> bool {
    TcpStream::connect(addr).is_err()
}

#[test]
fn it_is_started_used_and_stopped() {
    let folder = stand_in("spawn-used");
    let ended = end_of(start(
        &folder,
        &["distribution", "--spawn", "--requests", "500"],
    ));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.count("3 "), 500);
    let args = fs::read_to_string(folder.join("args")).unwrap();
    let documented = "serve --listen 127.0.0.1:0 --control 127.0.0.1:0 --replicas 3 --ready-file /";
    assert!(args.starts_with(documented), "{args}");
    assert!(is_gone(address(&folder)) && is_tidy(&folder));
}

#[test]
fn a_server_that_is_not_there_has_lied() {
    let folder = stand_in_as("spawn-liar", 9);
    let args = ["distribution", "--spawn", "--requests", "40"];
    let ended = end_of(start(&folder, &args));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let sentence = "not answered as expected: 40 answers name an unknown server\n";
    assert!(ended.stdout.ends_with(sentence), "{ended:?}");
}

#[test]
fn a_signal_ends_both_and_what_was_measured_is_reported() {
    let folder = stand_in("spawn-signal");
    let mut loadgen = start(&folder, &["run", "--spawn", "--requests", "1000000000"]);
    let mut stderr = BufReader::new(loadgen.stderr.take().unwrap());
    let line = within_deadline(move || {
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        line
    });
    let addr = address(&folder);
    let listening = format!("loadgen: started ringmaster with 3 replicas on http://{addr}\n");
    assert_eq!(line, listening);
    kill_process(Pid::from_child(&loadgen), Signal::INT).unwrap();
    let ended = end_of(loadgen);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("\ninterrupted after "), "{ended:?}");
    assert!(is_gone(addr) && is_tidy(&folder));
}

#[test]
fn it_does_not_outlive_a_killed_loadgen() {
    let folder = stand_in("spawn-killed");
    let mut loadgen = start(&folder, &["run", "--spawn", "--requests", "1000000000"]);
    let addr = address(&folder);
    loadgen.kill().unwrap();
    loadgen.wait().unwrap();
    until(|| is_gone(addr));
}

#[test]
fn one_that_cannot_start_is_quoted() {
    let folder = stage(
        "spawn-broken",
        "echo 'port 5000 is taken (--listen)' >&2; exit 1",
    );
    let ended = end_of(start(&folder, &["run", "--spawn"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("exit status: 1"), "{ended:?}");
    assert!(
        ended
            .stderr
            .ends_with("\n  port 5000 is taken (--listen)\n"),
        "{ended:?}"
    );
    assert!(is_tidy(&folder));
}

#[test]
fn a_missing_one_is_a_sentence_that_helps() {
    let folder = stage("spawn-missing", "");
    let ended = end_of(start(&folder, &["run", "--spawn"]));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("/ringmaster does not exist; build it with: cargo build"),
        "{ended:?}"
    );
}
