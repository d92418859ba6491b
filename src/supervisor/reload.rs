//! A reload: a new process of the same program file takes over from this one.
//!
//! The file is found by its path at the start, so after an update the new version takes over. The
//! new process gets the same flags and variables. A shell starts it and ends at once, so that it is
//! no child of this process: systemd waits for the end of its own children alone, and would kill
//! the main process of a service at the stop without that.

use std::env;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::service_manager;

/// Variable that makes the new process take over.
const TAKEOVER_VARIABLE: &str = "RINGMASTER_TAKEOVER";
/// Shell script that starts a program in the background. The standard input is kept by hand,
/// because the shell would replace it.
const START_SCRIPT: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- &"#;

/// Program of the next process, and the one that is taking over.
#[derive(Debug)]
pub(crate) struct Reload {
    program: io::Result<PathBuf>,
    /// Control port, by which the next process finds this one.
    control: SocketAddr,
    /// Pipe whose other end the successor holds until it ends.
    successor: Option<pipe::Receiver>,
}

impl Reload {
    /// Remembers the path of this program.
    pub(crate) fn new(control: SocketAddr) -> Self {
        Self {
            program: env::current_exe(),
            control,
            successor: None,
        }
    }

    /// Starts the next process, unless one is taking over already, and reports that.
    pub(super) async fn begin(&mut self) {
        service_manager::reloading();
        if let Err(why) = self.start().await {
            tracing::warn!("cannot reload: {why}");
            service_manager::ready();
        }
    }

    async fn start(&mut self) -> Result<(), String> {
        if self.successor.is_some() {
            return Err("a successor is starting already".to_owned());
        }
        let program = self.program.as_ref();
        let program = program.map_err(|err| format!("the path of this program: {err}"))?;
        let (end, held) = io::pipe().map_err(|err| format!("no pipe: {err}"))?;
        let end = pipe::Receiver::from_owned_fd(OwnedFd::from(end));
        let shell = Command::new("/bin/sh")
            .args(["-c", START_SCRIPT])
            .arg(program)
            .args(successor_args(env::args_os().skip(1), self.control))
            .env(TAKEOVER_VARIABLE, "true")
            // Nothing is read or written there.
            .stdin(Stdio::from(held))
            .status();
        let status = shell.await.map_err(|err| format!("/bin/sh: {err}"))?;
        if !status.success() {
            return Err(format!("/bin/sh: {status}"));
        }
        self.successor = Some(end.map_err(|err| format!("no pipe: {err}"))?);
        Ok(())
    }

    /// Waits for the end of a successor that has not taken over, and reports it. Cancel safe.
    pub(super) async fn failed(&mut self) {
        let Some(successor) = &mut self.successor else {
            return std::future::pending().await;
        };
        // It writes nothing, so this is the end.
        let _ = successor.read(&mut [0]).await;
        self.successor = None;
        tracing::warn!("reload failed: the successor has ended; this process serves on");
        service_manager::ready();
    }
}

/// Returns the arguments of this process with the control port as it is: `--control` may have let
/// the system choose it.
fn successor_args(args: impl Iterator<Item = OsString>, control: SocketAddr) -> Vec<OsString> {
    const FLAG: &str = "--control";
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
        let control = "127.0.0.1:7".parse().unwrap();
        for (given, expected) in [
            ("serve", "serve --control=127.0.0.1:7"),
            (
                "serve --control 127.0.0.1:0 --control-host a --listen=x",
                "serve --control-host a --listen=x --control=127.0.0.1:7",
            ),
            ("serve --control=a", "serve --control=127.0.0.1:7"),
        ] {
            let args = successor_args(given.split(' ').map(OsString::from), control);
            assert_eq!(args.join(" ".as_ref()), expected);
        }
    }
}
