//! The whole fleet on its own thread, with processes that stand in for replicas. They all name one
//! server as their address, which answers heartbeats for them; so their lives and their answers can be
//! played with apart.
//!
//! One fixture, and every test a story of it; none of them is long.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::*;
use crate::admin::{self, Answer, Change, Desk, Order, Refusal};
use crate::ring::Seat;
use crate::roster::{self, Health, Roster, Subscriber};
use stand_in::{StandIn, exists, kill};

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

fn settings(replicas: Replicas) -> Settings {
    Settings {
        replicas,
        ring: Spec::Uniform,
        bound: Some(crate::balance::Bound::OFF),
        heartbeat: Some(Heartbeat {
            interval: Duration::from_millis(250),
            timeout: Duration::from_millis(200),
            misses: 3,
            ask: Ask::Path("/heartbeat".to_owned()),
        }),
        start_timeout: Duration::from_secs(10),
        drain_timeout: Duration::from_secs(60),
        standbys: 0,
        seats: None,
        taken_over_from: None,
        max_replicas: 256,
        workers: 1,
        ledger: Ledger::default(),
    }
}

struct Bench {
    fleet: Fleet,
    desk: Desk,
    rosters: watch::Receiver<Arc<Roster>>,
    _evidence: mpsc::Sender<Evidence>,
}

/// A fleet before one worker, which goes by each roster as soon as it is there.
fn begin(settings: Settings) -> Bench {
    let (bench, mut worker) = begin_alone(settings);
    let (show, rosters) = watch::channel(worker.latest());
    tokio::spawn(async move {
        while let Some(roster) = worker.changed().await {
            worker.adopted(roster.version);
            show.send_replace(roster);
        }
    });
    Bench { rosters, ..bench }
}

