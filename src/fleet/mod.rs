//! The fleet: the replica manager that makes the roster true. It starts, watches, replaces, drains and
//! removes replicas, and it alone writes the roster.
//!
//! The way of a change: an engine's report, a heartbeat, evidence or an order arrives in the inbox of one
//! task (`task`), which asks a pure state machine (`plan`) and does what that says: publish, start,
//! watch, drain, remove, answer, note. The data path never waits for any of it.
//!
//! Surprising: it has a thread of its own that lives as long as the process, because a child's
//! parent-death signal fires when the thread that forked it ends.

mod discovery;
mod engine;
mod event_loop;
mod event_recorder;
mod events;
mod heartbeat;
mod journal;
mod names;
mod plan;
mod publisher;
mod readiness;
#[cfg(test)]
mod stand_in;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};

use crate::load::LoadBound;
use crate::orders::OrderReceiver;
use crate::ring::{Seat, Spec};
use crate::roster::{Evidence, Publisher, ReplicaAddr, ReplicaName};
use crate::shutdown;
use crate::stats::CounterRegistry;
use engine::{Docker, Engine, EngineEvents, Fixed, Management, Process};
use event_loop::{FleetLoop, Inbox, Pending, Stop};
use event_recorder::EventRecorder;
use heartbeat::ProbeSchedule;
use publisher::RosterPublisher;

pub use discovery::{Discovery, discover};
pub use engine::{ContainerSettings, Image, ProcessSettings};
pub use events::{EventKind, ReplicaEvent, Setting, SettingChange};
pub use heartbeat::ProbeKind;
pub use journal::{Event, EventBody, JOURNAL_EVENTS, Journal};
pub use plan::{Ownership, Status};

/// The name of the fleet's thread. A panic on it is fatal to the program, whichever task it ends.
pub const THREAD_NAME: &str = "fleet";

/// Which replicas there are, and how they come to be.
#[derive(Clone, Debug)]
pub enum ReplicaSettings {
    /// Child processes, named S1, S2, S3 …
    Process {
        /// What they run, unless told otherwise; see [`bundled_replica`].
        binary: PathBuf,
        /// How many at first, and more.
        wanted: ProcessSettings,
    },
    /// Containers, named S1, S2, S3 … unless some of the fleet are there already.
    Docker(ContainerSettings),
    /// Backends that somebody else runs, in the order of their seats; names are distinct.
    Fixed(Vec<(ReplicaName, ReplicaAddr)>),
}

/// How replicas are asked for health.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// Time between heartbeats.
    pub interval: Duration,
    /// An answer later than this is a miss.
    pub timeout: Duration,
    /// Misses in a row after which routing passes a replica over; at least 1.
    pub misses: u32,
    /// Silence after which it is dead.
    pub replace_after: Duration,
    /// What is asked.
    pub ask: ProbeKind,
}

/// A seat of the balancer that is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Which one.
    pub seat: Seat,
    /// Who sits there; `None`: nobody who lives.
    pub name: Option<ReplicaName>,
    /// Whether it gets no new requests, by order.
    pub drained: bool,
}

/// What the fleet goes by.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// Which replicas.
    pub replicas: ReplicaSettings,
    /// The kind of ring.
    pub ring: Spec,
    /// How far above the mean a seat's load may lie.
    pub bound: LoadBound,
    /// `None`: everybody counts as up and evidence is ignored; only with [`Replicas::Fixed`].
    pub heartbeat: Option<HeartbeatSettings>,
    /// From the start of a replica to its first answer.
    pub start_timeout: Duration,
    /// From leaving the ring to removal, for one that does not get idle.
    pub drain_timeout: Duration,
    /// The most replicas that may be wanted.
    pub max_replicas: usize,
    /// How many more are kept warm outside the ring; 0 with [`Replicas::Fixed`].
    pub standbys: usize,
    /// How many workers the data path has: each counts in a cell of its own.
    pub workers: usize,
    /// The seats of the balancer that is taken over, in the order of its list, instead of S1, S2, S3 …
    pub seats: Option<Vec<Inherited>>,
    /// The process that is taken over: its lock is no obstacle, what is found is its own until we are told
    /// [`Hold::Ours`], and if we are dropped, all is left to it.
    pub taken_over_from: Option<u32>,
    /// Where it enters which cells count for which seat, and what it counts itself.
    pub ledger: CounterRegistry,
}

