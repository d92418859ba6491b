//! Wiring of `serve`: creates the parts, connects them and starts them in order.
//!
//! Decisions belong to the parts. Steps that fail because of a user's mistake come before the
//! commit of a takeover and before anything is created in the container engine. During a takeover
//! no client is accepted before the inherited replicas have answered, or the old process has ended.

mod control_context;
mod discovery;
mod effective;
mod listeners;
mod successor;

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::config::{Config, ListenOn, LogDestination, ReplicaSource, SandboxMode};
use crate::fleet::{self, Fleet, Ownership};
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::supervisor::{self, Baseline, Signals, Supervisor, ThreadGroup};
use crate::takeover::{Handoff, HandoffServer, InstanceInfo, PassedSockets};
use crate::wire::socket_owner;
use crate::wire::unix_listener::SocketFile;
use crate::{access_log, control, metrics, orders, proxy, roster, startup, stats};
use control_context::{ControlDeps, control_context};
use discovery::discover;
use effective::effective;
use listeners::Listeners;
use successor::{apply_handover, ready_or_left, take_over};

/// Capacity of the queue of evidence to the fleet; evidence beyond it is dropped, being hints.
const MAX_QUEUED_EVIDENCE: usize = 1024;
/// Serves until a signal, a committed takeover, or the unexpected end of a part. `panics` receives
/// the panics of tasks, each of which ends the program.
pub(crate) fn serve(
    mut config: Config,
    settings_read: Settings,
    panics: mpsc::UnboundedReceiver<String>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let target = config.access_log.as_ref().map(|log| &log.target);
    let reopens = matches!(target, Some(LogDestination::File(_)));
    // As it is read, before a takeover and the system lower or raise values.
    let baseline = Baseline::new(&config, settings_read.clone());
    let mut signals = Signals::register(&runtime, (reopens, baseline.has_file()))?;
    let registry = stats::CounterRegistry::default();
    let mut settings = startup::fleet_settings(&config, registry.clone())?;
    if let Some(path) = &config.ready_file {
        startup::check_ready_file_writable(path)?;
    }
    let mut taken = take_over(&mut config)?;
    // A takeover may raise it to the number of the old process.
    settings.workers = config.workers;
    startup::limit_descriptors(&mut config.proxy.limits, config.workers)?;
    warn_if_admin_is_open(&config);
    let max_connections = config.proxy.limits.max_connections;
    let counts =
        Arc::new(metrics::DataPortCounters::new(config.workers).limited_to(max_connections));
    let writer = start_access_log(&mut config, &counts)?;
    let ports = Listeners::open(&config, taken.as_mut())?;

    // Not earlier: another program that still serves on these ports may have written the file. In a
    // takeover the old process serves, and its file stays valid.
    if let Some(path) = config.ready_file.as_ref().filter(|_| taken.is_none()) {
        startup::remove_ready_file(path)?;
    }
    if let fleet::ReplicaSettings::Fixed(fixed) = &mut settings.replicas {
        // The system may have chosen them.
        let startup::Addresses { listen, control } = ports.addresses();
        fixed.lookups.own_ports = startup::own_ports(listen, control);
    }
    apply_handover(taken.as_mut(), &mut settings)?;
    startup::prepare_state_file(&settings.replicas)?;
    // Last of the steps that fail because of a user's mistake: it takes the fleet's lock in the
    // engine.
    let survey = discover(&runtime, &mut signals, settings)?;
    // Requests from the network's gateway come from outside of it, so they do not count as local.
    for access in config.proxy.admin.iter_mut().chain([&mut config.access]) {
        access.gateway = survey.gateway();
    }
    let prepared = Parts {
        config,
        settings: settings_read,
        baseline,
        ports,
        taken,
        survey,
        counts,
        registry,
        signals,
        panics,
    };
    let supervisor = prepared.start_threads(&runtime)?;
    let ended = runtime.block_on(supervisor.run());
    // Flush the access log even after an error; aborted requests are logged too.
    if let Some(writer) = writer {
        writer.flush_and_stop();
    }
    ended
}

/// Parts from which the threads are made.
struct Parts {
    config: Config,
    settings: Settings,
    baseline: Baseline,
    ports: Listeners,
    taken: Option<Handoff>,
    survey: fleet::Discovery,
    counts: Arc<metrics::DataPortCounters>,
    registry: stats::CounterRegistry,
    signals: Signals,
    panics: mpsc::UnboundedReceiver<String>,
}

