//! The context of a port under test: a scripted fleet, a roster, counters and events.

use std::path::Path;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::access::AccessPolicy;
use crate::control::{ControlContext, ControlLimits, FleetCounts, StatsSources, reload_queue};
use crate::fleet::{self, EventBody, Journal, ReplicaEvent};
use crate::load::LoadBound;
use crate::metrics::{DataPortCounters as PortCells, ReplicaCounters, Retry};
use crate::orders::{
    FleetSnapshot, Order, OrderCall, OrderError, OrderReceiver, PastReplica, ReplaceRequest,
    ReplaceTarget, ReplicaInfo, ReplicaState, order_queue,
};
use crate::ring::{Seat, Spec, Weight};
use crate::roster::{self, Health, Member, Observer, ReplicaAddr, ReplicaId, ReplicaName, Roster};
use crate::settings::{Origin, Position, Setting, Settings};
use crate::stats::{CounterRegistry, Sampler};

/// Answers orders from a list of three names. An order with the name `hold` is passed to the test
/// instead.
pub(super) fn scripted(
    receiver: OrderReceiver,
    orders: std_mpsc::Sender<Order>,
    held: std_mpsc::Sender<OrderCall>,
) {
    let name = |text: &str| text.parse::<ReplicaName>().unwrap();
    let mut names = list_of_three();
    let OrderReceiver {
        orders: mut calls,
        mut snapshots,
        names: published,
    } = receiver;
    thread::spawn({
        let published = published.subscribe();
        move || {
            while let Some(reply) = snapshots.blocking_recv() {
                let _ = reply.send(snapshot(&published.borrow()));
            }
        }
    });
    while let Some(call) = calls.blocking_recv() {
        let _ = orders.send(call.order.clone());
        let answer = match &call.order {
            Order::Add(change) | Order::Rm(change) if change.names.contains(&name("hold")) => {
                let _ = held.send(call);
                continue;
            }
            Order::Rm(change) if change.n > names.len() => Err(OrderError::invalid(format!(
                "there are only {}",
                names.len()
            ))),
            Order::Add(change) if change.names.contains(&name("broken")) => {
                Err(OrderError::unavailable("could not start broken"))
            }
            Order::Replace(ReplaceRequest {
                target: ReplaceTarget::One(name),
                ..
            })
            | Order::Drain(name)
            | Order::Ready(name)
            | Order::Weight(name, _)
            | Order::Kill(name)
                if !names.contains(name) =>
            {
                Err(OrderError::not_found(name))
            }
            Order::Bound(_) | Order::RmAll | Order::Scale(_) | Order::Replace(_) => {
                Ok(names.clone())
            }
            Order::StopReplace | Order::ReplaceBack => Ok(names.clone()),
            Order::Drain(_) | Order::Ready(_) | Order::Kill(_) | Order::Weight(..) => {
                Ok(names.clone())
            }
            Order::Ring(spec) => match spec.build(&[Seat(57)].into()) {
                Ok(_) => Ok(names.clone()),
                Err(err) => Err(OrderError::invalid(err.to_string())),
            },
            Order::AddBackend(change) => {
                names.push(change.name.clone());
                Ok(names.clone())
            }
            Order::SetBackend(change) if !names.contains(&change.name) => {
                Err(OrderError::not_found(&change.name))
            }
            Order::SetBackend(_) => Ok(names.clone()),
            Order::Add(change) => {
                names.extend(change.names.iter().cloned());
                Ok(names.clone())
            }
            Order::Rm(change) => {
                names.retain(|name| !change.names.contains(name));
                Ok(names.clone())
            }
        };
        published.send_replace(names.clone().into());
        let _ = call.reply.send(answer);
    }
}

fn list_of_three() -> Vec<ReplicaName> {
    ["S1", "S2", "S3"]
        .map(|text| text.parse().unwrap())
        .to_vec()
}

/// Returns the state of these replicas in seats from 1 on. The last seat had an earlier replica.
pub(super) fn snapshot(names: &[ReplicaName]) -> FleetSnapshot {
    let replica = |(name, seat): (&ReplicaName, u32)| ReplicaInfo {
        name: name.clone(),
        seat: Some(Seat(seat)),
        state: ReplicaState::Up,
        addr: Some(ReplicaAddr(([127, 0, 0, 1], 4000).into())),
        backend: None,
        engine_id: Some(format!("pid:{seat}")),
        up_for: Some(Duration::from_secs(60)),
        deaths: 0,
        heartbeat: Some(Duration::from_micros(250)),
        in_flight: 2,
        weight: Some(Weight::ONE),
        version: Some("app:1".to_owned()),
        in_rep_list: true,
        reason: None,
        past: Vec::new(),
    };
    let mut replicas: Vec<ReplicaInfo> = names.iter().zip(1..).map(replica).collect();
    if let Some(last) = replicas.last_mut() {
        last.past.push(PastReplica {
            name: "lion".parse().unwrap(),
            ago: Duration::from_secs(90),
            reason: "heartbeat missed 3 times".into(),
            exit: Some("process ended, exit status: 3".into()),
            last_lines: vec!["no luck".into(), "bye\u{7}".into()],
        });
    }
    FleetSnapshot {
        at: std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(100),
        all: replicas,
        has_other_versions: false,
        replacement: None,
    }
}

