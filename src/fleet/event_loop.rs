//! The event loop: the one task that owns all state of the fleet. It passes each input to the plan
//! and applies the actions that the plan returns.
//!
//! It decides nothing and waits for nothing but its inbox: engine calls return at once, and
//! heartbeats have tasks of their own. The workers' progress is polled, because their counters are
//! plain numbers without a wake-up. A change is complete, and the fleet ready, only when every
//! worker has acknowledged the roster with it.

mod actions;
mod backend_saver;
mod engine_view;
mod environment;
mod heartbeats;
mod inbox;
mod pending_orders;
mod preparation;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::engine::Engine;
use super::event_recorder::EventRecorder;
use super::plan::{Input, Ownership, Plan, ProbeEvent, Status};
use super::publisher::RosterPublisher;
use crate::orders::{FleetSnapshot, OrderCall, ReplicaInfo, ReplicaNames, ReplicaState};
use crate::roster::ReplicaId;
use crate::stats::CounterRegistry;
pub(super) use backend_saver::{BackendSaver, SaveResult};
use environment::LoopEnvironment;
pub(super) use heartbeats::Heartbeats;
pub(super) use inbox::{Inbox, PreparedVersion, Stop};
use pending_orders::PendingOrders;

/// Interval at which the workers' counters are polled, while the loop waits for them.
const ACKNOWLEDGE_POLL: Duration = Duration::from_millis(2);

/// The state of the fleet, with everything that its actions need.
#[derive(Debug)]
pub(super) struct FleetLoop {
    pub(super) plan: Plan,
    pub(super) engine: Box<dyn Engine>,
    pub(super) publisher: RosterPublisher,
    pub(super) recorder: EventRecorder,
    /// The list of `/rep`. It is dropped before the status, whose end signals the end of the fleet.
    pub(super) names: watch::Sender<ReplicaNames>,
    pub(super) status: watch::Sender<Status>,
    pub(super) counters: CounterRegistry,
    /// Versions that the engine has looked up, for the inbox.
    pub(super) prepared: mpsc::UnboundedSender<PreparedVersion>,
    /// Writer of the list of fixed backends.
    pub(super) saver: BackendSaver,
    pub(super) heartbeats: Heartbeats,
    /// The start of the fleet by both clocks.
    pub(super) started_at: (Instant, SystemTime),
    /// `true` if the replicas are left to another balancer if the handle is dropped.
    pub(super) handover: Arc<AtomicBool>,
    pub(super) pending: Pending,
}

/// Work under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Start times of the replicas that have not answered yet.
    spawning: HashMap<ReplicaId, Instant>,
    /// Draining replicas, each with the roster version that every worker must acknowledge.
    drains: BTreeMap<ReplicaId, u64>,
    orders: PendingOrders,
    /// `true` if the latest status was published.
    ///
    /// Reading the workers' counters again instead would lose a wake-up: a worker may acknowledge
    /// between the two reads.
    settled: bool,
    /// `true` if changes are refused.
    closed: bool,
    finished: bool,
}