impl Parts {
    /// Starts the threads and accepts clients.
    fn start_threads(mut self, runtime: &Runtime) -> anyhow::Result<Supervisor> {
        let (config, mut ports) = (self.config, self.ports);
        let (addresses, duplicates) = (ports.addresses(), ports.duplicate()?);
        let settings = effective(self.settings, &config, addresses);
        let wanted = self.survey.wanted();
        let seen = seen_from_host(&self.survey, addresses);
        let (publisher, subscribers) =
            roster::channel(config.workers, self.survey.initial_roster());
        let observer = publisher.observer();
        let (queue, orders) = orders::order_queue();
        let (evidence, evidence_seen) = mpsc::channel(MAX_QUEUED_EVIDENCE);
        let (stops, stop_receivers) = supervisor::stop_channels();
        let (accepting, accepting_receiver) = watch::channel(self.taken.is_none());
        let mut fleet = fleet::start(self.survey, publisher, orders, evidence_seen)?;
        let clients = Arc::clone(&config.proxy.clients);
        let sandbox = sandbox(config.sandbox);
        let workers = proxy::start(proxy::WorkerStart {
            settings: Arc::new(config.proxy),
            listeners: ports.data,
            subscribers,
            evidence,
            port: Arc::clone(&self.counts),
            orders: queue.clone(),
            sandbox: sandbox.clone(),
            opened: accepting_receiver,
            shutdown: stop_receivers.workers,
            cut: stop_receivers.cut,
        })?;
        if let Some(taken) = &self.taken {
            let known = (config.start_timeout, &config.replicas);
            fleet = ready_or_left(runtime, fleet, &mut self.signals, taken, known)?;
        }
        let sockets = supervisor::Sockets::new(addresses, config.workers);
        let (reload, reloads) = supervisor::Reload::new(self.baseline, sockets);
        let known = ControlDeps {
            settings,
            reloads,
            order_queue: queue,
            access: config.access,
            clients,
            roster: observer.clone(),
            max_replicas: config.max_replicas,
            recorder: stats::Sampler::new(self.registry, self.counts, Instant::now()),
            engine: config.replicas.engine(),
            stopping: stop_receivers.readiness,
        };
        // On an error from here on, dropping `fleet` leaves the replicas to the old process.
        let context = control_context(known, &fleet);
        let control = control::start(ports.control, context, stop_receivers.control, sandbox)?;
        accepting.send_replace(true);
        commit_takeover(self.taken, &fleet, &mut ports.files);
        startup::print_addresses(seen, &config.replicas, wanted);
        let handoff_server = start_handoff_server(ports.handoff, duplicates, &config.replicas)?;
        Ok(Supervisor {
            // Child processes end with their parent, and fixed addresses belong to no balancer.
            hands_over_fleet: matches!(config.replicas, ReplicaSource::Docker(_)),
            fleet,
            workers: ThreadGroup::new("a worker", workers),
            control: ThreadGroup::new("the control port", [control]),
            stops,
            signals: self.signals,
            reload,
            panics: self.panics,
            handoff_server,
            roster: observer,
            times: config.stop,
            socket_files: ports.files,
            ready: (config.ready_file, addresses),
        })
    }
}

/// Returns the sandbox of the workers and the control port, with all read that they need and could
/// not read inside of it.
fn sandbox(mode: SandboxMode) -> Sandbox {
    socket_owner::users();
    mode.sandbox()
}

/// Commits a takeover, if this process is a successor.
fn commit_takeover(taken: Option<Handoff>, fleet: &Fleet, files: &mut [SocketFile]) {
    let Some(taken) = taken else { return };
    taken.commit();
    for file in files {
        if let Err(err) = file.claim() {
            let path = file.path();
            tracing::warn!(
                "unix:{} keeps its mode and owner: {err}",
                path.as_path().display()
            );
        }
    }
    fleet.set_ownership(Ownership::Owned);
    // It was active from the start, see `Fleet::set_handover`.
    fleet.set_handover(false);
}

fn start_handoff_server(
    listener: Option<UnixListener>,
    sockets: PassedSockets,
    replicas: &ReplicaSource,
) -> io::Result<Option<HandoffServer>> {
    let instance = InstanceInfo::from_replicas(replicas);
    listener
        .map(|listener| HandoffServer::start(listener, sockets, instance))
        .transpose()
}

/// Returns the addresses at which a user of this machine reaches ours.
fn seen_from_host(survey: &fleet::Discovery, own: startup::Addresses) -> startup::Addresses {
    let seen = |on: ListenOn| ListenOn {
        tcp: on.tcp.map(|addr| survey.seen_from_host(addr)),
        ..on
    };
    startup::Addresses {
        listen: seen(own.listen),
        control: seen(own.control),
    }
}

fn start_access_log(
    config: &mut Config,
    port: &Arc<metrics::DataPortCounters>,
) -> anyhow::Result<Option<access_log::AccessLogWriter>> {
    let Some(settings) = &config.access_log else {
        return Ok(None);
    };
    let (log, writer) = access_log::start(settings, Arc::clone(port))?;
    config.proxy.access_log = Some(log);
    Ok(Some(writer))
}

fn warn_if_admin_is_open(config: &Config) {
    let admin = config.proxy.admin.as_ref();
    if admin.is_some_and(|admin| admin.anyone) {
        tracing::warn!(
            "--data-port-admin any: every client of the data port may add and remove replicas"
        );
    }
}
