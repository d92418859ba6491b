//! A reload: a new process of the same program file takes over from this one.
//!
//! The file is found by its path at the start, so after an update the new version takes over. The
//! new process gets the same flags and variables, and reads the configuration file as it is then. A
//! file with an error starts no process. A shell starts the process and ends at once, so that it is
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
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::reload_check::{Baseline, Candidate, Kept};
use super::service_manager;
use crate::control::{ReloadCall, ReloadReport, SettingChange, reload_queue};
use crate::orders::OrderError;
use crate::startup::Addresses;

/// Variable that makes the new process take over.
const TAKEOVER_VARIABLE: &str = "RINGMASTER_TAKEOVER";
/// Shell script that starts a program in the background. The standard input is kept by hand,
/// because the shell would replace it.
const START_SCRIPT: &str = r#"exec 3<&0; "$0" "$@" <&3 3<&- &"#;
/// Process ID of the first process of a container, with which the container ends
/// (pid_namespaces(7)).
const FIRST_PROCESS: u32 = 1;

/// Program of the next process, and the one that is taking over.
#[derive(Debug)]
pub(crate) struct Reload {
    program: io::Result<PathBuf>,
    baseline: Baseline,
    /// Bound addresses. By that of the control port the next process finds this one.
    at: Addresses,
    workers: usize,
    calls: mpsc::Receiver<ReloadCall>,
    stage: Stage,
    /// Client that waits for the result.
    waiting: Option<ReloadCall>,
    changes: Vec<SettingChange>,
}

/// Progress of a reload.
#[derive(Debug)]
enum Stage {
    /// None is under way.
    Idle,
    /// The settings are read and judged; `true` to end if none has changed.
    Checking(JoinHandle<Result<Candidate, String>>, bool),
    /// The successor starts. It holds the other end of the pipe until it ends.
    Starting(pipe::Receiver),
}

/// Event of a reload.
#[derive(Debug)]
pub(super) enum ReloadEvent {
    /// A client requests a reload.
    Called(ReloadCall),
    /// The settings were judged.
    Checked(Result<Result<Candidate, String>, JoinError>),
    /// The successor has ended without having taken over.
    SuccessorEnded,
}

impl Reload {
    /// Remembers the path of this program. Also returns the queue of reloads.
    pub(crate) fn new(
        baseline: Baseline,
        (at, workers): (Addresses, usize),
    ) -> (Self, mpsc::Sender<ReloadCall>) {
        let (queue, calls) = reload_queue();
        let reload = Self {
            program: env::current_exe(),
            baseline,
            at,
            workers,
            calls,
            stage: Stage::Idle,
            waiting: None,
            changes: Vec::new(),
        };
        (reload, queue)
    }

    /// Begins a reload, unless one is under way, and reports that. `if_changed`: only if a setting
    /// has changed.
    pub(super) fn begin(&mut self, call: Option<ReloadCall>, if_changed: bool) {
        if !matches!(self.stage, Stage::Idle) {
            let why = "a reload is under way already";
            tracing::warn!("cannot reload: {why}");
            if let Some(call) = call {
                // The client may have left.
                let _ = call.reply.send(Err(OrderError::unavailable(why)));
            }
            return;
        }
        if let Some(call) = &call {
            tracing::info!("reload from {}", call.from);
        }
        service_manager::reloading();
        self.waiting = call;
        self.stage = Stage::Checking(spawn_blocking(Candidate::read), if_changed);
    }

    /// Returns the next event. Cancel safe.
    pub(super) async fn next(&mut self) -> ReloadEvent {
        let stage = async {
            match &mut self.stage {
                Stage::Idle => std::future::pending().await,
                Stage::Checking(check, _) => ReloadEvent::Checked(check.await),
                Stage::Starting(successor) => {
                    // It writes nothing, so this is the end.
                    let _ = successor.read(&mut [0]).await;
                    ReloadEvent::SuccessorEnded
                }
            }
        };
        tokio::select! {
            biased;
            event = stage => event,
            Some(call) = self.calls.recv() => ReloadEvent::Called(call),
        }
    }

