//! The start of the fleet: its engine, its event loop and its thread.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{mpsc, oneshot, watch};

use super::discovery::{Discovery, EngineSurvey};
use super::engine::{
    Docker, Engine, EngineEvents, Fixed, Management, PollReports, Process, Resolver,
    ServiceReading, Swarm,
};
use super::event_loop::{BackendSaver, FleetLoop, Heartbeats, Inbox, Pending, SaveResult};
use super::event_recorder::EventRecorder;
use super::handle::{FixedBackends, Fleet};
use super::heartbeat::ProbeSchedule;
use super::journal::{EventBody, Journal};
use super::plan::{Ownership, Plan};
use super::publisher::RosterPublisher;
use super::settings::{FleetSettings, HeartbeatSettings, ReplicaSettings};
use crate::orders::OrderReceiver;
use crate::roster::{Evidence, Publisher};
use crate::shutdown;
use crate::stats::CounterRegistry;

/// Name of the fleet's thread. A panic on it is fatal to the program, in any of its tasks.
pub const THREAD_NAME: &str = "fleet";

/// Starts the fleet on a thread of its own. `publisher` holds the [`Discovery::initial_roster`].
///
/// # Errors
/// Before anything is started: when the replica binary is missing (the sentence says how to build
/// it), or no thread can be created.
pub fn start(
    discovery: Discovery,
    publisher: Publisher,
    orders: OrderReceiver,
    evidence: mpsc::Receiver<Evidence>,
) -> anyhow::Result<Fleet> {
    let Discovery {
        settings,
        plan,
        survey,
    } = discovery;
    let (engine_events, engine_inbox) = mpsc::unbounded_channel();
    let (probe_events, probe_inbox) = mpsc::unbounded_channel();
    let (prepared, prepared_inbox) = mpsc::unbounded_channel();
    let (close, closed) = shutdown::channel();
    let (stop, stopped) = oneshot::channel();
    let is_takeover = settings.taken_over_from.is_some();
    let (ownership, owner) = watch::channel(first_ownership(is_takeover));
    let (status, status_seen) = watch::channel(plan.status());
    // Fixed backends without heartbeats are listed from the beginning.
    orders.names.send_replace(plan.listed().into());
    let journal = Journal::default();
    let engine_events = EngineEvents::new(engine_events);
    let (reports, service) = poll_reports(&settings.counters);
    let mut engine = new_engine(&settings, survey, &journal, reports, engine_events)?;
    engine.set_handover(is_takeover);
    let schedule = settings.heartbeat.as_ref();
    let schedule = schedule.map(|heartbeat| probe_schedule(heartbeat, engine.management()));
    let (saver, saved, backends) = backend_saver(settings.replicas, &plan);
    let counters = settings.counters;
    let handover = Arc::new(AtomicBool::new(is_takeover));
    let inbox = Inbox {
        close: closed,
        stop: stopped,
        ownership: owner,
        engine: engine_inbox,
        probes: probe_inbox,
        snapshots: orders.snapshots,
        orders: orders.orders,
        prepared: prepared_inbox,
        saved,
        evidence,
    };
    let event_loop = FleetLoop {
        plan,
        engine,
        publisher: RosterPublisher::new(publisher, settings.workers, counters.clone()),
        heartbeats: Heartbeats::new(schedule, probe_events),
        recorder: EventRecorder::new(journal.clone(), counters.clone()),
        counters,
        prepared,
        saver,
        names: orders.names,
        status,
        started_at: (Instant::now(), SystemTime::now()),
        handover: Arc::clone(&handover),
        pending: Pending::default(),
    };
    Ok(Fleet {
        handover,
        status: status_seen,
        backends,
        journal,
        service,
        close,
        ownership,
        stop,
        thread: spawn_thread(event_loop, inbox)?,
    })
}

fn first_ownership(is_takeover: bool) -> Ownership {
    match is_takeover {
        true => Ownership::Acquiring,
        false => Ownership::Owned,
    }
}

