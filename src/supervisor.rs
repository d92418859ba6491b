//! The threads of the running program, and the one wait that decides its end: a signal, or the end of a
//! thread that must not end by itself.
//!
//! The order of a stop: the fleet refuses changes, which clients may be waiting for; the workers answer
//! what has begun, then the fleet removes its replicas, then the control port goes, so that it can be
//! asked until the last.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::fleet::{Fleet, Ownership, Status};
use crate::roster;
use crate::shutdown;
use crate::startup::{self, Addresses};
use crate::takeover::{FleetState, HandoffRequest, HandoffServer};

mod signals;

pub(crate) use signals::Signals;

/// How long the fleet may take to remove its replicas once nothing is in flight.
const FLEET_STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a fleet may take to bring what is under way to its end before another process is told how it stands.
const FLEET_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the workers may take to drop what they are at; a second signal asks for no more than that.
const FORCED_STOP_TIMEOUT: Duration = Duration::from_millis(250);

/// The words that end the threads, as they are said or as they are heard.
pub(crate) struct StopChannels<T> {
    /// The workers are to end what they are at.
    pub(crate) workers: T,
    /// They are to end at once.
    pub(crate) cut: T,
    pub(crate) control: T,
}

/// Both ends of these words. What was not said when its end is dropped is said by that.
pub(crate) fn stop_channels() -> (
    StopChannels<shutdown::Trigger>,
    StopChannels<shutdown::Shutdown>,
) {
    let (workers, workers_stop) = shutdown::channel();
    let (cut, workers_cut) = shutdown::channel();
    let (control, control_stops) = shutdown::channel();
    let said = StopChannels {
        workers,
        cut,
        control,
    };
    let heard = StopChannels {
        workers: workers_stop,
        cut: workers_cut,
        control: control_stops,
    };
    (said, heard)
}

/// The threads of the program.
pub(crate) struct Supervisor {
    pub(crate) fleet: Fleet,
    /// Whether it is left to another process that takes over, or kept until the end.
    pub(crate) hands_over_fleet: bool,
    pub(crate) workers: ThreadGroup,
    pub(crate) control: ThreadGroup,
    pub(crate) stops: StopChannels<shutdown::Trigger>,
    pub(crate) signals: Signals,
    /// Panics that must end the program.
    pub(crate) alarms: mpsc::UnboundedReceiver<String>,
    /// Who asks to take over; `None`: nobody can.
    pub(crate) handoff_server: Option<HandoffServer>,
    pub(crate) roster: roster::Observer,
    /// What is written where once all replicas have answered.
    pub(crate) ready: (Option<PathBuf>, Addresses),
}

/// One who waits to be told of the fleet.
struct PendingHandoff {
    reply: std::sync::mpsc::Sender<FleetState>,
    /// When it is told at the latest.
    until: Instant,
}

impl Supervisor {
    /// Runs until a signal, until another process has taken over, or until a thread ends that must not.
    /// Afterwards what is left of the threads has been told to end at once.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let (ready_file, addresses) = (self.ready.0.take(), self.ready.1);
        let mut status = self.fleet.status();
        let ready = async {
            // An error means that the fleet is gone, which is told elsewhere.
            let complete = status.wait_for(|status| status.complete).await.is_ok();
            match ready_file.filter(|_| complete) {
                Some(path) => startup::write_ready_file(&path, &addresses),
                None => Ok(()),
            }
        };
        let mut ready = std::pin::pin!(ready);
        let mut is_ready = false;
        let mut rest = self.fleet.status();
        let mut waiting: Option<PendingHandoff> = None;
        let next_one = loop {
            // Who serves from now on comes before a signal that ends us.
            tokio::select! {
                biased;
                request = next_handoff(&mut self.handoff_server) => match request {
                    HandoffRequest::Prepare(reply) => {
                        self.fleet.set_ownership(Ownership::Offering);
                        let until = Instant::now() + FLEET_IDLE_TIMEOUT;
                        waiting = Some(PendingHandoff { reply, until });
                    }
                    HandoffRequest::Aborted => {
                        tracing::warn!("the process that was to take over is gone; all is as before");
                        self.fleet.set_ownership(Ownership::Owned);
                        waiting = None;
                    }
                    HandoffRequest::Commit(pid) => break Some(pid),
                },
                () = self.signals.next_stop_signal() => {
                    drop(waiting);
                    break match &mut self.handoff_server {
                        Some(giver) => giver.take_final_commit().await,
                        None => None,
                    };
                }
                written = &mut ready, if !is_ready => {
                    is_ready = true;
                    written?;
                }
                Some(panic) = self.alarms.recv() => bail!("a task of the fleet {panic}"),
                () = self.fleet.ended() => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                end = self.control.first_end() => bail!("{end} ended unexpectedly"),
                () = fleet_idle(&mut rest, waiting.as_ref()) => if let Some(waiting) = waiting.take() {
                    // It may be gone, which is heard next.
                    let _ = waiting.reply.send(FleetState::from_roster(&self.roster.latest()));
                },
            }
        };
        self.stop(next_one).await
    }

    /// Answers what has begun and ends; `next_one` is the process that serves from now on, if one does.
    async fn stop(mut self, next_one: Option<u32>) -> anyhow::Result<()> {
        if let Some(giver) = &self.handoff_server {
            giver.close();
        }
        let which = match next_one {
            None => "a second signal",
            Some(pid) => {
                tracing::info!("process {pid} serves from now on");
                // Who asks from now on is to hear of the other one's fleet.
                self.stops.control.cancel();
                // A signal may end us before we have left it.
                self.fleet.set_handover(true);
                if self.hands_over_fleet {
                    self.fleet.set_ownership(Ownership::Released);
                }
                "a signal"
            }
        };
        tracing::info!("draining: no new connections; answering what has begun");
        self.stops.workers.cancel();
        self.fleet.refuse_changes();
        tokio::select! {
            () = self.workers.all_ended() => {}
            () = self.signals.next_stop_signal() => {
                // Before the fleet goes, or requests would see that and look for another replica.
                self.stops.cut.cancel();
                let _ = timeout(FORCED_STOP_TIMEOUT, self.workers.all_ended()).await;
                bail!("{which}; stopped at once");
            }
        }
        let stop = async {
            let stopped = if next_one.is_some() && self.hands_over_fleet {
                self.fleet.leave(FLEET_STOP_TIMEOUT).await
            } else {
                self.fleet.stop(FLEET_STOP_TIMEOUT).await
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
}

/// Waits until the fleet takes no orders and nothing is under way in it, or until the time for that is over; for
/// ever when nobody waits for it. Cancel safe.
async fn fleet_idle(status: &mut watch::Receiver<Status>, waiting: Option<&PendingHandoff>) {
    match waiting {
        Some(waiting) => {
            let at_rest = status.wait_for(|status| status.held && !status.busy);
            // A fleet that is gone is told of elsewhere.
            let _ = timeout_at(waiting.until, at_rest).await;
        }
        None => std::future::pending().await,
    }
}

/// The next request of whoever takes over. Cancel safe.
async fn next_handoff(giver: &mut Option<HandoffServer>) -> HandoffRequest {
    match giver {
        Some(giver) => giver.next().await,
        None => std::future::pending().await,
    }
}

/// Threads whose end is reported.
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
                // Nobody listens any more when the program ends.
                let _ = tx.send(how);
            });
        }
        Self { what, left, ends }
    }

    /// Waits for the first end. Cancel safe.
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

/// What a thread has to say at its end.
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
