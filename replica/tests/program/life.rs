//! Start and exit of a replica: the line on stdout, flags and environment variables, exit codes,
//! signals, and the exit with the parent.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{announced, command, start, start_with, wait, within_deadline};

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn stderr_of(child: &mut Child) -> String {
    let mut text = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn signals_end_it_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut replica = start();
        let _held = replica.connect();
        send(&replica.child, signal);
        assert_eq!(wait(&mut replica.child).code(), Some(0));
        assert_eq!(stderr_of(&mut replica.child), "");
    }
}

#[test]
fn the_environment_stands_in_for_flags() {
    let replica = start_with(
        command()
            .env("SERVER_ID", "9")
            .env("REPLICA_NAME", "lion")
            .env("REPLICA_LISTEN", "127.0.0.1:0"),
    );
    let answer = replica.say(b"GET /heartbeat HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        answer.contains("Ringmaster-Replica: lion\r\nRingmaster-Seat: 9\r\n"),
        "{answer}"
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let replica = start_with(
        command()
            .env("SERVER_ID", "")
            .env("REPLICA_NAME", "")
            .env("REPLICA_LISTEN", "127.0.0.1:0")
            .env("REPLICA_SOCKET", "")
            .env("REPLICA_PARENT", ""),
    );
    let answer = replica.say(b"GET /heartbeat HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.contains("Ringmaster-Replica: S1\r\n"), "{answer}");
}

#[test]
fn a_taken_port_is_one_sentence_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut child = command().args(["--listen", &addr]).spawn().unwrap();
    assert_eq!(wait(&mut child).code(), Some(1));
    let stderr = stderr_of(&mut child);
    assert!(
        stderr.starts_with(&format!(
            "replica: cannot listen on {addr} (--listen, --socket): "
        )),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn bad_usage_is_exit_2() {
    for args in [
        ["--id", "-1"],
        ["--name", "a b"],
        ["--listen", "here"],
        ["--parent", "0"],
    ] {
        let mut child = command().args(args).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_stranger_is_no_parent() {
    let mut child = command()
        .args(["--listen", "127.0.0.1:0", "--parent", "1"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(wait(&mut child).code(), Some(1));
    assert_eq!(
        stderr_of(&mut child),
        "replica: the parent is not process 1 (--parent)\n"
    );
}

#[test]
fn the_replica_ends_when_the_pipe_on_its_stdin_closes() {
    let us = std::process::id().to_string();
    let mut replica = start_with(
        command()
            .args(["--listen", "127.0.0.1:0", "--parent", &us])
            .stdin(Stdio::piped()),
    );
    assert!(
        replica
            .say(b"GET /home HTTP/1.1\r\nHost: a\r\n\r\n")
            .starts_with("HTTP/1.1 200 ")
    );
    drop(replica.child.stdin.take());
    assert_eq!(wait(&mut replica.child).code(), Some(0));
}

#[test]
fn a_stopped_replica_does_not_outlive_its_killed_parent() {
    // The shell is the parent. The test holds the pipe, so only the parent-death signal can end the
    // replica. Its stdout reaches EOF when it has exited.
    let script = format!(
        "exec 3<&0; {} --listen 127.0.0.1:0 --parent $$ <&3 & echo $!; wait",
        env!("CARGO_BIN_EXE_replica")
    );
    let mut shell = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(shell.stdout.take().unwrap());
    let (mut lines, mut stdout) = within_deadline(move || {
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            stdout.read_line(line).unwrap();
        }
        (lines, stdout)
    });
    lines.sort(); // The number sorts before the brace, whichever is printed first.
    announced(&lines[1]);
    let replica = Pid::from_raw(lines[0].trim().parse().unwrap()).unwrap();
    kill_process(replica, Signal::STOP).unwrap();

    shell.kill().unwrap();
    within_deadline(move || stdout.read_to_end(&mut Vec::new()).unwrap());
    shell.wait().unwrap();
}