    /// Carries the reload on after an event; `kept` are settings that a takeover keeps.
    pub(super) async fn proceed(&mut self, event: ReloadEvent, kept: &Kept) {
        match event {
            ReloadEvent::Called(call) => self.begin(Some(call), false),
            ReloadEvent::Checked(checked) => {
                let checked = checked.unwrap_or_else(|err| Err(err.to_string()));
                if let Err(why) = self.start(checked, kept).await {
                    tracing::warn!("cannot reload: {}; this process serves on", why.sentence);
                    self.end(why);
                }
            }
            ReloadEvent::SuccessorEnded => {
                let why = "reload failed: the successor has ended; this process serves on";
                tracing::warn!("{why}");
                self.end(OrderError::unavailable(format!("{why}; its log tells why")));
            }
        }
    }

    /// Ends a reload after which this process serves on.
    fn end(&mut self, why: OrderError) {
        self.stage = Stage::Idle;
        service_manager::ready();
        if let Some(call) = self.waiting.take() {
            // The client may have left.
            let _ = call.reply.send(Err(why));
        }
    }

    /// Refuses the client that waits, because this process stops.
    pub(super) fn abandon(&mut self) {
        self.waiting = None;
    }

    /// Answers the client that waits: process `pid` has taken over.
    pub(super) fn succeeded(&mut self, pid: u32) {
        let Some(call) = self.waiting.take() else {
            return;
        };
        let changes = std::mem::take(&mut self.changes);
        let notes = self.baseline.notes(&changes);
        // The client may have left.
        let _ = call.reply.send(Ok(ReloadReport {
            pid,
            changes,
            notes,
        }));
    }

    /// Starts the successor with these settings, if a reload can change them.
    async fn start(
        &mut self,
        checked: Result<Candidate, String>,
        kept: &Kept,
    ) -> Result<(), OrderError> {
        let if_changed = matches!(self.stage, Stage::Checking(_, true));
        let candidate = checked.map_err(OrderError::invalid)?;
        let changes = self
            .baseline
            .changes(&candidate, kept, (self.at, self.workers));
        self.changes = changes.map_err(OrderError::invalid)?;
        if if_changed && self.changes.is_empty() {
            tracing::info!("no setting of the configuration file has changed");
            self.stage = Stage::Idle;
            service_manager::ready();
            return Ok(());
        }
        for change in &self.changes {
            tracing::info!("reload with {change}");
        }
        let successor = self.spawn().await.map_err(OrderError::unavailable)?;
        self.stage = Stage::Starting(successor);
        Ok(())
    }

    /// Starts the next process and returns the pipe that ends with it.
    async fn spawn(&self) -> Result<pipe::Receiver, String> {
        if std::process::id() == FIRST_PROCESS {
            let why = "this is the first process of its container, which would end with it";
            return Err(format!("{why}; start the container again"));
        }
        let program = self.program.as_ref();
        let program = program.map_err(|err| format!("the path of this program: {err}"))?;
        let (end, held) = io::pipe().map_err(|err| format!("no pipe: {err}"))?;
        let end = pipe::Receiver::from_owned_fd(OwnedFd::from(end));
        let moved = (self.baseline.control != self.at.control).then_some(self.at.control);
        let shell = Command::new("/bin/sh")
            .args(["-c", START_SCRIPT])
            .arg(program)
            .args(successor_args(env::args_os().skip(1), moved))
            .env(TAKEOVER_VARIABLE, "true")
            // Nothing is read or written there.
            .stdin(Stdio::from(held))
            .status();
        let status = shell.await.map_err(|err| format!("/bin/sh: {err}"))?;
        if !status.success() {
            return Err(format!("/bin/sh: {status}"));
        }
        end.map_err(|err| format!("no pipe: {err}"))
    }
}

/// Returns the arguments of this process, with the control port as it is if that is another one:
/// `--control` may have let the system choose it.
fn successor_args(
    args: impl Iterator<Item = OsString>,
    control: Option<SocketAddr>,
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
        let control = "127.0.0.1:7".parse().ok();
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
