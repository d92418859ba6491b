//! The workers. Each is a thread with its own listener, event loop and pools. It accepts a
//! connection into a slot. Without a free slot, a client is evicted, or new clients wait in
//! the kernel's queue.
//!
//! The kernel spreads connections over the listeners of one port (SO_REUSEPORT, socket(7)). Closing
//! a listener resets the connections in its queue, so a stopping worker empties the queue first.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet, spawn_local};
use tokio::time::timeout;

use super::admission::{self, NewClient};
use super::client_slot::ClientSlot;
use super::client_slots::ClientSlots;
use super::proxy_protocol;
use super::session;
use super::settings::{BalanceMode, ProxySettings};
use super::worker::{SessionGuard, Worker};
use crate::log_interval::LogInterval;
use crate::metrics::DataPortCounters;
use crate::orders::OrderQueue;
use crate::roster::{Evidence, Subscriber};
use crate::sandbox::Sandbox;
use crate::shutdown::Shutdown;
use crate::wire::listener::{Listener, ListeningSockets};
use crate::wire::peer_addr::PeerAddr;
use crate::wire::socket::{self, is_resource_exhausted};
use crate::wire::sockopt;

/// Pause of a worker that is out of descriptors or memory.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// Everything that the workers are started with.
#[derive(Debug)]
pub struct WorkerStart {
    /// Settings of the data port.
    pub settings: Arc<ProxySettings>,
    /// Sockets of each worker, all on one port. A socket that does not listen yet starts to when
    /// the port opens.
    pub listeners: Vec<ListeningSockets>,
    /// The roster subscription of each worker.
    pub subscribers: Vec<Subscriber>,
    /// Channel to the fleet for observed failures of replicas.
    pub evidence: mpsc::Sender<Evidence>,
    /// Counters of the data port that belong to no replica.
    pub port: Arc<DataPortCounters>,
    /// Queue for admin orders.
    pub orders: OrderQueue,
    /// Sandbox that each worker enters before it accepts.
    pub sandbox: Sandbox,
    /// Gate of the port: the workers accept once it is `true`.
    pub opened: watch::Receiver<bool>,
    /// Signal to stop accepting and to drain.
    pub shutdown: Shutdown,
    /// Signal to close the connections that still drain.
    pub cut: Shutdown,
}

