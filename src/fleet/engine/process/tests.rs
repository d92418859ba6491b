//! The process engine with real processes: shell commands that stand in for the replica.

use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::fleet::stand_in::{StandIn, exists, kill};
use crate::roster::ReplicaAddr;

mod own;

const DEADLINE: Duration = Duration::from_secs(20);
const ID: ReplicaId = ReplicaId(1);
const LISTEN: &str = r#"echo '{"listen":"127.0.0.1:4321"}'"#;

struct Bench {
    stand_in: StandIn,
    engine: Process,
    reports: UnboundedReceiver<EngineEvent>,
}

fn bundled() -> ProcessSettings {
    ProcessSettings {
        count: 1,
        command: None,
        env: vec!["MORE=a=b".to_owned()],
    }
}

/// An engine that has just been told to start one with these commands.
fn begin(commands: &str) -> Bench {
    let stand_in = StandIn::new(commands);
    let (tell, reports) = unbounded_channel();
    let mut engine = Process::new(&stand_in.binary(), &bundled(), EngineEvents::new(tell)).unwrap();
    engine.start(ID, Some(Seat(7)), &"S7".parse().unwrap());
    Bench {
        stand_in,
        engine,
        reports,
    }
}

impl Bench {
    async fn report(&mut self) -> EngineEvent {
        let report = timeout(DEADLINE, self.reports.recv()).await;
        report.expect("a report in time").unwrap()
    }

    async fn is_started(&mut self) {
        let addr = ReplicaAddr(([127, 0, 0, 1], 4321).into());
        assert_eq!(self.report().await, EngineEvent::Started { id: ID, addr });
    }

    async fn has_ended(&mut self, expected: &str) {
        match self.report().await {
            EngineEvent::Ended { id: ID, how } => assert_eq!(how.to_string(), expected),
            other => panic!("{other:?}"),
        }
    }

    async fn is_removed(&mut self) {
        assert_eq!(self.report().await, EngineEvent::Removed { id: ID });
    }
}

#[tokio::test]
async fn a_child_gets_the_contract_and_a_group_of_its_own() {
    let commands = format!(
        r#"{LISTEN}
        echo "$SERVER_ID $REPLICA_NAME $REPLICA_LISTEN $REPLICA_PARENT" > "$DIR/env"
        cut -d' ' -f5 /proc/$$/stat > "$DIR/group"
        echo $$ > "$DIR/pid"
        exec cat"#
    );
    let mut bench = begin(&commands);
    bench.is_started().await;
    let us = std::process::id();
    let env = bench.stand_in.file("env");
    assert_eq!(env, format!("7 S7 127.0.0.1:0 {us}\n"));
    let pid = bench.stand_in.file("pid");
    assert_eq!(bench.stand_in.file("group"), pid);
    bench.engine.remove(ID, StopMode::Graceful);
    bench.has_ended("process ended, signal: 15 (SIGTERM)").await;
    bench.is_removed().await;
    assert!(!exists(&pid), "reaped");
}

#[tokio::test]
async fn an_end_is_told_at_once_with_its_last_words_and_remembered_until_removal() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.is_started().await;
    let pid = bench.stand_in.file("pid");
    kill("-9", &pid);
    bench.has_ended("process ended, signal: 9 (SIGKILL)").await;
    assert!(!exists(&pid), "reaped");
    assert!(bench.reports.is_empty());
    bench.engine.remove(ID, StopMode::Kill);
    bench.is_removed().await;

    let mut bench = begin("echo one >&2; echo 'no luck' >&2; exit 3");
    let how = "process ended, exit status: 3; it said: one | no luck";
    bench.has_ended(how).await;
    bench.engine.remove(ID, StopMode::Kill);
    bench.is_removed().await;
}

#[tokio::test]
async fn a_stopped_child_is_killed_all_the_same() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.is_started().await;
    kill("-STOP", &bench.stand_in.file("pid"));
    bench.engine.remove(ID, StopMode::Kill);
    bench.has_ended("process ended, signal: 9 (SIGKILL)").await;
    bench.is_removed().await;
}

#[tokio::test]
async fn a_stubborn_child_is_killed_after_a_grace() {
    let mut bench = begin(&format!(
        "trap '' TERM; {LISTEN}; while :; do sleep 1; done"
    ));
    bench.is_started().await;
    let asked = Instant::now();
    bench.engine.remove(ID, StopMode::Graceful);
    bench.has_ended("process ended, signal: 9 (SIGKILL)").await;
    assert!(asked.elapsed() >= STOP_GRACE);
    bench.is_removed().await;
}

