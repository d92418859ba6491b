//! `loadgen duel`: ringmaster, HAProxy and nginx side by side, in one run, on one machine.
//!
//! The proxies have one thread on one CPU; the load and the backends behind them have another. The
//! figure is what the proxy's process used of its CPU, per request, as a ratio to HAProxy's in the same
//! round: speeds of machines drift, ratios within a round hold. A run is: find the peers, start the
//! backends, and for each scenario start the proxies, go through the rounds, stop them; then the table.

mod account;
mod args;
mod backend;
mod calls;
mod chart;
mod config;
mod connection;
mod cpus;
mod idle;
mod load;
mod peer;
mod proxy;
mod record;
mod rounds;
mod scenario;
mod stats;
mod table;

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

pub(crate) use args::DuelArgs;

use crate::experiment::{note, print, raise_descriptor_limit};
use crate::guard;
use crate::signals::Signals;
use args::Plan;
use backend::{BACKENDS, Backends};
use config::Stage;
use cpus::Cpus;
use peer::{Contender, Peer};
use proxy::{Proxy, Seats};
use record::{Lane, Machine, Measured, Named, Record};
use rounds::Rounds;
use scenario::{Scenario, Shape};

/// Workers of a proxy where nothing else is said.
const ONE: usize = 1;

/// How many workers are set against one, and for whom.
const TWO: usize = 2;
const WITH_WORKERS: [Peer; 2] = [Peer::Ringmaster, Peer::HaproxyHttp];

/// What all scenarios share.
#[derive(Debug)]
struct Stand {
    contenders: Vec<Contender>,
    backends: Backends,
    cpus: Cpus,
    load_cpus: Vec<usize>,
    strace: bool,
    record: RefCell<Record>,
}

/// Measures what `args` name, prints the table, writes the files.
///
/// # Errors
/// Nothing could be measured, or a file could not be written.
pub(crate) async fn perform(args: DuelArgs) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let (mut contenders, mut skipped) = (Vec::new(), Vec::new());
    for peer in &plan.peers {
        match Contender::find(*peer, &args) {
            Ok(contender) => contenders.push(contender),
            Err(about) => skipped.push(named(*peer, about)),
        }
    }
    if args.print_configs {
        print(&configs(&contenders, &skipped))?;
        return Ok(ExitCode::SUCCESS);
    }
    raise_descriptor_limit();
    let mut signals = Signals::catch()?;
    for Named { name, about } in &skipped {
        note(&format!("{name} is skipped: {about}"));
    }
    let stand = Stand::set_up(contenders, skipped, plan.rounds)?;
    let interrupted = tokio::select! {
        () = stand.measure(&plan) => false,
        () = signals.caught() => true,
    };
    if interrupted {
        stand.fault("interrupted".to_owned());
    }
    let mut record = stand.record.into_inner();
    record.scenarios.iter_mut().for_each(Measured::summarise);
    print(&table::text(&record))?;
    if let Some(path) = &args.json {
        write(path, &(serde_json::to_string_pretty(&record)? + "\n"))?;
    }
    if let Some(path) = &args.svg {
        write(path, &chart::svg(&record)?)?;
    }
    Ok(if record.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Stand {
    fn set_up(
        contenders: Vec<Contender>,
        skipped: Vec<Named>,
        rounds: u32,
    ) -> anyhow::Result<Self> {
        let cpus = Cpus::ours()?;
        let load_cpus = cpus.load();
        if cpus.shared(ONE) {
            note("there is one CPU: load and proxies share it, and no figure means much");
        }
        guard::pin(&load_cpus)?;
        let strace = calls::available();
        if let Err(err) = &strace {
            note(&format!("{err:#}"));
        }
        let peers = contenders
            .iter()
            .map(|contender| named(contender.peer, contender.version.clone()));
        let record = Record {
            machine: machine(&cpus),
            rounds,
            peers: peers.collect(),
            skipped,
            ..Record::default()
        };
        Ok(Self {
            contenders,
            backends: Backends::start()?,
            cpus,
            load_cpus,
            strace: strace.is_ok(),
            record: RefCell::new(record),
        })
    }

    /// Goes through all scenarios. Cancel safe: nothing is left running, and what was measured is kept.
    async fn measure(&self, plan: &Plan) {
        for scenario in &plan.scenarios {
            note(&format!("{}: {} rounds", scenario.name(), plan.rounds));
            match scenario.shape() {
                Some(shape) => self.scenario(plan, *scenario, shape).await,
                None => self.idle(plan).await,
            }
        }
    }

    async fn scenario(&self, plan: &Plan, scenario: Scenario, shape: Shape) {
        let compares_workers = scenario == Scenario::Workers;
        let mut title = shape.title.to_owned();
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
        rounds.all(self.strace && !compares_workers).await;
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
        for contender in &self.contenders {
            let name = contender.peer.name();
            let measured = async {
                let proxy = self.start(contender, ONE, plan.idle).await?;
                let idle = idle::measure(name, &proxy, shape, plan.idle).await?;
                proxy.stop().await?;
                anyhow::Ok(idle)
            };
            match measured.await {
                Ok(idle) => self.record.borrow_mut().idle.extend(idle),
                Err(err) => self.fault(format!("idle, {name}: {err:#}")),
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

    fn fault(&self, what: String) {
        note(&what);
        self.record.borrow_mut().faults.push(what);
    }
}

fn named(peer: Peer, about: String) -> Named {
    let name = peer.name().to_owned();
    Named { name, about }
}

/// How each peer would be started, with ports that stand for those chosen at the start.
fn configs(contenders: &[Contender], skipped: &[Named]) -> String {
    let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let backends: Vec<SocketAddr> = (8001..).take(BACKENDS).map(addr).collect();
    let stage = Stage {
        listen: addr(8000),
        backends: &backends,
        workers: ONE,
        clients: 64,
        folder: Path::new("/tmp/loadgen"),
    };
    let mut text = String::new();
    for contender in contenders {
        let (name, version) = (contender.peer.name(), &contender.version);
        text += &format!("# {name}: {version}\n{}\n", config::text(contender, &stage));
    }
    for Named { name, about } in skipped {
        text += &format!("# {name} is skipped: {about}\n");
    }
    text
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
        processor: processor
            .map(|(_, name)| name.to_owned())
            .unwrap_or_default(),
        cpus: cpus.count(),
        load_cpus: cpus.load(),
        proxy_cpus: cpus.proxy(ONE),
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
