//! The engine of child processes: each replica is a `replica` beside our own executable.
//!
//! A child sits in a process group of its own, so that Ctrl-C does not reach it first; it holds our end
//! of its standard input and ends when that closes; it says on one line of standard output where it
//! listens. One task for each child reads what it says, waits for its end and removes it, and kills what
//! is left of its group. Somebody's own command (`--replica-command`) is told its port instead, and need not
//! say anything. Surprising:
//! `start` forks on the calling thread, and must: a child's parent-death signal fires when the *thread*
//! that forked it ends (prctl(2), PR_SET_PDEATHSIG), so only the fleet's own thread may call it.

mod output;
mod spawn;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::output::{ChildMessage, ChildOutput};
pub use self::spawn::ProcessSettings;
use self::spawn::Spawner;
use super::exit_report::ExitReport;
use super::{Engine, EngineEvent, EngineEvents, Management, StopMode};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// From SIGTERM to SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// From SIGKILL to giving up on a process that the kernel does not end.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
/// Child processes by replica; `None` for one that could not be started.
#[derive(Debug)]
pub(in crate::fleet) struct Process {
    spawner: Spawner,
    reports: EngineEvents,
    children: HashMap<ReplicaId, Option<ChildHandle>>,
}

/// The order to go, for the task that looks after a child, and the child's process.
#[derive(Debug)]
struct ChildHandle {
    tell: oneshot::Sender<StopMode>,
    pid: Option<u32>,
}

impl Process {
    /// An engine that runs `binary`, or what is wanted instead.
    ///
    /// # Errors
    /// When there is no such file and it is needed, with a sentence that says how to build it.
    pub(in crate::fleet) fn new(
        binary: &Path,
        wanted: &ProcessSettings,
        reports: EngineEvents,
    ) -> io::Result<Self> {
        let spawner = Spawner::new(binary, wanted)?;
        Ok(Self {
            spawner,
            reports,
            children: HashMap::new(),
        })
    }
}

impl Engine for Process {
    fn management(&self) -> Management {
        Management::Managed
    }

    fn start(&mut self, id: ReplicaId, seat: Option<Seat>, name: &ReplicaName) {
        let reports = self.reports.clone();
        let (child, addr) = match self.spawner.spawn(seat, name) {
            Ok(spawned) => spawned,
            Err(err) => {
                self.children.insert(id, None);
                let why = format!("cannot run {}: {err}", self.spawner);
                return reports.send(EngineEvent::Failed { id, why });
            }
        };
        if let Some(addr) = addr {
            reports.send(EngineEvent::Started { id, addr });
        }
        let (tell, told) = oneshot::channel();
        let pid = child.id();
        self.children.insert(id, Some(ChildHandle { tell, pid }));
        let is_announced = addr.is_some();
        tokio::spawn(supervise(id, child, is_announced, told, reports));
    }

    fn handle(&self, id: ReplicaId) -> Option<String> {
        let pid = self.children.get(&id)?.as_ref()?.pid?;
        Some(format!("pid:{pid}"))
    }

    fn check_alive(&mut self, _id: ReplicaId) {
        // The kernel tells of every end by itself.
    }

    fn remove(&mut self, id: ReplicaId, farewell: StopMode) {
        let told = match self.children.remove(&id) {
            Some(Some(leash)) => leash.tell.send(farewell).is_ok(),
            _ => false,
        };
        if !told {
            self.reports.send(EngineEvent::Removed { id });
        }
    }
}

/// The whole life of one child: what it says, its end, and its removal.
async fn supervise(
    id: ReplicaId,
    mut child: Child,
    is_announced: bool,
    mut told: oneshot::Receiver<StopMode>,
    reports: EngineEvents,
) {
    // To hold it is its purpose: the child reads its end when we are gone, in whatever way.
    let held_open = child.stdin.take();
    let mut output = ChildOutput::from_child(&mut child, is_announced);
    let group = group_of(&child);
    let farewell = loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                signal(group, Signal::KILL);
                break send_exit(id, status, &mut output, &reports);
            }
            farewell = &mut told => break Some(farewell.unwrap_or(StopMode::Kill)),
            said = output.next() => reports.send(match said {
                ChildMessage::Listens(addr) => EngineEvent::Started { id, addr },
                ChildMessage::NotLoopback(addr) => {
                    let why = format!("it listens on {addr}, not on a port of the loopback address");
                    EngineEvent::Failed { id, why }
                }
                ChildMessage::Unexpected(line) => {
                    let why = format!("it said {line:?}, not where it listens");
                    EngineEvent::Failed { id, why }
                }
            }),
        }
    };
    match farewell {
        Some(farewell) => {
            if let Some(status) = stop_and_report(&mut child, group, farewell, &mut output).await {
                signal(group, Signal::KILL);
                send_exit(id, status, &mut output, &reports);
            } else {
                tracing::warn!("process {:?} did not end on SIGKILL", child.id());
            }
        }
        None => {
            // It is remembered until it is removed; a fleet that is gone removes it too.
            let _ = told.await;
        }
    }
    drop(held_open);
    reports.send(EngineEvent::Removed { id });
}

/// Reports an end; `None` because no farewell was said.
fn send_exit(
    id: ReplicaId,
    status: io::Result<ExitStatus>,
    output: &mut ChildOutput,
    reports: &EngineEvents,
) -> Option<StopMode> {
    let how = match status {
        Ok(status) => format!("process ended, {status}"),
        Err(err) => format!("process lost, {err}"),
    };
    let how = ExitReport::with_output(how, output.last_words());
    reports.send(EngineEvent::Ended { id, how });
    None
}

/// Ends a child; `None` if even the kernel could not within [`REAP`].
async fn stop_and_report(
    child: &mut Child,
    group: Option<Pid>,
    farewell: StopMode,
    output: &mut ChildOutput,
) -> Option<io::Result<ExitStatus>> {
    if farewell != StopMode::Kill {
        signal(group, Signal::TERM);
        if let Ok(status) = timeout(STOP_GRACE, wait_for_exit(child, output)).await {
            return Some(status);
        }
    }
    // It ends a stopped process as well.
    signal(group, Signal::KILL);
    timeout(REAP_TIMEOUT, wait_for_exit(child, output))
        .await
        .ok()
}

/// Waits for the end of a child, which may go on talking.
async fn wait_for_exit(child: &mut Child, output: &mut ChildOutput) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return status,
            _ = output.next() => {}
        }
    }
}

/// The process group of a child that was not reaped yet.
fn group_of(child: &Child) -> Option<Pid> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw)
}

/// Signals a process group: that of a living child, or what a child has left behind the moment it was
/// reaped. No stranger has that number then: it is not given away while the group has members, and the
/// kernel hands out all others before one that has just become free (alloc_pid, Linux kernel/pid.c).
fn signal(group: Option<Pid>, signal: Signal) {
    let Some(group) = group else { return };
    match kill_process_group(group, signal) {
        // Nobody is left.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(err) => tracing::debug!("cannot signal process group {group:?}: {err}"),
    }
}

#[cfg(test)]
mod tests;
