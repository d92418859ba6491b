//! The scenarios of a run, one after the other: starts the proxies, measures, and stops them.

use rustix::process::{Resource, getrlimit};

use super::args::DuelPlan;
use super::bulk::BULK_CLIENTS;
use super::fairness;
use super::idle;
use super::installed::InstalledPeer;
use super::peer::Peer;
use super::results::{PeerResult, ScenarioResult};
use super::rounds::Rounds;
use super::scenario::{SMALL, Scenario, Shape};
use super::testbed::{ONE_WORKER, Testbed};
use crate::console::note;

/// Number of workers that the scenario `workers` compares with one, and its peers.
const TWO_WORKERS: usize = 2;
const WORKER_SCENARIO_PEERS: [Peer; 2] = [Peer::Ringmaster, Peer::HaproxyHttp];

/// Descriptors kept for everything but idle connections.
const SPARE_DESCRIPTORS: u64 = 2048;

/// Descriptors per idle connection: the client's, one to a backend, and HAProxy's for a pipe.
const DESCRIPTORS_PER_IDLE: u64 = 3;

/// Measures all scenarios of the plan. Cancel safe: child processes are killed, and the results so
/// far are kept.
pub(crate) async fn all(testbed: &Testbed, plan: &DuelPlan) {
    for scenario in &plan.scenarios {
        note(&format!("measuring {}", scenario.name()));
        match scenario.shape() {
            None if *scenario == Scenario::Fairness => measure_fairness(testbed, plan).await,
            Some(shape) => {
                let connections = plan.connections.unwrap_or(shape.connections);
                let shape = Shape {
                    connections,
                    ..shape
                };
                measure_rounds(testbed, plan, *scenario, shape).await;
            }
            None => measure_idle(testbed, plan).await,
        }
    }
}

async fn measure_rounds(testbed: &Testbed, plan: &DuelPlan, scenario: Scenario, shape: Shape) {
    let compares_workers = scenario == Scenario::Workers;
    let mut title = format!("{}, {} connections", shape.title, shape.connections);
    if compares_workers && testbed.cpus.is_shared(TWO_WORKERS) {
        title += " (two share a CPU with the load)";
    }
    let name = |peer: Peer, workers: usize| match compares_workers {
        true => format!("{} x{workers}", peer.name()),
        false => peer.name().to_owned(),
    };
    let (mut peers, mut proxies) = (Vec::new(), Vec::new());
    for (installed, workers) in participants(testbed, compares_workers) {
        let started = testbed.start(installed, workers, shape.connections).await;
        match started {
            Ok(proxy) => {
                proxies.push(proxy);
                peers.push(PeerResult {
                    name: name(installed.peer, workers),
                    ..PeerResult::default()
                });
            }
            Err(err) => testbed.fault(format!("{err:#}")),
        }
    }
    let index = testbed.results.borrow().scenarios.len();
    testbed.results.borrow_mut().scenarios.push(ScenarioResult {
        name: scenario.name(),
        title,
        base: name(Peer::BASELINE, ONE_WORKER),
        rate: None,
        peers,
    });
    let rounds = Rounds {
        plan,
        testbed,
        shape,
        proxies,
        index,
    };
    rounds.run(testbed.strace.get() && !compares_workers).await;
}

/// The peers of a scenario, each with its number of workers.
fn participants(testbed: &Testbed, compares_workers: bool) -> Vec<(&InstalledPeer, usize)> {
    let all = testbed.installed_peers.iter();
    if !compares_workers {
        return all.map(|installed| (installed, ONE_WORKER)).collect();
    }
    all.filter(|installed| WORKER_SCENARIO_PEERS.contains(&installed.peer))
        .flat_map(|installed| [(installed, ONE_WORKER), (installed, TWO_WORKERS)])
        .collect()
}

async fn measure_idle(testbed: &Testbed, plan: &DuelPlan) {
    let connections = plan.idle.min(affordable_idle());
    if connections < plan.idle {
        note(&format!(
            "only {connections} idle connections fit the descriptor limit (ulimit -n)"
        ));
    }
    let shape = Shape {
        connections,
        ..SMALL
    };
    for installed in &testbed.installed_peers {
        let name = installed.peer.name();
        let measured = async {
            let proxy = testbed.start(installed, ONE_WORKER, connections).await?;
            let idle = idle::measure(name, &proxy, shape, plan).await?;
            proxy.stop().await?;
            anyhow::Ok(idle)
        };
        match measured.await {
            Ok(idle) => testbed.results.borrow_mut().idle.extend(idle),
            Err(err) => testbed.fault(format!("idle, {name}: {err:#}")),
        }
    }
}

async fn measure_fairness(testbed: &Testbed, plan: &DuelPlan) {
    let (mut peers, mut proxies) = (Vec::new(), Vec::new());
    let clients = fairness::SMALL_REQUESTS.connections + BULK_CLIENTS;
    for installed in &testbed.installed_peers {
        if !fairness::FAIRNESS_PEERS.contains(&installed.peer) {
            continue;
        }
        match testbed.start(installed, ONE_WORKER, clients).await {
            Ok(proxy) => {
                peers.push(installed.peer);
                proxies.push(proxy);
            }
            Err(err) => testbed.fault(format!("{err:#}")),
        }
    }
    let pending = fairness::empty_results(&peers);
    let kinds: Vec<_> = pending.iter().map(|result| result.bulk).collect();
    testbed.results.borrow_mut().fairness = pending;
    for round in 1..=plan.rounds {
        for (index, kind) in kinds.iter().enumerate() {
            let proxy = &proxies[index % proxies.len()];
            match fairness::sample(&testbed.bulk, proxy, *kind, plan, round).await {
                Ok(sample) => {
                    let mut results = testbed.results.borrow_mut();
                    results.fairness[index].samples.push(sample);
                }
                Err(err) => {
                    let name = peers[index % peers.len()].name();
                    testbed.fault(format!("fairness, {name}, {}: {err:#}", kind.name()));
                }
            }
        }
    }
    testbed.stop_all(proxies).await;
}

/// Returns the number of idle connections that fit the limit of descriptors.
fn affordable_idle() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = limit.saturating_sub(SPARE_DESCRIPTORS) / DESCRIPTORS_PER_IDLE;
    usize::try_from(left).unwrap_or(usize::MAX)
}
