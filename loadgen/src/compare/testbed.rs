//! The testbed on which the peers meet: backends that run, CPUs that are shared out, and the record that fills
//! up. A fault of one peer is written down and ends that measurement alone.

use std::cell::{Cell, RefCell};
use std::fs;

use rustix::process::{Resource, getrlimit};

use super::affinity::Cpus;
use super::args::DuelPlan;
use super::backend::Backends;
use super::bulk::{BULK_CLIENTS, Bulk};
use super::fairness;
use super::idle;
use super::peer::{InstalledPeer, Peer};
use super::proxy::{Proxy, ProxyResources};
use super::results::{Machine, PeerNote, PeerResult, Results, ScenarioResult};
use super::rounds::Rounds;
use super::scenario::{Scenario, Shape};
use super::strace;
use crate::child_process;
use crate::run_cmd::note;

/// Workers of a proxy where nothing else is said.
const ONE_WORKER: usize = 1;

/// How many workers are set against one, and for whom.
const TWO_WORKERS: usize = 2;
const WORKER_SCENARIO_PEERS: [Peer; 2] = [Peer::Ringmaster, Peer::HaproxyHttp];

/// Descriptors for all but idle connections, and for each of those.
const SPARE_DESCRIPTORS: u64 = 2048;
const DESCRIPTORS_EACH: u64 = 3;

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Testbed {
    installed_peers: Vec<InstalledPeer>,
    backends: Backends,
    bulk: Bulk,
    cpus: Cpus,
    pub(crate) load_cpus: Vec<usize>,
    /// Whether system calls can be counted, as far as is known.
    strace: Cell<bool>,
    /// What has been measured so far.
    pub(crate) results: RefCell<Results>,
}

impl Testbed {
    /// Takes our place on the CPUs and starts the backends.
    ///
    /// # Errors
    /// No CPU or no port could be had.
    pub(crate) fn set_up(
        installed_peers: Vec<InstalledPeer>,
        skipped: Vec<PeerNote>,
        rounds: u32,
    ) -> anyhow::Result<Self> {
        let cpus = Cpus::allowed()?;
        let load_cpus = cpus.load();
        if cpus.is_shared(ONE_WORKER) {
            note("there is one CPU: load and proxies share it, and no figure means much");
        }
        child_process::pin(&load_cpus)?;
        let peers = installed_peers
            .iter()
            .map(|installed| PeerNote::new(installed.peer.name(), &installed.version));
        let results = Results {
            machine: machine(&cpus),
            rounds,
            peers: peers.collect(),
            skipped,
            ..Results::default()
        };
        let bulk = Bulk::start()?;
        let testbed = Self {
            installed_peers,
            backends: Backends::start(&bulk.handover())?,
            bulk,
            cpus,
            load_cpus,
            strace: Cell::new(true),
            results: RefCell::new(results),
        };
        if let Err(err) = strace::available() {
            testbed.without_strace(&err);
        }
        Ok(testbed)
    }

    /// Notes that system calls cannot be counted here, and why.
    pub(crate) fn without_strace(&self, err: &anyhow::Error) {
        let about = format!("{err:#}");
        note(&format!("no system calls are counted: {about}"));
        self.strace.set(false);
        self.results
            .borrow_mut()
            .skipped
            .push(PeerNote::new("strace", about));
    }

    /// Goes through all scenarios. Cancel safe: nothing is left running, and what was measured is kept.
    pub(crate) async fn measure(&self, plan: &DuelPlan) {
        for scenario in &plan.scenarios {
            note(&format!("measuring {}", scenario.name()));
            match scenario.shape() {
                None if *scenario == Scenario::Fairness => self.fairness(plan).await,
                Some(shape) => {
                    let connections = plan.connections.unwrap_or(shape.connections);
                    let shape = Shape {
                        connections,
                        ..shape
                    };
                    self.scenario(plan, *scenario, shape).await;
                }
                None => self.idle(plan).await,
            }
        }
    }

    async fn scenario(&self, plan: &DuelPlan, scenario: Scenario, shape: Shape) {
        let compares_workers = scenario == Scenario::Workers;
        let mut title = format!("{}, {} connections", shape.title, shape.connections);
        if compares_workers && self.cpus.is_shared(TWO_WORKERS) {
            title += " (two share a CPU with the load)";
        }
        let (mut peers, mut proxies) = (Vec::new(), Vec::new());
        for (installed, workers) in self.entered(compares_workers) {
            let mut name = installed.peer.name().to_owned();
            if compares_workers {
                name += &format!(" x{workers}");
            }
            match self.start(installed, workers, shape.connections).await {
                Ok(proxy) => {
                    proxies.push(proxy);
                    peers.push(PeerResult {
                        name,
                        ..PeerResult::default()
                    });
                }
                Err(err) => self.fault(format!("{err:#}")),
            }
        }
        let base = Peer::BASELINE.name();
        let base = if compares_workers {
            format!("{base} x{ONE_WORKER}")
        } else {
            base.to_owned()
        };
        let index = self.results.borrow().scenarios.len();
        self.results.borrow_mut().scenarios.push(ScenarioResult {
            name: scenario.name(),
            title,
            base,
            rate: None,
            peers,
        });
        let rounds = Rounds {
            plan,
            testbed: self,
            shape,
            proxies,
            index,
        };
        rounds.run(self.strace.get() && !compares_workers).await;
    }