/// Whether a process ended; its new parent may not have reaped it yet.
fn has_ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test]
async fn what_a_child_leaves_behind_goes_with_it() {
    let leave = "(trap '' TERM; exec sleep 1000) & echo $! > $DIR/left";
    let by_itself = format!("{leave}; {LISTEN}; exit 3");
    let asked = format!("{leave}; trap 'exit 3' TERM; {LISTEN}; while :; do read line; done");
    for (commands, farewell) in [(by_itself, StopMode::Kill), (asked, StopMode::Graceful)] {
        let mut bench = begin(&commands);
        // One that ends by itself may have ended before its line was read.
        let mut report = bench.report().await;
        if matches!(report, EngineEvent::Started { .. }) {
            if farewell == StopMode::Graceful {
                bench.engine.remove(ID, farewell);
            }
            report = bench.report().await;
        }
        let how = "process ended, exit status: 3".to_owned().into();
        assert_eq!(report, EngineEvent::Ended { id: ID, how });
        bench.engine.remove(ID, farewell);
        bench.is_removed().await;
        let left = bench.stand_in.file("left");
        let gone = async {
            while !has_ended(&left) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(DEADLINE, gone).await.expect("gone in time");
    }
}

#[tokio::test]
async fn a_talkative_child_never_blocks() {
    let talk = "head -c 300000 /dev/zero";
    let commands = format!("{talk} >&2; {LISTEN}; {talk}; {talk} >&2; echo bye >&2; exit 0");
    let mut bench = begin(&commands);
    bench.is_started().await;
    bench
        .has_ended("process ended, exit status: 0; it said: bye")
        .await;
}

#[tokio::test]
async fn a_first_line_that_tells_nothing_is_a_failure() {
    let mut bench = begin("echo hello; exec cat");
    let why = r#"it said "hello", not where it listens"#.to_owned();
    assert_eq!(bench.report().await, EngineEvent::Failed { id: ID, why });
    bench.engine.remove(ID, StopMode::Kill);
    bench.has_ended("process ended, signal: 9 (SIGKILL)").await;
    bench.is_removed().await;
}

#[tokio::test]
async fn an_address_that_is_not_the_childs_own_is_a_failure() {
    for addr in ["127.0.0.1:0", "0.0.0.0:80", "192.0.2.1:80", "[::]:80"] {
        let mut bench = begin(&format!(r#"echo '{{"listen":"{addr}"}}'; exec cat"#));
        let why = format!("it listens on {addr}, not on a port of the loopback address");
        assert_eq!(bench.report().await, EngineEvent::Failed { id: ID, why });
    }
    for addr in ["[::1]:80", "[::ffff:127.0.0.1]:80", "127.0.0.2:80"] {
        let mut bench = begin(&format!(r#"echo '{{"listen":"{addr}"}}'; exec cat"#));
        let addr = ReplicaAddr(addr.parse().unwrap());
        assert_eq!(bench.report().await, EngineEvent::Started { id: ID, addr });
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_run_is_a_failure_and_removed_at_once() {
    let stand_in = StandIn::new("");
    let (tell, mut reports) = unbounded_channel();
    let binary = stand_in.binary().with_file_name("commands");
    let mut engine = Process::new(&binary, &bundled(), EngineEvents::new(tell)).unwrap();
    engine.start(ID, Some(Seat(1)), &"S1".parse().unwrap());
    engine.remove(ID, StopMode::Kill);
    match reports.recv().await {
        Some(EngineEvent::Failed { why, .. }) => assert!(why.starts_with("cannot run /"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(reports.recv().await, Some(EngineEvent::Removed { id: ID }));
}

#[tokio::test]
async fn children_go_with_the_engine() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.is_started().await;
    let pid = bench.stand_in.file("pid");
    drop(bench.engine);
    let gone = async {
        while exists(&pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, gone).await.expect("gone in time");
}

#[test]
fn a_missing_binary_is_told_with_the_way_to_build_it() {
    let (tell, _reports) = unbounded_channel();
    let err = Process::new(
        Path::new("/nowhere/replica"),
        &bundled(),
        EngineEvents::new(tell),
    )
    .unwrap_err();
    assert_eq!(
        err.to_string(),
        "replica binary not found at /nowhere/replica; \
         build it with: cargo build --release --workspace"
    );
}
