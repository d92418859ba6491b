//! Somebody's own command instead of the replica.

use super::*;

/// An engine of somebody's own command, which has just been told to start one.
fn begin_own(command: &str) -> (Process, UnboundedReceiver<EngineEvent>) {
    let (tell, reports) = unbounded_channel();
    let own = ProcessSettings {
        command: Some(command.to_owned()),
        ..bundled()
    };
    let nowhere = Path::new("/nowhere/replica");
    let mut engine = Process::new(nowhere, &own, EngineEvents::new(tell)).unwrap();
    engine.start(ID, None, &"s-a".parse().unwrap());
    (engine, reports)
}

#[tokio::test]
async fn somebodys_own_command_is_told_its_port_and_need_not_speak() {
    let stand_in = StandIn::new("");
    let dir = stand_in.binary();
    let dir = dir.parent().unwrap().display();
    let (mut engine, mut reports) = begin_own(&format!(
        r#"sh -c 'echo chatter; echo "$SERVER_ID $REPLICA_NAME $PORT $REPLICA_LISTEN $MORE ${{REPLICA_PARENT-none}}" > {dir}/told; exec sleep 60'"#
    ));
    let report = timeout(DEADLINE, reports.recv()).await.unwrap();
    let Some(EngineEvent::Started { id: ID, addr }) = report else {
        panic!("{report:?}");
    };
    assert!(addr.0.ip().is_loopback());
    let port = addr.0.port();
    assert_eq!(
        stand_in.file("told"),
        format!("0 s-a {port} 127.0.0.1:{port} a=b none\n")
    );
    engine.remove(ID, StopMode::Graceful);
    let report = timeout(DEADLINE, reports.recv()).await.unwrap();
    let Some(EngineEvent::Ended { how, .. }) = report else {
        panic!("{report:?}");
    };
    assert_eq!(
        how.to_string(),
        "process ended, signal: 15 (SIGTERM); it said: chatter"
    );
}

#[tokio::test]
async fn somebodys_own_command_may_fail() {
    for (command, expected) in [
        ("/nowhere/server", "exit status: 127; it said: "),
        (
            "sh -c 'echo out of luck; exit 3'",
            "exit status: 3; it said: out of luck",
        ),
    ] {
        let (_engine, mut reports) = begin_own(command);
        assert!(matches!(
            reports.recv().await,
            Some(EngineEvent::Started { .. })
        ));
        let report = timeout(DEADLINE, reports.recv()).await.unwrap();
        let Some(EngineEvent::Ended { how, .. }) = report else {
            panic!("{report:?}");
        };
        let expected = format!("process ended, {expected}");
        assert!(how.to_string().starts_with(&expected), "{how}");
    }
}
