//! What the sessions of one worker share: the roster it works by, its pools, buffers and retry budget.
//!
//! All of it belongs to one thread; cells and `Rc` replace locks. The roster is swapped by a task of the
//! worker's own, between two polls of any session.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::buffer_pool::{BufferPool, REPLY_BYTES};
use super::fairness::TurnQueue;
use super::idle_clients::IdleClients;
use super::pipe_pool::PipePool;
use super::retry_budget::{BudgetExhausted, RetryBudget};
use super::roster_view::RosterView;
use super::settings::ProxySettings;
use super::young_waits::YoungWaits;
use crate::load::LoadView;
use crate::metrics::{DataPortCounters, WorkerPortCounters};
use crate::orders::OrderQueue;
use crate::roster::{Evidence, EvidenceKind, ReplicaId, Subscriber};

/// Requests that may wait for a seat at the same time, per worker.
const MAX_SEAT_WAITS: usize = 1_000;
/// How often idle connections to replicas are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Room in a request buffer for body bytes that come with the largest head.
const BODY_ROOM: usize = 2 * 1024;
/// The longest that idle connections stay readable after the word "stop".
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// What the sessions of one worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) settings: Arc<ProxySettings>,
    pub(super) orders: OrderQueue,
    /// For heads and bodies of requests.
    pub(super) inboxes: BufferPool,
    /// For replies.
    pub(super) replies: BufferPool,
    /// For large bodies and tunnels.
    pub(super) pipes: PipePool,
    /// For sessions at full speed.
    pub(super) turns: TurnQueue,
    budget: RefCell<RetryBudget>,
    pub(super) random: RefCell<StdRng>,
    /// Requests that may soon have waited so long that their clients are watched.
    pub(super) young_waits: YoungWaits,
    /// Clients between requests, and those that have said nothing yet.
    pub(super) idle: IdleClients,
    /// Told after each change of the view.
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
            roster,
            None,
            index,
            settings.slow_guard,
            &load,
        )));
        subscriber.acknowledge(version);
        Self {
            inboxes: BufferPool::new(settings.limits.max_head + BODY_ROOM),
            replies: BufferPool::new(REPLY_BYTES),
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
            idle: IdleClients::default(),
            changed: Notify::new(),
            index,
            view,
            load,
            evidence,
            seat_waits: Cell::new(0),
            stopping: Cell::new(None),
            sessions: Cell::new(0),
            no_sessions: Notify::new(),
        }
    }

    /// The roster to choose by. Do not hold it over an await.
    pub(super) fn view(&self) -> Rc<RosterView> {
        Rc::clone(&self.view.borrow())
    }

    /// Its number, counted from 0.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// What this worker counts that belongs to no replica.
    pub(super) fn port(&self) -> &WorkerPortCounters {
        self.port.worker(self.index)
    }

    /// The load to choose by. Do not hold it over an await, nor while a request enters or leaves.
    pub(super) fn load(&self) -> RefMut<'_, LoadView> {
        self.load.borrow_mut()
    }

    /// Reads what all workers have counted.
    pub(super) fn merge_loads(&self, view: &RosterView) {
        view.merge_loads(&mut self.load.borrow_mut());
    }

    /// Follows the roster until its writer is gone.
    pub(super) async fn follow_roster(self: Rc<Self>, mut subscriber: Subscriber) {
        while let Some(roster) = subscriber.changed().await {
            let version = roster.version;
            let before = self.view();
            // The last that was counted about those who leave.
            before.merge_loads(&mut self.load.borrow_mut());
            let guard = self.settings.slow_guard;
            let view = RosterView::update(roster, Some(&before), self.index, guard, &self.load);
            let view = Rc::new(view);
            self.view.replace(Rc::clone(&view));
            view.upstreams
                .iter()
                .for_each(|upstream| upstream.reconsider());
            self.changed.notify_waiters();
            // Those who were woken count first: whoever hears that a version is seen finds all counted
            // that the one before it led to.
            tokio::task::yield_now().await;
            subscriber.acknowledge(version);
        }
    }

    /// Looks through the idle connections for ever.
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

    /// Has the clients of long waits watched, for ever.
    pub(super) async fn watch_clients(self: Rc<Self>) {
        self.young_waits.run().await;
    }

    /// Tells the fleet what was seen of a replica. A full channel loses it: it is a hint, and there are
    /// plenty of the kind just then.
    pub(super) fn report_evidence(&self, id: ReplicaId, kind: EvidenceKind) {
        let _ = self.evidence.try_send(Evidence { id, sign: kind });
    }

    /// Counts a request, of which a share may be sent again.
    pub(super) fn count_request(&self, now: Instant) {
        self.budget.borrow_mut().request(now);
    }

    /// Whether one more request may be sent again.
    pub(super) fn allows_retry(&self) -> bool {
        self.budget.borrow().allows_retry(Instant::now())
    }

    /// Has a request sent again.
    ///
    /// # Errors
    /// When the budget is spent, which is counted.
    pub(super) fn take_retry(&self) -> Result<(), BudgetExhausted> {
        let taken = self.budget.borrow_mut().take_retry(Instant::now());
        taken.inspect_err(|exhausted| {
            self.port().retries_denied.add(1);
            if exhausted.first_in_window {
                tracing::warn!("{exhausted}; requests that are lost meanwhile get 502");
            }
        })
    }

    /// Whether there is a place among the requests that wait for a seat.
    pub(super) fn may_wait(&self) -> bool {
        self.seat_waits.get() < MAX_SEAT_WAITS
    }

    /// A place among the requests that wait for a seat, unless too many do.
    pub(super) fn wait_for_seat(&self) -> Option<SeatWait<'_>> {
        self.may_wait().then(|| {
            self.seat_waits.set(self.seat_waits.get() + 1);
            SeatWait(self)
        })
    }

    /// Begins to drain: sessions end after the request they are at, idle ones after a grace.
    pub(super) fn begin_stop(&self) {
        self.stopping.set(Some(Instant::now()));
        self.idle.wake();
    }

    /// Whether the word "stop" was said.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get().is_some()
    }

    /// When idle connections are closed; `None` while nothing is stopping.
    pub(super) fn idle_end(&self) -> Option<Instant> {
        let grace = IDLE_GRACE.min(self.settings.limits.drain_timeout);
        self.stopping.get().map(|since| since + grace)
    }

    /// Counts a session for as long as the guard lives.
    pub(super) fn session(self: &Rc<Self>, permit: Option<OwnedSemaphorePermit>) -> SessionGuard {
        self.sessions.set(self.sessions.get() + 1);
        self.port().accepted.add(1);
        SessionGuard {
            worker: Rc::clone(self),
            _permit: permit,
        }
    }

    /// Waits until no session is left. Cancel safe.
    pub(super) async fn sessions_end(&self) {
        while self.sessions.get() > 0 {
            self.no_sessions.notified().await;
        }
    }
}

/// A request among those that wait for a seat.
#[derive(Debug)]
pub(super) struct SeatWait<'w>(&'w Worker);

impl Drop for SeatWait<'_> {
    fn drop(&mut self) {
        self.0.seat_waits.set(self.0.seat_waits.get() - 1);
    }
}

/// The count of a session, and its permit if it has one. The session holds it itself: a future around the
/// session's would be twice as large.
#[derive(Debug)]
pub(super) struct SessionGuard {
    worker: Rc<Worker>,
    _permit: Option<OwnedSemaphorePermit>,
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
