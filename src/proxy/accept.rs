//! The workers: each a thread with its own listener, event loop and pools. A connection is accepted under
//! a permit; without one, an idle client makes room, or clients wait in the kernel's queue.
//!
//! The kernel spreads connections over the listeners of one port (SO_REUSEPORT). Closing a listener
//! resets what waits in its queue, so a stopping worker empties the queue first.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::{JoinError, JoinSet, spawn_local};
use tokio::time::{Instant, timeout};

use super::client_slots::ClientSlots;
use super::session;
use super::settings::BalanceMode;
use super::settings::ProxySettings;
use super::worker::{SessionGuard, Worker};
use crate::metrics::DataPortCounters;
use crate::orders::OrderQueue;
use crate::roster::{Evidence, Subscriber};
use crate::shutdown::Shutdown;
use crate::wire::lazy_stream::LazyStream;
use crate::wire::listener::Listener;
use crate::wire::socket::{self, is_resource_exhausted};
use crate::wire::sockopt;

/// How long a worker rests that is out of descriptors or memory.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);
/// How long it says nothing more of a shortage that goes on.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// What the workers are started with.
#[derive(Debug)]
pub struct WorkerStart {
    /// How the data port behaves.
    pub settings: Arc<ProxySettings>,
    /// One socket for each worker, all on one port; those that do not listen yet do when it opens.
    pub listeners: Vec<std::net::TcpListener>,
    /// One end of the roster for each worker.
    pub subscribers: Vec<Subscriber>,
    /// Where to tell what was seen of replicas.
    pub evidence: mpsc::Sender<Evidence>,
    /// What they count that belongs to no replica.
    pub port: Arc<DataPortCounters>,
    /// Where admin orders are handed in.
    pub orders: OrderQueue,
    /// When to begin to accept: once this is true.
    pub opened: watch::Receiver<bool>,
    /// When to stop.
    pub shutdown: Shutdown,
    /// When to cut off what is still under way.
    pub cut: Shutdown,
}

/// Starts the workers. Each thread ends once its sessions have ended after the word "stop", or have been
/// cut off when the drain timeout was over or the word "cut" was said; or with an error, at once, when it
/// cannot go on.
///
/// # Errors
/// When a thread or its event loop cannot be made.
pub fn start(start: WorkerStart) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    let max = start.settings.limits.max_connections;
    let slots = Arc::new(ClientSlots::new(max, start.listeners.len()));
    let mut threads = Vec::new();
    for (listener, mut subscriber) in start.listeners.into_iter().zip(start.subscribers) {
        let settings = Arc::clone(&start.settings);
        let port = Arc::clone(&start.port);
        let (orders, evidence) = (start.orders.clone(), start.evidence.clone());
        let slots = Arc::clone(&slots);
        let stops = (start.shutdown.clone(), start.cut.clone());
        let opened = start.opened.clone();
        let run = move || -> io::Result<()> {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())?;
            runtime.block_on(async {
                // Nothing is read of these, and their server may be the one who speaks first.
                if settings.balance != BalanceMode::Source {
                    sockopt::defer_accept(&listener);
                }
                let worker = Rc::new(Worker::new(
                    settings,
                    port,
                    orders,
                    evidence,
                    &mut subscriber,
                ));
                let mut background = JoinSet::new();
                let gate = GatedListener { listener, opened };
                background.spawn_local(Rc::clone(&worker).follow_roster(subscriber));
                background.spawn_local(Rc::clone(&worker).expire_idle());
                background.spawn_local(Rc::clone(&worker).watch_clients());
                run_worker(&worker, gate, background, slots, stops).await
            })
        };
        let name = format!("worker-{}", threads.len());
        threads.push(std::thread::Builder::new().name(name).spawn(run)?);
    }
    Ok(threads)
}

/// Where a worker's clients come in.
struct GatedListener {
    listener: std::net::TcpListener,
    /// Once it is true.
    opened: watch::Receiver<bool>,
}

/// Serves until the word "stop" and then drains.
///
/// # Errors
/// At once when one of its `chores` has panicked: without them it would serve by an old roster for ever.
async fn run_worker(
    worker: &Rc<Worker>,
    gate: GatedListener,
    background: JoinSet<()>,
    slots: Arc<ClientSlots>,
    stops: (Shutdown, Shutdown),
) -> io::Result<()> {
    tokio::select! {
        served = serve(worker, gate, &slots, stops) => served,
        panic = first_panic(background) => Err(panic.into()),
    }
}

/// Waits for a panic. That a chore ends by itself is no fault of the worker's: the fleet is gone, whose
/// end others report.
async fn first_panic(mut background: JoinSet<()>) -> JoinError {
    while let Some(end) = background.join_next().await {
        if let Err(panic) = end {
            return panic;
        }
    }
    std::future::pending().await
}

