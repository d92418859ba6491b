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
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fleet::Fleet;
use crate::roster;
use crate::shutdown;
use crate::start::{self, Addresses};
use crate::takeover::{Giver, Request, State};

/// How long the fleet may take to remove its replicas once nothing is in flight.
const FLEET_STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the workers may take to drop what they are at; a second signal asks for no more than that.
const CUT_TIMEOUT: Duration = Duration::from_millis(250);

/// The signals that end the program, caught from the moment of making: as the first process of a
/// container we would not even get those that nobody catches (pid_namespaces(7)).
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn catch(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The words that end the threads, as they are said or as they are heard.
pub(crate) struct Stops<T> {
    /// The workers are to end what they are at.
    pub(crate) workers: T,
    /// They are to end at once.
    pub(crate) cut: T,
    pub(crate) control: T,
}

/// Both ends of these words. What was not said when its end is dropped is said by that.
pub(crate) fn stops() -> (Stops<shutdown::Trigger>, Stops<shutdown::Shutdown>) {
    let (workers, workers_stop) = shutdown::channel();
    let (cut, workers_cut) = shutdown::channel();
    let (control, control_stops) = shutdown::channel();
    let said = Stops {
        workers,
        cut,
        control,
    };
    let heard = Stops {
        workers: workers_stop,
        cut: workers_cut,
        control: control_stops,
    };
    (said, heard)
}

/// The threads of the program.
pub(crate) struct House {
    /// `None` once it was left to another process.
    pub(crate) fleet: Option<Fleet>,
    /// Whether it is left to another process that takes over, or kept until the end.
    pub(crate) leaves: bool,
    pub(crate) workers: Watched,
    pub(crate) control: Watched,
    pub(crate) stops: Stops<shutdown::Trigger>,
    pub(crate) signals: Signals,
    /// Panics that must end the program.
    pub(crate) alarms: mpsc::UnboundedReceiver<String>,
    /// Who asks to take over; `None`: nobody can.
    pub(crate) giver: Option<Giver>,
    pub(crate) roster: roster::Observer,
    /// What is written where once all replicas have answered.
    pub(crate) ready: (Option<PathBuf>, Addresses),
}

impl House {
    /// Runs until a signal, until another process has taken over, or until a thread ends that must not.
    /// Afterwards what is left of the threads has been told to end at once.
    pub(crate) async fn live(mut self) -> anyhow::Result<()> {
        let (ready_file, addresses) = (self.ready.0.take(), self.ready.1);
        let mut status = self.fleet.as_ref().map(Fleet::status);
        let ready = async {
            // An error means that the fleet is gone, which is told elsewhere.
            let complete = match &mut status {
                Some(status) => status.wait_for(|status| status.complete).await.is_ok(),
                None => false,
            };
            match ready_file.filter(|_| complete) {
                Some(path) => start::write_ready_file(&path, &addresses),
                None => Ok(()),
            }
        };
        let mut ready = std::pin::pin!(ready);
        let mut waiting = true;
        loop {
            tokio::select! {
                written = &mut ready, if waiting => {
                    waiting = false;
                    written?;
                }
                () = self.signals.any() => break,
                Some(panic) = self.alarms.recv() => bail!("a task of the fleet {panic}"),
                () = ended(self.fleet.as_ref()) => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                end = self.control.first_end() => bail!("{end} ended unexpectedly"),
                request = next(&mut self.giver) => if self.give(request).await? {
                    break;
                },
            }
        }
        self.stop().await
    }

    /// Does what another process asks for that takes over; whether it serves from now on.
    async fn give(&mut self, request: Request) -> anyhow::Result<bool> {
        match request {
            Request::Yield(reply) => {
                if self.leaves {
                    if let Some(fleet) = self.fleet.take() {
                        fleet.leave(FLEET_STOP_TIMEOUT).await?;
                    }
                } else if let Some(fleet) = &self.fleet {
                    fleet.hold(true);
                }
                // It may be gone, which is heard next.
                let _ = reply.send(State::of(&self.roster.latest()));
                Ok(false)
            }
            Request::Withdrawn => {
                match &self.fleet {
                    Some(fleet) => {
                        tracing::warn!(
                            "the process that was to take over is gone; all is as before"
                        );
                        fleet.hold(false);
                    }
                    None => tracing::error!(
                        "the process that was to take over is gone, and the replicas were left to it: \
                         nobody replaces them until another takes over (serve --takeover)"
                    ),
                }
                Ok(false)
            }
            Request::Go(pid) => {
                tracing::info!("process {pid} serves from now on");
                Ok(true)
            }
        }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("draining: no new connections; answering what has begun");
        if let Some(giver) = &self.giver {
            giver.close();
        }
        self.stops.workers.pull();
        if let Some(fleet) = &self.fleet {
            fleet.refuse_changes();
        }
        tokio::select! {
            () = self.workers.all_ended() => {}
            () = self.signals.any() => {
                // Before the fleet goes, or requests would see that and look for another replica.
                self.stops.cut.pull();
                let _ = timeout(CUT_TIMEOUT, self.workers.all_ended()).await;
                bail!("a second signal; stopped at once");
            }
        }
        let stop = async {
            let stopped = match self.fleet {
                Some(fleet) => fleet.stop(FLEET_STOP_TIMEOUT).await,
                None => Ok(()),
            };
            self.stops.control.pull();
            self.control.all_ended().await;
            stopped
        };
        tokio::select! {
            stopped = stop => stopped,
            () = self.signals.any() => bail!("a second signal; stopped at once"),
        }
    }
}

/// Waits for the end of a fleet; for ever if there is none. Cancel safe.
async fn ended(fleet: Option<&Fleet>) {
    match fleet {
        Some(fleet) => fleet.ended().await,
        None => std::future::pending().await,
    }
}

/// The next request of whoever takes over. Cancel safe.
async fn next(giver: &mut Option<Giver>) -> Request {
    match giver {
        Some(giver) => giver.next().await,
        None => std::future::pending().await,
    }
}

/// Threads whose end is reported.
pub(crate) struct Watched {
    what: &'static str,
    left: usize,
    ends: mpsc::UnboundedReceiver<String>,
}

impl Watched {
    pub(crate) fn new<T: Outcome + Send + 'static>(
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
                    .map_or(" (panicked)".to_owned(), Outcome::describe);
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
pub(crate) trait Outcome {
    fn describe(self) -> String;
}

impl Outcome for () {
    fn describe(self) -> String {
        String::new()
    }
}

impl Outcome for io::Result<()> {
    fn describe(self) -> String {
        self.map_or_else(|err| format!(" ({err})"), |()| String::new())
    }
}
