//! The engine of child processes: each replica is a `replica` beside our own executable.
//!
//! A child runs in a process group of its own, so that Ctrl-C does not reach it first. It exits
//! when its standard input closes, and prints one line with its listen address: a Unix socket, or a
//! port if there is no folder for sockets. One task per child reads its output, waits for its exit,
//! and kills what is left of its group. A custom command (`--replica-command`) gets its port or
//! socket from us and need not print anything.
//!
//! `start` must run on the fleet's own thread: a child's parent-death signal fires when the
//! *thread* that forked it ends (prctl(2), PR_SET_PDEATHSIG).

mod output;
mod socket_folder;
mod spawn;

use std::collections::HashMap;
use std::future::ready;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use self::output::{ChildMessage, ChildOutput};
pub use self::spawn::ProcessSettings;
use self::spawn::{Spawned, Spawner};
use super::exit_report::ExitReport;
use super::interface::{Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode};
use crate::fleet::version::{Program, Version};
use crate::orders::VersionRequest;
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

/// Time after SIGKILL until a process that the kernel does not end is given up.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);

/// Child processes by replica; `None` for a replica that could not be started.
#[derive(Debug)]
pub(in crate::fleet) struct Process {
    spawner: Spawner,
    /// Time between SIGTERM and SIGKILL.
    stop_timeout: Duration,
    events: EngineEvents,
    children: HashMap<ReplicaId, Option<ChildHandle>>,
}

/// A child's process, and the requests to its supervising task.
#[derive(Debug)]
struct ChildHandle {
    stop: oneshot::Sender<StopMode>,
    kill: Arc<Notify>,
    pid: Option<u32>,
}

impl Process {
    /// Creates an engine that runs the commands of versions, or `binary`. The settings have a
    /// command unless that is there.
    ///
    /// # Errors
    /// When the file is needed and missing; the sentence says how to build it.
    pub(in crate::fleet) fn new(
        binary: &Path,
        settings: &ProcessSettings,
        events: EngineEvents,
    ) -> io::Result<Self> {
        let spawner = Spawner::new(binary, settings)?;
        Ok(Self {
            spawner,
            stop_timeout: settings.stop_timeout,
            events,
            children: HashMap::new(),
        })
    }
}

impl Engine for Process {
    fn management(&self) -> Management {
        Management::Managed
    }

    fn start(
        &mut self,
        id: ReplicaId,
        seat: Option<Seat>,
        name: &ReplicaName,
        version: Option<&Version>,
    ) {
        let events = self.events.clone();
        let command = match version.map(Version::program) {
            Some(Program::Command(command)) => Some(command.as_str()),
            _ => None,
        };
        let spawned = match self.spawner.spawn(seat, name, command) {
            Ok(spawned) => spawned,
            Err(err) => {
                self.children.insert(id, None);
                let program = command.map_or_else(|| self.spawner.to_string(), str::to_owned);
                let why = format!("cannot run {program}: {err}");
                return events.send(EngineEvent::Failed { id, why });
            }
        };
        if let Some(addr) = spawned.addr {
            events.send(EngineEvent::Started { id, addr });
        }
        let (stop, stop_requested) = oneshot::channel();
        let kill = Arc::<Notify>::default();
        let requests = ChildRequests {
            stop: stop_requested,
            kill: Arc::clone(&kill),
        };
        let pid = spawned.child.id();
        self.children
            .insert(id, Some(ChildHandle { stop, kill, pid }));
        let stop_timeout = self.stop_timeout;
        tokio::spawn(supervise(id, spawned, requests, stop_timeout, events));
    }

    fn prepare(&self, request: &VersionRequest) -> PrepareFuture {
        Box::pin(ready(match request {
            VersionRequest::Command(command) => Ok(Version::new(Program::Command(command.clone()))),
            VersionRequest::Image(_) => {
                Err("processes run a command, not an image: replace all -- COMMAND".to_owned())
            }
        }))
    }

    fn handle(&self, id: ReplicaId) -> Option<String> {
        let pid = self.children.get(&id)?.as_ref()?.pid?;
        Some(format!("pid:{pid}"))
    }

    fn check_alive(&mut self, _id: ReplicaId) {
        // The kernel notifies us of every exit.
    }

    fn kill(&mut self, id: ReplicaId) {
        if let Some(Some(child)) = self.children.get(&id) {
            child.kill.notify_one();
        }
    }