/// Where the replica binary is that comes with us: beside our own executable.
///
/// # Errors
/// When the system does not know where our executable is.
pub fn bundled_replica() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("replica"))
}

/// Starts the fleet on a thread of its own. `publisher` holds the [`Survey::first_roster`].
///
/// # Errors
/// Before anything is started: when the replica binary is missing (the sentence says how to build it), or
/// the system has no thread for us.
pub fn start(
    survey: Discovery,
    publisher: Publisher,
    desk: OrderReceiver,
    evidence: mpsc::Receiver<Evidence>,
) -> anyhow::Result<Fleet> {
    let Discovery {
        settings,
        plan,
        containers,
    } = survey;
    let (report, reports) = mpsc::unbounded_channel();
    let (pulse, pulses) = mpsc::unbounded_channel();
    let (close, closed) = shutdown::channel();
    let (stop, stopped) = oneshot::channel();
    let is_taken = settings.taken_over_from.is_some();
    let (hold, held) = watch::channel(if is_taken {
        Ownership::Acquiring
    } else {
        Ownership::Owned
    });
    let (status, status_seen) = watch::channel(plan.status());
    // Fixed backends without heartbeats are listed from the beginning.
    desk.list.send_replace(plan.listed().into());
    let journal = Journal::default();
    let reports_end = EngineEvents::new(report);
    let mut engine: Box<dyn Engine> = match (&settings.replicas, containers) {
        (ReplicaSettings::Process { binary, wanted }, _) => {
            Box::new(Process::new(binary, wanted, reports_end)?)
        }
        (ReplicaSettings::Fixed(backends), _) => Box::new(Fixed::new(backends, reports_end)),
        (ReplicaSettings::Docker(_), Some((ground, sorted))) => {
            for note in sorted.lost.clone() {
                tracing::info!("{note}");
                journal.push(SystemTime::now(), EventBody::Replica(note));
            }
            let cells = Arc::clone(settings.ledger.fleet());
            let (adopted, discarded) = (&sorted.adopted, &sorted.discarded);
            Box::new(Docker::new(ground, adopted, discarded, reports_end, cells))
        }
        (ReplicaSettings::Docker(_), None) => bail!("nobody looked which containers are there"),
    };
    engine.set_handover(is_taken);
    let lent = Arc::new(AtomicBool::new(is_taken));
    let inbox = Inbox {
        close: closed,
        stop: stopped,
        hold: held,
        reports,
        pulses,
        shows: desk.shows,
        orders: desk.orders,
        evidence,
    };
    let task = FleetLoop {
        rhythm: settings.probe_schedule(engine.management()),
        engine,
        plan,
        press: RosterPublisher::new(publisher, settings.workers, settings.ledger.clone()),
        ledger: settings.ledger,
        pulses: pulse,
        journal: journal.clone(),
        notebook: EventRecorder::default(),
        status,
        list: desk.list,
        began: (Instant::now(), SystemTime::now()),
        lent: Arc::clone(&lent),
        work: Pending::default(),
    };
    Ok(Fleet {
        lent,
        status: status_seen,
        journal,
        close,
        hold,
        stop,
        thread: spawn_thread(task, inbox)?,
    })
}

/// Runs `task` on a thread of its own; what that returns, the thread does.
fn spawn_thread(task: FleetLoop, inbox: Inbox) -> anyhow::Result<thread::JoinHandle<bool>> {
    let (ready, begun) = std::sync::mpsc::channel();
    let body = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        let (runtime, begins) = match runtime {
            Ok(runtime) => (Some(runtime), Ok(())),
            Err(err) => (None, Err(err)),
        };
        // Nobody hears it only if the one who started us is gone.
        let _ = ready.send(begins);
        runtime.is_some_and(|runtime| runtime.block_on(task.run(inbox)))
    };
    let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
    let thread = thread.spawn(body).context("no thread for the fleet")?;
    let begins = begun.recv().context("the fleet ended at once")?;
    begins.context("no event loop for the fleet")?;
    Ok(thread)
}

