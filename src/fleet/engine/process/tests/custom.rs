//! A custom command instead of the bundled replica.

use super::*;

/// An engine of a custom command, which has just been told to start a replica.
fn begin_custom(command: &str) -> (Process, UnboundedReceiver<EngineEvent>) {
    let (sender, events) = unbounded_channel();
    let custom = ProcessSettings {
        command: Some(command.to_owned()),
        ..bundled()
    };
    let nowhere = Path::new("/nowhere/replica");
    let mut engine = Process::new(nowhere, &custom, EngineEvents::new(sender)).unwrap();
    let version = Version::new(Program::Command(command.to_owned()));
    engine.start(ID, None, &"s-a".parse().unwrap(), Some(&version));
    (engine, events)
}

#[tokio::test]
async fn a_custom_command_gets_its_port_and_need_not_print_it() {
    let binary = FakeBinary::new("");
    let dir = binary.path();
    let dir = dir.parent().unwrap().display();
    let (mut engine, mut events) = begin_custom(&format!(
        r#"sh -c 'echo chatter; echo "$SERVER_ID $REPLICA_NAME $PORT $REPLICA_LISTEN $MORE ${{REPLICA_PARENT-none}}" > {dir}/env; exec sleep 60'"#
    ));
    let event = timeout(DEADLINE, events.recv()).await.unwrap();
    let Some(EngineEvent::Started { id: ID, addr }) = event else {
        panic!("{event:?}");
    };
    assert!(addr.0.tcp().unwrap().ip().is_loopback());
    let port = addr.0.tcp().unwrap().port();
    assert_eq!(
        binary.file("env"),
        format!("0 s-a {port} 127.0.0.1:{port} a=b none\n")
    );
    engine.remove(ID, StopMode::Graceful);
    let event = timeout(DEADLINE, events.recv()).await.unwrap();
    let Some(EngineEvent::Ended { how, .. }) = event else {
        panic!("{event:?}");
    };
    assert_eq!(
        how.to_string(),
        "process ended, signal: 15 (SIGTERM); last output: chatter"
    );
}

#[tokio::test]
async fn a_custom_command_may_fail() {
    for (command, expected) in [
        ("/nowhere/server", "exit status: 127; last output: "),
        (
            "sh -c 'echo out of luck; exit 3'",
            "exit status: 3; last output: out of luck",
        ),
    ] {
        let (_engine, mut events) = begin_custom(command);
        assert!(matches!(
            events.recv().await,
            Some(EngineEvent::Started { .. })
        ));
        let event = timeout(DEADLINE, events.recv()).await.unwrap();
        let Some(EngineEvent::Ended { how, .. }) = event else {
            panic!("{event:?}");
        };
        let expected = format!("process ended, {expected}");
        assert!(how.to_string().starts_with(&expected), "{how}");
    }
}
