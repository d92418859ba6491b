//! The workers: each a thread with its own listener, event loop and pools. A connection is accepted under
//! a permit; without one, clients wait in the kernel's queue.
//!
//! The kernel spreads connections over the listeners of one port (SO_REUSEPORT). Closing a listener
//! resets what waits in its queue, so a stopping worker empties the queue first.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::worker::Worker;
use super::{Settings, session};
use crate::admin::Desk;
use crate::roster::{Evidence, Subscriber};
use crate::shutdown::Shutdown;

/// How long a worker rests that is out of descriptors or memory.
const REST: Duration = Duration::from_millis(10);

/// What the workers are started with.
#[derive(Debug)]
pub struct Start {
    /// How the data port behaves.
    pub settings: Arc<Settings>,
    /// One listener for each worker, all on one port.
    pub listeners: Vec<std::net::TcpListener>,
    /// One end of the roster for each worker.
    pub subscribers: Vec<Subscriber>,
    /// Where to tell what was seen of replicas.
    pub evidence: mpsc::Sender<Evidence>,
    /// Where admin orders are handed in.
    pub desk: Desk,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// Starts the workers. Each thread ends once its sessions have ended after the word "stop", or have been
/// cut off when the drain timeout was over.
///
/// # Errors
/// When a thread or its event loop cannot be made.
pub fn start(start: Start) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    let permits = Arc::new(Semaphore::new(start.settings.limits.max_connections));
    let mut threads = Vec::new();
    for (listener, mut subscriber) in start.listeners.into_iter().zip(start.subscribers) {
        let settings = Arc::clone(&start.settings);
        let (desk, evidence) = (start.desk.clone(), start.evidence.clone());
        let (permits, shutdown) = (Arc::clone(&permits), start.shutdown.clone());
        let run = move || -> io::Result<()> {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())?;
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                let worker = Rc::new(Worker::new(settings, desk, evidence, &mut subscriber));
                spawn_local(Rc::clone(&worker).follow(subscriber));
                spawn_local(Rc::clone(&worker).sweep());
                work(&worker, listener, permits, shutdown).await;
                Ok(())
            })
        };
        let name = format!("worker-{}", threads.len());
        threads.push(std::thread::Builder::new().name(name).spawn(run)?);
    }
    Ok(threads)
}

async fn work(
    worker: &Rc<Worker>,
    listener: TcpListener,
    permits: Arc<Semaphore>,
    mut shutdown: Shutdown,
) {
    tokio::select! {
        () = accept_all(worker, &listener, permits) => {}
        () = shutdown.wait() => {}
    }
    worker.begin_stop();
    // What waits in the queue was accepted by the kernel already: it is served, permit or not.
    while let Some(Ok((stream, addr))) = at_once(listener.accept()).await {
        begin(worker, stream, addr, None);
    }
    drop(listener);
    let drain = timeout(worker.settings.limits.drain_timeout, worker.sessions_end());
    if drain.await.is_err() {
        tracing::warn!("the drain timeout is over; open connections are cut off");
    }
}

/// Accepts for ever.
async fn accept_all(worker: &Rc<Worker>, listener: &TcpListener, permits: Arc<Semaphore>) {
    let mut reserve = File::open("/dev/null").ok();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, addr)) => begin(worker, stream, addr, Some(permit)),
            Err(err) if is_out_of_descriptors(&err) => {
                // One who waits is turned away rather than left hanging: a descriptor held in reserve
                // makes room for that.
                drop(reserve.take());
                let shed = at_once(listener.accept()).await;
                tracing::warn!(
                    "out of file descriptors; turned a client away: {}",
                    shed.is_some()
                );
                drop(shed);
                reserve = File::open("/dev/null").ok();
                tokio::time::sleep(REST).await;
            }
            // The client is gone already, or another error of that one connection (accept(2)).
            Err(err) => tracing::debug!("accept: {err}"),
        }
    }
}

/// ENFILE and EMFILE have no kind of their own in the standard library.
fn is_out_of_descriptors(err: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(err.raw_os_error(), Some(ENFILE | EMFILE))
}

fn begin(
    worker: &Rc<Worker>,
    stream: TcpStream,
    addr: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
) {
    let counted = worker.session();
    let session = session::run(Rc::clone(worker), stream, addr);
    spawn_local(async move {
        session.await;
        // A panicking session ends alone: its task is unwound, and both of these with it.
        drop((counted, permit));
    });
}

/// What `future` gives at its first poll, if anything.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::ZERO, future).await.ok()
}
