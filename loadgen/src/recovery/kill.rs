//! Methods of the recovery experiment to kill a replica.
//!
//! A process is killed only if it is a child of the ringmaster that loadgen started. A replica of a
//! running balancer is killed by the balancer itself, on the command `kill`, or by a program of the
//! user (`--kill-with 'docker kill'`).

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::child_process::POLL_INTERVAL;
use crate::control::Control;
use crate::outcome::Server;

/// Method to kill a replica.
#[derive(Debug)]
pub(crate) enum KillMethod {
    /// SIGKILL to a child of the process with this ID.
    ChildOf(Pid),
    /// A program and its arguments, followed by the replica's name.
    Program(Vec<String>),
    /// The control command `kill`.
    Order(Control),
}

impl KillMethod {
    /// Kills the replica `name` in `seat`.
    ///
    /// # Errors
    /// The seat has no process, or the balancer
    /// ([`RefusedCommand`](crate::control::RefusedCommand)) or the program refused.
    pub(crate) async fn kill(&self, seat: Server, name: &str) -> anyhow::Result<()> {
        match self {
            Self::ChildOf(parent) => {
                let child = find_child(*parent, seat);
                let child = child.with_context(|| format!("seat {seat} has no process"))?;
                kill_process(child, Signal::KILL).context("cannot kill a replica")
            }
            Self::Program(words) => run_program(words, name).await,
            Self::Order(control) => {
                let killed = control.execute(&format!("kill {name}")).await;
                killed.map(|_| ()).context(
                    "no replica of this balancer can be killed; with --kill-with 'docker kill' \
                     a program of yours kills them",
                )
            }
        }
    }
}

/// Child of `parent` that runs as server `seat`.
fn find_child(parent: Pid, seat: Server) -> Option<Pid> {
    let wanted = format!("SERVER_ID={seat}");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // The name in parentheses may contain any character; state and parent follow it (proc(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = fields.split_whitespace();
        let alive = fields.next() != Some("Z");
        let ours = fields.next() == Some(&parent.as_raw_nonzero().to_string());
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let mut variables = environ.split(|byte| *byte == 0);
        if alive && ours && variables.any(|variable| variable == wanted.as_bytes()) {
            return Pid::from_raw(pid);
        }
    }
    None
}

async fn run_program(words: &[String], name: &str) -> anyhow::Result<()> {
    let Some((program, args)) = words.split_first() else {
        bail!("no program was given")
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(name)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(
                status.success(),
                "{} {name} failed ({status})",
                words.join(" ")
            );
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
