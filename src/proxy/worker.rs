//! State that the sessions of one worker share: the roster, upstreams, buffers and retry budget.
//!
//! All of it belongs to one thread; cells and `Rc` replace locks. A task of the worker replaces the
//! roster between two polls of any session.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::buffer_pool::BufferPool;
use super::client_slot::ClientSlot;
use super::fairness::TurnQueue;
use super::idle_clients::EvictableClients;
use super::pipe_pool::PipePool;
use super::replay_memory::ReplayMemory;
use super::retry_budget::{BudgetExhausted, RetryBudget};
use super::roster_view::RosterView;
use super::settings::ProxySettings;
use super::young_waits::YoungWaits;
use crate::load::LoadView;
use crate::log_interval::LogInterval;
use crate::metrics::{DataPortCounters, WorkerPortCounters};
use crate::orders::OrderQueue;
use crate::roster::{Evidence, EvidenceKind, ReplicaId, Subscriber};

/// Maximum number of requests per worker that wait for a seat.
const MAX_SEAT_WAITS: usize = 1_000;
/// Interval between sweeps of the idle connections to replicas.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time that idle connections stay readable after the stop signal.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// State that the sessions of one worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) settings: Arc<ProxySettings>,
    pub(super) orders: OrderQueue,
    /// Buffers for messages.
    pub(super) buffers: BufferPool,
    /// Memory for bodies that may be sent again.
    pub(super) replay_memory: ReplayMemory,
    /// Pipes for large bodies and tunnels.
    pub(super) pipes: PipePool,
    /// Queue of the sessions at full speed.
    pub(super) turns: TurnQueue,
    budget: RefCell<RetryBudget>,
    pub(super) random: RefCell<StdRng>,
    /// Waits that may soon be so long that their clients are watched.
    pub(super) young_waits: YoungWaits,
    /// Clients that owe bytes, and may be closed for new ones.
    pub(super) evictable: EvictableClients,
    /// Notified after each change of the view.
    pub(super) changed: Notify,
    port: Arc<DataPortCounters>,
    index: usize,
    view: RefCell<Rc<RosterView>>,
    load: Rc<RefCell<LoadView>>,
    evidence: mpsc::Sender<Evidence>,
    seat_waits: Cell<usize>,
    stopping: Cell<Option<Instant>>,
    sessions: Cell<usize>,
    no_sessions: Notify,
    /// Interval of warnings about connections that are closed for their first bytes.
    pub(super) refusal_warnings: LogInterval,
}

impl Worker {
    pub(super) fn new(
        settings: Arc<ProxySettings>,
        port: Arc<DataPortCounters>,
        orders: OrderQueue,
        evidence: mpsc::Sender<Evidence>,
        subscriber: &mut Subscriber,
    ) -> Self {
        let index = subscriber.worker();
        let roster = subscriber.latest();
        let version = roster.version;
        let load = Rc::default();
        let view = RefCell::new(Rc::new(RosterView::update(
            roster, None, index, &settings, &load,
        )));
        subscriber.acknowledge(version);
        Self {
            buffers: BufferPool::default(),
            replay_memory: ReplayMemory::default(),
            pipes: PipePool::new(
                settings.splice,
                settings.limits.pipes_per_worker,
                Arc::clone(&port),
                index,
            ),
            port,
            turns: TurnQueue::default(),
            budget: RefCell::new(RetryBudget::new(Instant::now())),
            random: RefCell::new(StdRng::from_rng(&mut rand::rng())),
            settings,
            orders,
            young_waits: YoungWaits::default(),
            evictable: EvictableClients::default(),
            changed: Notify::new(),
            index,
            view,
            load,
            evidence,
            seat_waits: Cell::new(0),
            stopping: Cell::new(None),
            sessions: Cell::new(0),
            no_sessions: Notify::new(),
            refusal_warnings: LogInterval::default(),
        }
    }

    /// Returns the current roster view. Do not hold it across an await.
    pub(super) fn view(&self) -> Rc<RosterView> {
        Rc::clone(&self.view.borrow())
    }

    /// Returns the worker's number, counted from 0.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Returns this worker's counters that belong to no replica.
    pub(super) fn port(&self) -> &WorkerPortCounters {
        self.port.worker(self.index)
    }

