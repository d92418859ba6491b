//! The task before a worker that the test plays.

use super::super::engine::{EngineEvent, EngineEvents, Fixed};
use super::super::{
    Discovery, FleetSettings, HeartbeatSettings, ProbeKind, ReplicaSettings, discover,
};
use super::*;
use crate::ring::Spec;
use crate::roster::{self, ReplicaAddr, Subscriber};

/// The task of a fleet of one backend, before one worker that is the test's to play.
fn task() -> (FleetLoop, mpsc::UnboundedReceiver<EngineEvent>, Subscriber) {
    let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
    let backends = vec![("S1".parse().unwrap(), addr)];
    let long = Duration::from_secs(60);
    let survey = discover(FleetSettings {
        replicas: ReplicaSettings::Fixed(backends.clone()),
        ring: Spec::Uniform,
        bound: crate::load::LoadBound::OFF,
        heartbeat: Some(HeartbeatSettings {
            interval: long,
            timeout: long,
            misses: 3,
            replace_after: Duration::ZERO,
            ask: ProbeKind::Get {
                path: "/".to_owned(),
                host: None,
            },
        }),
        start_timeout: long,
        drain_timeout: long,
        max_replicas: 1,
        standbys: 0,
        seats: None,
        taken_over_from: None,
        workers: 1,
        ledger: CounterRegistry::default(),
    });
    let survey = survey.unwrap();
    let (publisher, mut workers) = roster::channel(1, survey.initial_roster());
    let Discovery { plan, .. } = survey;
    let (report, reports) = mpsc::unbounded_channel();
    let task = FleetLoop {
        rhythm: None,
        engine: Box::new(Fixed::new(&backends, EngineEvents::new(report))),
        press: RosterPublisher::new(publisher, 1, CounterRegistry::default()),
        ledger: CounterRegistry::default(),
        pulses: mpsc::unbounded_channel().0,
        journal: Journal::default(),
        notebook: EventRecorder::default(),
        status: watch::channel(plan.status()).0,
        list: watch::channel(ReplicaNames::default()).0,
        plan,
        began: (Instant::now(), SystemTime::now()),
        lent: Arc::default(),
        work: Pending::default(),
    };
    (task, reports, workers.remove(0))
}

#[tokio::test]
async fn a_worker_that_comes_round_between_two_looks_is_not_missed() {
    let (mut task, mut reports, worker) = task();
    worker.acknowledge(task.press.version());
    task.step(Input::Begin);
    let Some(EngineEvent::Started { id, addr }) = reports.recv().await else {
        panic!("a backend is there at once");
    };
    task.step(Input::Engine(EngineEvent::Started { id, addr }));
    task.step(Input::Pulse(id, ProbeEvent::Answered));
    assert!(
        !task.status.borrow().complete,
        "told before the worker knows"
    );
    // After the task has looked, and before it asks whether to look again.
    worker.acknowledge(task.press.version());
    assert!(
        task.waits_for_workers(),
        "it would sleep until the next input"
    );
    task.step(Input::Tick);
    assert!(task.status.borrow().complete && !task.waits_for_workers());
}
