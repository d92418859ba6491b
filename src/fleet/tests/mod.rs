//! The whole fleet on its own thread, with fake replica processes. They all report the address of
//! one server, which answers heartbeats for them; so a test controls their exits and their answers
//! apart.
//!
//! This file is the fixture.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::*;
use crate::orders::{self, BackendSeat, ChangeRequest, Order, OrderQueue, OrderResult};
use crate::ring::{Seat, Spec, Weight};
use crate::roster::{self, Evidence, Health, Roster, Subscriber};
use crate::stats::CounterRegistry;
use fake_binary::FakeBinary;

pub(in crate::fleet) mod fake_binary;
mod running;
mod start;

const DEADLINE: Duration = Duration::from_secs(20);

/// Starts a server that answers every request on every connection.
async fn healthy_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while matches!(stream.read(&mut request).await, Ok(1..)) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

fn settings(replicas: ReplicaSettings) -> FleetSettings {
    FleetSettings {
        replicas,
        ring: Spec::Uniform,
        bound: crate::load::LoadBound::OFF,
        heartbeat: Some(HeartbeatSettings {
            interval: Duration::from_millis(250),
            // Long, so that a busy machine does not look like a silent replica.
            timeout: Duration::from_secs(5),
            misses: 3,
            replace_after: Duration::ZERO,
            probe: Probe {
                kind: ProbeKind::Get {
                    path: "/heartbeat".to_owned(),
                    host: None,
                },
                proxy: None,
            },
        }),
        start_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(60),
        standbys: 0,
        names: super::NamePattern::default(),
        seats: None,
        taken_over_from: None,
        slow_start: Duration::ZERO,
        max_replicas: 256,
        workers: 1,
        counters: CounterRegistry::default(),
    }
}

/// Fixed backends of these names at these addresses.
fn backends(all: &[(&str, &str)]) -> ReplicaSettings {
    let parse = |(name, addr): &(&str, &str)| {
        let (name, addr) = (name.parse().unwrap(), addr.parse().unwrap());
        (name, addr, Weight::ONE)
    };
    let flags = BackendSeat::in_first_seats(&all.iter().map(parse).collect::<Vec<_>>());
    ReplicaSettings::Fixed(FixedSettings {
        backends: flags.clone(),
        flags,
        state: None,
        lookups: LookupSettings {
            interval: DEADLINE,
            own_ports: OwnPorts::default(),
        },
    })
}

struct Bench {
    fleet: Fleet,
    orders: OrderQueue,
    rosters: watch::Receiver<Arc<Roster>>,
    _evidence: mpsc::Sender<Evidence>,
}

/// A fleet with one worker, which acknowledges each roster at once.
fn begin(settings: FleetSettings) -> Bench {
    let (bench, mut worker) = begin_with_worker(settings);
    let (latest, rosters) = watch::channel(worker.latest());
    tokio::spawn(async move {
        while let Some(roster) = worker.changed().await {
            worker.acknowledge(roster.version);
            latest.send_replace(roster);
        }
    });
    Bench { rosters, ..bench }
}

/// A fleet with one worker that the test controls.
fn begin_with_worker(settings: FleetSettings) -> (Bench, Subscriber) {
    let discovery = discover(settings).unwrap();
    let (publisher, mut workers) = roster::channel(1, discovery.initial_roster());
    let (orders, receiver) = orders::order_queue();
    let (_evidence, evidence) = mpsc::channel(16);
    let mut worker = workers.remove(0);
    let bench = Bench {
        fleet: super::start(discovery, publisher, receiver, evidence).unwrap(),
        orders,
        rosters: watch::channel(worker.latest()).1,
        _evidence,
    };
    (bench, worker)
}

impl Bench {
    async fn complete(&self) {
        let mut status = self.fleet.status();
        let complete = status.wait_for(|status| status.complete);
        timeout(DEADLINE, complete).await.unwrap().unwrap();
    }

    async fn submit(&self, order: Order) -> OrderResult {
        let answer = self.orders.submit(order, "test".to_owned());
        timeout(DEADLINE, answer).await.expect("an answer in time")
    }

    /// Waits for a roster that `is_right`.
    async fn roster(&mut self, is_right: impl Fn(&Roster) -> bool) -> Arc<Roster> {
        let found = self.rosters.wait_for(|roster| is_right(roster));
        let found = timeout(DEADLINE, found).await.expect("a roster in time");
        Arc::clone(&found.expect("the fleet runs"))
    }

    /// Waits for the first event of this kind: it is written when the workers have acknowledged the
    /// change.
    async fn event(&self, kind: EventKind) -> ReplicaEvent {
        let journal = self.fleet.journal();
        let mut newest = journal.newest();
        let find = async {
            loop {
                newest.borrow_and_update();
                let events = journal.since(0);
                let mut events = events.iter().filter_map(Event::replica_event);
                if let Some(event) = events.find(|event| event.kind == kind) {
                    return event.clone();
                }
                newest.changed().await.expect("the journal exists");
            }
        };
        let event = timeout(DEADLINE, find).await;
        event.unwrap_or_else(|_| panic!("no {kind:?} in time: {:?}", self.kinds()))
    }

    fn kinds(&self) -> Vec<EventKind> {
        let events = self.fleet.journal().since(0);
        let events = events.iter().filter_map(Event::replica_event);
        events.map(|event| event.kind).collect()
    }
}

fn names(answer: OrderResult) -> Vec<String> {
    let names = answer.unwrap();
    names.iter().map(ToString::to_string).collect()
}

fn change(n: usize, names: &[&str]) -> ChangeRequest {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    ChangeRequest { n, names }
}

fn processes(binary: PathBuf, count: usize) -> ReplicaSettings {
    let wanted = ProcessSettings {
        count,
        command: None,
        env: Vec::new(),
        stop_timeout: Duration::from_secs(2),
    };
    ReplicaSettings::Process { binary, wanted }
}

/// A complete fleet of three, each of which writes its PID to a file of its name.
async fn fleet_of_three() -> (FakeBinary, Bench) {
    let addr = healthy_server().await;
    let binary = FakeBinary::new(&format!(
        "echo $$ > $DIR/$REPLICA_NAME; echo '{{\"listen\":\"{addr}\"}}'; exec cat"
    ));
    let bench = begin(settings(processes(binary.path(), 3)));
    bench.complete().await;
    (binary, bench)
}
