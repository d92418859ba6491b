//! The scenarios of a run, one after the other: starts the proxies, measures, and stops them.

use rustix::process::{Resource, getrlimit};

use super::args::DuelPlan;
use super::bulk::BULK_CLIENTS;
use super::fairness;
use super::installed::InstalledPeer;
use super::memory;
use super::memory_row::MemoryRow;
use super::peer::Peer;
use super::results::{MemoryResult, PeerResult, ScenarioResult};
use super::rounds::{Rounds, Runner};
use super::scenario::{Scenario, Shape};
use super::setting::{PLAIN, Setting};
use super::socket_backends::SocketBackends;
use super::testbed::Testbed;
use crate::console::note;

/// Descriptors kept for everything but held connections.
const SPARE_DESCRIPTORS: u64 = 2048;

/// Descriptors per held connection: the client's, one to a backend, and HAProxy's for a pipe.
const DESCRIPTORS_PER_HELD: u64 = 3;

/// Measures all scenarios of the plan. Cancel safe: child processes are killed, and the results so
/// far are kept.
pub(crate) async fn all(testbed: &Testbed, plan: &DuelPlan) {
    for scenario in &plan.scenarios {
        note(&format!("measuring {}", scenario.name()));
        match (scenario.shape(), scenario.memory_row()) {
            (Some(shape), _) => measure_rounds(testbed, plan, *scenario, shape).await,
            (None, Some(row)) => measure_memory(testbed, plan, *scenario, row).await,
            (None, None) => measure_fairness(testbed, plan).await,
        }
    }
}

async fn measure_rounds(testbed: &Testbed, plan: &DuelPlan, scenario: Scenario, shape: Shape) {
    let settings = scenario.settings();
    let connections = plan.connections.unwrap_or(shape.connections);
    let mut title = format!("{}, {connections} connections", shape.title);
    if settings.iter().any(|setting| setting.connections.is_some()) {
        title = shape.title.to_owned();
    }
    let shared = |setting: &Setting| testbed.cpus.is_shared(setting.workers);
    if !shared(&PLAIN) && settings.iter().any(shared) {
        title += " (two workers share a CPU with the load)";
    }
    let with_sockets = settings.iter().any(|setting| setting.sockets);
    let sockets = match with_sockets.then(SocketBackends::start).transpose() {
        Ok(sockets) => sockets,
        Err(err) => return testbed.fault(format!("{}: {err:#}", scenario.name())),
    };
    let (mut peers, mut runners) = (Vec::new(), Vec::new());
    for installed in &testbed.installed_peers {
        if !scenario.measures(installed.peer) {
            continue;
        }
        for setting in settings {
            let shape = Shape {
                connections: setting.connections.unwrap_or(connections),
                ..shape
            };
            let sockets = sockets.as_ref().filter(|_| setting.sockets);
            let backends = sockets.map_or(&testbed.backends.addrs, |sockets| &sockets.addrs);
            match testbed.start(installed, *setting, shape, backends).await {
                Ok(proxy) => {
                    peers.push(PeerResult {
                        name: name(installed.peer, *setting),
                        base: name(Peer::BASELINE, *setting),
                        first: name(installed.peer, settings[0]),
                        ..PeerResult::default()
                    });
                    let scraped = setting.scraped;
                    runners.push(Runner {
                        proxy,
                        shape,
                        scraped,
                    });
                }
                Err(err) => testbed.fault(format!("{err:#}")),
            }
        }
    }
    let index = testbed.results.borrow().scenarios.len();
    testbed.results.borrow_mut().scenarios.push(ScenarioResult {
        name: scenario.name(),
        title,
        rate: None,
        peers,
    });
    let rounds = Rounds {
        plan,
        testbed,
        runners,
        index,
    };
    rounds
        .run(testbed.strace.get() && settings.len() == 1)
        .await;
}

/// Name of a peer in a setting.
fn name(peer: Peer, setting: Setting) -> String {
    format!("{} {}", peer.name(), setting.label)
        .trim_end()
        .to_owned()
}

async fn measure_memory(
    testbed: &Testbed,
    plan: &DuelPlan,
    scenario: Scenario,
    row: &'static MemoryRow,
) {
    let wanted = row.connections(plan.idle);
    let wanted = plan.connections.unwrap_or(wanted);
    let connections = wanted.min(affordable_connections());
    if connections < wanted {
        note(&format!(
            "only {connections} connections fit the descriptor limit (ulimit -n)"
        ));
    }
    let shape = memory::shape(connections);
    let first = testbed.results.borrow().memory.len();
    let measured = testbed.installed_peers.iter();
    let measured: Vec<&InstalledPeer> = measured
        .filter(|installed| row.measures(installed.peer))
        .collect();
    let results = measured.iter().map(|installed| MemoryResult {
        scenario: scenario.name(),
        row,
        name: installed.peer.name().to_owned(),
        connections,
        samples: Vec::new(),
        summary: None,
    });
    testbed.results.borrow_mut().memory.extend(results);
    for round in 1..=plan.rounds {
        for (index, installed) in measured.iter().enumerate() {
            match memory::sample(testbed, installed, row, shape, plan, round).await {
                Ok(sample) => {
                    let mut results = testbed.results.borrow_mut();
                    results.memory[first + index].samples.extend(sample);
                }
                Err(err) => {
                    let name = installed.peer.name();
                    testbed.fault(format!("{}, {name}: {err:#}", scenario.name()));
                }
            }
            // Ends what an error left behind.
            testbed.backends.release();
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
        let shape = Shape {
            connections: clients,
            ..fairness::SMALL_REQUESTS
        };
        let backends = &testbed.backends.addrs;
        match testbed.start(installed, PLAIN, shape, backends).await {
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

/// Returns the number of held connections that fit the limit of descriptors.
fn affordable_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let left = limit.saturating_sub(SPARE_DESCRIPTORS) / DESCRIPTORS_PER_HELD;
    usize::try_from(left).unwrap_or(usize::MAX)
}
