//! The process engine with real processes: shell scripts in place of the replica binary.

use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::fleet::tests::fake_binary::{FakeBinary, exists, kill};
use crate::roster::ReplicaAddr;

mod custom;

const DEADLINE: Duration = Duration::from_secs(20);
const ID: ReplicaId = ReplicaId(1);
const LISTEN: &str = r#"echo '{"listen":"127.0.0.1:4321"}'"#;

struct Bench {
    binary: FakeBinary,
    engine: Process,
    events: UnboundedReceiver<EngineEvent>,
}

const STOP_TIMEOUT: Duration = Duration::from_millis(700);

fn bundled() -> ProcessSettings {
    ProcessSettings {
        count: 1,
        command: None,
        env: vec!["MORE=a=b".to_owned()],
        stop_timeout: STOP_TIMEOUT,
    }
}

/// An engine that has just been told to start a replica with these commands.
fn begin(commands: &str) -> Bench {
    let binary = FakeBinary::new(commands);
    let (sender, events) = unbounded_channel();
    let mut engine = Process::new(&binary.path(), &bundled(), EngineEvents::new(sender)).unwrap();
    engine.start(ID, Some(Seat(7)), &"S7".parse().unwrap(), None);
    Bench {
        binary,
        engine,
        events,
    }
}

impl Bench {
    async fn event(&mut self) -> EngineEvent {
        let event = timeout(DEADLINE, self.events.recv()).await;
        event.expect("an event in time").unwrap()
    }

    async fn expect_started(&mut self) {
        let addr = ReplicaAddr(([127, 0, 0, 1], 4321).into());
        assert_eq!(self.event().await, EngineEvent::Started { id: ID, addr });
    }

    async fn expect_exit(&mut self, expected: &str) {
        match self.event().await {
            EngineEvent::Ended { id: ID, how } => assert_eq!(how.to_string(), expected),
            other => panic!("{other:?}"),
        }
    }

    async fn expect_removed(&mut self) {
        assert_eq!(self.event().await, EngineEvent::Removed { id: ID });
    }
}

#[tokio::test]
async fn a_child_gets_the_contract_and_a_group_of_its_own() {
    let commands = format!(
        r#"{LISTEN}
        echo "$SERVER_ID $REPLICA_NAME $REPLICA_LISTEN $REPLICA_PARENT $REPLICA_SOCKET" > "$DIR/env"
        cut -d' ' -f5 /proc/$$/stat > "$DIR/group"
        echo $$ > "$DIR/pid"
        exec cat"#
    );
    let mut bench = begin(&commands);
    bench.expect_started().await;
    let us = std::process::id();
    let env = bench.binary.file("env");
    let socket = env.strip_prefix(&format!("7 S7 127.0.0.1:0 {us} /"));
    assert!(
        socket.is_some_and(|path| path.ends_with("/1.sock\n")),
        "{env}"
    );
    let pid = bench.binary.file("pid");
    assert_eq!(bench.binary.file("group"), pid);
    bench.engine.remove(ID, StopMode::Graceful);
    bench
        .expect_exit("process ended, signal: 15 (SIGTERM)")
        .await;
    bench.expect_removed().await;
    assert!(!exists(&pid), "reaped");
}

#[tokio::test]
async fn an_exit_is_reported_at_once_with_the_last_output_and_remembered_until_removal() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.expect_started().await;
    let pid = bench.binary.file("pid");
    kill("-9", &pid);
    bench
        .expect_exit("process ended, signal: 9 (SIGKILL)")
        .await;
    assert!(!exists(&pid), "reaped");
    assert!(bench.events.is_empty());
    bench.engine.remove(ID, StopMode::Kill);
    bench.expect_removed().await;

    let mut bench = begin("echo one >&2; echo 'no luck' >&2; exit 3");
    let how = "process ended, exit status: 3; last output: one | no luck";
    bench.expect_exit(how).await;
    bench.engine.remove(ID, StopMode::Kill);
    bench.expect_removed().await;
}

#[tokio::test]
async fn a_stopped_child_is_killed() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.expect_started().await;
    kill("-STOP", &bench.binary.file("pid"));
    bench.engine.remove(ID, StopMode::Kill);
    bench
        .expect_exit("process ended, signal: 9 (SIGKILL)")
        .await;
    bench.expect_removed().await;
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_after_a_grace() {
    let mut bench = begin(&format!(
        "trap '' TERM; {LISTEN}; while :; do sleep 1; done"
    ));
    bench.expect_started().await;
    let begin = Instant::now();
    bench.engine.remove(ID, StopMode::Graceful);
    bench
        .expect_exit("process ended, signal: 9 (SIGKILL)")
        .await;
    assert!(begin.elapsed() >= STOP_TIMEOUT);
    bench.expect_removed().await;
}

