//! `--spawn`: ringmaster is started with the documented flags, used, stopped in order, and never
//! left behind. Here a script is the ringmaster: it writes the ready file and becomes a replica.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{beside, end_of, folder, is_tidy, listen_of, until, within_deadline};

/// A directory with loadgen and a fake ringmaster.
fn install(name: &str, script: &str) -> PathBuf {
    let folder = folder(name);
    fs::hard_link(env!("CARGO_BIN_EXE_loadgen"), folder.join("loadgen")).unwrap();
    if !script.is_empty() {
        let path = folder.join("ringmaster");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    folder
}

/// A fake ringmaster: a replica whose only line of output is the ready file. It stores its
/// arguments and address.
fn fake_ringmaster(name: &str) -> PathBuf {
    fake_ringmaster_as(name, 3)
}

/// A fake ringmaster that answers as server `id`.
fn fake_ringmaster_as(name: &str, id: u32) -> PathBuf {
    let replica = beside("replica");
    install(
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

/// Waits for the address of the fake ringmaster.
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
fn ringmaster_is_started_used_and_stopped() {
    let folder = fake_ringmaster("spawn-used");
    let ended = end_of(start(
        &folder,
        &["distribution", "--spawn", "--requests", "500"],
    ));
    ended.exits(0);
    assert_eq!(ended.count("3 "), 500);
    let args = fs::read_to_string(folder.join("args")).unwrap();
    let documented = "serve --listen 127.0.0.1:0 --control 127.0.0.1:0 --replicas 3 --ready-file /";
    assert!(args.starts_with(documented), "{args}");
    assert!(is_gone(address(&folder)) && is_tidy(&folder));
}

#[test]
fn answers_of_unknown_servers_are_failures() {
    let folder = fake_ringmaster_as("spawn-liar", 9);
    let args = ["distribution", "--spawn", "--requests", "40"];
    let ended = end_of(start(&folder, &args));
    ended.exits(1);
    let sentence = "not answered as expected: 40 answers name an unknown server\n";
    ended.prints(sentence);
}

#[test]
fn a_signal_stops_ringmaster_and_the_report_is_printed() {
    let folder = fake_ringmaster("spawn-signal");
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
    ended.exits(1);
    ended.prints("\ninterrupted after ");
    assert!(is_gone(addr) && is_tidy(&folder));
}

#[test]
fn ringmaster_does_not_outlive_a_killed_loadgen() {
    let folder = fake_ringmaster("spawn-killed");
    let mut loadgen = start(&folder, &["run", "--spawn", "--requests", "1000000000"]);
    let addr = address(&folder);
    loadgen.kill().unwrap();
    loadgen.wait().unwrap();
    until(|| is_gone(addr));
}

#[test]
fn a_ringmaster_that_cannot_start_is_quoted() {
    let folder = install(
        "spawn-broken",
        "echo 'port 5000 is taken (--listen)' >&2; exit 1",
    );
    let ended = end_of(start(&folder, &["run", "--spawn"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    ended.complains("exit status: 1");
    assert!(
        ended
            .stderr
            .ends_with("\n  port 5000 is taken (--listen)\n"),
        "{ended:?}"
    );
    assert!(is_tidy(&folder));
}

#[test]
fn a_missing_ringmaster_is_reported_with_a_build_command() {
    let folder = install("spawn-missing", "");
    let ended = end_of(start(&folder, &["run", "--spawn"]));
    ended.exits(1);
    ended.complains("/ringmaster does not exist; build it with: cargo build");
}