/// Returns a roster of S1 up, S2 suspect and an empty seat 3, with the classic ring and no bound.
pub(super) fn three_seats() -> Observer {
    let ring = Spec::Classic.build(&[Seat(1), Seat(2), Seat(3)].into());
    let member = |number: u32, health| Member {
        id: ReplicaId(u64::from(number)),
        seat: Seat(number),
        name: format!("S{number}").parse().unwrap(),
        addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
        health,
        drained: false,
        slow_start: None,
        counters: Arc::new(ReplicaCounters::new(1)),
    };
    let members = vec![member(1, Health::Up), member(2, Health::Suspect)];
    let roster = Roster::new(7, ring.unwrap(), LoadBound::OFF, true, members);
    roster::channel(1, roster).0.observer()
}

/// Returns counters of four requests to S1.
pub(super) fn recorder() -> Sampler {
    let (registry, port) = (CounterRegistry::default(), Arc::new(PortCells::new(1)));
    let cells = Arc::new(ReplicaCounters::new(1));
    registry.register(Seat(1), &cells);
    let recorder = Sampler::new(registry, Arc::clone(&port), Instant::now());
    let cell = cells.worker(0);
    for (status, millis) in [(200, 1), (200, 1), (200, 9), (404, 1)] {
        let time = Duration::from_millis(millis);
        cell.requests.add(1);
        cell.replies.count(status);
        cell.first_byte.observe(time);
        cell.total.observe(time * 2);
    }
    cell.spilled.add(1);
    cell.diverted.add(1);
    cell.private.add(1);
    cell.retried(Retry::Stale);
    cell.to_client.add(400);
    port.worker(0).retries_denied.add(4);
    port.worker(0).pool_hits.add(3);
    port.worker(0).records_lost.add(2);
    recorder
}

/// Records that replica `S{n}` has joined, with a reason.
pub(super) fn record_join(journal: &Journal, n: u32, reason: &str) {
    let event = ReplicaEvent {
        seat: Some(Seat(n)),
        name: format!("S{n}").parse().unwrap(),
        reason: reason.to_owned(),
        up: usize::try_from(n).unwrap(),
        ..ReplicaEvent::for_test(fleet::EventKind::Joined)
    };
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(n.into());
    journal.push(at, EventBody::Replica(event));
}

/// Returns a setting of each source.
fn settings() -> Settings {
    let at = Position {
        line: 7,
        column: 12,
    };
    let file = Origin::File(Path::new("/etc/r.toml").into(), at);
    let values = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    let variable = Origin::Variable("RINGMASTER_VIA".into());
    let list = Setting::new("control-host", Origin::Default).with_list(true);
    let all = vec![
        Setting::new("max-head", file).with_values(values(&["32KiB"])),
        Setting::new("via", variable).with_values(values(&["a"])),
        Setting::new("workers", Origin::Default),
        Setting::new("ring", Origin::Default).with_values(values(&["uniform"])),
        list.with_values(values(&["a", "b"])),
        Setting::new("control-token", Origin::Flag)
            .with_values(values(&["hunter2"]))
            .with_secret(true),
    ];
    let file = Some("/etc/r.toml".into());
    Settings {
        all,
        file,
        ..Settings::default()
    }
}

/// Returns the context, the orders that the fleet gets, and the calls it holds.
pub(super) fn context() -> (
    ControlContext,
    std_mpsc::Receiver<Order>,
    std_mpsc::Receiver<OrderCall>,
) {
    let (queue, receiver) = order_queue();
    let (orders_tx, orders) = std_mpsc::channel();
    let (held_tx, held) = std_mpsc::channel();
    receiver.names.send_replace(list_of_three().into());
    thread::spawn(move || scripted(receiver, orders_tx, held_tx));
    let journal = Journal::default();
    record_join(&journal, 1, "");
    record_join(&journal, 2, "");
    let context = ControlContext {
        orders: queue,
        access: AccessPolicy::default(),
        clients: Arc::default(),
        roster: three_seats(),
        max_replicas: 8,
        ready: Arc::new(|| Ok(())),
        sources: StatsSources {
            recorder: recorder(),
            fleet_counts: Arc::new(|| FleetCounts {
                wanted: 3,
                answered: 2,
                up: 1,
                standbys: 1,
                versions: 2,
                replacing: true,
            }),
            engine: "fixed",
            service: watch::channel(None).1,
            started: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        },
        settings: Arc::new(settings()),
        reloads: reload_queue().0,
        journal,
        limits: ControlLimits::default(),
    };
    (context, orders, held)
}
