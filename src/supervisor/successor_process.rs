//! The start of the next process at a reload. A shell starts it and ends at once, so that it is no
//! child of this process: systemd waits for the end of its own children alone, and would kill the
//! main process of a service at the stop without that.
//!
//! A pipe ends with the next process, which writes into it only why it fails.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::Command;

use crate::config::ListenOn;

/// Variable that makes the new process take over.
const TAKEOVER_VARIABLE: &str = "RINGMASTER_TAKEOVER";
/// Shell script that starts a program in the background. The standard input is kept by hand,
/// because the shell would replace it, and the process ID is written into the pipe there.
const START_SCRIPT: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- & echo $! >&3"#;
/// Maximum length of the line with a process ID, in bytes.
const MAX_PID_LINE: usize = 16;
/// Maximum length of the sentence with which the next process fails, in bytes. The rest is cut.
const MAX_FAILURE: usize = 1024;
/// Process ID of the first process of a container, with which the container ends
/// (pid_namespaces(7)).
const FIRST_PROCESS: u32 = 1;

/// The next process while it starts.
#[derive(Debug)]
pub(super) struct Successor {
    pid: Pid,
    /// The process holds the other end until it ends.
    pipe: pipe::Receiver,
    failure: Vec<u8>,
}

impl Successor {
    /// Waits for its end without a takeover. Returns why it failed, if it could tell. Cancel safe.
    pub(super) async fn end(&mut self) -> Option<String> {
        while matches!(self.pipe.read_buf(&mut self.failure).await, Ok(1..))
            && self.failure.len() <= MAX_FAILURE
        {}
        let failure = String::from_utf8_lossy(&self.failure);
        failure.lines().next().map(str::to_owned)
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        self::signal(self.pid, signal);
    }
}

/// Tells the process that has started this one for a reload why this one fails. The standard input
/// is then a pipe that can only be written, which no other program gives.
pub(crate) fn report_failure(sentence: &str) {
    let pipe = io::stdin();
    let is_pipe =
        fstat(&pipe).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    let is_write_only =
        fcntl_getfl(&pipe).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::WRONLY);
    if is_pipe && is_write_only {
        let bytes = sentence.as_bytes();
        // The other process may be gone.
        let _ = rustix::io::write(&pipe, &bytes[..bytes.len().min(MAX_FAILURE)]);
    }
}

/// Starts the next process, with another `--control` if it is given.
pub(super) async fn spawn(
    program: &io::Result<PathBuf>,
    control: Option<ListenOn>,
) -> Result<Successor, String> {
    if std::process::id() == FIRST_PROCESS {
        let why = "this is the first process of its container, which would end with it";
        return Err(format!("{why}; start the container again"));
    }
    let program = program
        .as_ref()
        .map_err(|err| format!("the path of this program: {err}"))?;
    let (end, held) = io::pipe().map_err(|err| format!("no pipe: {err}"))?;
    let end = pipe::Receiver::from_owned_fd(OwnedFd::from(end));
    let shell = Command::new("/bin/sh")
        .args(["-c", START_SCRIPT])
        .arg(program)
        .args(successor_args(env::args_os().skip(1), control))
        .env(TAKEOVER_VARIABLE, "true")
        // The shell writes the process ID there, and the successor why it fails.
        .stdin(Stdio::from(held))
        .status();
    let status = shell.await.map_err(|err| format!("/bin/sh: {err}"))?;
    if !status.success() {
        return Err(format!("/bin/sh: {status}"));
    }
    let mut end = end.map_err(|err| format!("no pipe: {err}"))?;
    let pid = read_pid(&mut end).await;
    Ok(Successor {
        pid: pid.ok_or("/bin/sh: no process ID came")?,
        pipe: end,
        failure: Vec::new(),
    })
}

/// Reads the line with the process ID, which the shell has written.
async fn read_pid(pipe: &mut pipe::Receiver) -> Option<Pid> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && line.len() < MAX_PID_LINE {
        let read = pipe.read_u8().await;
        line.push(read.ok()?);
    }
    let text = std::str::from_utf8(&line).ok()?;
    Pid::from_raw(text.trim_end().parse().ok()?)
}

/// Sends a signal to the successor.
pub(super) fn signal(process: Pid, signal: Signal) {
    if let Err(err) = kill_process(process, signal) {
        let pid = process.as_raw_nonzero();
        tracing::warn!("process {pid} cannot be signalled: {err}");
    }
}

/// Returns the arguments of this process, with the control port as it is if that is another one:
/// `--control` may have let the system choose it.
fn successor_args(
    args: impl Iterator<Item = OsString>,
    control: Option<ListenOn>,
) -> Vec<OsString> {
    const FLAG: &str = "--control";
    let Some(control) = control else {
        return args.collect();
    };
    let mut kept = Vec::new();
    let mut args = args;
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == FLAG {
            args.next();
        } else if !text.starts_with("--control=") {
            kept.push(arg);
        }
    }
    kept.push(format!("{FLAG}={control}").into());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_gets_the_same_arguments_and_the_control_port_as_it_is() {
        let control = Some(ListenOn {
            tcp: "127.0.0.1:7".parse().ok(),
            unix: None,
        });
        for (given, control, expected) in [
            ("serve", control, "serve --control=127.0.0.1:7"),
            (
                "serve --control 127.0.0.1:0 --control-host a --listen=x",
                control,
                "serve --control-host a --listen=x --control=127.0.0.1:7",
            ),
            ("serve --control=a", control, "serve --control=127.0.0.1:7"),
            ("serve --control b -c", None, "serve --control b -c"),
        ] {
            let args = successor_args(given.split(' ').map(OsString::from), control);
            assert_eq!(args.join(" ".as_ref()), expected);
        }
    }
}
