//! The running fleet: deaths of replicas, and orders whose clients may have left.

use tokio::time::sleep;

use super::*;
use crate::orders::OrderError;
use fake_binary::{exists, kill};

#[tokio::test]
async fn a_killed_replica_is_replaced_in_its_seat() {
    let (binary, mut bench) = fleet_of_three().await;
    assert_eq!(names(bench.orders.list()), ["S1", "S2", "S3"]);
    let old = bench.roster(|_| true).await.member(Seat(2)).unwrap().id;
    kill("-9", &binary.file("S2"));
    let is_new = |roster: &Roster| {
        let member = roster.member(Seat(2)).unwrap();
        member.id != old && member.health == Health::Up
    };
    bench.roster(is_new).await;
    let listed = names(bench.orders.list());
    assert!(listed[1].starts_with("s-"), "{listed:?}");
    let reason = bench.event(EventKind::Down).await.reason;
    assert_eq!(reason, "process ended, signal: 9 (SIGKILL)");
    let replaced = bench.event(EventKind::Replaced).await;
    assert_eq!(replaced.before, Some("S2".parse().unwrap()));
    assert!(replaced.replaced_after.is_some());
    let pids: Vec<String> = ["S1", "S3", &listed[1]].map(|s| binary.file(s)).to_vec();
    bench.fleet.stop(DEADLINE).await.unwrap();
    assert!(!pids.iter().any(|pid| exists(pid)));
}

#[tokio::test]
async fn a_removed_replica_finishes_its_requests() {
    let (binary, mut bench) = fleet_of_three().await;
    let added = bench.submit(Order::Add(change(1, &["S4"]))).await;
    assert_eq!(names(added), ["S1", "S2", "S3", "S4"]);
    let roster = bench.roster(|roster| roster.members().len() == 4).await;
    let cells = Arc::clone(&roster.member(Seat(4)).unwrap().counters);
    cells.worker(0).begin();
    let orders = bench.orders.clone();
    let rm = async move {
        orders
            .submit(Order::Rm(change(1, &["S4"])), String::new())
            .await
    };
    let rm = tokio::spawn(rm);
    bench.roster(|roster| roster.ring.seats().len() == 3).await;
    sleep(Duration::from_millis(50)).await;
    let pid = binary.file("S4");
    assert!(exists(&pid) && !rm.is_finished());
    cells.worker(0).end();
    let answer = timeout(DEADLINE, rm).await.unwrap().unwrap();
    assert_eq!(names(answer), ["S1", "S2", "S3"]);
    assert!(!exists(&pid));
    assert_eq!(
        bench.kinds()[3..],
        [EventKind::Joined, EventKind::Leaving, EventKind::Left]
    );
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_change_is_complete_when_the_worker_acknowledges_it() {
    let binary = FakeBinary::new(&format!(
        "echo '{{\"listen\":\"{}\"}}'; exec cat",
        healthy_server().await
    ));
    let (bench, mut worker) = begin_with_worker(settings(processes(binary.path(), 0)));
    let orders = bench.orders.clone();
    let add = async move {
        orders
            .submit(Order::Add(change(1, &["S1"])), String::new())
            .await
    };
    let add = tokio::spawn(add);
    let published = timeout(DEADLINE, worker.changed()).await.unwrap().unwrap();
    assert_eq!(published.members().len(), 1);
    sleep(Duration::from_millis(50)).await;
    assert!(!add.is_finished());
    assert_eq!(names(bench.orders.list()), ["S1"]);
    worker.acknowledge(published.version);
    let answer = timeout(DEADLINE, add).await.unwrap().unwrap();
    assert_eq!(names(answer), ["S1"]);
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_dropped_fleet_stops_by_itself() {
    let (binary, bench) = fleet_of_three().await;
    let mut status = bench.fleet.status();
    drop(bench.fleet);
    let ended = async { while status.changed().await.is_ok() {} };
    timeout(DEADLINE, ended).await.expect("the thread ends");
    for name in ["S1", "S2", "S3"] {
        assert!(!exists(&binary.file(name)));
    }
    let refusal = OrderError::unavailable("ringmaster is stopping");
    let answer = bench.orders.list();
    assert_eq!(answer, Err(refusal));
}

#[tokio::test]
async fn an_order_is_carried_out_after_its_client_has_left() {
    let (_binary, mut bench) = fleet_of_three().await;
    let order = Order::Add(change(2, &[]));
    let answer = bench.orders.submit(order, String::new());
    assert!(timeout(Duration::ZERO, answer).await.is_err());
    bench.roster(|roster| roster.members().len() == 5).await;
    bench.fleet.stop(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn fixed_backends_are_probed_and_never_started_or_stopped() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = dead.local_addr().unwrap();
    let (well, dead) = (healthy_server().await.to_string(), dead.to_string());
    let mut bench = begin(settings(backends(&[("a", &well), ("b", &dead)])));
    let is_up = |roster: &Roster| roster.member(Seat(1)).unwrap().health == Health::Up;
    let roster = bench.roster(is_up).await;
    assert_eq!(roster.member(Seat(2)).unwrap().health, Health::Down);
    assert_eq!(names(bench.orders.list()), ["a"]);
    let refusal = OrderError::invalid(
        "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list",
    );
    let answer = bench.submit(Order::Add(change(1, &["c"]))).await;
    assert_eq!(answer, Err(refusal));
    bench.fleet.stop(DEADLINE).await.unwrap();
}
