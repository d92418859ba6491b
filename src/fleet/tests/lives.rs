//! What befalls replicas that are there: deaths, and orders of whoever may have gone.

use tokio::time::sleep;

use super::*;
use crate::orders::OrderError;
use stand_in::{exists, kill};

#[tokio::test]
async fn a_killed_replica_is_replaced_in_its_seat() {
    let (stand_in, mut bench) = three().await;
    assert_eq!(names(bench.desk.list()), ["S1", "S2", "S3"]);
    let old = bench.roster(|_| true).await.member(Seat(2)).unwrap().id;
    kill("-9", &stand_in.file("S2"));
    let is_new = |roster: &Roster| {
        let member = roster.member(Seat(2)).unwrap();
        member.id != old && member.health == Health::Up
    };
    bench.roster(is_new).await;
    let listed = names(bench.desk.list());
    assert!(listed[1].starts_with("s-"), "{listed:?}");
    let reason = bench.note(EventKind::Down).await.reason;
    assert_eq!(reason, "process ended, signal: 9 (SIGKILL)");
    let replaced = bench.note(EventKind::Replaced).await;
    assert_eq!(replaced.before, Some("S2".parse().unwrap()));
    assert!(replaced.replaced_after.is_some());
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
    cells.worker(0).begin();
    let desk = bench.desk.clone();
    let rm = async move {
        desk.submit(Order::Rm(change(1, &["S4"])), String::new())
            .await
    };
    let rm = tokio::spawn(rm);
    bench.roster(|roster| roster.ring.seats().len() == 3).await;
    sleep(Duration::from_millis(50)).await;
    let pid = stand_in.file("S4");
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
async fn a_change_is_done_when_the_worker_goes_by_it() {
    let stand_in = StandIn::new(&format!(
        "echo '{{\"listen\":\"{}\"}}'; exec cat",
        healthy().await
    ));
    let (bench, mut worker) = begin_alone(settings(processes(stand_in.binary(), 0)));
    let desk = bench.desk.clone();
    let add = async move {
        desk.submit(Order::Add(change(1, &["S1"])), String::new())
            .await
    };
    let add = tokio::spawn(add);
    let published = timeout(DEADLINE, worker.changed()).await.unwrap().unwrap();
    assert_eq!(published.members().len(), 1);
    sleep(Duration::from_millis(50)).await;
    assert!(!add.is_finished());
    assert_eq!(names(bench.desk.list()), ["S1"]);
    worker.acknowledge(published.version);
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
    let refusal = OrderError::unavailable("ringmaster is stopping");
    let answer = bench.desk.list();
    assert_eq!(answer, Err(refusal));
}

#[tokio::test]
async fn an_order_is_carried_out_though_its_asker_has_gone() {
    let (_stand_in, mut bench) = three().await;
    let order = Order::Add(change(2, &[]));
    let ask = bench.desk.submit(order, String::new());
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
    let mut bench = begin(settings(ReplicaSettings::Fixed(backends)));
    let is_up = |roster: &Roster| roster.member(Seat(1)).unwrap().health == Health::Up;
    let roster = bench.roster(is_up).await;
    assert_eq!(roster.member(Seat(2)).unwrap().health, Health::Down);
    assert_eq!(names(bench.desk.list()), ["a"]);
    let refusal = OrderError::invalid("fixed backends are neither started nor stopped");
    let answer = bench.ask(Order::Rm(change(1, &["a"]))).await;
    assert_eq!(answer, Err(refusal));
    bench.fleet.stop(DEADLINE).await.unwrap();
}
