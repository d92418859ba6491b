//! The one task that owns all state of the fleet: it takes what arrives, asks the plan, and does what
//! the plan says.
//!
//! It decides nothing and waits for nothing but its inbox: engine calls return at once, heartbeats have
//! tasks of their own, and whoever asked may be gone. Surprising: what the workers have seen and finished
//! is polled, since the cells that tell are plain numbers that wake nobody; and a change is not done,
//! nor the fleet ready, before every worker goes by it.

mod environment;
mod heartbeats;
mod inbox;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use super::engine::{Engine, Management};
use super::event_recorder::EventRecorder;
use super::heartbeat::{HeartbeatHandle, Identity, ProbeSchedule};
use super::journal::Journal;
use super::plan::{Action, Input, OrderId, Ownership, Plan, ProbeEvent, Status};
use super::publisher::RosterPublisher;
use crate::orders::{OrderCall, OrderResult, ReplicaNames};
use crate::roster::ReplicaId;
use crate::stats::CounterRegistry;
use environment::LoopEnvironment;
pub(super) use inbox::{Inbox, Stop};

/// How often it looks at the cells of the workers, while it waits for them.
const ACKNOWLEDGE_POLL: Duration = Duration::from_millis(2);
/// The fleet's state and its tools.
#[derive(Debug)]
pub(super) struct FleetLoop {
    pub(super) plan: Plan,
    pub(super) engine: Box<dyn Engine>,
    pub(super) press: RosterPublisher,
    /// `None`: no heartbeats.
    pub(super) rhythm: Option<ProbeSchedule>,
    pub(super) pulses: mpsc::UnboundedSender<(ReplicaId, ProbeEvent)>,
    pub(super) journal: Journal,
    pub(super) notebook: EventRecorder,
    /// What `/rep` lists. It is dropped before the status, by whose end ours is noticed.
    pub(super) list: watch::Sender<ReplicaNames>,
    pub(super) status: watch::Sender<Status>,
    pub(super) ledger: CounterRegistry,
    /// One moment by both clocks.
    pub(super) began: (Instant, SystemTime),
    /// Whether it is left to another balancer when we are dropped.
    pub(super) lent: Arc<AtomicBool>,
    pub(super) work: Pending,
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    hearts: HashMap<ReplicaId, HeartbeatHandle>,
    /// Who was started, for as long as it may answer.
    started: HashMap<ReplicaId, Identity>,
    /// Since when those are being started that have not answered yet.
    spawning: HashMap<ReplicaId, Instant>,
    /// Who drains, and the roster version that every worker must have seen.
    drains: BTreeMap<ReplicaId, u64>,
    asked: HashMap<OrderId, PendingOrder>,
    /// Changes that are done once every worker goes by the newest roster.
    changes: Vec<(oneshot::Sender<OrderResult>, OrderResult)>,
    tickets: u64,
    /// Whether all is told that there is to tell. Asking the workers' cells again instead would miss the
    /// worker that comes round just between the two questions.
    settled: bool,
    /// Whether changes are refused.
    closed: bool,
    finished: bool,
}

/// An order that was not answered yet.
#[derive(Debug)]
struct PendingOrder {
    /// Whose it is: an address.
    from: String,
    reply: oneshot::Sender<OrderResult>,
}

