//! Threads of the running program, and the wait that decides its end: a signal, a takeover, or the
//! end of a thread that must not end by itself.
//!
//! Order of a stop:
//! 1. `/readyz` is 503, and the fleet refuses changes, because clients may be waiting for them.
//! 2. For `--lame-duck` the data port goes on, until health checks have found that out. After a
//!    takeover that is not needed.
//! 3. The workers answer the requests under way.
//! 4. The fleet removes its replicas.
//! 5. The control port ends last, so that it answers until then. After a takeover it ends first,
//!    because the successor's control port answers about the fleet.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::config::StopTimes;
use crate::fleet::{Fleet, Ownership};
use crate::roster;
use crate::shutdown;
use crate::startup::{self, Addresses};
use crate::takeover::{FleetState, HandoffRequest, HandoffServer};
use crate::wire::unix_listener::SocketFile;

mod pending_handoff;
mod reload;
mod reload_check;
mod service_manager;
mod signals;
mod stop_channels;
mod successor_process;

use pending_handoff::PendingHandoff;
pub(crate) use reload::Reload;
use reload_check::Kept;
pub(crate) use reload_check::{Baseline, Sockets};
use signals::SignalRequest;
pub(crate) use signals::Signals;
pub(crate) use stop_channels::{StopChannels, stop_channels};
pub(crate) use successor_process::report_failure;

/// Least time limit for the fleet to remove its replicas once no request is in flight.
const FLEET_STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for the removal itself, beyond the time that a replica has to end.
const REMOVAL_MARGIN: Duration = Duration::from_secs(5);

/// Time limit for the workers to drop their sessions after a second signal.
const FORCED_STOP_TIMEOUT: Duration = Duration::from_millis(250);

/// Threads of the program and what decides their end.
pub(crate) struct Supervisor {
    pub(crate) fleet: Fleet,
    /// `true` if a stop leaves the replicas to a successor instead of removing them.
    pub(crate) hands_over_fleet: bool,
    pub(crate) workers: ThreadGroup,
    pub(crate) control: ThreadGroup,
    pub(crate) stops: StopChannels<shutdown::Trigger>,
    pub(crate) signals: Signals,
    pub(crate) reload: Reload,
    /// Panics that end the program.
    pub(crate) panics: mpsc::UnboundedReceiver<String>,
    /// Listener for a successor; `None` if no successor can take over.
    pub(crate) handoff_server: Option<HandoffServer>,
    pub(crate) roster: roster::Observer,
    pub(crate) times: StopTimes,
    /// Files of the Unix sockets, which are removed at the end.
    pub(crate) socket_files: Vec<SocketFile>,
    /// Ready file, and the addresses written to it once all replicas have answered.
    pub(crate) ready: (Option<PathBuf>, Addresses),
}

