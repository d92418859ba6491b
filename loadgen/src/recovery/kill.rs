//! The ways in which the recovery experiment takes a replica away.
//!
//! Processes are killed only if they are children of the ringmaster that we started. In a balancer that
//! runs already a replica is replaced by order (`replace`), or taken away by a program that the user names
//! (`--kill-with 'docker kill'`).

use std::fs;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::child_process::POLL_INTERVAL;
use crate::control::Control;
use crate::outcome::Server;

/// How a replica is taken away.
#[derive(Debug)]
pub(crate) enum KillMethod {
    /// SIGKILL for a child of this process.
    ChildOf(Pid),
    /// A program and its arguments; the replica's name follows.
    Program(Vec<String>),
    /// The command `replace`.
    Order(Control),
}

impl KillMethod {
    /// How it is marked in the chart.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Order(_) => "ordered",
            _ => "killed",
        }
    }

    /// Takes the replica away that sits in `seat` under `name`; returns when its successor was there, if
    /// that is known.
    ///
    /// # Errors
    /// There is none, or the balancer or the program refuses.
    pub(crate) async fn remove(
        &self,
        seat: Server,
        name: &str,
    ) -> anyhow::Result<Option<SystemTime>> {
        match self {
            Self::ChildOf(parent) => {
                let child = find_child(*parent, seat);
                let child = child.with_context(|| format!("seat {seat} has no process"))?;
                kill_process(child, Signal::KILL).context("cannot kill a replica")?;
                Ok(None)
            }
            Self::Program(words) => run_program(words, name).await.map(|()| None),
            Self::Order(control) => match control.execute(&format!("replace {name}")).await {
                Ok(_) => Ok(Some(SystemTime::now())),
                Err(err) => Err(err.context(
                    "nothing takes a replica of a running balancer away; try --kill-with 'docker kill'",
                )),
            },
        }
    }
}

/// The child of `parent` that is told to be server `seat`.
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
        // The name in parentheses may hold anything; after it come state and parent (proc(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = fields.split_whitespace();
        let alive = fields.next() != Some("Z");
        let ours = fields.next() == Some(&parent.as_raw_nonzero().to_string());
        let told = fs::read(entry.path().join("environ")).unwrap_or_default();
        let mut told = told.split(|byte| *byte == 0);
        if alive && ours && told.any(|word| word == wanted.as_bytes()) {
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
                "{} {name} ended badly ({status})",
                words.join(" ")
            );
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
