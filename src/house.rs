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
use crate::shutdown;
use crate::start::{self, Addresses};

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
    pub(crate) fleet: Fleet,
    pub(crate) workers: Watched,
    pub(crate) control: Watched,
    pub(crate) signals: Signals,
    /// Panics that must end the program.
    pub(crate) alarms: mpsc::UnboundedReceiver<String>,
}

impl House {
    /// Runs until a signal, or until a thread ends that must not. Afterwards what is left of the threads has
    /// been told to end at once.
    pub(crate) async fn live(
        mut self,
        ready_file: Option<PathBuf>,
        addresses: &Addresses,
        stops: Stops<shutdown::Trigger>,
    ) -> anyhow::Result<()> {
        let Signals {
            mut terminate,
            mut interrupt,
        } = self.signals;
        let mut status = self.fleet.status();
        let ready = async {
            // An error means that the fleet is gone, which is told elsewhere.
            let complete = status.wait_for(|status| status.complete).await.is_ok();
            match ready_file.filter(|_| complete) {
                Some(path) => start::write_ready_file(&path, addresses),
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
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                Some(panic) = self.alarms.recv() => bail!("a task of the fleet {panic}"),
                () = self.fleet.ended() => bail!("the fleet ended unexpectedly"),
                end = self.workers.first_end() => bail!("{end} ended unexpectedly"),
                end = self.control.first_end() => bail!("{end} ended unexpectedly"),
            }
        }
        tracing::info!("draining: no new connections; answering what has begun");
        let mut second = std::pin::pin!(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        stops.workers.pull();
        self.fleet.refuse_changes();
        tokio::select! {
            () = self.workers.all_ended() => {}
            () = &mut second => {
                // Before the fleet goes, or requests would see that and look for another replica.
                stops.cut.pull();
                let _ = timeout(CUT_TIMEOUT, self.workers.all_ended()).await;
                bail!("a second signal; stopped at once");
            }
        }
        let stop = async {
            let stopped = self.fleet.stop(FLEET_STOP_TIMEOUT).await;
            stops.control.pull();
            self.control.all_ended().await;
            stopped
        };
        tokio::select! {
            stopped = stop => stopped,
            () = &mut second => bail!("a second signal; stopped at once"),
        }
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
