//! The whole fleet on its own thread, with processes that stand in for replicas. They all name one
//! server as their address, which answers heartbeats for them; so their lives and their answers can be
//! played with apart.
//!
//! Here is the fixture.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::orders::{self, ChangeRequest, Order, OrderQueue, OrderResult};
use crate::ring::Seat;
use crate::roster::{self, Health, Roster, Subscriber};
use stand_in::StandIn;

mod beginning;
mod lives;

const DEADLINE: Duration = Duration::from_secs(20);

/// A server that answers every request on every connection.
async fn healthy() -> SocketAddr {
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
            // Nobody here falls silent: a busy machine is not to be taken for that.
            timeout: Duration::from_secs(5),
            misses: 3,
            replace_after: Duration::ZERO,
            ask: ProbeKind::Get {
                path: "/heartbeat".to_owned(),
                host: None,
            },
        }),
        start_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(60),
        standbys: 0,
        seats: None,
        taken_over_from: None,
        max_replicas: 256,
        workers: 1,
        ledger: CounterRegistry::default(),
    }
}

struct Bench {
    fleet: Fleet,
    desk: OrderQueue,
    rosters: watch::Receiver<Arc<Roster>>,
    _evidence: mpsc::Sender<Evidence>,
}

/// A fleet before one worker, which goes by each roster as soon as it is there.
fn begin(settings: FleetSettings) -> Bench {
    let (bench, mut worker) = begin_alone(settings);
    let (show, rosters) = watch::channel(worker.latest());
    tokio::spawn(async move {
        while let Some(roster) = worker.changed().await {
            worker.acknowledge(roster.version);
            show.send_replace(roster);
        }
    });
    Bench { rosters, ..bench }
}

/// A fleet before one worker that is the test's to play.
fn begin_alone(settings: FleetSettings) -> (Bench, Subscriber) {
    let survey = discover(settings).unwrap();
    let (publisher, mut workers) = roster::channel(1, survey.initial_roster());
    let (desk, counter) = orders::order_queue();
    let (_evidence, evidence) = mpsc::channel(16);
    let mut worker = workers.remove(0);
    let bench = Bench {
        fleet: start(survey, publisher, counter, evidence).unwrap(),
        desk,
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

    async fn ask(&self, order: Order) -> OrderResult {
        let answer = self.desk.submit(order, "test".to_owned());
        timeout(DEADLINE, answer).await.expect("an answer in time")
    }

    /// The roster once it is as it should be.
    async fn roster(&mut self, is_right: impl Fn(&Roster) -> bool) -> Arc<Roster> {
        let found = self.rosters.wait_for(|roster| is_right(roster));
        let found = timeout(DEADLINE, found).await.expect("a roster in time");
        Arc::clone(&found.expect("the fleet is there"))
    }

    /// The first note of this kind, once it is there: it waits until the workers go by what it tells.
    async fn note(&self, kind: EventKind) -> ReplicaEvent {
        let journal = self.fleet.journal();
        let mut newest = journal.newest();
        let look = async {
            loop {
                newest.borrow_and_update();
                let events = journal.since(0);
                let mut notes = events.iter().filter_map(Event::replica_event);
                if let Some(note) = notes.find(|note| note.kind == kind) {
                    return note.clone();
                }
                newest.changed().await.expect("the journal is there");
            }
        };
        let note = timeout(DEADLINE, look).await;
        note.unwrap_or_else(|_| panic!("no {kind:?} in time: {:?}", self.kinds()))
    }

    fn kinds(&self) -> Vec<EventKind> {
        let events = self.fleet.journal().since(0);
        let notes = events.iter().filter_map(Event::replica_event);
        notes.map(|note| note.kind).collect()
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
    };
    ReplicaSettings::Process { binary, wanted }
}

async fn three() -> (StandIn, Bench) {
    let addr = healthy().await;
    let stand_in = StandIn::new(&format!(
        "echo $$ > $DIR/$REPLICA_NAME; echo '{{\"listen\":\"{addr}\"}}'; exec cat"
    ));
    let bench = begin(settings(processes(stand_in.binary(), 3)));
    bench.complete().await;
    (stand_in, bench)
}