impl FleetLoop {
    /// Runs until it was stopped and nothing is left, or the time for that is over. Returns whether
    /// nothing is left.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> bool {
        let (mut stop_by, mut leave) = (None::<Instant>, false);
        self.step(Input::Begin);
        while !self.work.finished {
            // Time comes before orders and evidence, which others could send without end.
            let input = tokio::select! {
                biased;
                stop = &mut inbox.stop, if stop_by.is_none() => {
                    let stop = stop.unwrap_or_else(|_| Stop::dropped(self.lent.load(Ordering::Relaxed)));
                    stop_by = Some(Instant::now() + stop.limit);
                    leave = stop.leave;
                    Input::Stop { leave }
                }
                () = at(stop_by) => {
                    self.flush(true);
                    return false;
                }
                () = inbox.close.cancelled(), if !self.work.closed => {
                    self.work.closed = true;
                    self.answer_changes();
                    Input::Close
                }
                Ok(()) = inbox.hold.changed() => {
                    let hold = *inbox.hold.borrow_and_update();
                    self.engine.set_handover(hold != Ownership::Owned);
                    Input::Hold(hold)
                }
                Some(report) = inbox.reports.recv() => Input::Engine(report),
                Some((id, pulse)) = inbox.pulses.recv() => self.on_probe(id, pulse),
                () = at(self.plan.deadline()) => Input::Tick,
                () = sleep(ACKNOWLEDGE_POLL), if self.waits_for_workers() => Input::Tick,
                Some(reply) = inbox.shows.recv() => {
                    // Whoever asked may have left.
                    let _ = reply.send(self.snapshot());
                    continue;
                }
                Some(call) = inbox.orders.recv() => self.accept_order(call),
                Some(evidence) = inbox.evidence.recv() => Input::Evidence(evidence),
            };
            self.step(input);
            self.check_drains();
        }
        self.flush(true);
        let close = self.engine.close(leave);
        tokio::select! {
            () = close => true,
            () = at(stop_by) => false,
        }
    }

    /// Gives an order a ticket.
    fn accept_order(&mut self, call: OrderCall) -> Input {
        self.work.tickets += 1;
        let ticket = OrderId(self.work.tickets);
        tracing::info!("{} asks {}", call.from, call.order);
        let asked = PendingOrder {
            from: call.from,
            reply: call.reply,
        };
        self.work.asked.insert(ticket, asked);
        Input::Order(ticket, call.order)
    }

    /// Takes what came of a heartbeat. The first answer of one that was started ends its start.
    fn on_probe(&mut self, id: ReplicaId, pulse: ProbeEvent) -> Input {
        if pulse == ProbeEvent::Answered {
            if let Some(since) = self.work.spawning.remove(&id) {
                self.ledger.fleet().spawns.observe(since.elapsed());
            }
            if let Some(seat) = self.plan.seat(id) {
                self.is_well(seat);
            }
        }
        Input::Pulse(id, pulse)
    }

    fn check_drains(&mut self) {
        let drains = self.work.drains.iter();
        let idle = drains.filter(|(id, version)| self.press.is_idle(**id, **version));
        let idle: Vec<ReplicaId> = idle.map(|(id, _)| *id).collect();
        for id in idle {
            self.work.drains.remove(&id);
            self.step(Input::Drained(id));
        }
    }

    fn step(&mut self, input: Input) {
        let mut world = LoopEnvironment { press: &self.press };
        let actions = self.plan.step(input, Instant::now(), &mut world);
        if !actions.is_empty()
            && let Some(vacant) = self.plan.vacant()
        {
            self.engine.set_vacant_seats(vacant);
        }
        self.publish_list();
        for action in actions {
            self.apply(action);
        }
        self.publish_status();
    }

    fn waits_for_workers(&self) -> bool {
        !self.work.drains.is_empty() || !self.work.settled
    }

    /// Tells how things stand, once every worker goes by it: whoever hears of a replica may ask for it
    /// the next moment.
    fn publish_status(&mut self) {
        self.work.settled = self.press.acknowledged_by_all();
        // After a refusal of changes, workers may have ended that have not seen everything.
        self.flush(self.work.settled || self.work.closed);
        if !self.work.settled {
            return;
        }
        // Before the answers: whoever gets one may ask how the fleet stands.
        let status = self.plan.status();
        self.status.send_if_modified(|last| {
            let differs = *last != status;
            *last = status;
            differs
        });
        self.answer_changes();
    }

    /// Answers the changes that are done. At a drain that does not wait for the workers, of which some
    /// may have ended, for others of them wait for the answer.
    fn answer_changes(&mut self) {
        for (reply, answer) in self.work.changes.drain(..) {
            let _ = reply.send(answer);
        }
    }

    fn apply(&mut self, action: Action) {
        let work = &mut self.work;
        match action {
            Action::Publish => {
                let plan = &self.plan;
                self.press.publish(plan.view(), |id| plan.knows(id));
            }
            Action::Start(id, seat, name) => {
                self.engine.start(id, seat, &name);
                if !self.plan.runs(id) {
                    work.spawning.insert(id, Instant::now());
                }
                if self.engine.management() == Management::Managed {
                    // Backends of others may call themselves what they like.
                    work.started.insert(id, Identity { name, seat });
                }
            }
            Action::StartProbing(id, addr) => self.watch(id, addr, None),
            Action::AssignSeat(id, addr, seat) => {
                if let Some(identity) = work.started.get_mut(&id) {
                    identity.seat = Some(seat);
                }
                self.watch(id, addr, Some(seat));
            }
            Action::ProbeNow(id, fresh) => {
                if let Some(heart) = work.hearts.get(&id) {
                    heart.probe_now(fresh);
                }
            }
            Action::CheckAlive(id) => self.engine.check_alive(id),
            Action::Drain(id) => {
                work.drains.insert(id, self.press.version());
            }
            Action::Remove(id, farewell) => {
                work.hearts.remove(&id);
                work.started.remove(&id);
                work.spawning.remove(&id);
                work.drains.remove(&id);
                self.engine.remove(id, farewell);
            }
            Action::Answer(ticket, answer) => {
                let Some(asked) = work.asked.remove(&ticket) else {
                    return;
                };
                if answer.is_ok() {
                    work.changes.push((asked.reply, answer));
                } else {
                    // Whoever asked may have left.
                    drop(asked.reply.send(answer));
                }
            }
            Action::Record(note) => self.record(note),
            Action::Switched(ticket, switch) => {
                let asked = work.asked.get(&ticket);
                let by = asked.map_or_else(String::new, |asked| asked.from.clone());
                self.record_setting(switch, by);
            }
            Action::Finished => work.finished = true,
        }
    }
}

/// Waits until `time`, or for ever.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