/// A fleet before one worker that is the test's to play.
fn begin_alone(settings: Settings) -> (Bench, Subscriber) {
    let survey = survey(settings).unwrap();
    let (publisher, mut workers) = roster::channel(1, survey.first_roster());
    let (desk, orders) = admin::desk();
    let (_evidence, evidence) = mpsc::channel(16);
    let mut worker = workers.remove(0);
    let bench = Bench {
        fleet: start(survey, publisher, orders, evidence).unwrap(),
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

    async fn ask(&self, order: Order) -> Answer {
        let answer = self.desk.ask(order, "test".to_owned());
        timeout(DEADLINE, answer).await.expect("an answer in time")
    }

    /// The roster once it is as it should be.
    async fn roster(&mut self, is_right: impl Fn(&Roster) -> bool) -> Arc<Roster> {
        let found = self.rosters.wait_for(|roster| is_right(roster));
        let found = timeout(DEADLINE, found).await.expect("a roster in time");
        Arc::clone(&found.expect("the fleet is there"))
    }

    fn kinds(&self) -> Vec<Kind> {
        let events = self.fleet.journal().since(0);
        let notes = events.iter().filter_map(Event::note);
        notes.map(|note| note.kind).collect()
    }
}

fn names(answer: Answer) -> Vec<String> {
    let names = answer.unwrap();
    names.iter().map(ToString::to_string).collect()
}

fn change(n: usize, names: &[&str]) -> Change {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    Change { n, names }
}

fn processes(binary: PathBuf, count: usize) -> Replicas {
    let wanted = Processes {
        count,
        command: None,
        env: Vec::new(),
    };
    Replicas::Process { binary, wanted }
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

#[tokio::test]
async fn a_killed_replica_is_replaced_in_its_seat() {
    let (stand_in, mut bench) = three().await;
    assert_eq!(names(bench.ask(Order::Rep).await), ["S1", "S2", "S3"]);
    let old = bench.roster(|_| true).await.member(Seat(2)).unwrap().id;
    kill("-9", &stand_in.file("S2"));
    let is_new = |roster: &Roster| {
        let member = roster.member(Seat(2)).unwrap();
        member.id != old && member.health == Health::Up
    };
    bench.roster(is_new).await;
    let listed = names(bench.ask(Order::Rep).await);
    assert!(listed[1].starts_with("s-"), "{listed:?}");
    let events = bench.fleet.journal().since(3);
    let mut notes = events.iter().filter_map(Event::note);
    let down = notes.find(|note| note.kind == Kind::Down);
    let reason = &down.unwrap().reason;
    assert_eq!(reason, "process ended, signal: 9 (SIGKILL)");
    let replaced = events.last().unwrap().note().unwrap();
    assert_eq!(replaced.kind, Kind::Replaced);
    assert_eq!(replaced.before, Some("S2".parse().unwrap()));
    assert!(replaced.replaced_after.unwrap() < Duration::from_secs(5));
    let pids: Vec<String> = ["S1", "S3", &listed[1]].map(|s| stand_in.file(s)).to_vec();
    bench.fleet.stop(DEADLINE).await.unwrap();
    assert!(!pids.iter().any(|pid| exists(pid)));
}

#[tokio::test]
async fn a_removed_replica_finishes_what_it_has_begun() {
    let (stand_in, mut bench) = three().await;
    let added = bench.ask(Order::Add(change(1, &["S4"]))).await;
    assert_eq!(names(added), ["S1", "S2", "S3", "S4"]);
    let roster = bench.roster(|roster| roster.members().len() == 4).await;
    let cells = Arc::clone(&roster.member(Seat(4)).unwrap().cells);
    cells.worker(0).enter();
    let desk = bench.desk.clone();
    let rm = async move { desk.ask(Order::Rm(change(1, &["S4"])), String::new()).await };
    let rm = tokio::spawn(rm);
    bench.roster(|roster| roster.ring.seats().len() == 3).await;
    sleep(Duration::from_millis(50)).await;
    let pid = stand_in.file("S4");
    assert!(exists(&pid) && !rm.is_finished());
    cells.worker(0).leave();
    let answer = timeout(DEADLINE, rm).await.unwrap().unwrap();
    assert_eq!(names(answer), ["S1", "S2", "S3"]);
    assert!(!exists(&pid));
    assert_eq!(
        bench.kinds()[3..],
        [Kind::Joined, Kind::Leaving, Kind::Left]
    );
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_change_is_done_when_the_worker_goes_by_it() {
    let stand_in = StandIn::new(&format!(
        "echo '{{\"listen\":\"{}\"}}'; exec cat",
        healthy().await
    ));
    let (bench, mut worker) = begin_alone(settings(processes(stand_in.binary(), 0)));
    let desk = bench.desk.clone();
    let add = async move {
        desk.ask(Order::Add(change(1, &["S1"])), String::new())
            .await
    };
    let add = tokio::spawn(add);
    let published = timeout(DEADLINE, worker.changed()).await.unwrap().unwrap();
    assert_eq!(published.members().len(), 1);
    sleep(Duration::from_millis(50)).await;
    assert!(!add.is_finished());
    assert_eq!(names(bench.ask(Order::Rep).await), ["S1"]);
    worker.adopted(published.version);
    let answer = timeout(DEADLINE, add).await.unwrap().unwrap();
    assert_eq!(names(answer), ["S1"]);
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_dropped_fleet_stops_unseen() {
    let (stand_in, bench) = three().await;
    let mut status = bench.fleet.status();
    drop(bench.fleet);
    let gone = async { while status.changed().await.is_ok() {} };
    timeout(DEADLINE, gone).await.expect("the thread ends");
    for name in ["S1", "S2", "S3"] {
        assert!(!exists(&stand_in.file(name)));
    }
    let refusal = Refusal::failed("ringmaster is stopping");
    let answer = bench.desk.ask(Order::Rep, String::new()).await;
    assert_eq!(answer, Err(refusal));
}

#[tokio::test]
async fn an_order_is_carried_out_though_its_asker_has_gone() {
    let (_stand_in, mut bench) = three().await;
    let order = Order::Add(change(2, &[]));
    let ask = bench.desk.ask(order, String::new());
    assert!(timeout(Duration::ZERO, ask).await.is_err());
    bench.roster(|roster| roster.members().len() == 5).await;
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn fixed_backends_are_watched_and_nothing_else() {
    let backend = |name: &str, addr| (name.parse().unwrap(), ReplicaAddr(addr));
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = dead.local_addr().unwrap();
    let backends = vec![backend("a", healthy().await), backend("b", dead)];
    let mut bench = begin(settings(Replicas::Fixed(backends)));
    let is_up = |roster: &Roster| roster.member(Seat(1)).unwrap().health == Health::Up;
    let roster = bench.roster(is_up).await;
    assert_eq!(roster.member(Seat(2)).unwrap().health, Health::Down);
    assert_eq!(names(bench.ask(Order::Rep).await), ["a"]);
    let refusal = Refusal::bad("fixed backends are neither started nor stopped");
    let answer = bench.ask(Order::Rm(change(1, &["a"]))).await;
    assert_eq!(answer, Err(refusal));
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[test]
fn the_first_roster_has_all_seats() {
    let binary = PathBuf::from("replica");
    let process = settings(processes(binary, 3));
    let roster = survey(process).unwrap().first_roster();
    assert_eq!((roster.version, roster.ring.seats().len()), (0, 3));
    assert!(roster.members().is_empty() && roster.watched);
    let backend = (
        "a".parse().unwrap(),
        ReplicaAddr(([127, 0, 0, 1], 1).into()),
    );
    let fixed = Settings {
        heartbeat: None,
        ..settings(Replicas::Fixed(vec![backend]))
    };
    let roster = survey(fixed).unwrap().first_roster();
    assert_eq!(roster.members()[0].health, Health::Up);
    assert!(!roster.watched);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_started() {
    let fail = |settings: Settings| {
        let survey = match survey(settings) {
            Ok(survey) => survey,
            Err(err) => return err.to_string(),
        };
        let (publisher, _) = roster::channel(1, survey.first_roster());
        let (_, orders) = admin::desk();
        let (_, evidence) = mpsc::channel(1);
        let err = start(survey, publisher, orders, evidence).unwrap_err();
        err.to_string()
    };
    let binary = PathBuf::from("/nowhere/replica");
    let missing = settings(processes(binary, 3));
    let sentence = fail(missing.clone());
    assert!(sentence.starts_with("replica binary not found at /nowhere/replica; build it with: "));
    let unwatched = Settings {
        heartbeat: None,
        ..missing
    };
    assert_eq!(
        fail(unwatched),
        "heartbeats can only be off with fixed backends"
    );
    let backend = (
        "a".parse().unwrap(),
        ReplicaAddr(([127, 0, 0, 1], 1).into()),
    );
    let twins = settings(Replicas::Fixed(vec![backend.clone(), backend]));
    assert_eq!(fail(twins), "two backends are named a");
}
