//! The port itself: its thread, accepting, and what all connections share.
//!
//! It carries out nothing; the way of a connection is in `admission.rs`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::admission::ControlServer;
use super::connection::Connection;
use super::{ControlContext, ControlLimits, stats};
use crate::shutdown::Shutdown;
use crate::wire::socket_owner::{self, SocketOwner};

/// How long accepting rests after it failed, most likely for want of descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// How many answers are worked out beside the port's own thread at once. More wait their turn, so that a crowd that
/// plans takes no more than that from the data port.
const HELPER_THREADS: usize = 4;

/// After so much silence of both sides the kernel asks whether the client is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// How often it asks again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How often in all, before the connection breaks.
const KEEPALIVE_PROBES: u32 = 3;

/// Serves the control port until `shutdown`, on a thread of its own that then ends.
///
/// # Errors
/// When the system refuses the thread or its event loop.
pub fn start(
    listener: std::net::TcpListener,
    context: ControlContext,
    shutdown: Shutdown,
) -> io::Result<thread::JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(HELPER_THREADS)
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let serve = move || runtime.block_on(serve(listener, context, shutdown));
    thread::Builder::new().name("control".into()).spawn(serve)
}

async fn serve(listener: TcpListener, context: ControlContext, mut shutdown: Shutdown) {
    let stop_timeout = context.limits.stop_timeout;
    let port = ControlServer::new(context, shutdown.clone());
    let mut clients = JoinSet::new();
    let mut ticks = stats::ticks();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => port.admit(stream, peer, &mut clients).await,
                Err(err) => {
                    tracing::warn!("control port cannot accept: {err}");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
            Some(ended) = clients.join_next() => log_panic(ended),
            _ = ticks.tick() => {
                let sources = &port.shared.context.sources;
                sources.recorder.tick(Instant::now().into_std());
            }
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    let rest = async {
        while let Some(ended) = clients.join_next().await {
            log_panic(ended);
        }
    };
    // What is not done by then is dropped with the set.
    let _ = timeout(stop_timeout, rest).await;
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(err) = ended {
        tracing::error!("a control connection ended unexpectedly: {err}");
    }
}

/// What all connections share, in either protocol.
pub(super) struct Shared {
    pub(super) context: ControlContext,
    /// Leave to stream.
    streams: Arc<Semaphore>,
    pub(super) shutdown: Shutdown,
}

impl Shared {
    pub(super) fn new(context: ControlContext, shutdown: Shutdown) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(context.limits.streams)),
            context,
            shutdown,
        }
    }

    /// Leave to stream, as long as the permit is held.
    ///
    /// # Errors
    /// A sentence, when too many do already.
    pub(super) fn acquire_stream(&self) -> Result<OwnedSemaphorePermit, String> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let streams = self.context.limits.streams;
        permit.map_err(|_| format!("{streams} streams are open already"))
    }
}

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints {
    pub(super) client: SocketAddr,
    own: SocketAddr,
}

impl Endpoints {
    /// Whose the client's socket is.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(super) fn owner(self) -> io::Result<SocketOwner> {
        socket_owner::owner_of(self.client, self.own)
    }
}

/// A new connection, ready to be read; `None` if it is broken already.
pub(super) fn open(
    stream: TcpStream,
    client: SocketAddr,
    limits: &ControlLimits,
) -> Option<(Endpoints, Connection)> {
    let own = stream.local_addr().ok()?;
    enable_keepalive(&stream);
    Some((
        Endpoints { client, own },
        Connection::new(stream, limits.write_timeout),
    ))
}

/// Has the kernel ask whether the client is still there, for connections on which nothing is to be written
/// for long. One that the system refuses goes without.
pub(super) fn enable_keepalive(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    if let Err(err) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!("no keep-alive probes on a control connection: {err}");
    }
}

/// Whether a first line is an HTTP request line: three words, the last a version (RFC 9112 §3). One with
/// more words is a malformed one, and answered as HTTP too.
pub(super) fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let version = words.next_back().unwrap_or_default();
    version.starts_with(b"HTTP/") && words.count() >= 2
}