impl FleetSettings {
    fn check(&self) -> anyhow::Result<()> {
        match &self.replicas {
            ReplicaSettings::Process { .. } | ReplicaSettings::Docker(_)
                if self.heartbeat.is_none() =>
            {
                bail!("heartbeats can only be off with fixed backends")
            }
            ReplicaSettings::Process { .. } | ReplicaSettings::Docker(_) => Ok(()),
            ReplicaSettings::Fixed(_) if self.standbys > 0 => {
                bail!("fixed backends have no standbys")
            }
            ReplicaSettings::Fixed(backends) => {
                let mut met = HashSet::new();
                match backends.iter().find(|(name, _)| !met.insert(name)) {
                    Some((twice, _)) => bail!("two backends are named {twice}"),
                    None => Ok(()),
                }
            }
        }
    }

    fn probe_schedule(&self, keeper: Management) -> Option<ProbeSchedule> {
        self.heartbeat.as_ref().map(|heartbeat| ProbeSchedule {
            interval: heartbeat.interval,
            timeout: heartbeat.timeout,
            ask: heartbeat.ask.clone(),
            eager: keeper == Management::Managed,
        })
    }
}

/// The running fleet. Dropping it stops it too, unseen.
#[derive(Debug)]
pub struct Fleet {
    status: watch::Receiver<Status>,
    journal: Journal,
    close: shutdown::Trigger,
    hold: watch::Sender<Ownership>,
    stop: oneshot::Sender<Stop>,
    lent: Arc<AtomicBool>,
    thread: thread::JoinHandle<bool>,
}

impl Fleet {
    /// How it stands, now and after every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What happened to it.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Waits until its thread has ended, which before a stop is a fault: the program cannot go on.
    /// Cancel safe.
    pub async fn ended(&self) {
        stopped(self.status.clone()).await;
    }

    /// Refuses the changes that are under way and all to come, at once. The list is still answered, and
    /// the replicas are kept as they are.
    pub fn refuse_changes(&self) {
        self.close.cancel();
    }

    /// Says whose the fleet is, because another process takes over, or because we have, who begin with
    /// [`Hold::Theirs`]. What is under way is finished; with containers, those that the other one has started are
    /// let be.
    pub fn set_ownership(&self, hold: Ownership) {
        self.hold.send_replace(hold);
    }

    /// Whether another balancer has it too, to whom all is left that can outlive us should we be dropped. At first
    /// that is so when it was taken over.
    pub fn set_handover(&self, lent: bool) {
        self.lent.store(lent, Ordering::Relaxed);
    }

    /// Removes all replicas within `limit` and ends. What is left after that dies with us.
    ///
    /// # Errors
    /// When something was left, or the thread had panicked.
    pub async fn stop(self, limit: Duration) -> anyhow::Result<()> {
        let leave = false;
        self.end(Stop { limit, leave }).await
    }

    /// Ends within `limit` and leaves to another balancer what can outlive us. The roster stays as it is.
    ///
    /// # Errors
    /// When that was not possible in time, or the thread had panicked.
    pub async fn leave(self, limit: Duration) -> anyhow::Result<()> {
        let leave = true;
        self.end(Stop { limit, leave }).await
    }

    async fn end(self, stop: Stop) -> anyhow::Result<()> {
        let limit = stop.limit;
        // A fleet that is gone needs no word; the thread tells how it went.
        let _ = self.stop.send(stop);
        stopped(self.status).await;
        match self.thread.join() {
            Ok(true) => Ok(()),
            Ok(false) => bail!("replicas were left after {limit:?}"),
            Err(_) => bail!("the fleet panicked"),
        }
    }
}

/// Waits until the thread is gone, which holds the sender as long as it lives.
async fn stopped(mut status: watch::Receiver<Status>) {
    while status.changed().await.is_ok() {}
}
