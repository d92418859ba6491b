//! The event loop with one worker, whose acknowledgements the test sends.

use tokio::sync::mpsc;

use super::super::engine::{EngineEvents, Fixed, LookupSettings, OwnPorts, Resolver};
use super::super::journal::Journal;
use super::super::plan::MissReason;
use super::super::{
    Discovery, FixedSettings, FleetSettings, HeartbeatSettings, Probe, ProbeKind, ReplicaSettings,
    discover,
};
use super::*;
use crate::orders::BackendSeat;
use crate::ring::{Spec, Weight};
use crate::roster::{self, Subscriber};

/// The event loop of a fleet of one backend, with one worker that the test controls.
fn fleet_loop() -> (FleetLoop, Subscriber) {
    let long = Duration::from_secs(60);
    let lookups = LookupSettings {
        interval: long,
        own_ports: OwnPorts::default(),
    };
    let addr = "127.0.0.1:1".parse().unwrap();
    let backend = ("S1".parse().unwrap(), addr, Weight::ONE);
    let backends = BackendSeat::in_first_seats(&[backend]);
    let discovery = discover(FleetSettings {
        replicas: ReplicaSettings::Fixed(FixedSettings {
            flags: backends.clone(),
            backends,
            state: None,
            lookups: lookups.clone(),
        }),
        ring: Spec::Uniform,
        bound: crate::load::LoadBound::OFF,
        heartbeat: Some(HeartbeatSettings {
            interval: long,
            timeout: long,
            misses: 3,
            replace_after: Duration::ZERO,
            probe: Probe {
                kind: ProbeKind::Get {
                    path: "/".to_owned(),
                    host: None,
                },
                proxy: None,
            },
        }),
        start_timeout: long,
        drain_timeout: long,
        slow_start: Duration::ZERO,
        max_replicas: 1,
        standbys: 0,
        names: crate::fleet::NamePattern::default(),
        seats: None,
        taken_over_from: None,
        workers: 1,
        counters: CounterRegistry::default(),
    });
    let discovery = discovery.unwrap();
    let (publisher, mut workers) = roster::channel(1, discovery.initial_roster());
    let Discovery { plan, .. } = discovery;
    let events = EngineEvents::new(mpsc::unbounded_channel().0);
    let counters = CounterRegistry::default();
    let fleet = FleetLoop {
        engine: Box::new(Fixed::new(lookups, Resolver::system(), events)),
        publisher: RosterPublisher::new(publisher, 1, counters.clone()),
        recorder: EventRecorder::new(Journal::default(), counters.clone()),
        counters,
        prepared: mpsc::unbounded_channel().0,
        saver: BackendSaver::new(
            None,
            watch::channel(Vec::new()).0,
            mpsc::unbounded_channel().0,
        ),
        heartbeats: Heartbeats::new(None, mpsc::unbounded_channel().0),
        status: watch::channel(plan.status()).0,
        names: watch::channel(ReplicaNames::default()).0,
        plan,
        started_at: (Instant::now(), SystemTime::now()),
        handover: Arc::default(),
        pending: Pending::default(),
    };
    (fleet, workers.remove(0))
}

#[tokio::test]
async fn a_routine_answer_needs_no_step_unless_a_worker_is_waited_for() {
    let (mut fleet, worker) = fleet_loop();
    let id = ReplicaId(1);
    worker.acknowledge(fleet.publisher.version());
    fleet.step(Input::Begin);
    let first = fleet.on_probe(id, ProbeEvent::Answered);
    fleet.step(first.expect("it takes its seat"));
    assert!(fleet.waits_for_workers());
    let meanwhile = fleet.on_probe(id, ProbeEvent::Answered);
    assert!(meanwhile.is_some(), "each step looks after the worker");
    worker.acknowledge(fleet.publisher.version());
    fleet.step(Input::Tick);
    let missed = ProbeEvent::Missed {
        sent: Instant::now(),
        why: MissReason::Silent,
    };
    assert!(fleet.on_probe(id, ProbeEvent::Answered).is_none());
    let missed = fleet.on_probe(id, missed).expect("a miss is none");
    fleet.step(missed);
    let after = fleet.on_probe(id, ProbeEvent::Answered);
    assert!(after.is_some(), "the miss is forgotten by a step");
}

#[tokio::test]
async fn a_worker_that_acknowledges_between_two_polls_is_not_missed() {
    let (mut fleet, worker) = fleet_loop();
    worker.acknowledge(fleet.publisher.version());
    fleet.step(Input::Begin);
    fleet.step(Input::Probe(ReplicaId(1), ProbeEvent::Answered));
    assert!(
        !fleet.status.borrow().complete,
        "published before the worker acknowledged"
    );
    // After the loop has polled, and before it decides whether to poll again.
    worker.acknowledge(fleet.publisher.version());
    assert!(
        fleet.waits_for_workers(),
        "the loop would sleep until the next input"
    );
    fleet.step(Input::Tick);
    assert!(fleet.status.borrow().complete && !fleet.waits_for_workers());
}