    /// Who takes part, with how many workers.
    fn entered(&self, compares_workers: bool) -> Vec<(&InstalledPeer, usize)> {
        let all = self.installed_peers.iter();
        if !compares_workers {
            return all.map(|installed| (installed, ONE_WORKER)).collect();
        }
        all.filter(|installed| WORKER_SCENARIO_PEERS.contains(&installed.peer))
            .flat_map(|installed| [(installed, ONE_WORKER), (installed, TWO_WORKERS)])
            .collect()
    }

    async fn idle(&self, plan: &DuelPlan) {
        let Some(shape) = Scenario::Small.shape() else {
            return;
        };
        let connections = plan.idle.min(affordable());
        if connections < plan.idle {
            note(&format!(
                "the descriptors reach for {connections} idle connections only"
            ));
        }
        for installed in &self.installed_peers {
            let name = installed.peer.name();
            let measured = async {
                let proxy = self.start(installed, ONE_WORKER, connections).await?;
                let shape = Shape {
                    connections,
                    ..shape
                };
                let idle = idle::measure(name, &proxy, shape, plan).await?;
                proxy.stop().await?;
                anyhow::Ok(idle)
            };
            match measured.await {
                Ok(idle) => self.results.borrow_mut().idle.extend(idle),
                Err(err) => self.fault(format!("idle, {name}: {err:#}")),
            }
        }
    }

    async fn fairness(&self, plan: &DuelPlan) {
        let (mut peers, mut proxies) = (Vec::new(), Vec::new());
        let all = self.installed_peers.iter();
        for installed in all.filter(|installed| fairness::FAIRNESS_PEERS.contains(&installed.peer))
        {
            let clients = fairness::SMALL_REQUESTS.connections + BULK_CLIENTS;
            match self.start(installed, ONE_WORKER, clients).await {
                Ok(proxy) => {
                    peers.push(installed.peer);
                    proxies.push(proxy);
                }
                Err(err) => self.fault(format!("{err:#}")),
            }
        }
        self.results.borrow_mut().fairness = fairness::empty_results(&peers);
        let count = self.results.borrow().fairness.len();
        for round in 1..=plan.rounds {
            for line in 0..count {
                let kind = self.results.borrow().fairness[line].bulk;
                let proxy = &proxies[line % proxies.len()];
                match fairness::sample(&self.bulk, proxy, kind, plan, round).await {
                    Ok(sample) => self.results.borrow_mut().fairness[line]
                        .samples
                        .push(sample),
                    Err(err) => {
                        let name = peers[line % peers.len()].name();
                        self.fault(format!("fairness, {name}, {}: {err:#}", kind.name()));
                    }
                }
            }
        }
        for proxy in proxies {
            if let Err(err) = proxy.stop().await {
                self.fault(format!("{err:#}"));
            }
        }
    }

    async fn start(
        &self,
        installed: &InstalledPeer,
        workers: usize,
        clients: usize,
    ) -> anyhow::Result<Proxy> {
        let cpus = self.cpus.proxy(workers);
        let resources = ProxyResources {
            workers,
            clients,
            cpus,
        };
        Proxy::start(installed, &self.backends.addrs, &resources).await
    }

    /// Writes down that something went wrong, and goes on.
    pub(crate) fn fault(&self, what: String) {
        note(&what);
        self.results.borrow_mut().faults.push(what);
    }
}

/// How many idle connections the descriptors reach for: a client's, one to a backend, and HAProxy wants some
/// for the pipes it might need.
fn affordable() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = limit.saturating_sub(SPARE_DESCRIPTORS) / DESCRIPTORS_EACH;
    usize::try_from(left).unwrap_or(usize::MAX)
}

fn machine(cpus: &Cpus) -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor
        .lines()
        .find(|line| line.starts_with("model name"));
    let processor = processor.and_then(|line| line.split_once(": "));
    Machine {
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control")
            .trim()
            .to_owned(),
        processor: processor
            .map(|(_, name)| name.to_owned())
            .unwrap_or_default(),
        cpus: cpus.count(),
        load_cpus: cpus.load(),
        proxy_cpus: cpus.proxy(ONE_WORKER),
    }
}