    fn remove(&mut self, id: ReplicaId, mode: StopMode) {
        let requested = match self.children.remove(&id) {
            Some(Some(child)) => child.stop.send(mode).is_ok(),
            _ => false,
        };
        if !requested {
            self.events.send(EngineEvent::Removed { id });
        }
    }
}

/// Requests to the task that supervises a child.
struct ChildRequests {
    stop: oneshot::Receiver<StopMode>,
    kill: Arc<Notify>,
}

/// Supervises one child: reads its output, reports its exit, and removes it on request.
async fn supervise(
    id: ReplicaId,
    spawned: Spawned,
    mut requests: ChildRequests,
    stop_timeout: Duration,
    events: EngineEvents,
) {
    let Spawned {
        mut child,
        first_line,
        socket: _socket,
        addr: _,
    } = spawned;
    // Held open only so that the child sees EOF on stdin when this process dies for any reason.
    let held_open = child.stdin.take();
    let mut output = ChildOutput::from_child(&mut child, first_line);
    let group = group_of(&child);
    let mode = loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                signal(group, Signal::KILL);
                send_exit(id, status, &mut output, &events);
                break None;
            }
            mode = &mut requests.stop => break Some(mode.unwrap_or(StopMode::Kill)),
            () = requests.kill.notified() => signal(group, Signal::KILL),
            message = output.next() => events.send(match message {
                ChildMessage::Listens(addr) => EngineEvent::Started { id, addr },
                ChildMessage::Foreign(addr) => {
                    let why = format!(
                        "it listens on {addr}, not on its socket or a port of the loopback address"
                    );
                    EngineEvent::Failed { id, why }
                }
                ChildMessage::Unexpected(line) => {
                    let why = format!("its first output line is {line:?}, not its listen address");
                    EngineEvent::Failed { id, why }
                }
            }),
        }
    };
    match mode {
        Some(mode) => {
            if let Some(status) =
                stop_and_report(&mut child, group, mode, stop_timeout, &mut output).await
            {
                signal(group, Signal::KILL);
                send_exit(id, status, &mut output, &events);
            } else {
                tracing::warn!("process {:?} did not end on SIGKILL", child.id());
            }
        }
        None => {
            // The exit was reported; the replica stays registered until it is removed or the fleet
            // ends.
            let _ = requests.stop.await;
        }
    }
    drop(held_open);
    events.send(EngineEvent::Removed { id });
}

/// Reports the exit of a child.
fn send_exit(
    id: ReplicaId,
    status: io::Result<ExitStatus>,
    output: &mut ChildOutput,
    events: &EngineEvents,
) {
    let reason = match status {
        Ok(status) => format!("process ended, {status}"),
        Err(err) => format!("process lost, {err}"),
    };
    let how = ExitReport::with_output(reason, output.last_output());
    events.send(EngineEvent::Ended { id, how });
}

/// Ends a child and returns its status; `None` if the kernel did not end it within
/// [`REAP_TIMEOUT`].
async fn stop_and_report(
    child: &mut Child,
    group: Option<Pid>,
    mode: StopMode,
    stop_timeout: Duration,
    output: &mut ChildOutput,
) -> Option<io::Result<ExitStatus>> {
    if mode != StopMode::Kill {
        signal(group, Signal::TERM);
        if let Ok(status) = timeout(stop_timeout, wait_for_exit(child, output)).await {
            return Some(status);
        }
    }
    // SIGKILL ends a stopped process as well.
    signal(group, Signal::KILL);
    timeout(REAP_TIMEOUT, wait_for_exit(child, output))
        .await
        .ok()
}

/// Waits for the exit of a child, and reads its output meanwhile so that it never blocks.
async fn wait_for_exit(child: &mut Child, output: &mut ChildOutput) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            biased;
            status = child.wait() => return status,
            _ = output.next() => {}
        }
    }
}

/// Returns the process group of a child that was not reaped yet.
fn group_of(child: &Child) -> Option<Pid> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw)
}

/// Signals a process group: the group of a living child, or the rest of it right after the child
/// was reaped.
///
/// The number cannot belong to a foreign process then. The kernel does not reuse it while the group
/// has members, and hands out all other numbers before a recently freed one (alloc_pid,
/// kernel/pid.c).
fn signal(group: Option<Pid>, signal: Signal) {
    let Some(group) = group else { return };
    match kill_process_group(group, signal) {
        // The group may be empty already.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(err) => tracing::debug!("cannot signal process group {group:?}: {err}"),
    }
}

#[cfg(test)]
mod tests;