    /// Returns the view of the load. Do not hold it across an await or while a request begins or
    /// ends.
    pub(super) fn load(&self) -> RefMut<'_, LoadView> {
        self.load.borrow_mut()
    }

    /// Reads the counters of all workers.
    pub(super) fn merge_loads(&self, view: &RosterView) {
        view.merge_loads(&mut self.load.borrow_mut());
    }

    /// Follows the roster until its publisher is dropped.
    pub(super) async fn follow_roster(self: Rc<Self>, mut subscriber: Subscriber) {
        while let Some(roster) = subscriber.changed().await {
            let version = roster.version;
            let before = self.view();
            // The last counts of the replicas that leave.
            before.merge_loads(&mut self.load.borrow_mut());
            let settings = &self.settings;
            let view = RosterView::update(roster, Some(&before), self.index, settings, &self.load);
            let view = Rc::new(view);
            self.view.replace(Rc::clone(&view));
            view.spare_half(Instant::now());
            view.upstreams
                .iter()
                .for_each(|upstream| upstream.reconsider());
            self.changed.notify_waiters();
            // Yield once so that the woken tasks update their counters before this version is
            // acknowledged: a reader that sees the acknowledgement sees their counts.
            tokio::task::yield_now().await;
            subscriber.acknowledge(version);
        }
    }

    /// Sweeps the idle connections for ever.
    pub(super) async fn expire_idle(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let now = Instant::now();
            self.view()
                .upstreams
                .iter()
                .for_each(|upstream| upstream.sweep(now));
        }
    }

    /// Runs the watch over clients in long waits for ever.
    pub(super) async fn watch_clients(self: Rc<Self>) {
        self.young_waits.run().await;
    }

    /// Reports a replica's failure to the fleet. A full channel loses the report, which is only a
    /// hint: many of the same kind are queued then.
    pub(super) fn report_evidence(&self, id: ReplicaId, kind: EvidenceKind) {
        let _ = self.evidence.try_send(Evidence { id, kind });
    }

    /// Counts a request, which allows a share of a retry.
    pub(super) fn count_request(&self, now: Instant) {
        self.budget.borrow_mut().request(now);
    }

    /// Returns `true` if the budget allows one more retry.
    pub(super) fn allows_retry(&self) -> bool {
        self.budget.borrow().allows_retry(Instant::now())
    }

    /// Takes a retry from the budget.
    ///
    /// # Errors
    /// The budget is exhausted. The refusal is counted.
    pub(super) fn take_retry(&self) -> Result<(), BudgetExhausted> {
        let result = self.budget.borrow_mut().take_retry(Instant::now());
        result.inspect_err(|exhausted| {
            self.port().retries_denied.add(1);
            if exhausted.first_in_window {
                tracing::warn!("{exhausted}; lost requests get 502 meanwhile, and replies with a status of --retry-on are passed on");
            }
        })
    }

    /// Returns `true` if one more request may wait for a seat.
    pub(super) fn may_wait(&self) -> bool {
        self.seat_waits.get() < MAX_SEAT_WAITS
    }

    /// Counts a request that waits for a seat; `None` if too many do.
    pub(super) fn wait_for_seat(&self) -> Option<SeatWait<'_>> {
        self.may_wait().then(|| {
            self.seat_waits.set(self.seat_waits.get() + 1);
            SeatWait(self)
        })
    }

    /// Begins to drain: sessions end after their current request, idle ones after a grace.
    pub(super) fn begin_stop(&self) {
        self.stopping.set(Some(Instant::now()));
        self.evictable.idle.wake();
    }

    /// Returns `true` after the stop signal.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get().is_some()
    }

    /// Returns the time at which idle connections are closed; `None` before the stop signal.
    pub(super) fn idle_end(&self) -> Option<Instant> {
        let grace = IDLE_GRACE.min(self.settings.limits.drain_timeout);
        self.stopping.get().map(|since| since + grace)
    }

    /// Counts a session for as long as the guard lives.
    pub(super) fn session(self: &Rc<Self>, slot: Option<ClientSlot>) -> SessionGuard {
        self.sessions.set(self.sessions.get() + 1);
        self.port().accepted.add(1);
        SessionGuard {
            worker: Rc::clone(self),
            _slot: slot,
        }
    }

    /// Waits until no session is left. Cancel safe.
    pub(super) async fn sessions_end(&self) {
        while self.sessions.get() > 0 {
            self.no_sessions.notified().await;
        }
    }
}

/// A request that waits for a seat.
#[derive(Debug)]
pub(super) struct SeatWait<'w>(&'w Worker);

impl Drop for SeatWait<'_> {
    fn drop(&mut self) {
        self.0.seat_waits.set(self.0.seat_waits.get() - 1);
    }
}

/// Count of a session, and its slot if it has one. The session itself holds the guard: a wrapping
/// future would be twice as large.
#[derive(Debug)]
pub(super) struct SessionGuard {
    worker: Rc<Worker>,
    _slot: Option<ClientSlot>,
}

impl SessionGuard {
    pub(super) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.sessions.set(worker.sessions.get() - 1);
        worker.port().closed.add(1);
        if worker.sessions.get() == 0 {
            worker.no_sessions.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
