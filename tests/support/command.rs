//! Commands that run to their end, and the binary as a command.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use super::TEST_TIMEOUT;
use super::process::TICK;

/// Runs `ringmaster ARGS` to its end: for usage errors, `ctl`, a port that is taken.
#[track_caller]
pub(crate) fn run_to_end(args: &[&str]) -> Output {
    end_of(program().args(args))
}

/// Runs any command to its end.
#[track_caller]
pub(crate) fn end_of(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    // Read meanwhile: a full pipe would stop it.
    let stdout = read_all(child.stdout.take().expect("a pipe"));
    let stderr = read_all(child.stderr.take().expect("a pipe"));
    let output = |status| Output {
        status,
        stdout: stdout.join().expect("its output"),
        stderr: stderr.join().expect("its output"),
    };
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > TEST_TIMEOUT {
            child.kill().expect("a kill");
            let status = child.wait().expect("its end");
            panic!("still running after {TEST_TIMEOUT:?}: {:?}", output(status));
        }
        std::thread::sleep(TICK);
    }
    output(child.wait().expect("its end"))
}

/// Reads a pipe to its end in a thread.
fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("its output");
        bytes
    })
}

/// The binary with none of its environment twins set.
pub(crate) fn program() -> Command {
    program_at(Path::new(env!("CARGO_BIN_EXE_ringmaster")))
}

/// The same for a binary elsewhere.
pub(super) fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGMASTER_") {
            command.env_remove(name);
        }
    }
    command
}

/// The program under `wrapper`, a command that runs another; the environment is the program's.
pub(crate) fn under(wrapper: &[&str]) -> Command {
    let inner = program();
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(inner.get_program());
    for (name, value) in inner.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    command
}