/// Creates the writer of the list of fixed backends, the receiver of its results, and the lists.
fn backend_saver(
    replicas: ReplicaSettings,
    plan: &Plan,
) -> (BackendSaver, UnboundedReceiver<SaveResult>, FixedBackends) {
    let (state_file, flags) = match replicas {
        ReplicaSettings::Fixed(fixed) => (fixed.state, fixed.flags),
        ReplicaSettings::Process { .. }
        | ReplicaSettings::Docker(_)
        | ReplicaSettings::Swarm(_) => (None, Vec::new()),
    };
    let (results, saved) = mpsc::unbounded_channel();
    let (sender, latest) = watch::channel(plan.backend_seats());
    let saver = BackendSaver::new(state_file, sender, results);
    (saver, saved, FixedBackends { flags, latest })
}

/// Returns the places at which polls of a service report, and the readings that come there.
fn poll_reports(
    counters: &CounterRegistry,
) -> (PollReports, watch::Receiver<Option<ServiceReading>>) {
    let (readings, service) = watch::channel(None);
    let counters = Arc::clone(counters.fleet());
    (PollReports { readings, counters }, service)
}

/// Creates the engine and records the containers that were lost while no balancer ran.
fn new_engine(
    settings: &FleetSettings,
    survey: EngineSurvey,
    journal: &Journal,
    reports: PollReports,
    engine_events: EngineEvents,
) -> anyhow::Result<Box<dyn Engine>> {
    Ok(match (&settings.replicas, survey) {
        (ReplicaSettings::Process { binary, wanted }, _) => {
            Box::new(Process::new(binary, wanted, engine_events)?)
        }
        (ReplicaSettings::Fixed(fixed), _) => Box::new(Fixed::new(
            fixed.lookups.clone(),
            Resolver::system(),
            engine_events,
        )),
        (ReplicaSettings::Docker(_), EngineSurvey::Containers(existing)) => {
            let (environment, adoption) = *existing;
            for event in adoption.lost {
                tracing::info!("{event}");
                journal.push(SystemTime::now(), EventBody::Replica(event));
            }
            let counters = reports.counters;
            let (adopted, discarded) = (&adoption.adopted, &adoption.discarded);
            Box::new(Docker::new(
                environment,
                adopted,
                discarded,
                engine_events,
                counters,
            ))
        }
        (ReplicaSettings::Swarm(_), EngineSurvey::Swarm(node)) => {
            Box::new(Swarm::new(*node, reports, engine_events))
        }
        (ReplicaSettings::Swarm(_), _) => bail!("the node of the swarm was not surveyed"),
        (ReplicaSettings::Docker(_), _) => bail!("the existing containers were not discovered"),
    })
}

/// Returns the schedule of heartbeats. Replicas of a managed fleet are probed eagerly at their
/// start.
fn probe_schedule(settings: &HeartbeatSettings, management: Management) -> ProbeSchedule {
    ProbeSchedule {
        interval: settings.interval,
        timeout: settings.timeout,
        probe: settings.probe.clone(),
        eager: management.is_managed(),
    }
}

/// Runs the event loop on a thread of its own, whose result is that of [`FleetLoop::run`].
///
/// # Errors
/// When there is no thread or no runtime.
fn spawn_thread(event_loop: FleetLoop, inbox: Inbox) -> anyhow::Result<thread::JoinHandle<bool>> {
    let (begin, begun) = std::sync::mpsc::channel();
    let body = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        let (runtime, result) = match runtime {
            Ok(runtime) => (Some(runtime), Ok(())),
            Err(err) => (None, Err(err)),
        };
        // Sending fails only if the starting thread has ended.
        let _ = begin.send(result);
        runtime.is_some_and(|runtime| {
            let is_complete = runtime.block_on(event_loop.run(inbox));
            // A lookup that hangs in the system's resolver must not hold up the end.
            runtime.shutdown_background();
            is_complete
        })
    };
    let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
    let thread = thread.spawn(body).context("no thread for the fleet")?;
    let result = begun.recv().context("the fleet ended at once")?;
    result.context("no event loop for the fleet")?;
    Ok(thread)
}