/// Starts the workers. After the stop signal, a thread ends when its sessions have ended, at the
/// drain timeout, or at the cut signal. A worker that cannot go on ends at once with an error.
///
/// # Errors
/// The thread or its event loop cannot be created.
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
        let (opened, sandbox) = (start.opened.clone(), start.sandbox.clone());
        let run = move || -> io::Result<()> {
            sandbox.enter()?;
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())?;
            runtime.block_on(async {
                // In source mode the server may speak first, so the kernel must not wait for the
                // client's first bytes.
                if settings.balance != BalanceMode::Source {
                    listener.tcp.iter().for_each(sockopt::defer_accept);
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

/// A listener that accepts no connection until it is opened.
struct GatedListener {
    listener: ListeningSockets,
    /// Becomes `true` when the listener opens.
    opened: watch::Receiver<bool>,
}

/// Serves until the stop signal and then drains.
///
/// # Errors
/// Returned at once when a task in `background` has panicked. Without it the worker would serve by
/// an outdated roster for ever.
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

/// Waits for a panic. A task that returns is no fault of the worker: it returns when the fleet has
/// ended, and the supervisor reports that.
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
        // An error means that the gate's sender was dropped, so the stop signal is imminent.
        opened = opened.wait_for(|open| *open) => if opened.is_err() {
            shutdown.cancelled().await;
        },
        () = shutdown.cancelled() => {}
    }
    if !*opened.borrow() {
        // The clients in the queue wait for another process that shares the port.
        return Ok(());
    }
    listener.iter().try_for_each(socket::start_listening)?;
    let listener = Listener::new(listener)?;
    let mut pending_client = None;
    tokio::select! {
        () = accept_all(worker, &listener, slots, &mut pending_client) => {}
        () = slots.evict_for_others(worker) => {}
        () = shutdown.cancelled() => {}
    }
    worker.begin_stop();
    if let Some(client) = pending_client {
        start_session(worker, client, None);
    }
    if let Err(err) = drain_accept_queue(worker, listener) {
        tracing::warn!("cannot empty the accept queue: {err}; its clients are reset");
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

/// Accepts for ever. A client is accepted before it has a slot and is held in `pending_client`. A
/// slot held for a client that has not come yet would be missing in the other workers.
async fn accept_all(
    worker: &Rc<Worker>,
    listener: &Listener,
    slots: &ClientSlots,
    pending_client: &mut Option<NewClient>,
) {
    let mut reserve = None;
    let (mut refused, log_interval) = (0_u64, LogInterval::default());
    loop {
        // Reopened before the next accept, which may use the descriptor that a closed connection
        // has freed.
        reserve = reserve.or_else(|| File::open("/dev/null").ok());
        match listener.accept().await {
            Ok(accepted) => {
                // A client that is not served takes no slot.
                *pending_client = admit(worker, accepted);
                if pending_client.is_none() {
                    continue;
                }
                let Some(slot) = slots.acquire(worker).await else {
                    return;
                };
                if let Some(client) = pending_client.take() {
                    start_session(worker, client, Some(slot));
                }
            }
            Err(err) if is_resource_exhausted(&err) => {
                // Out of descriptors: close the reserve descriptor, accept one waiting client and
                // drop it, so that it is refused instead of hanging. There must be no await in
                // between, or a session would take the descriptor.
                drop(reserve.take());
                let shed = listener.try_accept();
                refused += u64::from(shed.is_ok());
                // A shortage can recur a hundred times a second.
                if log_interval.is_due() {
                    tracing::warn!("cannot accept: {err}; {refused} clients refused so far");
                }
                drop(shed);
                reserve = File::open("/dev/null").ok();
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
            // The client has left, or another error concerns this connection alone (accept(2)).
            Err(err) => tracing::debug!("accept: {err}"),
        }
    }
}

/// Serves the clients in the listener's queue without a slot: the kernel has accepted them
/// already. It calls accept(2) directly, because the event loop may not know of the newest yet.
///
/// # Errors
/// The process is out of descriptors or memory. The kernel then resets the rest of the queue.
fn drain_accept_queue(worker: &Rc<Worker>, listener: Listener) -> io::Result<()> {
    loop {
        match listener.try_accept() {
            Ok(accepted) => {
                if let Some(client) = admit(worker, accepted) {
                    start_session(worker, client, None);
                }
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(err) if is_resource_exhausted(&err) => return Err(err),
            Err(err) => tracing::debug!("accept: {err}"),
        }
    }
}

/// Admits a connection that was accepted. `None` closes it. The connection of a proxy is admitted
/// once its header has named the client; what a proxy opens for itself has no limit.
fn admit(worker: &Worker, (stream, addr): (TcpStream, PeerAddr)) -> Option<NewClient> {
    let admission = match proxy_protocol::is_proxy(worker, addr) {
        true => None,
        false => admission::admit(worker, addr)?,
    };
    Some(NewClient {
        stream,
        addr,
        admission,
    })
}

fn start_session(worker: &Rc<Worker>, client: NewClient, slot: Option<ClientSlot>) {
    spawn(worker, slot, |guard| session::run(client, guard));
}

/// Starts a session. A panic ends that session alone: unwinding its task drops its guard.
fn spawn<F>(worker: &Rc<Worker>, slot: Option<ClientSlot>, session: impl FnOnce(SessionGuard) -> F)
where
    F: Future<Output = ()> + 'static,
{
    spawn_local(session(worker.session(slot)));
}

#[cfg(test)]
mod tests;
