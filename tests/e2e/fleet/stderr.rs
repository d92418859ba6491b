//! A reader of our stderr may stop reading or go away. Neither may stop the fleet, a request or a
//! signal.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use crate::support::{
    InstallDir, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, is_gone, signal,
};

const HOME: &str = "GET /home HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// open(2), on Linux.
const O_NONBLOCK: i32 = 0o4000;

/// A program whose stderr is a FIFO, and our end of it.
fn with_fifo(install: &InstallDir, full: bool) -> (Ringmaster, File) {
    let path = install.path("stderr");
    let made = end_of(Command::new("mkfifo").arg(&path));
    assert!(made.status.success(), "{made:?}");
    let mut ours = OpenOptions::new();
    let ours = ours
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(&path);
    let mut ours = ours.expect("our end of the FIFO");
    if full {
        while ours.write(&[b'.'; 1024]).is_ok() {}
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "out=$1; shift; exec \"$0\" \"$@\" 2>\"$out\""]);
    shell.arg(env!("CARGO_BIN_EXE_ringmaster")).arg(&path);
    (Ringmaster::launch(shell, &[]).ready(), ours)
}

/// Kills a replica. A successor must take its seat, and a request must be answered.
fn lives(program: &Ringmaster) {
    let victim = program.replica("S1");
    signal(victim, Signal::KILL);
    eventually(TEST_TIMEOUT, "a successor", || {
        let rep = program.rep();
        rep.len() == 3 && rep[0] != "S1"
    });
    assert!(is_gone(victim));
    assert_eq!(program.client().ask(HOME).status(), 200);
}

#[test]
fn a_reader_that_went_away_ends_nothing() {
    let install = InstallDir::empty();
    let (program, ours) = with_fifo(&install, false);
    drop(ours);
    lives(&program);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_reader_that_does_not_read_stops_nothing() {
    let install = InstallDir::empty();
    let (program, _ours) = with_fifo(&install, true);
    lives(&program);
    assert_eq!(program.stop().code(), Some(0));
}

#[test]
fn a_variable_set_to_nothing_is_not_set() {
    let mut program = crate::support::program();
    program
        .env("RINGMASTER_CONTROL_TOKEN", "")
        .env("RINGMASTER_BACKEND", "");
    let program = Ringmaster::launch(program, &["--replicas", "1"]).ready();
    assert_eq!(program.rep(), ["S1"]);
}