impl FleetLoop {
    /// Runs until it is stopped and nothing is left, or the time for that is over. Returns `true`
    /// if nothing is left.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> bool {
        let (mut stop_by, mut leave) = (None::<Instant>, false);
        self.engine.begin();
        self.step(Input::Begin);
        let mut deadline = self.plan.deadline();
        while !self.pending.finished {
            // Timers come before orders and evidence, which clients could send without end.
            let input = tokio::select! {
                biased;
                stop = &mut inbox.stop, if stop_by.is_none() => {
                    let stop = stop.unwrap_or_else(|_| {
                        Stop::dropped(self.handover.load(Ordering::Relaxed))
                    });
                    stop_by = Some(Instant::now() + stop.limit);
                    leave = stop.leave;
                    Input::Stop { leave }
                }
                () = sleep_until_some(stop_by) => {
                    self.recorder.flush(true);
                    return false;
                }
                () = inbox.close.cancelled(), if !self.pending.closed => {
                    self.pending.closed = true;
                    self.pending.orders.send_completed();
                    Input::Close
                }
                Ok(()) = inbox.ownership.changed() => {
                    let ownership = *inbox.ownership.borrow_and_update();
                    self.engine.set_handover(ownership != Ownership::Owned);
                    Input::Ownership(ownership)
                }
                Some(event) = inbox.engine.recv() => Input::Engine(event),
                Some((id, event)) = inbox.probes.recv() => match self.on_probe(id, event) {
                    Some(input) => input,
                    None => continue,
                },
                () = sleep_until_some(deadline) => Input::Tick,
                () = sleep(ACKNOWLEDGE_POLL), if self.waits_for_workers() => Input::Tick,
                Some(reply) = inbox.snapshots.recv() => {
                    // The client may have left.
                    let _ = reply.send(self.snapshot());
                    continue;
                }
                Some((id, version)) = inbox.prepared.recv() => Input::Prepared(id, version),
                Some((id, result)) = inbox.saved.recv() => Input::Saved(id, result),
                Some(call) = inbox.orders.recv() => match self.accept_order(call) {
                    Some(input) => input,
                    None => continue,
                },
                Some(evidence) = inbox.evidence.recv() => Input::Evidence(evidence),
            };
            self.step(input);
            self.check_drains();
            deadline = self.plan.deadline();
        }
        self.recorder.flush(true);
        let close = self.engine.close(leave);
        tokio::select! {
            () = close => true,
            () = sleep_until_some(stop_by) => false,
        }
    }

    /// Accepts an order. Refuses one with the address of a backend that cannot be one.
    fn accept_order(&mut self, call: OrderCall) -> Option<Input> {
        tracing::info!("order {} from {}", call.order, call.from);
        if let Err(refusal) = engine_view::check(self.engine.as_ref(), &call.order) {
            // The client may have left.
            let _ = call.reply.send(Err(refusal));
            return None;
        }
        let (id, order) = self.pending.orders.accept(call);
        Some(Input::Order(id, order))
    }

    /// Handles the result of a heartbeat. The first answer of a started replica completes its
    /// start. Returns `None` if no step is needed. While workers are waited for, each step looks
    /// after them.
    fn on_probe(&mut self, id: ReplicaId, event: ProbeEvent) -> Option<Input> {
        if event == ProbeEvent::Answered {
            if let Some(start) = self.pending.spawning.remove(&id) {
                self.counters.fleet().spawns.observe(start.elapsed());
            }
            if let Some(seat) = self.plan.seat(id) {
                self.recorder.record_answer(seat);
            }
        }
        let input = Input::Probe(id, event);
        let is_routine =
            !self.waits_for_workers() && self.plan.record_routine(&input, Instant::now());
        (!is_routine).then_some(input)
    }

    /// Completes the drains of replicas that have become idle.
    fn check_drains(&mut self) {
        let drains = self.pending.drains.iter();
        let idle = drains.filter(|(id, version)| self.publisher.is_idle(**id, **version));
        let idle: Vec<ReplicaId> = idle.map(|(id, _)| *id).collect();
        for id in idle {
            self.pending.drains.remove(&id);
            self.step(Input::Drained(id));
        }
    }

    /// Passes an input to the plan, and applies the actions.
    fn step(&mut self, input: Input) {
        let mut environment = LoopEnvironment {
            publisher: &self.publisher,
        };
        // These may have names looked up without any other action.
        let is_news = matches!(input, Input::Begin | Input::Order(..));
        let actions = self.plan.step(input, Instant::now(), &mut environment);
        if is_news || !actions.is_empty() {
            engine_view::update(self.engine.as_mut(), &self.plan);
            self.saver.publish(&self.plan);
        }
        self.publish_list();
        actions.into_iter().for_each(|action| self.apply(action));
        self.publish_status();
    }

    fn waits_for_workers(&self) -> bool {
        !self.pending.drains.is_empty() || !self.pending.settled
    }

    /// Publishes the list of `/rep`, if it has changed.
    fn publish_list(&self) {
        let list = self.plan.listed();
        self.names.send_if_modified(|last| {
            let differs = **last != *list;
            *last = list.into();
            differs
        });
    }

    /// Publishes the status and the events, once every worker has acknowledged the latest roster: a
    /// reader may send a request to a new replica the next moment.
    fn publish_status(&mut self) {
        self.pending.settled = self.publisher.acknowledged_by_all();
        // When changes are refused, workers may have ended without acknowledging everything.
        self.recorder
            .flush(self.pending.settled || self.pending.closed);
        if !self.pending.settled {
            return;
        }
        // Before the answers: a client that gets one may read the status.
        let status = self.plan.status();
        self.status.send_if_modified(|last| {
            let differs = *last != status;
            *last = status;
            differs
        });
        self.pending.orders.send_completed();
    }

    /// Returns the state of each replica, with the figures of the engine, the heartbeats and the
    /// workers.
    fn snapshot(&self) -> FleetSnapshot {
        let now = Instant::now();
        let infos = self.plan.replica_infos(now).into_iter();
        let infos = infos.map(|(id, info)| match id {
            None => info,
            Some(id) => ReplicaInfo {
                state: match info.state {
                    ReplicaState::Up if self.publisher.is_ejected(id) => ReplicaState::Ejected,
                    state => state,
                },
                engine_id: self.engine.handle(id).or(info.engine_id),
                heartbeat: self.heartbeats.latency(id),
                in_flight: self.publisher.in_flight(id),
                ..info
            },
        });
        let (started, at) = self.started_at;
        FleetSnapshot {
            at: at + now.saturating_duration_since(started),
            all: infos.collect(),
            has_other_versions: self.plan.has_other_versions(),
            replacement: self.plan.replacement(),
        }
    }
}

/// Waits until `time`, or for ever without one. Cancel safe.
async fn sleep_until_some(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
