//! Reloads whose successor ends, cannot be or comes too late: this process serves on.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::show::setting;
use super::{File, Successor, users_of};
use crate::support::{
    Client, Ringmaster, Signal, TEST_TIMEOUT, eventually, fresh_path, program, signal, under,
};

/// A command of the bundled replica that waits until the file `gate` is there.
fn behind(gate: &Path) -> String {
    let replica = Path::new(program().get_program()).with_file_name("replica");
    format!(
        "sh -c 'while ! test -e {}; do sleep 0.02; done; exec {}'",
        gate.display(),
        replica.display()
    )
}

/// A balancer with these flags whose reload waits until the file `gate` is there, and the client
/// that waits for the answer.
#[track_caller]
fn waiting_reload(gate: &Path, flags: &[&str]) -> (Ringmaster, Client) {
    std::fs::write(gate, "").expect("a file");
    let wait = behind(gate);
    let own = ["--replicas=1", "--replica-command", &wait];
    let program = Ringmaster::start(&[&own[..], flags].concat());
    std::fs::remove_file(gate).expect("the gate");
    let mut waiting = Client::connect(program.control);
    waiting.send("reload\n");
    program.expect_log(" takes over");
    (program, waiting)
}

#[test]
fn one_reload_at_a_time_and_a_successor_that_ends_is_reported() {
    let gate = fresh_path("gate");
    let folder = fresh_path("ready-folder");
    std::fs::create_dir(&folder).expect("a folder");
    let ready = folder.join("ready");
    let flags = ["--ready-file", ready.to_str().expect("UTF-8")];
    let (mut first, mut waiting) = waiting_reload(&gate, &flags);
    assert_eq!(
        first.command("reload"),
        "ERR a reload is under way already\n\n"
    );
    std::fs::write(&gate, "").expect("the gate");
    let answer = String::from_utf8(waiting.rest()).expect("text");
    let second = Successor::after(&mut first, &answer);
    std::fs::remove_dir_all(&folder).expect("the folder");
    let answer = second.command("reload");
    let why = format!("ERR reload failed: --ready-file {}: ", ready.display());
    assert!(answer.starts_with(&why), "{answer}");
    assert!(answer.ends_with("; this process serves on\n\n"), "{answer}");
    assert!(second.command("rep").starts_with("N 1\nS1\n"));
    drop(second);
    std::fs::remove_file(&gate).expect("the gate");
}

#[test]
fn a_successor_that_is_killed_is_reported_without_a_reason() {
    let gate = fresh_path("killed-gate");
    let (program, mut waiting) = waiting_reload(&gate, &[]);
    let log = program.log();
    let line = log.lines().find(|line| line.contains(" takes over"));
    let pid = line.and_then(|line| {
        line.split("process ")
            .nth(1)?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    signal(pid.expect("a process ID"), Signal::KILL);
    assert_eq!(
        String::from_utf8(waiting.rest()).expect("text"),
        "ERR reload failed: the successor has ended, and its log may tell why; this process serves \
         on\n\n"
    );
    assert!(program.command("rep").starts_with("N 1\nS1\n"));
}

#[test]
fn the_first_process_of_a_container_cannot_reload() {
    let unshare = ["unshare", "--pid", "--fork", "--kill-child"];
    let tried = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("SKIPPED, because there is no namespace of processes for this user");
        return;
    }
    let file = File::new("replicas = 1\n");
    let program = Ringmaster::launch(under(&unshare), &["--config", file.path()]).ready();
    let answer = program.command("reload");
    assert_eq!(
        answer,
        "ERR this is the first process of its container, which would end with it; start the \
         container again\n\n"
    );
    file.write("replicas = \"one\"\n");
    let answer = program.command("reload");
    assert!(
        answer.starts_with("ERR invalid value 'one' for 'replicas in "),
        "{answer}"
    );
    assert_eq!(program.rep(), ["S1"]);
    program.kill();
}

#[test]
fn a_process_that_stops_refuses_the_reload_that_waits() {
    let gate = fresh_path("gate");
    let (first, mut waiting) = waiting_reload(&gate, &[]);
    assert_eq!(setting(&first, "replicas")["value"], "1");
    let control = first.control;
    assert!(first.stop().success());
    assert_eq!(waiting.rest(), b"ERR ringmaster is stopping\n\n");
    // The successor stops as well, although it would be alone now.
    eventually(TEST_TIMEOUT, "the end of the successor", || {
        users_of(&format!("--control={control}")).next().is_none()
            && TcpStream::connect(control).is_err()
    });
}