/// Returns `true` if a process ended; its new parent may not have reaped it yet.
fn has_exited(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test]
async fn processes_that_a_child_leaves_behind_are_killed() {
    let leave = "(trap '' TERM; exec sleep 1000) & echo $! > $DIR/left";
    let by_itself = format!("{leave}; {LISTEN}; exit 3");
    let on_request = format!("{leave}; trap 'exit 3' TERM; {LISTEN}; while :; do read line; done");
    for (commands, mode) in [
        (by_itself, StopMode::Kill),
        (on_request, StopMode::Graceful),
    ] {
        let mut bench = begin(&commands);
        // A child that exits by itself may have exited before its line was read.
        let mut event = bench.event().await;
        if matches!(event, EngineEvent::Started { .. }) {
            if mode == StopMode::Graceful {
                bench.engine.remove(ID, mode);
            }
            event = bench.event().await;
        }
        let how = "process ended, exit status: 3".to_owned().into();
        assert_eq!(event, EngineEvent::Ended { id: ID, how });
        bench.engine.remove(ID, mode);
        bench.expect_removed().await;
        let left = bench.binary.file("left");
        let gone = async {
            while !has_exited(&left) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(DEADLINE, gone).await.expect("gone in time");
    }
}

#[tokio::test]
async fn a_child_that_writes_much_never_blocks() {
    let talk = "head -c 300000 /dev/zero";
    let commands = format!("{talk} >&2; {LISTEN}; {talk}; {talk} >&2; echo bye >&2; exit 0");
    let mut bench = begin(&commands);
    bench.expect_started().await;
    bench
        .expect_exit("process ended, exit status: 0; last output: bye")
        .await;
}

#[tokio::test]
async fn a_first_line_without_an_address_is_a_failure() {
    let mut bench = begin("echo hello; exec cat");
    let why = r#"its first output line is "hello", not its listen address"#.to_owned();
    assert_eq!(bench.event().await, EngineEvent::Failed { id: ID, why });
    bench.engine.remove(ID, StopMode::Kill);
    bench
        .expect_exit("process ended, signal: 9 (SIGKILL)")
        .await;
    bench.expect_removed().await;
}

#[tokio::test]
async fn an_address_that_is_not_the_childs_own_is_a_failure() {
    let any_port = ["127.0.0.1:0", "0.0.0.0:80", "192.0.2.1:80", "[::]:80"];
    for addr in any_port.into_iter().chain(["unix:/run/1.sock"]) {
        let mut bench = begin(&format!(r#"echo '{{"listen":"{addr}"}}'; exec cat"#));
        let why =
            format!("it listens on {addr}, not on its socket or a port of the loopback address");
        assert_eq!(bench.event().await, EngineEvent::Failed { id: ID, why });
    }
    let mut bench = begin(r#"echo "{\"listen\":\"unix:$REPLICA_SOCKET\"}"; exec cat"#);
    let event = bench.event().await;
    let EngineEvent::Started { addr, .. } = event else {
        panic!("{event:?}");
    };
    assert!(addr.0.unix().is_some(), "{addr}");
    for addr in ["[::1]:80", "[::ffff:127.0.0.1]:80", "127.0.0.2:80"] {
        let mut bench = begin(&format!(r#"echo '{{"listen":"{addr}"}}'; exec cat"#));
        let addr = ReplicaAddr(addr.parse::<std::net::SocketAddr>().unwrap().into());
        assert_eq!(bench.event().await, EngineEvent::Started { id: ID, addr });
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_run_is_a_failure_and_removed_at_once() {
    let binary = FakeBinary::new("");
    let (sender, mut events) = unbounded_channel();
    let binary = binary.path().with_file_name("commands");
    let mut engine = Process::new(&binary, &bundled(), EngineEvents::new(sender)).unwrap();
    engine.start(ID, Some(Seat(1)), &"S1".parse().unwrap(), None);
    engine.remove(ID, StopMode::Kill);
    match events.recv().await {
        Some(EngineEvent::Failed { why, .. }) => assert!(why.starts_with("cannot run /"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(events.recv().await, Some(EngineEvent::Removed { id: ID }));
}

#[tokio::test]
async fn children_exit_with_the_engine() {
    let mut bench = begin(&format!("echo $$ > $DIR/pid; {LISTEN}; exec cat"));
    bench.expect_started().await;
    let pid = bench.binary.file("pid");
    drop(bench.engine);
    let gone = async {
        while exists(&pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(DEADLINE, gone).await.expect("gone in time");
}

#[test]
fn a_missing_binary_is_an_error_that_says_how_to_build_it() {
    let (sender, _events) = unbounded_channel();
    let err = Process::new(
        Path::new("/nowhere/replica"),
        &bundled(),
        EngineEvents::new(sender),
    )
    .unwrap_err();
    assert_eq!(
        err.to_string(),
        "replica binary not found at /nowhere/replica; \
         build it with: cargo build --release --workspace"
    );
}
