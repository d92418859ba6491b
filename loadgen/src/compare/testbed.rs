//! The stand on which the peers meet: backends that run, CPUs that are shared out, and the record that fills
//! up. A fault of one peer is written down and ends that measurement alone.

use std::cell::{Cell, RefCell};
use std::fs;

use rustix::process::{Resource, getrlimit};

use super::affinity::Cpus;
use super::args::Plan;
use super::backend::Backends;
use super::bulk::{Bulk, CLIENTS};
use super::fairness;
use super::idle;
use super::peer::{Contender, Peer};
use super::proxy::{Proxy, Seats};
use super::results::{Lane, Machine, Measured, Named, Record};
use super::rounds::Rounds;
use super::scenario::{Scenario, Shape};
use super::strace;
use crate::child_process;
use crate::run_cmd::note;

/// Workers of a proxy where nothing else is said.
const ONE: usize = 1;

/// How many workers are set against one, and for whom.
const TWO: usize = 2;
const WITH_WORKERS: [Peer; 2] = [Peer::Ringmaster, Peer::HaproxyHttp];

/// Descriptors for all but idle connections, and for each of those.
const SPARE_DESCRIPTORS: u64 = 2048;
const DESCRIPTORS_EACH: u64 = 3;

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Stand {
    contenders: Vec<Contender>,
    backends: Backends,
    bulk: Bulk,
    cpus: Cpus,
    pub(crate) load_cpus: Vec<usize>,
    /// Whether system calls can be counted, as far as is known.
    strace: Cell<bool>,
    /// What has been measured so far.
    pub(crate) record: RefCell<Record>,
}

impl Stand {
    /// Takes our place on the CPUs and starts the backends.
    ///
    /// # Errors
    /// No CPU or no port could be had.
    pub(crate) fn set_up(
        contenders: Vec<Contender>,
        skipped: Vec<Named>,
        rounds: u32,
    ) -> anyhow::Result<Self> {
        let cpus = Cpus::ours()?;
        let load_cpus = cpus.load();
        if cpus.shared(ONE) {
            note("there is one CPU: load and proxies share it, and no figure means much");
        }
        child_process::pin(&load_cpus)?;
        let peers = contenders
            .iter()
            .map(|contender| Named::new(contender.peer.name(), &contender.version));
        let record = Record {
            machine: machine(&cpus),
            rounds,
            peers: peers.collect(),
            skipped,
            ..Record::default()
        };
        let bulk = Bulk::start()?;
        let stand = Self {
            contenders,
            backends: Backends::start(&bulk.handover())?,
            bulk,
            cpus,
            load_cpus,
            strace: Cell::new(true),
            record: RefCell::new(record),
        };
        if let Err(err) = strace::available() {
            stand.without_strace(&err);
        }
        Ok(stand)
    }

    /// Notes that system calls cannot be counted here, and why.
    pub(crate) fn without_strace(&self, err: &anyhow::Error) {
        let about = format!("{err:#}");
        note(&format!("no system calls are counted: {about}"));
        self.strace.set(false);
        self.record
            .borrow_mut()
            .skipped
            .push(Named::new("strace", about));
    }

    /// Goes through all scenarios. Cancel safe: nothing is left running, and what was measured is kept.
    pub(crate) async fn measure(&self, plan: &Plan) {
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

    async fn scenario(&self, plan: &Plan, scenario: Scenario, shape: Shape) {
        let compares_workers = scenario == Scenario::Workers;
        let mut title = format!("{}, {} connections", shape.title, shape.connections);
        if compares_workers && self.cpus.shared(TWO) {
            title += " (two share a CPU with the load)";
        }
        let (mut lanes, mut proxies) = (Vec::new(), Vec::new());
        for (contender, workers) in self.entered(compares_workers) {
            let mut name = contender.peer.name().to_owned();
            if compares_workers {
                name += &format!(" x{workers}");
            }
            match self.start(contender, workers, shape.connections).await {
                Ok(proxy) => {
                    proxies.push(proxy);
                    lanes.push(Lane {
                        name,
                        ..Lane::default()
                    });
                }
                Err(err) => self.fault(format!("{err:#}")),
            }
        }
        let base = Peer::BASE.name();
        let base = if compares_workers {
            format!("{base} x{ONE}")
        } else {
            base.to_owned()
        };
        let index = self.record.borrow().scenarios.len();
        self.record.borrow_mut().scenarios.push(Measured {
            name: scenario.name(),
            title,
            base,
            rate: None,
            lanes,
        });
        let rounds = Rounds {
            plan,
            stand: self,
            shape,
            proxies,
            index,
        };
        rounds.all(self.strace.get() && !compares_workers).await;
    }

    /// Who takes part, with how many workers.
    fn entered(&self, compares_workers: bool) -> Vec<(&Contender, usize)> {
        let all = self.contenders.iter();
        if !compares_workers {
            return all.map(|contender| (contender, ONE)).collect();
        }
        all.filter(|contender| WITH_WORKERS.contains(&contender.peer))
            .flat_map(|contender| [(contender, ONE), (contender, TWO)])
            .collect()
    }

    async fn idle(&self, plan: &Plan) {
        let Some(shape) = Scenario::Small.shape() else {
            return;
        };
        let connections = plan.idle.min(affordable());
        if connections < plan.idle {
            note(&format!(
                "the descriptors reach for {connections} idle connections only"
            ));
        }
        for contender in &self.contenders {
            let name = contender.peer.name();
            let measured = async {
                let proxy = self.start(contender, ONE, connections).await?;
                let shape = Shape {
                    connections,
                    ..shape
                };
                let idle = idle::measure(name, &proxy, shape, plan).await?;
                proxy.stop().await?;
                anyhow::Ok(idle)
            };
            match measured.await {
                Ok(idle) => self.record.borrow_mut().idle.extend(idle),
                Err(err) => self.fault(format!("idle, {name}: {err:#}")),
            }
        }
    }

    async fn fairness(&self, plan: &Plan) {
        let (mut peers, mut proxies) = (Vec::new(), Vec::new());
        let all = self.contenders.iter();
        for contender in all.filter(|contender| fairness::PEERS.contains(&contender.peer)) {
            let clients = fairness::SHAPE.connections + CLIENTS;
            match self.start(contender, ONE, clients).await {
                Ok(proxy) => {
                    peers.push(contender.peer);
                    proxies.push(proxy);
                }
                Err(err) => self.fault(format!("{err:#}")),
            }
        }
        self.record.borrow_mut().fairness = fairness::lines(&peers);
        let count = self.record.borrow().fairness.len();
        for round in 1..=plan.rounds {
            for line in 0..count {
                let kind = self.record.borrow().fairness[line].bulk;
                let proxy = &proxies[line % proxies.len()];
                match fairness::sample(&self.bulk, proxy, kind, plan, round).await {
                    Ok(sample) => self.record.borrow_mut().fairness[line].samples.push(sample),
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
        contender: &Contender,
        workers: usize,
        clients: usize,
    ) -> anyhow::Result<Proxy> {
        let cpus = self.cpus.proxy(workers);
        let seats = Seats {
            workers,
            clients,
            cpus,
        };
        Proxy::start(contender, &self.backends.addrs, &seats).await
    }

    /// Writes down that something went wrong, and goes on.
    pub(crate) fn fault(&self, what: String) {
        note(&what);
        self.record.borrow_mut().faults.push(what);
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
        proxy_cpus: cpus.proxy(ONE),
    }
}
