//! The task before a worker that the test plays.

use super::super::engine::{Fixed, Report, Reports};
use super::super::{Ask, Heartbeat, Replicas, Settings, Survey, survey};
use super::*;
use crate::ring::Spec;
use crate::roster::{self, ReplicaAddr, Subscriber};

/// The task of a fleet of one backend, before one worker that is the test's to play.
fn task() -> (Task, mpsc::UnboundedReceiver<Report>, Subscriber) {
    let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
    let backends = vec![("S1".parse().unwrap(), addr)];
    let long = Duration::from_secs(60);
    let survey = survey(Settings {
        replicas: Replicas::Fixed(backends.clone()),
        ring: Spec::Uniform,
        bound: crate::load::LoadBound::OFF,
        heartbeat: Some(Heartbeat {
            interval: long,
            timeout: long,
            misses: 3,
            replace_after: Duration::ZERO,
            ask: Ask::Get {
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
    let (publisher, mut workers) = roster::channel(1, survey.first_roster());
    let Survey { plan, .. } = survey;
    let (report, reports) = mpsc::unbounded_channel();
    let task = Task {
        rhythm: None,
        engine: Box::new(Fixed::new(&backends, Reports::new(report))),
        press: Press::new(publisher, 1, CounterRegistry::default()),
        ledger: CounterRegistry::default(),
        pulses: mpsc::unbounded_channel().0,
        journal: Journal::default(),
        notebook: Notebook::default(),
        status: watch::channel(plan.status()).0,
        list: watch::channel(ReplicaNames::default()).0,
        plan,
        began: (Instant::now(), SystemTime::now()),
        lent: Arc::default(),
        work: Work::default(),
    };
    (task, reports, workers.remove(0))
}

#[tokio::test]
async fn a_worker_that_comes_round_between_two_looks_is_not_missed() {
    let (mut task, mut reports, worker) = task();
    worker.acknowledge(task.press.version());
    task.feed(Input::Begin);
    let Some(Report::Started { id, addr }) = reports.recv().await else {
        panic!("a backend is there at once");
    };
    task.feed(Input::Engine(Report::Started { id, addr }));
    task.feed(Input::Pulse(id, Pulse::Answered));
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
    task.feed(Input::Tick);
    assert!(task.status.borrow().complete && !task.waits_for_workers());
}