impl Supervisor {
    /// Runs until a signal, a committed takeover, or the unexpected end of a thread. On return the
    /// remaining threads have been told to end at once.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let (ready_file, addresses) = (self.ready.0.take(), self.ready.1);
        let mut status = self.fleet.status();
        let ready = async {
            // An error means that the fleet ended, which `fleet.ended()` reports.
            let complete = status.wait_for(|status| status.complete).await.is_ok();
            if complete {
                service_manager::ready();
            }
            match ready_file.filter(|_| complete) {
                Some(path) => startup::write_ready_file(&path, &addresses),
                None => Ok(()),
            }
        };
        let mut ready = std::pin::pin!(ready);
        let mut idle_status = self.fleet.status();
        let mut waiting: Option<PendingHandoff> = None;
        tokio::spawn(service_manager::report_status(self.fleet.status()));
        let successor = loop {
            // Handle a takeover commit before a signal: the successor already serves.
            tokio::select! {
                biased;
                request = next_handoff(&mut self.handoff_server) => match request {
                    HandoffRequest::Prepare(reply) => {
                        self.fleet.set_ownership(Ownership::Yielding);
                        waiting = Some(PendingHandoff::new(reply));
                    }
                    HandoffRequest::Aborted => {
                        tracing::warn!("takeover aborted: the successor is gone; still serving");
                        self.fleet.set_ownership(Ownership::Owned);
                        waiting = None;
                    }
                    HandoffRequest::Commit(pid) => break Some(pid),
                },
                request = self.signals.next() => match request {
                    SignalRequest::Stop => {
                        drop(waiting);
                        break match &mut self.handoff_server {
                            Some(server) => server.take_final_commit().await,
                            None => None,
                        };
                    }
                    SignalRequest::Reload => self.reload.begin(None, false),
                    SignalRequest::ReloadIfChanged => self.reload.begin(None, true),
                },
                event = self.reload.next() => {
                    let kept = Kept::now(&self.roster.latest(), &self.fleet.status().borrow());
                    self.reload.proceed(event, &kept).await;
                }
                written = &mut ready, if !self.reload.is_announced => {
                    self.reload.is_announced = true;
                    written?;
                }
                Some(panic) = self.panics.recv() => bail!("a task of the fleet {panic}"),
                () = self.fleet.ended() => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                end = self.control.first_end() => bail!("{end} ended unexpectedly"),
                () = pending_handoff::prepare_offer(&self.fleet, &mut idle_status, waiting.as_ref()) => if let Some(waiting) = waiting.take() {
                    let state = FleetState::from_roster(&self.roster.latest());
                    waiting.send(state.with_backends(self.fleet.fixed_backends()));
                },
            }
        };
        self.stop(successor).await
    }

    /// Finishes the requests under way and ends; `successor` is the process ID of a successor that
    /// serves.
    async fn stop(mut self, successor: Option<u32>) -> anyhow::Result<()> {
        if let Some(server) = &self.handoff_server {
            server.close();
        }
        self.stops.readiness.cancel();
        if successor.is_none() {
            service_manager::stopping();
        }
        let which = match successor {
            None => {
                self.reload.abandon();
                "a second signal"
            }
            Some(pid) => {
                tracing::info!("process {pid} has taken over; this process stops");
                self.socket_files.iter_mut().for_each(SocketFile::keep);
                self.reload.succeeded(pid);
                // From here the successor's control port answers about its fleet.
                self.stops.control.cancel();
                // A second signal may end this process before it has left the fleet.
                self.fleet.set_handover(true);
                if self.hands_over_fleet {
                    self.fleet.set_ownership(Ownership::Released);
                } else if self.fleet.status().borrow().has_other_versions {
                    tracing::warn!(
                        "the version of 'replace … -- COMMAND' ends with this process: the replicas of process {pid} run its own --replica-command"
                    );
                }
                "a signal"
            }
        };
        self.fleet.refuse_changes();
        let lame_duck = self.times.lame_duck;
        if successor.is_none() && !lame_duck.is_zero() {
            tracing::info!("stopping: /readyz is 503; the data port closes in {lame_duck:?}");
            tokio::select! {
                () = sleep(lame_duck) => {}
                () = self.fleet.ended() => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                () = self.signals.next_stop_signal() => return self.cut_sessions(which).await,
            }
        }
        tracing::info!("draining: no new connections; answering what has begun");
        self.stops.workers.cancel();
        tokio::select! {
            () = self.workers.all_ended() => {}
            () = self.signals.next_stop_signal() => return self.cut_sessions(which).await,
        }
        let limit = self.times.replica.saturating_add(REMOVAL_MARGIN);
        let limit = limit.max(FLEET_STOP_TIMEOUT);
        let stop = async {
            let stopped = if successor.is_some() && self.hands_over_fleet {
                self.fleet.leave(limit).await
            } else {
                self.fleet.stop(limit).await
            };
            self.stops.control.cancel();
            self.control.all_ended().await;
            stopped
        };
        tokio::select! {
            stopped = stop => stopped,
            () = self.signals.next_stop_signal() => bail!("{which}; stopped at once"),
        }
    }

    /// Ends at once, because of another signal.
    async fn cut_sessions(mut self, which: &str) -> anyhow::Result<()> {
        // Before the fleet ends: a session that sees its replica go would retry.
        self.stops.cut.cancel();
        let _ = timeout(FORCED_STOP_TIMEOUT, self.workers.all_ended()).await;
        bail!("{which}; stopped at once");
    }
}

/// Returns the next request of a successor. Cancel safe.
async fn next_handoff(server: &mut Option<HandoffServer>) -> HandoffRequest {
    match server {
        Some(server) => server.next().await,
        None => std::future::pending().await,
    }
}

/// Threads of one kind, whose ends are reported.
pub(crate) struct ThreadGroup {
    what: &'static str,
    left: usize,
    ends: mpsc::UnboundedReceiver<String>,
}

impl ThreadGroup {
    pub(crate) fn new<T: ExitReason + Send + 'static>(
        what: &'static str,
        threads: impl IntoIterator<Item = thread::JoinHandle<T>>,
    ) -> Self {
        let (tx, ends) = mpsc::unbounded_channel();
        let mut left = 0;
        for thread in threads {
            left += 1;
            let tx = tx.clone();
            thread::spawn(move || {
                let how = thread
                    .join()
                    .map_or(" (panicked)".to_owned(), ExitReason::describe);
                // The receiver is gone while the program ends.
                let _ = tx.send(how);
            });
        }
        Self { what, left, ends }
    }

    /// Waits for the first end of a thread. Cancel safe.
    async fn first_end(&mut self) -> String {
        let how = self.ends.recv().await.unwrap_or_default();
        self.left -= 1;
        format!("{}{how}", self.what)
    }

    async fn all_ended(&mut self) {
        while self.left > 0 {
            self.first_end().await;
        }
    }
}

/// Result of a thread, as text for the error message.
pub(crate) trait ExitReason {
    fn describe(self) -> String;
}

impl ExitReason for () {
    fn describe(self) -> String {
        String::new()
    }
}

impl ExitReason for io::Result<()> {
    fn describe(self) -> String {
        self.map_or_else(|err| format!(" ({err})"), |()| String::new())
    }
}