async fn serve(
    worker: &Rc<Worker>,
    gate: GatedListener,
    slots: &ClientSlots,
    (mut shutdown, mut cut): (Shutdown, Shutdown),
) -> io::Result<()> {
    let GatedListener {
        listener,
        mut opened,
    } = gate;
    tokio::select! {
        // An error means that it will never open; then the word "stop" is on its way.
        opened = opened.wait_for(|open| *open) => if opened.is_err() {
            shutdown.cancelled().await;
        },
        () = shutdown.cancelled() => {}
    }
    if !*opened.borrow() {
        // Whoever waits in the queue waits for another process.
        return Ok(());
    }
    socket::start_listening(&listener)?;
    let listener = Listener::new(listener)?;
    let mut pending_client = None;
    tokio::select! {
        () = accept_all(worker, &listener, slots, &mut pending_client) => {}
        () = slots.mark_idle(worker) => {}
        () = shutdown.cancelled() => {}
    }
    worker.begin_stop();
    if let Some((stream, addr)) = pending_client {
        start_session(worker, stream, addr, None);
    }
    if let Err(err) = drain_accept_queue(worker, listener) {
        tracing::warn!("clients that still waited to be accepted are lost: {err}");
    }
    let drain = timeout(worker.settings.limits.drain_timeout, worker.sessions_end());
    tokio::select! {
        drained = drain => if drained.is_err() {
            tracing::warn!("the drain timeout is over; open connections are cut off");
        },
        () = cut.cancelled() => {}
    }
    Ok(())
}

/// Accepts for ever. One client is let in before there is a permit for it, and waits at the `door`: a
/// worker that held a permit for a client still to come would keep it from the clients of the others.
async fn accept_all(
    worker: &Rc<Worker>,
    listener: &Listener,
    slots: &ClientSlots,
    pending_client: &mut Option<(TcpStream, SocketAddr)>,
) {
    let mut reserve = None;
    let mut shortage = ShedLog::default();
    loop {
        // Before anyone else: what was taken from it may just have been given back.
        reserve = reserve.or_else(|| File::open("/dev/null").ok());
        match listener.accept().await {
            Ok(arrived) => {
                *pending_client = Some(arrived);
                let Some(permit) = slots.acquire(worker).await else {
                    return;
                };
                if let Some((stream, addr)) = pending_client.take() {
                    start_session(worker, stream, addr, Some(permit));
                }
            }
            Err(err) if is_resource_exhausted(&err) => {
                // One who waits is turned away rather than left hanging: a descriptor held in reserve
                // makes room for that. No await may stand in between, or a session takes it.
                drop(reserve.take());
                let shed = listener.try_accept();
                shortage.record(&err, shed.is_ok(), Instant::now());
                drop(shed);
                reserve = File::open("/dev/null").ok();
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
            // The client is gone already, or another error of that one connection (accept(2)).
            Err(err) => tracing::debug!("accept: {err}"),
        }
    }
}

/// What a shortage has cost so far, told at most once a second: it can come round a hundred times in one.
#[derive(Debug, Default)]
struct ShedLog {
    refused: u64,
    last_logged: Option<Instant>,
}

impl ShedLog {
    fn record(&mut self, err: &io::Error, refused: bool, now: Instant) {
        self.refused += u64::from(refused);
        if self
            .last_logged
            .is_none_or(|last_logged| now - last_logged >= WARN_INTERVAL)
        {
            tracing::warn!(
                "cannot accept: {err}; clients turned away so far: {}",
                self.refused
            );
            self.last_logged = Some(now);
        }
    }
}

/// Serves whoever waits in the queue: the kernel has accepted them already, permit or not. Asks the
/// kernel, because the event loop may not have heard of the newest yet.
///
/// # Errors
/// When we are short of something. The rest of the queue is reset.
fn drain_accept_queue(worker: &Rc<Worker>, listener: Listener) -> io::Result<()> {
    loop {
        match listener.try_accept() {
            Ok((stream, addr)) => start_session(worker, stream, addr, None),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(err) if is_resource_exhausted(&err) => return Err(err),
            Err(err) => tracing::debug!("accept: {err}"),
        }
    }
}

fn start_session(
    worker: &Rc<Worker>,
    stream: TcpStream,
    addr: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
) {
    spawn(worker, permit, |guard| {
        session::run(LazyStream::new(stream), addr, guard)
    });
}

/// Starts a session, which ends alone should it panic: its task is unwound, and its admission with it.
fn spawn<F>(
    worker: &Rc<Worker>,
    permit: Option<OwnedSemaphorePermit>,
    session: impl FnOnce(SessionGuard) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    spawn_local(session(worker.session(permit)));
}

#[cfg(test)]
mod tests;
